# SPDX-License-Identifier: MIT
"""A strict reader of Prometheus' text form: whatever that form forbids or its conventions advise against raises."""
import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
UNITS = {"milliseconds", "ms", "us", "minutes", "kilobytes", "megabytes", "percent"}


class Family:
    def __init__(self, name, help):
        self.name, self.help, self.type = name, help, None
        self.samples = {}  # (name, labels as a sorted tuple of pairs) -> value


def value_of(text):
    if text in ("+Inf", "-Inf", "NaN"):
        return float(text.replace("Inf", "inf"))
    if not re.fullmatch(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", text):
        raise ValueError(f"no number: {text!r}")
    return float(text)


def labels_of(text):
    found, rest = {}, text
    while rest:
        m = LABEL.match(rest)
        if not m:
            raise ValueError(f"no labels: {text!r}")
        if m[1] in found or m[1].startswith("__"):
            raise ValueError(f"label {m[1]} in {text!r}")
        found[m[1]] = re.sub(r"\\(.)", lambda e: "\n" if e[1] == "n" else e[1], m[2])
        rest = rest[m.end():]
        if m[3] == "," and not rest:
            raise ValueError(f"a comma at the end of {text!r}")
    return tuple(sorted(found.items()))


def family_of(name, family):
    """Is it a sample of that family?"""
    if family.type == "histogram":
        return name in (family.name + s for s in ("_bucket", "_sum", "_count"))
    return name == family.name


def check_histogram(f):
    series = {}
    for (name, labels), value in f.samples.items():
        rest = tuple(p for p in labels if p[0] != "le")
        one = series.setdefault(rest, {"buckets": []})
        if name.endswith("_bucket"):
            one["buckets"].append((value_of(dict(labels)["le"]), value))
        else:
            one[name.rsplit("_", 1)[1]] = value
    for labels, one in series.items():
        bounds = [b for b, _ in one["buckets"]]
        counts = [c for _, c in one["buckets"]]
        if bounds != sorted(set(bounds)) or not bounds or bounds[-1] != math.inf:
            raise ValueError(f"{f.name}{labels}: buckets {bounds}")
        if counts != sorted(counts) or counts[-1] != one["count"]:
            raise ValueError(f"{f.name}{labels}: counts {counts} of {one['count']}")
        if one["sum"] < 0 or (one["sum"] > 0 and one["count"] == 0):
            raise ValueError(f"{f.name}{labels}: sum {one['sum']} of {one['count']}")


def check_names(f):
    if f.type not in ("counter", "gauge", "histogram"):
        raise ValueError(f"{f.name}: type {f.type}")
    if (f.type == "counter") != f.name.endswith("_total"):
        raise ValueError(f"{f.name}: a {f.type}")
    if UNITS & set(f.name.split("_")):
        raise ValueError(f"{f.name}: not a base unit")
    if f.type == "histogram" and not f.name.endswith("_seconds"):
        raise ValueError(f"{f.name}: no unit")
    if f.type == "counter" and any(v < 0 for v in f.samples.values()):
        raise ValueError(f"{f.name}: below zero")
    if len({tuple(k for k, _ in labels if k != "le") for _, labels in f.samples}) > 1:
        raise ValueError(f"{f.name}: series with different labels")


def parse(text):
    """{name: Family}; raises ValueError on whatever is wrong."""
    families, f = {}, None
    if not text.endswith("\n"):
        raise ValueError("no line end at the end")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, _, help = line[7:].partition(" ")
            if name in families or not NAME.fullmatch(name) or not help or not help.endswith("."):
                raise ValueError(line)
            f = families[name] = Family(name, help)
            continue
        if line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            if f is None or name != f.name or f.type or f.samples:
                raise ValueError(line)
            f.type = kind
            continue
        m = re.fullmatch(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.+)\})? (\S+)", line)
        if not m or f is None or f.type is None or not family_of(m[1], f):
            raise ValueError(line)
        key = (m[1], labels_of(m[2] or ""))
        if key in f.samples:
            raise ValueError("twice: " + line)
        f.samples[key] = value_of(m[3])
    for f in families.values():
        check_names(f)
        if f.type == "histogram":
            check_histogram(f)
    return families

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every command of the table means the same as arguments, as a line of stdin and typed to the shell."""
import os
import re
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *
from typed import Typed

t = Tap()
d = Daemon('model tale { path = "%s" threads = 1 }' % TALE)
nowhere = os.path.join(d.dir, "nowhere")
gone = ["--state-dir", nowhere]

# What each command is run with, and the status it ends with.  The shells themselves are in e20 and e50.
CASES = {
    "show status": ([], 0), "show models": ([], 0), "show variants": ([], 0), "show workers": ([], 0),
    "show requests": ([], 0), "show kernels": ([], 0), "show config": ([], 0), "show events": (["--limit", "1"], 0),
    "watch": (["--count", "1", "show", "models"], 0), "load": (["other", nowhere], 1), "unload": (["nobody"], 1),
    "swap": (["nobody", "q8"], 1), "rollback": (["nobody"], 1), "compress": (["nobody", "--to", "Q8_0"], 1),
    "workers": (["nobody", "1"], 1), "threads": (["tale", "many"], 1), "drain": (["nobody"], 1),
    "resume": (["nobody"], 1), "cancel": (["0192f0c4-0000-7000-8000-000000000000"], 1),
    "log": (["--limit", "1"], 0), "sql": (["SELECT 1 AS one"], 0), "wait ready": (["--timeout", "5"], 0),
    "reload": ([], 0), "stop": (gone, 3), "help": (["show", "status"], 0), "chat": (["nobody"], 1),
    "bench": ([nowhere], 1), "inspect": ([TALE], 0), "logits": ([nowhere, "--tokens", "1", "--out", nowhere], 1),
    "quantize": ([nowhere, nowhere + "2", "--to", "Q8_0"], 1), "tokenize": ([nowhere], 1),
    "detokenize": ([nowhere], 1),
}
OPTIONS = ["--state-dir", d.state, "-y", "--json"]


def quoted(words):
    return " ".join(w if re.fullmatch(r"[\w./:=-]+", w) else '"%s"' % w for w in words)


def shape(v):
    """What stays the same from one time to the next: not figures, nor how many there are."""
    if isinstance(v, dict):
        return {k: shape(x) for k, x in v.items()}
    if isinstance(v, list):
        return [shape(x) for x in v[:1]]
    if isinstance(v, (int, float)) and not isinstance(v, bool):
        return 0
    return re.sub(r"[0-9]+", "0", v) if isinstance(v, str) else v


def said(text):
    """The JSON values and sentences of an answer, whatever their order on the terminal."""
    values, at, text = [], 0, text.strip()
    while at < len(text):
        if text[at] in "[{":
            value, at = json.JSONDecoder().raw_decode(text, at)
            values.append(json.dumps(shape(value), sort_keys=True))
        else:
            end = text.find("\n", at) % (len(text) + 1)
            values.append(re.sub(r"[0-9]+", "0", text[at:end]))
            at = end
        while at < len(text) and text[at] == "\n":
            at += 1
    return sorted(values)


def one_shot(words):
    got = subprocess.run([CTL, *OPTIONS, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=ENV,
                         timeout=PATIENCE)
    return got.returncode, got.stdout, got.stderr


def from_stdin(words):
    got = subprocess.run([CTL, *OPTIONS], input=quoted(words) + "\n", capture_output=True, text=True, env=ENV,
                         timeout=PATIENCE)
    return got.returncode, got.stdout, got.stderr


def in_shell(words):
    s = Typed(*OPTIONS, "shell")
    text = s.say(quoted(words))
    return s.end(), text


table = json.loads(one_shot(["help"])[1])
t.equal(sorted(set(CASES) ^ {c["command"] for c in table}), ["quit", "shell", "top"] if any(
    c["command"] == "top" for c in table) else ["quit", "shell"], "every command of the table is tried")
for command in (c["command"] for c in table if c["command"] in CASES):
    args, code = CASES[command]
    words = [*command.split(), *args]
    first = one_shot(words)
    t.equal(first[0], code, f"{command}: exit {code}")
    second = from_stdin(words)
    if command in ("tokenize", "detokenize"):
        t.ok(second[0] == 2 and "can't hold both" in second[2], f"{command}: not from stdin, where its text is", second)
    else:
        t.equal((second[0], said(second[1]), second[2]), (first[0], said(first[1]), first[2]), f"{command}: from stdin")
    third = in_shell(words)
    t.equal((third[0], said(third[1])), (first[0], said(first[1] + first[2])), f"{command}: in the shell")

# Help and wrong words, all in one shell
s = Typed("--state-dir", d.state, "shell")
for c in table:
    words = c["command"].split()
    first = subprocess.run([CTL, *words, "--help"], capture_output=True, text=True, env=ENV)
    second = subprocess.run([CTL], input=f"{c['command']} --help\n", capture_output=True, text=True, env=ENV)
    third = s.say(f"{c['command']} --help")
    t.ok(first.returncode == 0 and first.stdout.startswith(c["command"]) and c["help"] in first.stdout and
         first.stdout == second.stdout == third, f"{c['command']} --help",
         f"{first.stdout}{first.stderr}--\n{second.stdout}{second.stderr}--\n{third}")
    many = "x " * 12
    bad = subprocess.run([CTL, *gone, *words, *many.split()], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         env=ENV)
    typed = s.say(f"{c['command']} {many}")
    if c["command"] not in ("watch", "log"):    # which take any number
        t.ok(bad.returncode == 2 and bad.stderr == typed, f"{c['command']}: too many words",
             f"{bad.returncode} {bad.stderr}--\n{typed}")
s.end()

# Reading only
for c in table:
    args = CASES.get(c["command"], ([],))[0]
    got = subprocess.run([CTL, "--state-dir", nowhere, "--readonly", *c["command"].split(), *args],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, env=ENV, timeout=PATIENCE)
    if c["risk"] >= 1:
        t.ok(got.returncode == 5 and "may only read" in got.stderr, f"--readonly refuses {c['command']}", got.stderr)
    elif c["command"] not in ("shell", "top", "quit"):
        t.ok(got.returncode != 5, f"--readonly allows {c['command']}", got.stderr)
d.stop(t)
t.done()

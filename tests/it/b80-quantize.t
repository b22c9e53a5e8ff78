#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bigmodelctl quantize: refusals, disks and deaths leave nothing; other software's files come out the same."""
import os
import resource
import struct
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
where = tempfile.mkdtemp(prefix="bm-quantize-")
path = lambda name: os.path.join(where, name)
names = lambda: sorted(os.listdir(where))


def quantize(*args, limit=None):
    return subprocess.run([CTL, "quantize", *args], capture_output=True, text=True, env=ENV, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL, preexec_fn=(lambda: resource.setrlimit(
                              resource.RLIMIT_FSIZE, (limit, limit))) if limit else None)


def ctl_json(*args):
    return json.loads(subprocess.run([CTL, "--json", *args], capture_output=True, text=True, env=ENV).stdout)


def tensors(gguf):
    """{name: (type, bytes of data)}"""
    data = open(gguf, "rb").read()
    return {x["name"]: (x["type"], data[x["offset"]:x["offset"] + x["bytes"]]) for x in ctl_json("inspect", gguf)["tensors"]}


# What is written
out = path("q.gguf")
got = quantize(TALE, out, "--to", "q4_k", "--json")
said = json.loads(got.stdout)
t.ok(got.returncode == 0 and said["bytes"] == os.path.getsize(out) == 2121408 and
     said["tensors"] == {"F32": 9, "Q4_K": 29} and said["fallback"] == 0, "quantize --json", got.stdout + got.stderr)
info = ctl_json("inspect", out)
t.ok(info["type"] == "Q4_K" and len(info["tensors"]) == 38, "inspect knows the result")
f32 = path("x.f32")
got = subprocess.run([CTL, "logits", out, "--tokens", "1,403,407", "--out", f32], env=ENV, capture_output=True)
t.ok(got.returncode == 0 and os.path.getsize(f32) == 3 * 2048 * 4, "and a worker computes with it", got.stderr)
os.unlink(f32)
first = open(out, "rb").read()
got = quantize("-y", TALE, out, "--to", "Q4_K", "--threads", "1")
t.ok(got.returncode == 0 and "29 Q4_K" in got.stdout and open(out, "rb").read() == first,
     "-y replaces it; one thread writes the same bytes", got.stdout + got.stderr)

# What is refused
for name, args, code, word in (
        ("no type", (TALE, path("a")), 2, "--to TYPE"), ("an unknown type", (TALE, path("a"), "--to", "Q9_X"), 2, "IQ4_NL"),
        ("a bad count", (TALE, path("a"), "--to", "Q8_0", "--threads", "x"), 2, "--threads"),
        ("an existing OUT", (TALE, out, "--to", "Q8_0"), 1, "-y"), ("IN as OUT", ("-y", out, out, "--to", "Q8_0"), 1, "another"),
        ("a directory as OUT", (TALE, where, "--to", "Q8_0"), 1, "regular"),
        ("no such IN", (path("none"), path("a"), "--to", "Q8_0"), 1, "none"),
        ("no model as IN", ("/bin/sh", path("a"), "--to", "Q8_0"), 1, "GGUF"),
        ("no such directory", (TALE, path("none/a"), "--to", "Q8_0"), 1, "none/a")):
    got = quantize(*args)
    t.ok(got.returncode == code and word in got.stderr, f"{name}: exit {code}", f"{got.returncode} {got.stderr}")
t.equal(names(), ["q.gguf"], "refusals leave nothing")
t.ok(open(out, "rb").read() == first, "and OUT as it was")

# A disk without room, and a value that can't be
got = quantize(TALE, path("a"), "--to", "Q8_0", limit=1 << 20)
t.ok(got.returncode == 1 and "no room for" in got.stderr and names() == ["q.gguf"], "no room: a clear error, no file",
     got.stderr)
broken = bytearray(open(TALE, "rb").read())
at = next(x["offset"] for x in ctl_json("inspect", TALE)["tensors"] if x["type"] == "F16")
broken[at + 1024:at + 1026] = b"\x00\x7c"       # an infinity in half precision
with open(path("broken"), "wb") as f:
    f.write(broken)
got = quantize(path("broken"), path("a"), "--to", "Q8_0")
t.ok(got.returncode == 1 and "tensor '" in got.stderr and "not finite" in got.stderr and not os.path.exists(path("a")),
     "an infinity: its tensor is named, no file", got.stderr)
os.unlink(path("broken"))

# Deaths at any moment: OUT is whole or absent, and nothing else is left
want = quantize(TALE, path("whole"), "--to", "IQ4_XS") and open(path("whole"), "rb").read()
os.unlink(path("whole"))
try:
    os.close(os.open(where, os.O_TMPFILE | os.O_WRONLY))
    nameless = True
except OSError:     # then nobody can take away the file beside OUT after SIGKILL
    nameless = False
odd = []
for i, sig in enumerate([signal.SIGTERM, signal.SIGINT, signal.SIGKILL] * 4):
    p = subprocess.Popen([CTL, "-q", "quantize", TALE, path("a"), "--to", "IQ4_XS"], env=ENV, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    time.sleep(0.03 * i)
    p.send_signal(sig)
    p.wait(PATIENCE)
    if os.path.exists(path("a")):
        if open(path("a"), "rb").read() != want:
            odd.append(f"a cut OUT after {sig}")
        os.unlink(path("a"))
    for left in [x for x in names() if x != "q.gguf"]:
        os.unlink(path(left))
        if nameless or sig != signal.SIGKILL:
            odd.append(f"{left} after {sig}")
t.equal(odd, [], "killed while it writes")

# A split model in several files comes out whole
def split(source, parts):
    """As a split: the first file has the metadata, each its share of the tensors."""
    data = open(source, "rb").read()
    infos = ctl_json("inspect", source)["tensors"]
    n_kv = struct.unpack("<Q", data[16:24])[0]
    # the metadata end where the first tensor's name begins
    first = infos[0]["name"].encode()
    end = data.index(struct.pack("<Q", len(first)) + first)
    ids = {"F32": 0, "F16": 1}
    key = lambda k, kind, v: struct.pack("<Q", len(k)) + k + struct.pack("<I" + kind[1], kind[0], v)
    for i in range(parts):
        mine = infos[i::parts]
        split_keys = key(b"split.no", (2, "H"), i) + key(b"split.count", (2, "H"), parts) + \
            key(b"split.tensors.count", (5, "i"), len(infos))
        kv = (data[24:end] if i == 0 else b"") + split_keys
        head, body = b"", b""
        for x in mine:
            n = x["name"].encode()
            body += b"\0" * (-len(body) % 32)
            head += struct.pack("<Q", len(n)) + n + struct.pack("<I", len(x["shape"])) + \
                struct.pack(f"<{len(x['shape'])}Q", *x["shape"]) + struct.pack("<IQ", ids[x["type"]], len(body))
            body += data[x["offset"]:x["offset"] + x["bytes"]]
        head = struct.pack("<4sIQQ", b"GGUF", 3, len(mine), (n_kv if i == 0 else 0) + 3) + kv + head
        with open(path(f"s-{i + 1:05}-of-{parts:05}.gguf"), "wb") as f:
            f.write(head + b"\0" * (-len(head) % 32) + body)


split(TALE, 3)
got = quantize(path("s-00001-of-00003.gguf"), path("joined"), "--to", "q4_k")
t.ok(got.returncode == 0 and tensors(path("joined")) == tensors(out), "a split model", got.stderr)
got = quantize("-y", path("s-00001-of-00003.gguf"), path("s-00002-of-00003.gguf"), "--to", "q4_k")
t.ok(got.returncode == 1 and "to be read" in got.stderr, "no part of IN is overwritten", got.stderr)

# Blocks of other software, from the same source
maker, numpy = shared("tools", "make_model.py"), None
for python in ("python3", "/usr/bin/python3"):
    if subprocess.run([python, "-c", "import numpy"], capture_output=True).returncode == 0:
        numpy = numpy or python
if maker and numpy:
    manifest = json.load(open(shared("golden", "golden.json")))
    for case in manifest["cases"]:
        made = case.get("made", {})
        if not made.get("quantised_by", "").startswith("llama.cpp --pure") and case["name"] != "llama-mxfp4":
            continue
        source = path("source.gguf")
        subprocess.run([numpy, maker, "--arch", "llama", "--type", "f32", "--seed", str(made["seed"]), *sum(
            (["--set", f"{k}={v}"] for k, v in made["set"].items()), []), source], check=True, capture_output=True)
        kind = next(k for k in case["tensor_types"] if k != "F32")
        got = quantize("-y", source, path("mine"), "--to", kind)
        t.ok(got.returncode == 0 and tensors(path("mine")) == tensors(shared("golden", case["file"])),
             f"{kind}: every block as {made['quantised_by']} has it", got.stderr)
else:
    t.skip("blocks of other software", "no $BM_SHARED, or python without numpy")
shutil.rmtree(where)
t.done()

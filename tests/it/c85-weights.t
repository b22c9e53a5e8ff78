#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packed weights: one copy for all workers of a model, whatever happens to the file and the place it is kept in."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
PROMPT = "Once upon a time"


def conf(path, workers, cache_max="1G"):
    return f"""listen {{ http = "127.0.0.1:0" }}
worker {{ cache_max = "{cache_max}" }}
model m {{ path = "{path}" workers = {workers} }}"""


def answer(d):
    return d.complete(PROMPT, max_tokens=24, temperature=0)["choices"][0]["text"]


def files(d):
    return sorted(os.listdir(f"{d.state}/cache"))


def mappings(pid, words):
    """The (device, inode) and sizes in bytes of a worker's mappings of a file whose path has one of the words."""
    found = []
    with open(f"/proc/{pid}/maps") as f:
        for line in f:
            part = line.split(None, 5)
            if len(part) == 6 and any(w in part[5] for w in words):
                a, b = (int(x, 16) for x in part[0].split("-"))
                found.append(((part[3], part[4]), b - a, part[1]))
    return found


def shares(d, n, words, name):
    """All n workers map the same inode, read-only and shared."""
    maps = [mappings(pid, words) for pid in d.children("worker")]
    good = len(maps) == n and all(len(m) == 1 for m in maps) and len({m[0][0] for m in maps}) == 1 and \
        all(m[0][2] == "r--s" for m in maps)
    t.ok(good, name, maps)


here = tempfile.mkdtemp(prefix="bm-weights-")
model = f"{here}/m.gguf"
shutil.copy(TALE, model)

# -- a file for all

d = Daemon(conf(model, 4))
t.ok(wait_until(lambda: all(w["state"] == "ready" for w in d.json("show", "workers"))), "four workers at once")
expected = answer(d)
first = files(d)
t.ok(len(first) == 1 and first[0].endswith(".weights"), "one file", first)
shares(d, 4, [".weights"], "which all of them map, read-only")
m = d.json("show", "models")[0]
w = d.json("show", "workers")
t.ok(0 < m["shared_bytes"] < m["memory_bytes"], "the weights count once", m)
t.ok(all(0 < x["shared_bytes"] < x["rss_bytes"] for x in w), "and the workers' share is told", w)

# -- a worker that is killed; its heir needs no packing

inode = os.stat(f"{d.state}/cache/{first[0]}").st_ino
gone = d.kill_child("worker")
t.ok(wait_until(lambda: gone not in d.children("worker") and len(d.children("worker")) == 4 and
                sum(x["restarts"] for x in d.json("show", "workers")) == 1 and
                all(x["state"] == "ready" for x in d.json("show", "workers"))), "a killed worker comes back")
shares(d, 4, [".weights"], "to the same file")
t.equal(os.stat(f"{d.state}/cache/{first[0]}").st_ino, inode, "which nobody has written again")


def restart(d):
    d.process.send_signal(signal.SIGTERM)
    d.process.wait(PATIENCE)
    d.start()


# -- what happens to files

def flip(path):
    with open(path, "r+b") as f:
        f.seek(-(os.path.getsize(path) // 2), os.SEEK_END)
        byte = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte[0] ^ 16]))


for what, harm in (("with a wrong bit", flip), ("cut short", lambda p: os.truncate(p, 3 << 20)),
                   ("of other bytes", lambda p: shutil.copy(TALE, p))):
    path = f"{d.state}/cache/{first[0]}"
    d.process.send_signal(signal.SIGTERM)
    d.process.wait(PATIENCE)
    harm(path)
    before = d.log().count("packed again")
    d.start()
    t.equal(answer(d), expected, f"a file {what} is not used")
    t.ok(d.log().count("packed again") == before + 1 and first[0] in d.log(), "that is told", d.log()[-2000:])
    t.equal(files(d), first, "and mended")

# -- another model under the same name

other = f"{here}/new.gguf"
shutil.copy(TALE, other)
os.rename(other, model)
restart(d)
t.equal(answer(d), expected, "the model's file is replaced by an equal one")
t.equal(len(files(d)), 2, "which has weights of its own")
d.write_conf(conf(model, 1, "15M"))
shutil.copy(TALE, other)
os.rename(other, model)
restart(d)
t.equal(len(files(d)), 1, "cache_max lets go what was not used for longest")
t.ok(not set(first) & set(files(d)), "the first one among it", files(d))
d.stop(t)

# -- no file

d = Daemon(conf(model, 2, "0"))
t.ok(wait_until(lambda: all(w["state"] == "ready" for w in d.json("show", "workers"))), "cache_max = 0")
t.equal(files(d), [], "leaves no file")
shares(d, 2, ["memfd:weights"], "and the workers share memory")
t.equal(answer(d), expected, "and say the same")
d.stop(t)

# -- no room

where = tempfile.mkdtemp(prefix="bm-small-")
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", where], capture_output=True).returncode == 0:
    d = Daemon(conf(model, 2), start=False)
    os.makedirs(d.state, mode=0o711)
    os.symlink(where, f"{d.state}/cache")
    d.start()
    t.ok(wait_until(lambda: all(w["state"] == "ready" for w in d.json("show", "workers"))), "a full disk")
    t.ok("kept in memory" in d.log(), "is told", d.log())
    shares(d, 2, ["memfd:weights"], "and the workers share memory")
    t.equal(answer(d), expected, "and say the same")
    d.stop(t)
    subprocess.run(["umount", where])
else:
    t.skip("a full disk", "no file system can be mounted here")
shutil.rmtree(where, ignore_errors=True)
shutil.rmtree(here, ignore_errors=True)
t.done()

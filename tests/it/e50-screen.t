#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An operator's hour at the screen, in a real terminal: what the keys do is seen there, and in the daemon."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *
from terminal import Terminal

t = Tap()
CONF = 'listen { http = "127.0.0.1:0" }\nmodel tale { path = "%s" workers = 1 threads = 1 }' % TALE
d = Daemon(CONF, start=False)
own = os.path.join(d.state, "variants", "tale")
os.makedirs(own, mode=0o700)
os.chmod(d.state, 0o700)
got = subprocess.run([CTL, "quantize", TALE, f"{own}/q8.gguf", "--to", "Q8_0"], env=ENV, capture_output=True, text=True)
t.equal(got.returncode, 0, "a variant is made")
d.start()


def model():
    return d.json("show", "models")[0]


def see(*texts, name=None):
    good = s.sees(*texts)
    return t.ok(good, name or f"seen: {', '.join(texts)}", "" if good else s.screen())


# ---- the first look
s = Terminal(CTL, "--state-dir", d.state, width=80, height=24)
see("1 Overview", "ready", "tale", "master", "gate")

# ---- one worker more, by key
s.keys("2")
see("base", "q8", name="models and variants")
s.keys("+")
see("1 workers now, 2 from now on", name="the effect is told in numbers")
s.keys("n")
see("not done")
t.equal(model()["workers"]["min"], 1, "no is no")
s.keys("+")
see("2 from now on")
s.keys("Enter")
see("not done", name="Enter is no")
s.keys("+")
see("2 from now on")
s.keys("y")
t.ok(wait_until(lambda: model()["workers"]["now"] == 2), "yes is a second worker")
see("workers tale 2")
t.ok(wait_until(lambda: "2/2" in s.screen()), "and it is seen", s.screen())

# ---- another variant
s.keys("S")
see("Variant  ", "q8", "available", name="what there is to choose from")
s.keys("q")
s.keys("Enter")
see("all of them, at once", "canary")
s.keys("Enter")
see("all new requests go to q8 instead of base", "MiB")
s.keys("y")
t.ok(wait_until(lambda: model()["variant"] == "q8"), "the other variant serves")
see("swap tale q8")
s.keys("b")
see("new requests go to base again")
s.keys("y")
t.ok(wait_until(lambda: model()["variant"] == "base"), "and with a key back")

# ---- requests: hold the model, so that they stay where they are
s.keys("d")
see("starts nothing new")
s.keys("y")
t.ok(wait_until(lambda: model()["held"]), "the model is held")
lines = [Line(d) for _ in range(3)]
for i, line in enumerate(lines):
    line.send(op="generate", id="r", model="tale", prompt=f"the prompt of client {i}", max_tokens=4, stream=False)
    t.ok(wait_until(lambda: len(d.json("show", "requests")) == i + 1), f"request {i} waits")
ids = [r["id"] for r in d.json("show", "requests")]
s.keys("4")
see("queued")
s.keys("/")
s.type(ids[1])
see(ids[1])
s.keys("Enter")
see("1 of", name="the filter leaves one")
t.ok(wait_until(lambda: not any(i[-12:] in s.screen() for i in (ids[0], ids[2]))), "and hides the others", s.screen())
s.keys("Enter")
see(f"id                    {ids[1]}", name="its detail")
s.keys("G")
see("the prompt of client 1", name="with its text")
s.keys("Escape")
s.keys("c")
see(f"Request {ids[1]}", "will be cancelled")
s.keys("y")
t.ok(wait_until(lambda: [r["id"] for r in d.json("show", "requests")] == [ids[0], ids[2]]), "it is cancelled, it alone")
t.ok(wait_until(lambda: d.sql(f"SELECT status FROM requests WHERE id = '{ids[1]}'") == [{"status": "cancelled"}]), "and logged so")
see("cancelled", name="seen among the finished")
s.keys("Escape")

# ---- the same words behind the colon
s.keys(":")
s.type("resume tale")
s.keys("Enter")
t.ok(wait_until(lambda: not model()["held"]), "resume, typed")
for line in (lines[0], lines[2]):
    got = line.read()
    while got.get("event") == "queued":
        got = line.read()
    t.ok(got.get("event") == "done", "a request that waited is answered", got)
s.keys(":")
s.type("workers nobody 3")
s.keys("Enter")
see("nobody", name="an error is told")
s.keys(":")
s.type("show kernels")
s.keys("Enter")
see("show kernels, lines 1-", name="an answer of many lines is paged")
s.keys("Escape")

# ---- sizes
for width, height in ((60, 16), (132, 43), (200, 60)):
    s.resize(width, height)
    see("Requests", "Help", name=f"drawn at {width}x{height}")
    t.ok(wait_until(lambda: max(len(x) for x in s.screen().splitlines()) <= width), "within the width")
s.resize(20, 5)
see("at least", name="too small is said")
s.resize(80, 24)
see("Requests", "Help", name="and drawn again")

# ---- the daemon dies and comes back
s.keys("1")
see("ready")
os.kill(d.process.pid, signal.SIGKILL)
d.process.wait()
see("away", name="its death is seen")
see("tale", "trying again", name="what was known stays")
s.keys("2")
s.keys("+")
t.ok(s.loses("from now on"), "nothing can be done meanwhile")
d.start()
t.ok(s.loses("trying again"), "it is found again", s.screen())
see("ready", "tale")
t.ok(wait_until(lambda: "1/1" in s.screen()), "with what it has now", s.screen())

# ---- leaving
s.keys("q")
t.ok(s.ended(), "q leaves")
t.equal((s.ask("#{pane_dead_status}"), s.ask("#{alternate_on}")), ("0", "0"), "with exit status 0 and the terminal as it was")

# ---- who only looks
s = Terminal(CTL, "--state-dir", d.state, "--readonly")
see("READONLY")
s.keys("2")
see("base")
s.keys("+")
see("read-only")
s.keys("q")
t.ok(s.ended(), "q leaves")
t.equal(model()["workers"]["now"], 1, "nothing was changed")
d.stop(t)
t.done()

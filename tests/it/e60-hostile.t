#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prompts and names that would like to write on the operator's terminal: screen and log stay readable."""
import os
import re
import sys
import unicodedata
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *
from terminal import Terminal

t = Tap()
NAME = "modèle\u202egpj中文"
EVIL = {
    "escape": "\x1b[2J\x1b[31m\x1b]0;owned\x07 red",
    "lines": "one\r\ntwo\ttabs\b\b\b\x7f",
    "c1": "\x9b31m\x90q",
    "wide": "中文字符 𝄞 한국어",
    "combining": "e" + "\u0301" * 500 + " zalgo",
    "right to left": "\u202eevil\u2066\u200f שלום مرحبا",
    "long": "very long " * 100000,
}
CONF = 'listen { http = "127.0.0.1:0" }\nmodel "%s" { path = "%s" workers = 1 threads = 1 }'
d = Daemon(CONF % (NAME, TALE), start=False)
got = subprocess.run([DAEMON, "--check", "-f", d.conf_path], env=ENV, capture_output=True, text=True, errors="surrogateescape")
if got.returncode != 0:
    # The daemon is stricter than the console has to be.
    t.ok("test.conf:2" in got.stderr, "a name like this is refused, with the line", got.stderr)
    NAME = "tale"
    d = Daemon(CONF % (NAME, TALE), start=False)
else:
    t.ok(True, "a name like this is served")
d.start()


def readable(text, what, width=None):
    """No control character but line ends, no direction but the reader's, nothing beyond the edge."""
    bad = re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)
    t.ok(bad == [], f"{what}: nothing that a terminal would obey", sorted(set(bad)))
    if width:
        longest = max(sum(2 if unicodedata.east_asian_width(c) in "WF" else unicodedata.combining(c) == 0 for c in line)
                      for line in text.splitlines())
        t.ok(longest <= width, f"{what}: within the width", longest)


# ---- live and finished, by people who mean harm
t.equal(d.ctl("drain", NAME).returncode, 0, "the model is held, so that requests wait to be looked at")
waiting = Line(d)
for name, text in EVIL.items():
    waiting.send(op="generate", id=name, model=NAME, prompt=text[:3000], max_tokens=2)
t.ok(wait_until(lambda: len(d.json("show", "requests")) == len(EVIL)), "they wait")
s = Terminal(CTL, "--state-dir", d.state, width=100, height=30)
t.ok(s.sees("Overview", "ready"), "the screen is there", s.screen())
s.keys("4")
t.ok(s.sees(f"{len(EVIL)} live"), "the requests are seen", s.screen())
readable(s.screen(), "waiting requests", 100)
t.ok(s.sees("?Help"), "and the screen is whole")

# ---- their details
s.keys("g")
for i, name in enumerate(EVIL):
    s.keys("Enter")
    t.ok(s.sees("lines 1-"), f"detail, {name}", s.screen())
    readable(s.screen(), f"detail, {name}", 100)
    s.keys("G")
    readable(s.screen(), f"its end, {name}", 100)
    s.keys("Escape")
    s.keys("Down")

# ---- as commands and filters
for typed in ("show requests", "log --model " + EVIL["wide"], "sql \"SELECT '" + EVIL["combining"][:40] + "' AS x\""):
    s.keys(":")
    s.type(typed)
    s.keys("Enter")
    time.sleep(0.3)
    readable(s.screen(), f"answer of {typed[:12]}", 100)
    s.keys("Escape")

# ---- a megabyte, finished
t.equal(d.ctl("resume", NAME).returncode, 0, "resume")
for _ in EVIL:
    event = waiting.read()
    while event.get("event") in ("queued", "token"):
        event = waiting.read()
status, _, body = d.request("POST", "/v1/completions", {"model": NAME, "prompt": EVIL["long"], "max_tokens": 1})
t.ok(status in (200, 400, 413), "a prompt of a megabyte is answered or refused", (status, str(body)[:200]))
t.ok(wait_until(lambda: len(d.json("log")) >= len(EVIL)), "all are logged")
t.ok(s.sees("finished"), "and seen", s.screen())
readable(s.screen(), "finished requests", 100)
s.keys("G")
s.keys("Enter")
t.ok(s.sees("lines 1-"), "the detail of the last", s.screen())
readable(s.screen(), "its detail", 100)
s.keys("Escape")
for key in "12356":
    s.keys(key)
    t.ok(s.sees("?Help"), f"screen {key}")
    readable(s.screen(), f"screen {key}", 100)
s.keys("q")
t.ok(s.ended(), "it leaves")

# ---- what is printed
for words in (("log",), ("show", "models"), ("show", "events"), ("show", "workers"), ("sql", "SELECT prompt FROM requests")):
    readable(d.ctl(*words).stdout, " ".join(words))
readable("".join(x for x in d.log() if x != "\t"), "the daemon's own log")
d.stop(t)
t.done()

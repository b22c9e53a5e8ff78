#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The number of workers: changed at random, and by the load itself, under sixteen streaming clients."""
import os
import random
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
CLIENTS, TOKENS = 16, 40
CHANGES = 12 if SANITIZED else 100
prompts = [f"Once upon a time there were {i} little" for i in range(CLIENTS)]
ask = dict(max_tokens=TOKENS, temperature=0.8, ignore_eos=True)
CONF = ('listen { http = "127.0.0.1:0" }\nautoscale { target_wait = 50ms up_delay = 200ms down_delay = 400ms idle = 1500ms }\n'
        'model tale { path = "%s" threads = 1 %s }')
d = Daemon(CONF % (TALE, "workers = 2"))


def model():
    return d.json("show", "models")[0]


def workers():
    return len([w for w in d.json("show", "workers") if w["state"] == "ready"])


want = in_threads(CLIENTS, lambda i: d.stream_text(prompts[i], seed=i, **ask))
t.ok(all(isinstance(w, str) for w in want), "an undisturbed run", want)

# ---- an operator's changes
over = threading.Event()
answers = [[] for _ in range(CLIENTS)]


def client(i):
    while not over.is_set():
        answers[i].append(d.stream_text(prompts[i], seed=i, **ask))
    return True


def change(_):
    dice, bad = random.Random(1), []
    for n in range(CHANGES):
        words = ("threads", "tale", str(dice.randint(1, 4))) if dice.random() < 0.3 else \
            ("workers", "tale", str(dice.randint(1, 4)))
        got = d.ctl(*words)
        if got.returncode != 0:
            bad.append((words, got.stderr))
    over.set()
    return bad


got = in_threads(CLIENTS + 1, lambda i: change(i) if i == CLIENTS else client(i))
t.equal(got[CLIENTS], [], f"{CHANGES} changes of workers and threads between 1 and 4")
t.equal(got[:CLIENTS], [True] * CLIENTS, "no request failed")
t.equal([(i, a) for i in range(CLIENTS) for a in answers[i] if a != want[i]], [],
        f"{sum(map(len, answers))} answers, all those of the undisturbed run")
for n in ("0", "65", "2..1", "x", "1..x", ".."):
    t.equal(d.ctl("workers", "tale", n).returncode, 1, f"workers tale {n} is refused")

# ---- the load's: up to 3 (on one CPU: 2), back to 1, to none, and up again
most = 3 if os.cpu_count() >= 2 else 2
t.equal(d.ctl("workers", "tale", f"0..{most}").returncode, 0, "a range")
m = model()
t.equal((m["workers"]["min"], m["workers"]["max"]), (0, most), "is shown")
t.ok(wait_until(lambda: model()["workers"]["now"] == 0), "nobody asks: no worker", model())
m = model()
t.ok(m["state"] == "idle" and "no request" in m["workers_why"], "and it is said why", m)
t.equal(d.ctl("wait", "ready").returncode, 0, "it is ready none the less")
line = Line(d)
line.send(op="generate", id="a", model="tale", prompt=prompts[0], seed=0, stream=True, **ask)
events = line.until_done("a")
t.ok(events[0]["event"] == "queued" and events[0].get("state") == "idle", "a request waits and is told for what", events[0])
t.equal("".join(e["text"] for e in events if e["event"] == "token"), want[0], "then it is answered")
clients = [f"{p} and {k}" for p in prompts for k in range(5)]
stop = threading.Event()


def press(i):
    while not stop.is_set():
        d.stream_text(clients[i], seed=i, **dict(ask, max_tokens=100))


crowd = threading.Thread(target=lambda: in_threads(len(clients), press))
crowd.start()
t.ok(wait_until(lambda: workers() == most), f"a crowd brings {most}", model())
t.ok(wait_until(lambda: "wait" in model()["workers_why"]), "and it is said why", model())
stop.set()
crowd.join(PATIENCE)
t.ok(wait_until(lambda: model()["workers"]["now"] == 1), "all but one go when the crowd has gone", model())
t.ok(wait_until(lambda: model()["workers"]["now"] == 0), "and at last that one", model())
kinds = [e["text"] for e in d.json("show", "events") if e["kind"] == "autoscale"]
t.ok(len(kinds) >= 3 and all(" to " in k and ":" in k for k in kinds), "each change is an event with its reason", kinds)
t.equal(in_threads(CLIENTS, lambda i: d.stream_text(prompts[i], seed=i, **ask)), want, "from nothing, sixteen at once")
d.stop(t)
t.done()

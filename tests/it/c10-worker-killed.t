#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kill -9 of workers under sixteen streaming clients: nobody notices."""
import random
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
CLIENTS, TOKENS = 16, 120
prompts = [f"Once upon a time there were {i} little" for i in range(CLIENTS)]
ask = dict(max_tokens=TOKENS, temperature=0.8, ignore_eos=True)
d = Daemon('listen { http = "127.0.0.1:0" }\nlimits { retries = 20 }\n'
           'worker { backoff_min = "50ms" backoff_max = "200ms" }\nmodel tale { path = "%s" workers = 2 threads = 1 }' % TALE)
want = in_threads(CLIENTS, lambda i: d.stream_text(prompts[i], seed=i, **ask))
t.ok(all(isinstance(w, str) and len(w) > 100 for w in want), "an undisturbed run", want)
alone = d.stream_text(prompts[3], seed=3, **ask)
t.equal(alone, want[3], "a request alone says the same as among others")

first = threading.Event()
over = threading.Event()
kills = []


def killer():
    first.wait(PATIENCE)
    while not over.is_set() and len(kills) < 6:
        pids = d.children("worker")
        if len(pids) > 1:  # leave one alive, so that there is always somebody to go on
            kills.append(d.kill_child("worker", random.randrange(len(pids))))
        over.wait(0.15)


k = threading.Thread(target=killer)
k.start()
rounds = []
while len(kills) < 3 and len(rounds) < 8:
    rounds.append(in_threads(CLIENTS, lambda i: d.stream_text(prompts[i], lambda e: first.set(), seed=i, **ask)))
over.set()
k.join()
t.ok(len(kills) >= 3, f"{len(kills)} workers were killed in {len(rounds)} rounds")
for got in rounds:
    t.equal(sum(isinstance(g, str) for g in got), CLIENTS, "no request failed")
    t.equal(got, want, "every text is that of the undisturbed run")
sent = CLIENTS * (len(rounds) + 1) + 1
t.ok(wait_until(lambda: d.sql("SELECT count(*) AS n FROM requests WHERE status = 'ok'")[0]["n"] == sent),
     f"{sent} rows, all ok", d.sql("SELECT status, count(*) FROM requests GROUP BY status"))
t.ok(wait_until(lambda: len([w for w in d.json("show", "workers") if w["state"] == "ready"]) == 2),
     "the dead are replaced", d.json("show", "workers"))
t.ok(sum(w["restarts"] for w in d.json("show", "workers")) >= 1, "and the restarts counted", d.json("show", "workers"))

# All of them at once: requests wait for the new ones.
got = in_threads(CLIENTS, lambda i: d.stream_text(
    prompts[i], (lambda e: [d.kill_child("worker") for _ in d.children("worker")] if i == 0 and not done.append(1) and
                 len(done) == 1 else None), seed=i, **ask)) if not (done := []) else None
t.equal(got, want, "all workers killed at once: the same texts")
d.stop(t)
t.done()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kill -9 of reqlog under load: every finished request has exactly one row."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
d = Daemon()
CLIENTS, EACH = 16, 12
over = threading.Event()
kills = []


def killer():
    while not over.is_set():
        try:
            kills.append(d.kill_child("reqlog"))
        except IndexError:
            pass
        over.wait(0.3)


def client(i):
    ids = []
    for j in range(EACH):
        events = d.stream("/v1/completions", {"prompt": f"The {i} cats", "max_tokens": 20 + j, "seed": i * 100 + j})
        ids.append(events[0]["id"].removeprefix("cmpl-"))
    return ids


k = threading.Thread(target=killer)
k.start()
results = in_threads(CLIENTS, client)
over.set()
k.join()
t.ok(len(kills) >= 2, f"reqlog was killed {len(kills)} times")
t.ok(all(isinstance(r, list) for r in results), "no request failed", results)
ids = sorted(x for r in results if isinstance(r, list) for x in r)
rows = lambda: [r["id"] for r in d.sql("SELECT id FROM requests ORDER BY id")]
t.ok(wait_until(lambda: len(d.children("reqlog")) == 1 and d.ctl("sql", "SELECT 1").returncode == 0),
     "reqlog is back")
wait_until(lambda: len(rows()) >= len(ids))
t.equal(rows(), ids, "every finished request has exactly one row")
d.stop(t)
t.done()

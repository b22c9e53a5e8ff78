#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kill -9 of the gate: it comes back on the same port, workers keep their models."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
d = Daemon()
d.complete("Once", max_tokens=2)
workers = d.children("worker")
reqlog = d.children("reqlog")
clients = []


def client(i):
    """Streams until the gate dies; says how it ended."""
    try:
        return d.stream_text("Once", max_tokens=480, ignore_eos=True, on_event=lambda e: clients.append(1))
    except Exception as e:
        return e


threads = threading.Thread(target=lambda: in_threads(16, client))
threads.start()
wait_until(lambda: len(clients) > 16)
old = d.kill_child("gate")
threads.join()
t.ok(wait_until(lambda: d.children("gate") not in ([], [old])), "a new gate runs")
t.equal(d.ctl("wait", "ready", "--timeout", "60").returncode, 0, "it is ready")
t.equal(d.children("worker"), workers, "the workers are the same processes")
t.equal(d.children("reqlog"), reqlog, "and reqlog too")
t.equal(int(d.status()["http"].rsplit(":", 1)[1]), d.port, "the port is the same")
t.ok(d.complete("Once upon a time", max_tokens=4, temperature=0)["choices"][0]["text"].startswith(", there"),
     "it answers")
t.ok(wait_until(lambda: d.json("show", "workers")[0]["running"] == 0), "what ran for the old gate was cancelled")
t.ok(wait_until(lambda: any("gate" in f"{e}" for e in d.json("show", "events"))), "an event tells of it")
d.stop(t)
t.done()

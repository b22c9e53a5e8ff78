#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A gate that hangs: the master kills it, and all is as after any other death of the gate."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
d = Daemon('listen { http = "127.0.0.1:0" }\nworker { hang_timeout = %s }\nmodel tale { path = "%s" }'
           % ("20s" if SANITIZED else "2s", TALE))
ask = dict(max_tokens=4, temperature=0)
want = d.complete("Once upon a time", **ask)["choices"][0]["text"]
workers = d.children("worker")
events = []


def client(i):
    """Streams until the gate dies; says how it ended."""
    try:
        return d.stream_text("Once", max_tokens=480, ignore_eos=True, on_event=lambda e: events.append(i))
    except Exception as e:
        return e


def stop_gate():
    """Stop it for good; whether another one takes its place."""
    old = d.children("gate")
    os.kill(old[0], signal.SIGSTOP)
    return wait_until(lambda: d.children("gate") not in ([], old))


threads = threading.Thread(target=lambda: in_threads(16, client))
threads.start()
wait_until(lambda: len(events) > 16)
t.ok(stop_gate(), "one that is stopped under load is replaced")
threads.join(PATIENCE)
t.ok(not threads.is_alive(), "its clients are not left waiting")
t.equal(d.ctl("wait", "ready", "--timeout", "60").returncode, 0, "the new one is ready")
t.equal(d.children("worker"), workers, "the workers are the same processes")
t.equal(d.complete("Once upon a time", **ask)["choices"][0]["text"], want, "it answers on the same port")
t.ok(wait_until(lambda: d.json("show", "workers")[0]["running"] == 0), "what ran for the old one was cancelled")
t.ok(stop_gate(), "one that idles is replaced, too")
t.equal(d.ctl("wait", "ready", "--timeout", "60").returncode, 0, "and again the new one is ready")
kinds = lambda kind: [e for e in d.json("show", "events") if e["kind"] == kind]
t.ok(wait_until(lambda: len(kinds("gate_hung")) == 2 and len(kinds("gate_died")) == 2), "both are on record",
     d.json("show", "events"))
d.stop(t)
t.done()

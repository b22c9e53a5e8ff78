#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Workers that hang, crash, or are killed all the time: requests finish elsewhere, and one that kills workers fails
alone."""
import os
import random
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
CLIENTS, TOKENS = 16, 60
KILL_S = 6 if SANITIZED else 60
POISON = "the poisonous apple"
prompts = [f"Once upon a time there were {i} little" for i in range(CLIENTS)]
ask = dict(max_tokens=TOKENS, temperature=0.8, ignore_eos=True)
d = Daemon('listen { http = "127.0.0.1:0" }\nworker { hang_timeout = %s }\nmodel tale { path = "%s" workers = 2 threads = 1 }'
           % ("20s" if SANITIZED else "2s", TALE), env={"BIGMODEL_TEST_POISON": POISON})


def events(kind):
    return [e for e in d.json("show", "events") if e["kind"] == kind]


def ready():
    return len([w for w in d.json("show", "workers") if w["state"] == "ready"])


want = in_threads(CLIENTS, lambda i: d.stream_text(prompts[i], seed=i, **ask))
t.ok(all(isinstance(w, str) for w in want), "an undisturbed run", want)

# ---- a request that kills its workers, among others
got = in_threads(CLIENTS + 1, lambda i: d.request("POST", "/v1/completions", {"prompt": f"She ate {POISON} and", **ask})
                 if i == CLIENTS else d.stream_text(prompts[i], seed=i, **ask))
status, _, body = got[CLIENTS]
t.equal((status, body["error"]["code"]), (500, "worker_lost"), "it fails")
t.equal(got[:CLIENTS], want, "and nobody else")
t.ok(wait_until(lambda: len(events("worker_died")) == 2), "after two crashes", events("worker_died"))
text = events("worker_died")[-1]["text"]
t.ok("signal 6" in text and "step" in text and "kernel" in text and "level" in text and "requests" in text,
     "that are on record", text)
t.ok(wait_until(lambda: events("suspect")), "and so are the suspects")
t.ok(wait_until(lambda: ready() == 2), "the workers are back", d.json("show", "workers"))
t.equal(d.sql("SELECT count(*) AS n FROM requests WHERE status = 'worker_lost'")[0]["n"], 1, "one row says so")

# ---- a worker that hangs: with requests on it, and idle
first = threading.Event()
answers = []
r = threading.Thread(target=lambda: answers.append(in_threads(
    CLIENTS, lambda i: d.stream_text(prompts[i], lambda e: first.set(), seed=i, **ask))))
r.start()
first.wait(PATIENCE)
stopped = d.children("worker")[0]
os.kill(stopped, signal.SIGSTOP)
r.join(PATIENCE)
t.equal(answers, [want], "one is stopped for good: its requests end elsewhere")
t.ok(wait_until(lambda: stopped not in d.children("worker") and ready() == 2), "it is replaced")
stopped = d.children("worker")[0]
os.kill(stopped, signal.SIGSTOP)
t.ok(wait_until(lambda: stopped not in d.children("worker") and ready() == 2), "one that idles, too")
t.ok(wait_until(lambda: len(events("worker_hung")) == 2), "both are on record", events("worker_hung"))

# ---- somebody kills one all the time
over = threading.Event()
answers = [[] for _ in range(CLIENTS)]
kills = []


def killer():
    end = time.monotonic() + KILL_S
    dice = random.Random(2)
    while time.monotonic() < end:
        pids = d.children("worker")
        if pids:
            kills.append(dice.choice(pids))
            os.kill(kills[-1], signal.SIGKILL)
        time.sleep(0.3)
    over.set()
    return True


def client(i):
    while not over.is_set():
        answers[i].append(d.stream_text(prompts[i], seed=i, **ask))
    return True


got = in_threads(CLIENTS + 1, lambda i: killer() if i == CLIENTS else client(i))
t.equal(got, [True] * (CLIENTS + 1), f"{len(kills)} kills in {KILL_S} s: no request failed")
t.equal([(i, a) for i in range(CLIENTS) for a in answers[i] if a != want[i]], [],
        f"{sum(map(len, answers))} answers, all those of the undisturbed run")
t.ok(wait_until(lambda: ready() == 2), "and in the end all is well", d.json("show", "workers"))
d.stop()
t.done()

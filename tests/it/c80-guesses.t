#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Guesses, shared steps and a worker's death in the middle change no answer."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

CLIENTS = 16
CIRCLES = ["One day the cat sat. One day the cat sat. One day the", "He ran and ran and ran and ran and",
           "Tom said no. Mom said no. Tom said no. Mom said"]
t = Tap()


def ask(i):
    """Request i: half of them repeat themselves; greedy ones, sampled ones, some with penalties."""
    prompt = CIRCLES[i // 2 % 3] + " " + "Lily " * (i % 3) if i % 2 == 0 else f"Once upon a time there were {i} little"
    return dict(prompt=prompt, max_tokens=60 + i, ignore_eos=i % 3 != 0, temperature=[0, 0.8, 0.3][i % 3], seed=i,
                logprobs=2 if i % 4 == 0 else None, frequency_penalty=0.1 if i % 5 == 4 else 0)


def answer(d, i, on_event=None):
    """Text and log probabilities of all its events."""
    events = [e["choices"][0] for e in d.stream("/v1/completions", ask(i), on_event) if e["choices"]]
    probs = [p for e in events if e.get("logprobs") for p in zip(e["logprobs"]["tokens"],
                                                               e["logprobs"]["token_logprobs"])]
    return "".join(e["text"] for e in events), probs


def daemon(keys):
    return Daemon('listen { http = "127.0.0.1:0" }\nlimits { retries = 20 }\n'
                  'worker { backoff_min = "50ms" backoff_max = "200ms" }\n'
                  'model tale { path = "%s" threads = 1 %s }' % (TALE, keys))


d = daemon("speculate = no parallel = 1")
want = [answer(d, i) for i in range(CLIENTS)]
t.ok(all(len(text) > 50 for text, _ in want), "an undisturbed run, one request after the other", want)
t.equal(d.json("show", "workers")[0]["drafted_tokens"], 0, "speculate = no: nothing is guessed")
d.stop(t)

d = daemon('speculate = yes max_gap = "20ms" parallel = 4')
got = in_threads(CLIENTS, lambda i: answer(d, i))
t.equal(got, want, "together and with guesses: the same answers")
t.ok(wait_until(lambda: d.json("show", "workers")[0]["accepted_tokens"] > 0), "some guesses were right",
     d.json("show", "workers"))
w = d.json("show", "workers")[0]
t.ok(w["drafted_tokens"] > w["accepted_tokens"], "and some wrong", w)
metrics = d.request("GET", "/metrics")[2]
t.ok(f'bigmodel_accepted_tokens_total{{model="tale"}} {w["accepted_tokens"]}\n' in metrics, "the metrics count them",
     metrics)
d.stop(t)

d = daemon('speculate = yes workers = 2 max_gap = "20ms"')
tokens = threading.Semaphore(0)
killed = []


def killer():
    for _ in range(3):
        for _ in range(100):
            tokens.acquire(timeout=PATIENCE)
        killed.append(d.kill_child("worker"))
        wait_until(lambda: len(d.children("worker")) == 2)


k = threading.Thread(target=killer)
k.start()
got = in_threads(CLIENTS, lambda i: answer(d, i, lambda e: tokens.release()))
t.ok(len(killed) > 0, f"{len(killed)} workers were killed in the middle")
t.equal(got, want, "the answers of those who go on are the same")
for _ in range(300):
    tokens.release()
k.join()
d.stop(t)

d = daemon("speculate = auto")
t.equal(in_threads(CLIENTS, lambda i: answer(d, i)), want, "speculate = auto: the same answers")
d.stop(t)
t.done()

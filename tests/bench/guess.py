#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What guessing tokens gains, and that it stops where it gains nothing:

    tests/bench/guess.py [--rounds N] PREFIX MODEL [N_TOKENS]

PREFIX is an installed tree (make install prefix=...).  Tokens a second with
speculate = no, auto and yes, of one client and of 16: of a text that says the
same again and again and is gone on with at temperature 0, and of stories at
temperature 1.5, where what comes was not there before.  The median of rounds,
in turns.  Figures only; nothing passes or fails.
"""
import os
import statistics
import sys
import time

args = sys.argv[1:]
ROUNDS = int(args.pop(1)) if args[0] == "--rounds" else 5
args = [a for a in args if a != "--rounds"]
prefix, model = os.path.abspath(args[0]), os.path.abspath(args[1])
os.environ["BM_STAGE"] = prefix
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from bm import *
from clients import *

N_TOKENS = int(args[2]) if len(args) > 2 else 200
AGAIN = {"prompt": "Tom said no. Mom said yes. The cat ran to the big red house and sat down. " * 4, "temperature": 0}
STORY = {"prompt": "Once upon a time there was", "temperature": 1.5}


def rate(d, text, n):
    """(tokens a second, guesses, right ones)"""
    before = d.json("show", "workers")[0]
    clients = together(d.port, [{**text, "max_tokens": N_TOKENS, "ignore_eos": True, "seed": i} for i in range(n)])
    seconds = max(c.seen[-1] for c in clients) - clients[0].start
    time.sleep(0.3)             # the worker's last notice
    after = d.json("show", "workers")[0]
    return [n * N_TOKENS / seconds] + [after[k] - before[k] for k in ("drafted_tokens", "accepted_tokens")]


daemons = {s: Daemon('listen { http = "127.0.0.1:0" }\nmodel bench { path = "%s" parallel = 16 speculate = %s threads = %d }'
                     % (model, s, len(os.sched_getaffinity(0)))) for s in ("no", "auto", "yes")}
for name, text in ("a text that repeats itself", AGAIN), ("stories at temperature 1.5", STORY):
    for n in 1, 16:
        got = {s: [] for s in daemons}
        for _ in range(ROUNDS):
            for s, d in daemons.items():
                got[s].append(rate(d, text, n))
        line = []
        for s, rounds in got.items():
            rates, drafted, accepted = zip(*rounds)
            line.append(f"{s} {statistics.median(rates):.0f} tokens/s ({sum(accepted)} of {sum(drafted)} guesses right)")
        print(f"{name}, {n} streams: " + ", ".join(line), flush=True)
for d in daemons.values():
    d.stop()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What streaming clients see of a daemon, over HTTP:

    tests/bench/gap.py [--LOAD,...] PREFIX MODEL [KEY = VALUE...]

PREFIX is an installed tree (make install prefix=...); keys are of the model's
section.  The loads: `common`, 16 clients whose prompts of 120 words have 100
in common; `own`, 8 with nothing in common; `alone`, one that takes the
likeliest token, where models that never learnt soon go round in circles;
`long`, 8 streams and one prompt of 4,000 tokens (or as many as the context
takes) that comes in the middle; `first`, such a prompt with nothing beside it.
Figures only; nothing passes or fails.
"""
import os
import random
import sys
import time

args = sys.argv[1:]
LOADS = args.pop(0)[2:].split(",") if args[0].startswith("--") else ["common", "own", "alone", "first", "long"]
prefix, model, more = os.path.abspath(args[0]), os.path.abspath(args[1]), args[2:]
os.environ["BM_STAGE"] = prefix
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from bm import *
from clients import *

N_TOKENS = 48
LONG_S = 90             # a long prompt is watched no longer
WORDS = """time year people way day man thing woman life child world school state family student group country
problem hand part place case week company system program question work night point home water room mother area
money story fact month lot right study book eye job word side kind head house service friend father power hour
game line end member law car city name team minute idea body back parent face level office door health person""".split()


def words(seed, n):
    r = random.Random(seed)
    return " ".join(r.choice(WORDS) for _ in range(n))


def ask(prompt, **more):
    return {"prompt": prompt, "max_tokens": N_TOKENS, "ignore_eos": True, "temperature": 0.8, "seed": 7, **more}


def tokens_of(d, text):
    return d.request("POST", "/tokenize", {"content": text})[2]["tokens"]


def distinct(lists):
    """Tokens of which each is computed once when prefixes are shared."""
    return len({tuple(t[:i + 1]) for t in lists for i in range(len(t))})


def serving(d, name, prompts):
    before = d.sql("SELECT count(*) AS n FROM requests")[0]["n"]
    clients = together(d.port, [ask(p) for p in prompts])
    start, end = clients[0].start, max(c.seen[-1] for c in clients)
    wait_until(lambda: d.sql("SELECT count(*) AS n FROM requests")[0]["n"] == before + len(prompts))
    row = d.sql("SELECT sum(prompt_tokens) AS p, sum(cached_tokens) AS c, sum(completion_tokens) AS t FROM "
                f"(SELECT * FROM requests ORDER BY started_at DESC LIMIT {len(prompts)})")[0]
    first = [c.seen[0] - start for c in clients]
    n_distinct = distinct([tokens_of(d, p) for p in prompts])
    print(f"{name}: {row['t'] / (end - start):.1f} tokens/s in all, first token p95 {p95(first):.2f} s, "
          f"mean {sum(first) / len(first):.2f} s, prompts {row['p']} tokens, {n_distinct} distinct, "
          f"{row['p'] - row['c']} computed ({(row['p'] - row['c']) / n_distinct:.2f}x)", flush=True)


def alone(d, n_tokens):
    """Tokens a second of one client, from its first one on."""
    c, = together(d.port, [ask(words("alone", 4) * 8, max_tokens=n_tokens, temperature=0, logprobs=0)])
    print(f"1 client, temperature 0: {(n_tokens - 1) / (c.seen[-1] - c.seen[0]):.1f} tokens/s", flush=True)


def long_ids(d, name):
    limit = min(4000, d.json("show", "models")[0]["context"] - 8)
    text, n = "", 0
    while n < limit:
        text += words(f"{name} {n}", limit - n) + " "
        n = len(tokens_of(d, text))
    return tokens_of(d, text)[:limit]


def first_token(d):
    """A long prompt with the machine to itself."""
    ids = long_ids(d, "first")
    c, = together(d.port, [ask(ids, max_tokens=1)])
    print(f"a prompt of {len(ids)} tokens alone: first token after {c.seen[0] - c.start:.1f} s", flush=True)


def long_prompt(d, n_streams):
    """The largest gap of running streams before, and while a long prompt is computed."""
    ids = long_ids(d, "long")
    # With logprobs every token is an event, also one that releases no text.
    streams = [Client(d.port, ask(words(f"s {i}", 20), max_tokens=len(ids), seed=i, logprobs=0)) for i in range(n_streams)]
    run(streams, lambda: all(len(c.seen) > 12 for c in streams))
    run(streams, seconds=1)
    prompt = Client(d.port, ask(ids, max_tokens=1))
    run([*streams, prompt], lambda: prompt.seen, LONG_S)
    end = time.monotonic()
    gaps = [(b - prompt.start, b - a) for c in streams for a, b in zip(c.seen, c.seen[1:])]
    before = [gap for at, gap in gaps if at < 0]
    busy = [gap for at, gap in gaps if at >= 0] or [0]
    for c in [*streams, prompt]:
        c.close()
    print(f"{n_streams} streams, then a prompt of {len(ids)} tokens: largest gap {max(before) * 1000:.0f} ms before, "
          f"{max(busy) * 1000:.0f} ms meanwhile (p99 {sorted(busy)[int(len(busy) * .99)] * 1000:.0f} ms, "
          f"{sum(g > 0.2 for g in busy)} of {len(busy)} over 200), first token of the prompt after "
          f"{end - prompt.start:.1f} s" + ("" if prompt.seen else " or more"), flush=True)


d = Daemon('listen { http = "127.0.0.1:0" }\n%s\nmodel bench { path = "%s" parallel = 16 threads = %d %s }'
           % ('log { level = "debug" }' if "STEPS" in os.environ else "", model, len(os.sched_getaffinity(0)), " ".join(more)))
# The first seconds are not of interest: pages are mapped, and the cache file is written back.
d.complete(words("warm", 200), max_tokens=100, ignore_eos=True)
time.sleep(3)
wait_until(lambda: d.sql("SELECT count(*) AS n FROM requests")[0]["n"] == 1)
for load in LOADS:
    if load == "common":
        common = words("common", 100)
        serving(d, "16 clients, 100 of 120 words in common", [f"{common} {words(i, 20)}" for i in range(16)])
    elif load == "own":
        serving(d, "8 clients, nothing in common", [words(f"own {i}", 120) for i in range(8)])
    elif load == "alone":
        alone(d, 128)
    elif load == "first":
        first_token(d)
    elif load == "long":
        long_prompt(d, 8)
w = d.json("show", "workers")[0]
print(f"guessed {w['drafted_tokens']} tokens, {w['accepted_tokens']} rightly; {w['cpu_level']}", flush=True)
if "STEPS" in os.environ:      # the log goes there: what each step was made of
    shutil.copy(d.log_path, os.environ["STEPS"])
d.stop()

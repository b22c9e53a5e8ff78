#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What streaming clients see of a daemon, over HTTP:

    tests/bench/gap.py PREFIX MODEL [CONF]

PREFIX is an installed tree (make install prefix=...), CONF more keys of the
model's section.  The loads: 16 clients whose prompts of 120 words have 100 in
common; 8 with nothing in common; one that takes the likeliest token, where
models that never learnt soon go round in circles; 8 streams and one prompt of
4,000 tokens that comes in the middle.  Figures only; nothing passes or fails.
"""
import os
import random
import sys
import threading
import time

prefix, model = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
os.environ["BM_STAGE"] = prefix
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from bm import *

N_TOKENS = 48
LONG_S = 20             # a long prompt is watched no longer
WORDS = """time year people way day man thing woman life child world school state family student group country
problem hand part place case week company system program question work night point home water room mother area
money story fact month lot right study book eye job word side kind head house service friend father power hour
game line end member law car city name team minute idea body back parent face level office door health person""".split()


def words(seed, n):
    r = random.Random(seed)
    return " ".join(r.choice(WORDS) for _ in range(n))


def client(d, prompt, n_tokens, seen):
    """Stream one answer; the time of each event goes to `seen`."""
    d.stream("/v1/completions", {"prompt": prompt, "max_tokens": n_tokens, "ignore_eos": True, "temperature": 0.8,
                                 "seed": 7}, lambda e: seen.append(time.monotonic()))


def together(d, prompts, n_tokens):
    """(start, times of events of each) of clients that begin at once"""
    seen = [[] for _ in prompts]
    start = time.monotonic()
    failed = [r for r in in_threads(len(prompts), lambda i: client(d, prompts[i], n_tokens, seen[i])) if r is not None]
    if failed:
        raise failed[0]
    return start, seen


def p95(values):
    return sorted(values)[int(len(values) * 0.95)] if values else 0


def tokens_of(d, text):
    return d.request("POST", "/tokenize", {"content": text})[2]["tokens"]


def distinct(lists):
    """Tokens of which each is computed once when prefixes are shared."""
    return len({tuple(t[:i + 1]) for t in lists for i in range(len(t))})


def serving(d, name, prompts):
    before = d.sql("SELECT count(*) AS n FROM requests")[0]["n"]
    start, seen = together(d, prompts, N_TOKENS)
    end = max(s[-1] for s in seen)
    wait_until(lambda: d.sql("SELECT count(*) AS n FROM requests")[0]["n"] == before + len(prompts))
    row = d.sql("SELECT sum(prompt_tokens) AS p, sum(cached_tokens) AS c, sum(completion_tokens) AS t FROM "
                f"(SELECT * FROM requests ORDER BY started_at DESC LIMIT {len(prompts)})")[0]
    first = [s[0] - start for s in seen]
    n_distinct = distinct([tokens_of(d, p) for p in prompts])
    print(f"{name}: {row['t'] / (end - start):.1f} tokens/s in all, first token p95 {p95(first):.2f} s, "
          f"prompts {row['p']} tokens, {n_distinct} distinct, "
          f"{row['p'] - row['c']} computed ({(row['p'] - row['c']) / n_distinct:.2f}x)", flush=True)


def alone(d, n_tokens):
    """Tokens a second of one client, from its first one on."""
    seen = []
    d.stream("/v1/completions", {"prompt": words("alone", 4) * 8, "max_tokens": n_tokens, "ignore_eos": True,
                                 "temperature": 0, "logprobs": 0}, lambda e: seen.append(time.monotonic()))
    print(f"1 client, temperature 0: {(len(seen) - 1) / (seen[-1] - seen[0]):.1f} tokens/s", flush=True)


def long_prompt(d, n_streams):
    """The largest gap of running streams before, and while a long prompt is computed."""
    text, n = "", 0
    while n < 4000:
        text += words(f"long {n}", 4000 - n) + " "
        n = len(tokens_of(d, text))
    ids = tokens_of(d, text)[:4000]
    seen = [[] for _ in range(n_streams)]
    stop = threading.Event()

    def stream(i):
        # With logprobs every token is an event, also one that releases no text.
        c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=PATIENCE)
        c.request("POST", "/v1/completions", json.dumps({"prompt": words(f"s {i}", 20), "max_tokens": 4096, "stream":
                  True, "ignore_eos": True, "temperature": 0.8, "seed": i, "logprobs": 0}), {"Content-Type": "application/json"})
        for line in c.getresponse():
            if line.startswith(b"data: {"):
                seen[i].append(time.monotonic())
            if stop.is_set():
                break
        c.close()

    threads = [threading.Thread(target=stream, args=(i,), daemon=True) for i in range(n_streams)]
    for t in threads:
        t.start()
    wait_until(lambda: all(len(s) > 12 for s in seen))
    time.sleep(1)
    begin = time.monotonic()
    first = threading.Event()
    threading.Thread(target=lambda: d.stream("/v1/completions", {"prompt": ids, "max_tokens": 1, "ignore_eos": True},
                                             lambda e: first.set()), daemon=True).start()
    is_done = first.wait(LONG_S)
    end = time.monotonic()
    stop.set()
    for t in threads:
        t.join()

    def gaps(since, until):
        # The first second or so is the streams' own prompts.
        return [b - a for s in seen for a, b in zip(s[4:], s[5:]) if b >= since and a <= until] or [0]
    quiet, busy = gaps(0, begin), gaps(begin, end)
    print(f"{n_streams} streams, then a prompt of {len(ids)} tokens: largest gap {max(quiet) * 1000:.0f} ms before, "
          f"{max(busy) * 1000:.0f} ms meanwhile (p99 {sorted(busy)[int(len(busy) * .99)] * 1000:.0f} ms, "
          f"{len(busy)} gaps), first token of the prompt after {end - begin:.1f} s"
          + ("" if is_done else " or more"), flush=True)


d = Daemon('listen { http = "127.0.0.1:0" }\nmodel bench { path = "%s" parallel = 16 threads = %d %s }'
           % (model, len(os.sched_getaffinity(0)), " ".join(sys.argv[3:])))
# The first seconds are not of interest: pages are mapped, and the cache file is written back.
d.complete(words("warm", 200), max_tokens=100, ignore_eos=True)
time.sleep(3)
wait_until(lambda: d.sql("SELECT count(*) AS n FROM requests")[0]["n"] == 1)
common = words("common", 100)
serving(d, "16 clients, 100 of 120 words in common", [f"{common} {words(i, 20)}" for i in range(16)])
serving(d, "8 clients, nothing in common", [words(f"own {i}", 120) for i in range(8)])
alone(d, 128)
w = d.json("show", "workers")[0]
print(f"guessed {w['drafted_tokens']} tokens, {w['accepted_tokens']} rightly; {w['cpu_level']}", flush=True)
long_prompt(d, 8)
d.stop()

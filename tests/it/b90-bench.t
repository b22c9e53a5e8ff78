#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bigmodelctl bench: the fields are there and agree with each other.  No speed is asked for."""
import math
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
TINY = ("--prompt", "16", "--generate", "8", "--batch", "1,2")
LIMITS = ("read_gb_s", "fma_gflops", "int8_gops", "int8_level_gops", "int8_maddwd_gops")
FRACTIONS = (("pp_fraction_int8", "int8_gops"), ("pp_fraction_int8_level", "int8_level_gops"),
             ("pp_fraction_fma", "fma_gflops"))
SPEEDS = ("pp_tokens_per_s", "tg_tokens_per_s", "pp_madds_per_token", "madds_per_token", "bytes_per_token")


def bench(*args, env=None):
    return subprocess.run([CTL, "bench", *args], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**ENV, **(env or {})}, timeout=PATIENCE)


def near(a, b):
    return abs(a - b) <= 1e-4 * abs(b)


got = bench(TALE, *TINY, "--threads", "1", "--json")
t.ok(got.returncode == 0 and got.stderr == "", "bench --json", got.stderr)
b = json.loads(got.stdout)
t.equal((b["threads"], b["model_bytes"], b["type"], b["prompt"], b["generate"], b["context"], b["runs"]),
        (1, os.path.getsize(TALE), "F16", 16, 8, 0, 3), "what was measured")
t.ok(b["read_gb_s"] > 0 and all(b[x] > 0 for x in SPEEDS), "positive figures", got.stdout)
t.ok(0 < b["pp_cpu_share"] < 1.5, "the share of CPU time", got.stdout)
t.ok(list(b["tg_batch"]) == ["1", "2"] and b["tg_batch"]["2"] > 0 and b["tg_batch"]["1"] == b["tg_tokens_per_s"],
     "tg_batch has every size, and one sequence is tg_tokens_per_s", got.stdout)
info = json.loads(subprocess.run([CTL, "--json", "inspect", TALE], capture_output=True, text=True, env=ENV).stdout)
sizes = {x["name"]: (math.prod(x["shape"]), x["bytes"], len(x["shape"])) for x in info["tensors"]}
matrices = sum(n for name, (n, _, dims) in sizes.items() if dims > 1)
embd = sizes["token_embd.weight"][0]
lookup = "output.weight" in sizes
head = sizes["output.weight" if lookup else "token_embd.weight"][0]
layers = matrices - head - (embd if lookup else 0)
t.ok(near(b["madds_per_token"], layers + head), "multiply-adds are those of the matrices", f"{b} {layers} {head}")
t.ok(near(b["pp_madds_per_token"], layers + head / 16), "a prompt wants one row of logits", f"{b} {layers} {head}")
weights = sum(n for _, n, _ in sizes.values()) - (sizes["token_embd.weight"][1] if lookup else 0)
kv = b["bytes_per_token"] - weights
t.ok(0 < kv < weights / 10, "bytes are those of the weights and some of the cache", f"{b} {weights}")
if b["fma_gflops"] is not None:     # null where this machine has no loops for it
    t.ok(all(b[x] > 0 for x in LIMITS), "the limits", got.stdout)
    t.ok(all(0 < b[x] < 1.5 for x in ("pp_fraction_int8", "pp_fraction_fma")), "prefill is within the limits", got.stdout)
    for name, limit in FRACTIONS:
        t.ok(near(b[name], 2 * b["pp_madds_per_token"] * b["pp_tokens_per_s"] / 1e9 / b[limit]), f"{name} is of {limit}",
             got.stdout)
# A model in the caches may be read faster than memory, so only the sum is checked
t.ok(near(b["tg_fraction_read"], b["bytes_per_token"] * b["tg_tokens_per_s"] / 1e9 / b["read_gb_s"]),
     "tg_fraction_read is of read_gb_s", got.stdout)

got = bench(TALE, *TINY, "--runs", "1", "--context", "40", "--json")
more = json.loads(got.stdout)
per_token = more["bytes_per_token"] - b["bytes_per_token"]
t.ok(more["runs"] == 1 and more["context"] == 40 and per_token > kv, "a context is read too", got.stdout + got.stderr)
got = bench(TALE, "--prompt", "16", "--generate", "2", "--batch", "3", "--runs", "2")
t.ok(got.returncode == 0 and "prompt of 16" in got.stdout and "3 at once" in got.stdout and "generate 2" in got.stdout,
     "the text; one sequence is always measured", got.stdout + got.stderr)
got = bench(TALE, *TINY, "--runs", "1", "--json", env={"BIGMODEL_CPU": "ref"})
ref = json.loads(got.stdout)
t.ok(ref["cpu_level"] == "ref", "the level named", got.stdout + got.stderr)
t.ok(ref["read_gb_s"] > 0 and ref["int8_gops"] is None and ref["pp_fraction_int8_level"] is None,
     "what has no loop at a level is null", got.stdout)
got = bench(TALE, *TINY, "--runs", "1", "--json", env={"BIGMODEL_CPU": "avx2"})
if got.returncode == 0:
    avx2 = json.loads(got.stdout)
    t.ok(avx2["int8_gops"] == avx2["int8_level_gops"], "maddubs and paddw is what avx2 can do", got.stdout)

for args in ((), (TALE, "x"), (TALE, "--batch", "0"), (TALE, "--batch", "1,,2"), (TALE, "--batch", "1,2,"),
             (TALE, "--batch", "1025"), (TALE, "--batch", ",".join(map(str, range(2, 70)))), (TALE, "--prompt", "0"),
             (TALE, "--generate", "x"), (TALE, "--generate", "0"), (TALE, "--runs", "0"), (TALE, "--context", "-1"),
             (TALE, "--threads", "513"), (TALE, "--explode")):
    got = bench(*args)
    t.ok(got.returncode == 2 and got.stdout == "" and got.stderr != "", f"usage: {' '.join(args[1:])[:40]}",
         f"{got.returncode} {got.stderr}")
t.equal(bench("/bin/sh", *TINY).returncode, 1, "no model")
t.done()

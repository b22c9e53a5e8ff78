#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Another file of the model takes over, back and forth, under sixteen streaming clients."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
CLIENTS, TOKENS = 16, 40
SWAPS = 6 if SANITIZED else 50
prompts = [f"Once upon a time there were {i} little" for i in range(CLIENTS)]
ask = dict(max_tokens=TOKENS, temperature=0.8, ignore_eos=True)
d = Daemon('listen { http = "127.0.0.1:0" }\nmodel tale { path = "%s" workers = 2 threads = 1 }' % TALE, start=False)
own = os.path.join(d.state, "variants", "tale")
os.makedirs(own, mode=0o700)
os.chmod(d.state, 0o700)
got = subprocess.run([CTL, "quantize", TALE, f"{own}/q8.gguf", "--to", "Q8_0"], env=ENV, capture_output=True, text=True)
t.equal(got.returncode, 0, "a variant is made")
open(f"{own}/broken.gguf", "wb").write(b"GGUF" + b"\xff" * 60)
tale = open(TALE, "rb").read()
open(f"{own}/nan.gguf", "wb").write(tale[:-4096] + b"\x00\x7e" * 2048)
open(f"{own}/notes.txt", "w").write("no variant")
d.start()


def variants():
    return {v["name"]: v for v in d.json("show", "variants")}


def active():
    return d.json("show", "models")[0]["variant"]


# ---- what there is
v = variants()
t.equal(sorted(v), ["base", "broken", "nan", "q8"], "the files of the model's folder are its variants")
t.equal([n for n in v if v[n]["active"]], ["base"], "one is active")
t.ok({"name", "model", "file", "type", "bits_per_weight", "file_bytes", "perplexity", "kl_divergence",
      "tokens_per_s", "active"} <= set(v["q8"]), "the stable fields are there", v["q8"])

# ---- the texts of each
want = {"base": in_threads(CLIENTS, lambda i: d.stream_text(prompts[i], seed=i, **ask))}
t.equal(d.ctl("swap", "tale", "q8").returncode, 0, "swap")
t.equal(active(), "q8", "the other one serves")
want["q8"] = in_threads(CLIENTS, lambda i: d.stream_text(prompts[i], seed=i, **ask))
t.ok(all(isinstance(x, str) for n in want for x in want[n]), "both answer", want)
t.ok(want["base"] != want["q8"], "and not the same")
t.equal(d.ctl("rollback", "tale").returncode, 0, "rollback")
t.equal(active(), "base", "the first one serves again")

# ---- what is refused
for words, says in ((("swap", "tale", "base"), "already"), (("swap", "tale", "nothing"), "no variant"),
                    (("swap", "tale", "broken"), "version"),
                    (("swap", "tale", "nan"), "no numbers"), (("swap", "tale", "q8", "--verify"), "figures"),
                    (("swap", "tale", "--finish"), "no swap"), (("swap", "nobody", "q8"), "no model"),
                    (("swap", "tale", "q8", "--canary", "0"), "usage")):
    got = d.ctl(*words)
    t.ok(got.returncode in (1, 2) and says in got.stderr, " ".join(words) + " is refused", got.stderr)
t.ok(wait_until(lambda: (active(), variants()["broken"]["state"]) == ("base", "failed")), "a broken file changes nothing and says so")
open(f"{own}/q8.gguf.quality", "w").write("perplexity 4.5\nreference 4.4\nkl_divergence 0.2\n")
got = d.ctl("swap", "tale", "q8", "--verify")
t.ok(got.returncode == 1 and "verify_kl" in got.stderr, "figures past the limit are refused by name", got.stderr)
open(f"{own}/q8.gguf.quality", "w").write("perplexity 4.5\nreference 4.4\nkl_divergence 0.02\n")
t.equal(d.ctl("swap", "tale", "q8", "--verify").returncode, 0, "good ones are not")
t.equal(d.ctl("rollback", "tale").returncode, 0, "back again")

# ---- back and forth under load
over = threading.Event()
answers = [[] for _ in range(CLIENTS)]


def client(i):
    while not over.is_set():
        events = d.stream("/v1/completions", {"prompt": prompts[i], "seed": i, **ask})
        answers[i].append("".join(e["choices"][0]["text"] for e in events if e["choices"]))
    return True


def swaps(_):
    codes = [d.ctl("swap", "tale", "q8" if n % 2 == 0 else "base") for n in range(SWAPS)]
    over.set()
    return [(c.returncode, c.stderr) for c in codes if c.returncode != 0]


got = in_threads(CLIENTS + 1, lambda i: swaps(i) if i == CLIENTS else client(i))
t.equal(got[CLIENTS], [], f"{SWAPS} swaps")
t.equal(got[:CLIENTS], [True] * CLIENTS, "no request failed")
mixed = [(i, a) for i in range(CLIENTS) for a in answers[i] if a not in (want["base"][i], want["q8"][i])]
t.equal(mixed, [], f"each of {sum(map(len, answers))} answers is wholly from one variant")
t.ok(all(any(a == want[n][i] for i in range(CLIENTS) for a in answers[i]) for n in want), "both served")
wait_until(lambda: d.sql("SELECT count(*) AS n FROM requests")[0]["n"] >= 2 * CLIENTS + sum(map(len, answers)))
rows = d.sql("SELECT variant, prompt, output, status FROM requests")
wrong = [r for r in rows if r["status"] != "ok" or r["output"] != want[r["variant"]][prompts.index(r["prompt"])]]
t.equal(wrong[:3], [], "and its row says which")
t.ok(wait_until(lambda: len(d.json("show", "workers")) == 2), "the old workers are gone", d.json("show", "workers"))

# ---- a share of the requests
t.equal(d.ctl("swap", "tale", "q8", "--canary", "25").returncode, 0, "a canary with a quarter")
v = variants()
t.equal((v["q8"]["state"], v["q8"]["canary_percent"], v["base"]["state"]), ("canary", 25, "active"), "both are shown")
before = {n: v[n]["requests_total"] for n in v}
got = in_threads(CLIENTS, lambda i: [d.stream_text(prompts[i], seed=i, **ask) for _ in range(5)])
t.ok(all(a in (want["base"][i], want["q8"][i]) for i in range(CLIENTS) for a in got[i]), "all are answered")
v = variants()
t.equal(v["q8"]["requests_total"] - before["q8"], CLIENTS * 5 // 4, "a quarter by the canary")
t.ok(v["q8"]["ttft_ms"]["p95"] > 0 and v["base"]["ttft_ms"]["p95"] > 0, "latencies side by side", v)
t.equal(d.ctl("swap", "tale", "base").returncode, 1, "no other swap meanwhile")
t.equal(d.ctl("swap", "tale", "--finish").returncode, 0, "--finish")
t.equal((active(), variants()["q8"]["canary_percent"]), ("q8", 0), "everything is the canary's")
t.equal(d.ctl("swap", "tale", "base", "--canary", "50").returncode, 0, "another canary")
t.equal(d.ctl("rollback", "tale").returncode, 0, "rollback ends it")
t.equal(in_threads(CLIENTS, lambda i: d.stream_text(prompts[i], seed=i, **ask)), want["q8"], "nothing is its any more")

# ---- the old variant's worker dies while it leaves: its requests go on with it
first = threading.Event()
long = dict(ask, max_tokens=400)
t.equal(d.ctl("workers", "tale", "1").returncode, 0, "one worker")
whole = d.stream_text(prompts[0], seed=0, **long)
r = threading.Thread(target=lambda: answers[0].append(d.stream_text(prompts[0], lambda e: first.set(), seed=0, **long)))
r.start()
first.wait(PATIENCE)
old = d.children("worker")
for pid in old:
    os.kill(pid, signal.SIGSTOP)
t.equal(d.ctl("swap", "tale", "base").returncode, 0, "swap while a request runs")
t.equal(variants()["q8"]["state"], "leaving", "the old variant stays for it")
for pid in old:
    os.kill(pid, signal.SIGKILL)
r.join(PATIENCE)
t.equal(answers[0][-1], whole, "its worker is killed, and the answer is still wholly its")
t.ok(wait_until(lambda: variants()["q8"]["state"] == "available"), "then it is gone", variants())
d.stop(t)
t.done()

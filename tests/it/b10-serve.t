#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Start, answer over HTTP, show, log, stop: what everybody does first."""
import os
import re
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

STATUS = {"version", "pid", "uptime_s", "state", "http", "connections", "queued", "running", "requests_total",
          "tokens_total", "requests_per_s", "tokens_per_s", "ttft_ms", "memory_bytes"}
MODEL = {"name", "variant", "state", "workers", "threads", "queued", "running", "tokens_per_s", "memory_bytes",
         "architecture", "parameters", "context"}
WORKER = {"id", "pid", "model", "variant", "state", "running", "tokens_per_s", "rss_bytes", "restarts", "cpu_level",
          "uptime_s"}
COLUMNS = ["id", "started_at", "finished_at", "tenant", "client", "protocol", "endpoint", "model", "variant", "worker",
           "status", "finish", "prompt_tokens", "completion_tokens", "cached_tokens", "queue_ms", "prefill_ms",
           "decode_ms", "ttft_ms", "prompt", "output", "params"]

t = Tap()
d = Daemon()

for path in ("/livez", "/readyz", "/health", "/v1/health"):
    t.equal(d.request("GET", path)[0], 200, f"GET {path}")
status, headers, value = d.request("GET", "/v1/models")
t.ok(status == 200 and value["object"] == "list" and value["data"][0]["id"] == "tale", "GET /v1/models", value)
t.equal(d.request("GET", "/v1/models/tale")[2]["object"], "model", "GET /v1/models/tale")
status, _, value = d.request("GET", "/v1/models/nobody")
t.ok(status == 404 and "nobody" in value["error"]["message"], "GET an unknown model", value)

# Text
ask = {"model": "tale", "prompt": "Once upon a time", "max_tokens": 24, "temperature": 0}
status, headers, value = d.request("POST", "/v1/completions", ask)
text = value["choices"][0]["text"]
t.ok(status == 200 and text.startswith(", there was a little girl named Lily."), "a completion", value)
t.equal(value["usage"]["completion_tokens"], 24, "usage counts the tokens")
t.equal(value["choices"][0]["finish_reason"], "length", "it ends for its length")
t.ok(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]+", headers["x-request-id"]), "X-Request-Id is a UUIDv7")
row_id = headers["x-request-id"]
t.equal(d.stream_text("Once upon a time", max_tokens=24, temperature=0), text, "the stream joins to the same text")
events = d.stream("/v1/completions", {**ask, "stream_options": {"include_usage": True}})
t.ok(events[-1]["choices"] == [] and events[-1]["usage"]["completion_tokens"] == 24, "usage at the end of a stream",
     events[-1])
stop = d.complete("Once upon a time", max_tokens=60, temperature=0, stop=["Lily"])["choices"][0]
t.ok(stop["text"].endswith("named ") and stop["finish_reason"] == "stop", "a stop string across tokens", stop)
two = d.complete("The", max_tokens=16, n=2, seed=5, temperature=1.5)["choices"]
t.ok([c["index"] for c in two] == [0, 1] and two[0]["text"] != two[1]["text"], "n=2 gives two texts", two)
same = [d.complete("The cat", max_tokens=12, seed=7, temperature=1.2)["choices"][0]["text"] for _ in range(2)]
t.equal(same[0], same[1], "the same seed gives the same text")
probs = d.complete("Once upon a time", max_tokens=3, temperature=0, logprobs=2)["choices"][0]["logprobs"]
t.ok(len(probs["tokens"]) == 3 and all(p <= 0 for p in probs["token_logprobs"]) and
     all(len(x) >= 2 for x in probs["top_logprobs"]), "logprobs", probs)
best = d.request("POST", "/tokenize", {"content": " there"})[2]["tokens"]
biased = d.complete("Once upon a time", max_tokens=1, temperature=0, logit_bias={str(best[-1]): 100})
t.ok(biased["choices"][0]["text"] != text[:1], "logit_bias moves the choice", biased)

# Prefixes
long = "Once upon a time there was a little dog who lived in a small house by the sea. " * 4
first, again = (d.complete(long, max_tokens=8, temperature=0) for _ in range(2))
t.equal(again["choices"][0]["text"], first["choices"][0]["text"], "a prompt again: the same text")
cached = [v["usage"]["prompt_tokens_details"]["cached_tokens"] for v in (first, again)]
t.ok(cached[0] < 32 <= cached[1] < again["usage"]["prompt_tokens"], "of which most was cached", cached)

# Chat
chat = {"model": "tale", "messages": [{"role": "user", "content": "Once upon a time"}], "max_tokens": 8,
        "temperature": 0}
status, _, value = d.request("POST", "/v1/chat/completions", chat)
t.ok(status == 200 and value["object"] == "chat.completion" and
     value["choices"][0]["message"]["role"] == "assistant" and
     text.startswith(value["choices"][0]["message"]["content"]), "a chat: the contents joined", value)
events = d.stream("/v1/chat/completions", chat)
joined = "".join(e["choices"][0]["delta"].get("content") or "" for e in events)
t.ok(events[0]["choices"][0]["delta"].get("role") == "assistant" and
     joined == value["choices"][0]["message"]["content"] and
     events[-1]["choices"][0]["finish_reason"] == "length", "a streamed chat", events)

# Tokens
tokens = d.request("POST", "/tokenize", {"content": "Once upon a time"})[2]["tokens"]
t.ok(len(tokens) > 2, "POST /tokenize", tokens)
t.equal(d.request("POST", "/detokenize", {"tokens": tokens})[2]["content"].strip(), "Once upon a time",
        "POST /detokenize")
same = d.complete([1] + tokens, max_tokens=24, temperature=0)["choices"][0]["text"]
t.equal(same, text, "a prompt of tokens")

# Refusals
for name, body, want in (
        ("broken JSON", "{", 400), ("no prompt", {"model": "tale"}, 400),
        ("an unknown model", {"model": "x", "prompt": "a"}, 404),
        ("a prompt beyond the context", {"prompt": "word " * 3000}, 400),
        ("a temperature that is no number", {"prompt": "a", "temperature": "hot"}, 400),
        ("top_p beyond one", {"prompt": "a", "top_p": 7}, 400)):
    status, _, value = d.request("POST", "/v1/completions", body)
    t.ok(status == want and value["error"]["message"] and value["error"]["type"], f"{name}: {want}",
         f"{status} {value}")
t.equal(d.request("GET", "/nowhere")[0], 404, "an unknown path: 404")
status, headers, _ = d.request("GET", "/v1/completions")
t.ok(status == 405 and "POST" in headers.get("allow", ""), "a wrong method: 405 and Allow", headers)

metrics = d.request("GET", "/metrics")[2]
t.ok('model="tale"' in metrics and all(m.startswith(("bigmodel_", "#")) for m in metrics.splitlines() if m),
     "GET /metrics", metrics[:500])
counted = re.search(r'^bigmodel_prefix_cached_tokens_total{model="tale"} (\d+)$', metrics, re.M)
t.ok(counted and int(counted[1]) >= cached[1], "the metrics count what was cached", counted)
typed = {line.split()[2] for line in metrics.splitlines() if line.startswith("# TYPE ")}
used = {re.sub(r"(_bucket|_sum|_count)$", "", re.split(r"[{ ]", line)[0]) for line in metrics.splitlines()
        if line and not line.startswith("#")}
t.ok(all(u in typed or any(u.startswith(x) for x in typed) for u in used), "every metric has its TYPE", used - typed)

for streamed in (False, True):
    body = {"prompt": "Once upon", "max_tokens": 0, "echo": True}
    got = d.stream_text(**body) if streamed else d.complete(**body)["choices"][0]["text"]
    t.equal(got, "Once upon", f"an echo alone{', streamed' if streamed else ''}")

# What the operator sees
status = d.status()
t.ok(STATUS <= set(status), "show status has the contract's fields", STATUS - set(status))
t.ok(set(status["ttft_ms"]) == {"p50", "p95", "p99"} and status["state"] == "ready" and
     status["tokens_total"] > 100, "and sensible values", status)
models = d.json("show", "models")
t.ok(MODEL <= set(models[0]) and set(models[0]["workers"]) == {"now", "min", "max"} and
     models[0]["parameters"] > 3e6 and models[0]["architecture"] == "llama", "show models", models)
workers = d.json("show", "workers")
t.ok(WORKER <= set(workers[0]) and workers[0]["rss_bytes"] > 1e6, "show workers", workers)
t.equal(d.json("show", "requests"), [], "show requests: none at rest")
t.ok(len(d.json("show", "kernels")) > 10, "show kernels")
config = d.json("show", "config")
t.ok(config["limits"]["queue"] == 256 and config["model"]["tale"]["workers"] == 1 and
     config["limits"]["line_bytes"] == "8M", "show config is one object", config)

# The log
t.ok(wait_until(lambda: len(d.sql(f"SELECT * FROM requests WHERE id = '{row_id}'")) == 1), "the row is there")
row = d.sql(f"SELECT * FROM requests WHERE id = '{row_id}'")[0]
t.equal(list(row), COLUMNS, "the columns of the contract")
t.ok(row["status"] == "ok" and row["finish"] == "length" and row["completion_tokens"] == 24 and
     row["output"] == text and row["prompt"] == "Once upon a time" and row["model"] == "tale" and
     row["finished_at"] >= row["started_at"] and '"seed"' in row["params"], "and their values", row)
log = d.json("log", "--limit", "3")
t.ok(len(log) == 3 and list(log[0]) == COLUMNS, "log --limit", log)
t.ok(all(r["status"] == "too_long" for r in d.json("log", "--status", "too_long")), "log --status")
t.equal(d.ctl("sql", "DELETE FROM requests").returncode, 1, "sql refuses to write")
t.equal(d.ctl("sql", "SELECT nonsense").returncode, 1, "sql reports an error")
d.stop(t)
t.done()

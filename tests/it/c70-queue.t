#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A bounded queue, deadlines, keys, and limits a tenant has."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
d = Daemon('listen { http = "127.0.0.1:0" }\nlimits { queue = 3 }\n'
           'model tale { path = "%s" parallel = 1 }' % TALE)
long = dict(max_tokens=480, ignore_eos=True)
# A worker that stands still keeps its request running for as long as we look.
worker = d.children("worker")[0]
os.kill(worker, signal.SIGSTOP)
c = Line(d)
for i in range(4):
    c.send(op="generate", id=str(i), prompt="Once", **long)
t.ok(wait_until(lambda: d.status()["queued"] == 3 and d.status()["running"] == 1), "one runs, three wait", d.status())
status, headers, value = d.request("POST", "/v1/completions", {"prompt": "a"})
t.ok(status == 429 and value["error"]["code"] == "queue_full" and int(headers["retry-after"]) >= 1,
     "one more: 429 and Retry-After", f"{status} {headers} {value}")
c.send(op="generate", id="more", prompt="a")
e = c.until_done("more")[-1]
t.ok(e["code"] == "queue_full" and e["retry_ms"] > 0, "one more on the line: queue_full and retry_ms", e)
for i in range(4):
    c.send(op="cancel", id=str(i))
t.ok(wait_until(lambda: d.json("show", "requests") == []), "waiting and running ones can be cancelled")
os.kill(worker, signal.SIGCONT)
c.close()
d.stop(t)

d = Daemon('listen { http = "127.0.0.1:0" }\nlimits { request_timeout = "300ms" }\n'
           'model tale { path = "%s" threads = 1 }\n' % TALE)
os.kill(d.children("worker")[0], signal.SIGSTOP)
t.equal(d.request("POST", "/v1/completions", {"prompt": "Once"})[0], 504, "a request beyond its deadline: 504")
t.equal(d.json("show", "requests"), [], "and it runs no more")
os.kill(d.children("worker")[0], signal.SIGCONT)
t.ok(wait_until(lambda: any(r["status"] == "timeout" for r in d.json("log"))), "its row says timeout")
d.stop(t)

d = Daemon('listen { http = "127.0.0.1:0" }\nmodel tale { path = "%s" }\n'
           'tenant red { key = "sesame" max_running = 1 }\ntenant blue { key = "swordfish" }\n' % TALE)
ask = {"prompt": "Once", "max_tokens": 3}
status, _, value = d.request("POST", "/v1/completions", ask)
t.ok(status == 401 and value["error"]["type"] == "authentication_error", "no key: 401", value)
t.equal(d.request("POST", "/v1/completions", ask, {"Authorization": "Bearer wrong"})[0], 401, "a wrong key: 401")
t.equal(d.request("POST", "/v1/completions", ask, {"Authorization": "Bearer sesame"})[0], 200, "a key: 200")
t.equal(d.request("POST", "/v1/completions", ask, {"x-api-key": "swordfish"})[0], 200, "x-api-key: 200")
t.equal(d.request("GET", "/livez")[0], 200, "health is public")
c = Line(d)
c.send(op="generate", id="a", prompt="a")
t.equal(c.until_done("a")[-1]["code"], "unauthorized", "the line protocol wants it too")
c.send(op="auth", key="sesame", id="k")
c.read()
c.send(op="generate", id="b", prompt="Once", **long)
c.send(op="generate", id="c", prompt="Once", max_tokens=2)
e = c.until_done("c")[-1]
t.ok(e["event"] == "error" and e["code"] == "quota", "one more than max_running: quota", e)
c.send(op="cancel", id="b")
c.close()
tenants = lambda: {r["tenant"] for r in d.sql("SELECT tenant FROM requests WHERE status = 'ok'")}
t.ok(wait_until(lambda: tenants() == {"red", "blue"}), "rows name the tenant", tenants())
t.ok("sesame" not in json.dumps(d.json("show", "config")), "show config hides the keys")
d.stop(t)

# What is kept of prompts
for keep in ("hash", "none"):
    d = Daemon('listen { http = "127.0.0.1:0" }\nlog { keep = %s }' % keep)
    d.complete("A secret tale", max_tokens=4)
    wait_until(lambda: d.sql("SELECT id FROM requests"))
    row = d.sql("SELECT prompt, output FROM requests")[0]
    if keep == "hash":
        t.ok(all(row[k].startswith("sha256:") and len(row[k]) == 71 for k in row), "keep = hash", row)
    else:
        t.ok(not row["prompt"] and not row["output"], "keep = none", row)
    with open(os.path.join(d.state, "requests.db"), "rb") as f:
        t.ok(b"A secret tale" not in f.read(), "the text is not in the file")
    d.stop(t)
t.done()

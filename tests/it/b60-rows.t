#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One row for every request, however it ends, under the id that the client was told."""
import os
import sqlite3
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
d = Daemon('limits { queue = 0 }\nmodel tale { path = "%s" parallel = 1 }\ntenant shop { key = "k" }' % TALE)
KEY = {"x-api-key": "k"}
LONG = {"prompt": "Once", "max_tokens": 500, "ignore_eos": True, "temperature": 0}


def row(id):
    found = []

    def look():
        found[:] = d.sql(f"SELECT * FROM requests WHERE id = '{id}'")
        return found
    wait_until(look, 10)
    return found[0] if len(found) == 1 else {}


def post(path, body, headers=KEY):
    status, got, _ = d.request("POST", path, body, headers)
    return status, row(got["x-request-id"])


for name, path, body, status, word in (
        ("an answer", "/v1/completions", {"prompt": "Once", "max_tokens": 2}, 200, "ok"),
        ("a chat", "/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2},
         200, "ok"),
        ("no JSON", "/v1/completions", "{", 400, "bad_request"),
        ("a bad parameter", "/v1/completions", {"prompt": "x", "max_tokens": "many"}, 400, "bad_request"),
        ("an unknown model", "/v1/chat/completions", {"model": "nobody", "messages": []}, 404, "unknown_model"),
        ("a prompt too long", "/v1/completions", {"prompt": "word " * 3000}, 400, "too_long"),
        ("a deadline", "/v1/completions", {**LONG, "timeout_ms": 1}, 504, "timeout"),
        ("embeddings", "/v1/embeddings", {"input": "x"}, 501, "unsupported")):
    got, r = post(path, body)
    t.equal((got, r.get("status"), r.get("endpoint"), r.get("protocol"), r.get("tenant")),
            (status, word, path, "http", "shop"), name)
    t.equal(r.get("finish"), "length" if word == "ok" else None, f"{name}: finish")
    if word == "timeout":
        t.ok(r["completion_tokens"] == 0 or (r["decode_ms"] > 0 and r["prefill_ms"] > 0),
             "what it took until the deadline", r)
    if word == "unknown_model":
        t.equal(r.get("model"), "nobody", "the model that was asked for")
got, r = post("/v1/completions", {"prompt": "x"}, {})
t.equal((got, r.get("status"), r.get("tenant")), (401, "unauthorized", None), "no key")

c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=PATIENCE)
c.request("POST", "/v1/completions", json.dumps({**LONG, "stream": True}), KEY)
answer = c.getresponse()
answer.readline()
os.kill(d.children("worker")[0], signal.SIGSTOP)  # so that it runs for as long as we look
shown = d.json("show", "requests")
columns = set(d.sql("SELECT * FROM requests LIMIT 1")[0])
t.ok(len(shown) == 1 and columns <= set(shown[0]) and shown[0]["prompt"] == "Once" and
     shown[0]["id"] == answer.getheader("x-request-id") and shown[0]["finish"] is None,
     "show requests has the columns of the table", shown)
got, r = post("/v1/completions", LONG)
t.equal((got, r.get("status"), r.get("worker")), (429, "queue_full", None), "a full queue")
answer.close()
c.close()
r = row(answer.getheader("x-request-id"))
t.equal((r.get("status"), r.get("finish")), ("cancelled", None), "a client that went away")
os.kill(d.children("worker")[0], signal.SIGCONT)

line = Line(d)
line.send(op="auth", key="k")
line.read()
line.send(op="generate", id="bad", prompt=5)
line.send(op="generate", id="none", prompt="x", model="nobody")
line.send(op="embed", id="e", input="x")
for id in ("bad", "none", "e"):
    line.until_done(id)


def of_line():
    return d.sql("SELECT status, endpoint, tenant, model FROM requests WHERE protocol = 'line' ORDER BY started_at, endpoint DESC, status")


wait_until(lambda: len(of_line()) == 3, 10)
t.equal([tuple(r.values()) for r in of_line()],
        [("bad_request", "generate", "shop", None), ("unknown_model", "generate", "shop", "nobody"),
         ("unsupported", "embed", "shop", None)], "refused lines of the line protocol")

line.send(op="generate", id="s", prompt="Once", max_tokens=1, stream=True)
t.equal(line.until_done("s")[0], {"event": "queued", "id": "s", "position": 0, "wait_ms": 0},
        "a streamed answer begins with queued, also where nobody waits")
line.raw(b'generate id=q prompt="Once" max_tokens=3\nquit\nping\n')
got = [line.read(), line.read()]
t.ok(got[0].startswith("done id=q ") and got[1] == "", "quit waits for what runs", got)
line.close()

# An operator who does not wait
last = []
begun = threading.Event()


def stream(path, body, on_event):
    c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=PATIENCE)
    c.request("POST", path, json.dumps({**body, "stream": True}), KEY)
    r = c.getresponse()
    for line in r:
        on_event(line)
        last.append(line.decode())
    last.insert(0, r.getheader("x-request-id"))
    c.close()


thread = threading.Thread(target=stream, args=("/v1/completions", LONG, lambda e: begun.set()))
thread.start()
begun.wait(PATIENCE)
t.equal(d.ctl("stop", "--now").returncode, 0, "stop --now")
thread.join()
t.ok('"code":"overloaded"' in "".join(last[1:]), "a stream that is cut off is told why", last[-3:])
t.equal(d.process.wait(PATIENCE), 0, "the daemon ends")
db = sqlite3.connect(os.path.join(d.state, "requests.db"))
t.equal(db.execute("SELECT status FROM requests WHERE id = ?", last[:1]).fetchall(), [("overloaded",)],
        "and its row is written")
t.equal(db.execute("SELECT uid FROM events WHERE kind = 'stop'").fetchall(), [(os.getuid(),)],
        "who stopped it is an event")
db.close()

d.stop(t)
t.done()

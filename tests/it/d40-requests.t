#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Priorities, what waiting clients are told, deadlines and cancelling wherever a request is, and where prompts go."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
d = Daemon('listen { http = "127.0.0.1:0" }\nworker { hang_timeout = 600s }\nlimits { request_timeout = 60s }\n'
           'model tale { path = "%s" parallel = 1 threads = 1 }' % TALE)
few = dict(max_tokens=4, ignore_eos=True)


def live():
    return d.json("show", "requests")


def hold():
    """From now on requests wait."""
    t.equal(d.ctl("drain", "tale").returncode, 0, "the model is held")


def resume():
    t.equal(d.ctl("resume", "tale").returncode, 0, "and goes on")


def rows(status):
    return d.sql(f"SELECT prompt FROM requests WHERE status = '{status}'")


# ---- the order
d.complete("Once", **few)
hold()
c = Line(d)
for n, priority in enumerate((5, None, 0, 9, 6, 9)):
    c.send(op="generate", id=str(n), prompt="Once", stream=True, **few, **({} if priority is None else {"priority": priority}))
    t.ok(wait_until(lambda: len(live()) == n + 1), f"{n + 1} wait")
shown = {r["position"]: r["priority"] for r in live()}
t.equal([shown[i] for i in range(6)], [9, 9, 6, 5, 5, 0], "show requests: places and priorities")
told = {}
ended = []


def take(e):
    if e["event"] == "queued":
        told.setdefault(e["id"], []).append((e["position"], e["wait_ms"]))
    elif e["event"] in ("done", "error"):
        ended.append(e["id"])


# The last of all has been passed by three.
while told.get("2", [(None,)])[-1][0] != 5:
    take(c.read())
t.equal(told["2"][0][0], 2, "the position when it came")
t.ok([p for p, _ in told["2"]] == sorted(p for p, _ in told["2"]), "and as others pass", told)
t.ok(all(ms > 0 for waits in told.values() for _, ms in waits) and told["2"][0][1] < told["2"][-1][1],
     "more before it, a longer wait", told)
resume()
while len(ended) < 6:
    take(c.read())
t.equal(ended, ["3", "5", "4", "0", "1", "2"], "they run in the order of their priorities, and of arrival")
for bad in (10, -1, "high", 1.5):
    c.send(op="generate", id="bad", prompt="a", priority=bad)
    t.equal(c.until_done("bad")[-1].get("code"), "bad_request", f"priority {bad!r} is refused")
t.equal(d.request("POST", "/v1/completions", {"prompt": "a", "priority": 10})[2]["error"]["param"], "priority",
        "over HTTP, too")

# ---- HTTP: the place at arrival
status, headers, _ = d.request("POST", "/v1/completions", {"prompt": "Once", **few})
t.ok(status == 200 and "x-queue-position" not in headers, "nobody waits: no place", headers)
hold()
answers = []
posts = []
for n, body in enumerate(({}, {"stream": True}, {"priority": 9})):
    posts.append(threading.Thread(target=lambda n=n, body=body: answers.append((n, d.request(
        "POST", "/v1/completions", {"prompt": "Once", **few, **body})))))
    posts[-1].start()
    wait_until(lambda: len(live()) == n + 1)
resume()
for p in posts:
    p.join(PATIENCE)
answers = [a for _, a in sorted(answers, key=lambda a: a[0])]
t.equal([(a[0], a[1].get("x-queue-position")) for a in answers], [(200, "0"), (200, "1"), (200, "0")], "X-Queue-Position")
t.ok(all(int(a[1]["x-queue-wait-ms"]) > 0 for a in answers), "X-Queue-Wait-Ms", [a[1] for a in answers])

# ---- deadlines and cancelling: of what waits, and of what runs in a worker that stands still
long = dict(max_tokens=480, ignore_eos=True)
worker = d.children("worker")[0]
for where in ("waits", "runs"):
    if where == "waits":
        hold()
    else:
        os.kill(worker, signal.SIGSTOP)
    state = "queued" if where == "waits" else "running"

    def begun():
        return wait_until(lambda: [r["state"] for r in live()] == [state])
    c.send(op="generate", id="late", prompt="Once", timeout_ms=150, **long)
    t.equal(c.until_done("late")[-1]["code"], "timeout", f"timeout_ms of one that {where}")
    if where == "runs":    # its slot is taken until the worker says that it has ended
        os.kill(worker, signal.SIGCONT)
        wait_until(lambda: d.json("show", "workers")[0]["running"] == 0)
        os.kill(worker, signal.SIGSTOP)
    t.equal(d.request("POST", "/v1/completions", {"prompt": "Once", "timeout_ms": 150, **long})[0], 504, "over HTTP: 504")
    for how in ("cancel", "bigmodelctl", "closing", "HTTP closing"):
        if where == "runs":
            os.kill(worker, signal.SIGCONT)
            wait_until(lambda: d.json("show", "workers")[0]["running"] == 0)
            os.kill(worker, signal.SIGSTOP)
        prompt = f"{how} {where}"
        other = Line(d)
        if how == "HTTP closing":
            s = socket.create_connection(("127.0.0.1", d.port))
            body = json.dumps({"prompt": prompt, "stream": True, **long})
            s.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        else:
            other.send(op="generate", id="a", prompt=prompt, **long)
        t.ok(begun(), f"one {where}", live())
        if how == "cancel":
            other.send(op="cancel", id="a")
            t.equal(other.until_done("a")[-1]["code"], "cancelled", "cancel")
        elif how == "bigmodelctl":
            t.equal(d.ctl("cancel", live()[0]["id"]).returncode, 0, "bigmodelctl cancel")
            t.equal(other.until_done("a")[-1]["code"], "cancelled", "tells the client")
        elif how == "HTTP closing":
            s.close()
        other.close()
        t.ok(wait_until(lambda: live() == []), f"{how}: it is gone", live())
        t.ok(wait_until(lambda: prompt in [r["prompt"] for r in rows("cancelled")]), "its row says so", rows("cancelled"))
    if where == "waits":
        resume()
    else:
        os.kill(worker, signal.SIGCONT)
t.ok(wait_until(lambda: d.json("show", "workers")[0]["running"] == 0), "in the end nothing runs")
t.equal(d.request("POST", "/v1/completions", {"prompt": "Once", **few})[0], 200, "and all is well")
c.close()
d.stop(t)

# ---- where prompts go: two long begins on two workers
d = Daemon('listen { http = "127.0.0.1:0" }\nmodel tale { path = "%s" workers = 2 parallel = 4 threads = 1 }' % TALE)
begins = ["Once upon a time there was a little cat who lived in a big house with a red door. " * 8,
          "The sun was warm and Tom went to the park to play with his ball and his friend Sue. " * 8]
ends = ["One day", "She saw", "Then he", "They all"]


def ask(prompt):
    d.complete(prompt, **few)


def served(n):
    wait_until(lambda: d.sql("SELECT count(*) AS n FROM requests")[0]["n"] == n)
    return d.sql("SELECT prompt, worker, prompt_tokens, cached_tokens FROM requests ORDER BY id")


def computed(all_rows):
    """(worker, begin) of each request that found less than half of its prompt."""
    return [(r["worker"], r["prompt"][:8]) for r in all_rows if r["cached_tokens"] * 2 < r["prompt_tokens"]]


for end in ends:
    for begin in begins:
        ask(begin + end)
got = served(8)
t.equal(len(computed(got)), 2, "eight prompts of two begins: each begin was computed once")
t.ok(all(len({r["worker"] for r in got if r["prompt"].startswith(b)}) == 1 for b in begins), "where it was is where it went",
     [(r["worker"], r["prompt"][:8]) for r in got])
in_threads(16, lambda i: d.complete(begins[i % 2] + f" number {i}", max_tokens=40, ignore_eos=True))
got = served(24)
t.equal(len({r["worker"] for r in got}), 2, "sixteen at once use both workers")
# Each worker alone gets both begins; from then on neither is computed anywhere, whoever is away.
ids = [w["id"] for w in d.json("show", "workers")]
n = 24
for held in ids:
    t.equal(d.ctl("drain", str(held)).returncode, 0, f"worker {held} is held")
    for begin in begins:
        ask(begin + f"without {held}")
    t.equal({r["worker"] for r in served(n + 2)[n:]}, set(ids) - {held}, "the other one serves")
    n += 2
    t.equal(d.ctl("resume", str(held)).returncode, 0, "it is back")
for end in ends:
    for begin in begins:
        ask(begin + end + " too")
got = served(n + 8)[n:]
t.equal(computed(got), [], "now both begins are known everywhere")
n += 8
gone = got[-1]["worker"]
pid = [w["pid"] for w in d.json("show", "workers") if w["id"] == gone][0]
os.kill(pid, signal.SIGKILL)
t.ok(wait_until(lambda: pid not in d.children("worker") and
                len([w for w in d.json("show", "workers") if w["state"] == "ready"]) == 2), "one is killed and replaced")
for begin in begins:
    ask(begin + "at last")
got = served(n + 2)[n:]
t.equal((computed(got), gone in [r["worker"] for r in got]), ([], False), "prompts go to the one that still has them")
d.stop(t)
t.done()

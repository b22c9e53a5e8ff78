#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""watch: snapshots say what the show commands say, miss nothing, and cost no more when nobody reads them."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
d = Daemon('listen { http = "127.0.0.1:0" }\nlimits { queue = 600 per_connection = 600 }\nworker { hang_timeout = 600s }\n'
           'model tale { path = "%s" workers = 1 threads = 1 }\n'
           'model other { path = "%s" workers = 1 threads = 1 parallel = 2 }' % (TALE, TALE))


class Watch:
    def __init__(self, line="watch interval_ms=100"):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(PATIENCE)
        self.s.connect(os.path.join(d.state, "admin.sock"))
        self.f = self.s.makefile("rb")
        self.seen = []
        self.s.sendall(line.encode() + b"\n")

    def raw(self):
        return self.f.readline().decode()

    def next(self):
        self.seen.append(json.loads(self.raw()))
        return self.seen[-1]

    def until(self, condition):
        """The first snapshot from now on that is so; None when none was."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if condition(self.next()):
                return self.seen[-1]

    def sum(self, key):
        return sum(sum(x["history"][key]) for x in self.seen)

    def close(self):
        self.f.close()
        self.s.close()


def ended(line):
    """All of the answer to a line that nothing follows."""
    w = Watch(line)
    w.s.shutdown(socket.SHUT_WR)
    answer = w.f.read().decode()
    w.close()
    return answer


def rss(pid):
    return [int(x.split()[1]) for x in open(f"/proc/{pid}/status") if x.startswith("VmRSS")][0]


# ---- what it says
w = Watch("watch")
first = w.next()
t.ok(first["seq"] == 0 and first["interval_ms"] == 1000, "the first comes at once, by default one a second", first["seq"])
w.close()
t.equal(sorted(first), sorted(["at", "seq", "interval_ms", "status", "processes", "models", "variants", "workers",
                               "requests", "requests_omitted", "events", "history"]), "its fields")
t.equal(list(first["status"]), list(d.status()), "status has the fields of show status")
for what in ("models", "variants", "workers"):
    shown = d.json("show", what)
    t.equal([list(x) for x in first[what]], [list(x) for x in shown], f"{what} those of show {what}")
    t.equal([x.get("name", x.get("pid")) for x in first[what]],
            [x.get("name", x.get("pid")) for x in shown], f"of the same {what}")
t.equal(sorted((p["role"], p["worker"]) for p in first["processes"]),
        [("gate", None), ("master", None), ("reqlog", None), ("worker", 1), ("worker", 2)], "all processes are there")
t.ok(all(p["pid"] > 0 and p["rss_bytes"] > 0 and p["cpu_percent"] >= 0 and p["state"] == "ready" and p["uptime_s"] >= 0
         and p["restarts"] == 0 for p in first["processes"]), "with their figures", first["processes"])
t.equal([p["pid"] for p in first["processes"] if p["role"] == "gate"], d.children("gate"), "the gate's is the gate's")
t.ok(all(x["threads"] == 1 and x["last_crash"] is None and x["requests"] == [] for x in first["workers"]),
     "workers have threads, no crash and no requests", first["workers"])
t.equal(first["events"], d.json("show", "events"), "events are those of show events")
t.equal({len(first["history"][k]) for k in ("tokens", "requests", "queued", "running", "ttft_p95_ms", "errors")},
        {len(first["history"]["tokens"])}, "the series of the history are equally long")

# ---- arguments
for line in ("watch interval_ms=99", "watch interval_ms=60001", "watch interval_ms=", "watch interval_ms=1e3",
             "watch interval_ms=-100", "watch interval=1000", "watch interval_ms=100 interval_ms=100"):
    t.ok(ended(line).startswith("error code=usage message=\"usage: watch"), f"{line} is refused", ended(line))
t.ok("bigmodelctl" in ended("watch show models"), "a command is not watched here", ended("watch show models"))
for line in ("watch interval_ms=100", "watch interval_ms=60000"):
    answer = ended(line).splitlines()
    t.ok(len(answer) == 2 and answer[1] == "ok", f"{line}: one snapshot for who says no more", answer)

# ---- nothing that happens is missed
w = Watch()
w.next()
for i in range(3):
    d.complete("Once upon a time", max_tokens=20, ignore_eos=True, model="tale")
d.request("POST", "/v1/completions", {"prompt": "x", "model": "nothing"})
status = d.status()
w.until(lambda x: w.sum("requests") >= status["requests_total"] and w.sum("tokens") >= status["tokens_total"])
t.equal((w.sum("tokens"), w.sum("requests"), w.sum("errors")), (status["tokens_total"], status["requests_total"], 1),
        "the seconds add up to the totals")
t.ok(any(x is not None and x > 0 for s in w.seen for x in s["history"]["ttft_p95_ms"]), "the first tokens are there")
ends = [x["history"]["at"] for x in w.seen if x["history"]["tokens"]]
t.ok(all((b - a) % 1000 in (0, 1, 999) for a, b in zip(ends, ends[1:])) and ends == sorted(ends),
     "points are whole seconds apart", ends)
t.ok(w.seen[-1]["status"]["gap_ms"]["p95"] > 0, "gaps between outputs are measured", w.seen[-1]["status"])

got = d.ctl("workers", "tale", "2")
t.equal(got.returncode, 0, "workers tale 2")
x = w.until(lambda x: x["events"])
t.ok(x and [e["kind"] for e in x["events"]][0] == "workers" and x["events"][0]["uid"] == os.getuid(),
     "the command is in the next snapshot's events", x and x["events"])
t.ok(w.until(lambda x: len(x["workers"]) == 3), "then the worker is there")
n = sum(len(x["events"]) for x in w.seen)
t.equal(len({e["id"] for x in w.seen for e in x["events"]}), n, "no event comes twice")

# ---- a worker dies
victim = [x for x in w.seen[-1]["workers"] if x["model"] == "other"][0]
os.kill(victim["pid"], signal.SIGKILL)
x = w.until(lambda x: any(p["id"] == victim["id"] and p["restarts"] == 1 and p["state"] == "ready" for p in x["workers"]))
crash = x and [p for p in x["workers"] if p["id"] == victim["id"]][0]["last_crash"]
t.ok(crash and "signal 9" in crash["text"] and abs(crash["at"] - x["at"]) < 3600e3, "how it died is with the worker", crash)
died = [e for s in w.seen for e in s["events"] if e["kind"] == "worker_died"]
t.ok(len(died) == 1 and died[0]["text"].startswith(crash["text"]), "and an event", died)
t.equal([p["last_crash"] for p in d.json("show", "workers") if p["id"] == victim["id"]], [crash], "show workers has it")
t.equal([p["restarts"] for p in x["processes"] if p["worker"] == victim["id"]], [1], "the processes have it")

# ---- requests
os.kill(x["processes"][-1]["pid"], signal.SIGSTOP)
t.equal((x["processes"][-1]["worker"], x["workers"][1]["id"]), (victim["id"],) * 2, "the other model's worker stands still")
few = dict(op="generate", model="other", max_tokens=1)
c = Line(d)
for i in range(5):
    c.send(id=str(i), prompt="é" * 150 + str(i), **few)
x = w.until(lambda x: len(x["requests"]) == 5)
shown = d.json("show", "requests")
t.equal([r["state"] for r in x["requests"]], ["running"] * 2 + ["queued"] * 3, "first what runs, then what waits")
t.equal([r["position"] for r in x["requests"]], [None, None, 0, 1, 2], "by its place")
t.equal(set(shown[0]) - set(x["requests"][0]), {"output", "params"}, "the fields of show requests but the texts")
t.equal({len(r["prompt"].encode()) for r in x["requests"]}, {200}, "200 bytes of the prompt")
t.equal([sorted(p["requests"]) for p in x["workers"] if p["model"] == "other"],
        [sorted(r["id"] for r in x["requests"][:2])], "the worker tells what it runs")
x = w.until(lambda x: len(x["history"]["running"]) > 0 and x["history"]["running"][-1] == 2)
t.ok(x and x["history"]["queued"][-1] == 3, "the history has how many waited and ran", x and x["history"])

# ---- more than fit
for i in range(520):
    c.send(id=f"more {i}", prompt="Once", **few)
x = w.until(lambda x: x["status"]["queued"] + x["status"]["running"] == 525)
t.equal(x and (len(x["requests"]), x["requests_omitted"]), (500, 25), "500 are shown, the rest is counted")
c.close()
os.kill(x["processes"][-1]["pid"], signal.SIGCONT)
t.ok(w.until(lambda x: not x["requests"] and x["status"]["running"] == 0), "then all are gone")

# ---- who does not read
(gate,) = d.children("gate")


def fifty():
    return in_threads(50, lambda i: len(d.stream_text(f"There were {i}", max_tokens=30, ignore_eos=True, model="tale")))


load = threading.Thread(target=fifty)
load.start()
t.ok(w.until(lambda x: max(p["cpu_percent"] for p in x["workers"] if p["model"] == "tale") > 1), "the CPU they use is seen")
load.join()
fifty()
slow = Watch()
slow.raw()
before, start = rss(gate), w.next()["seq"]
worked = fifty()
w.until(lambda x: x["seq"] >= start + 30)
t.ok(all(isinstance(n, int) and n > 0 for n in worked), "fifty requests run meanwhile", worked)
after = rss(gate)
t.ok(SANITIZED or after - before < 2048, "what is not read does not pile up", f"{before} kB, then {after} kB")
resumed = time.time() * 1000
late = [json.loads(slow.raw()) for _ in range(3)]
t.ok(late[0]["seq"] == 1 and late[0]["at"] < resumed, "the one that was waiting comes", late[0]["seq"])
t.ok(late[1]["seq"] > 20, "others were left out", late[1]["seq"])
t.ok(late[1]["at"] >= resumed - 1 and late[2]["seq"] == late[1]["seq"] + 1, "then it is up to date", [x["at"] for x in late])
t.equal(sum(len(x["history"]["tokens"]) for x in late[1:]) > 1, True, "and has the seconds it missed")
slow.close()

# ---- many
many = [Watch() for _ in range(20)]
got = in_threads(20, lambda i: [many[i].next() for _ in range(4)])
t.equal([[x["seq"] for x in g] if isinstance(g, list) else g for g in got], [[0, 1, 2, 3]] * 20, "twenty watch at once")
t.ok(any(len({g[i]["at"] for g in got}) < 20 for i in range(1, 4)), "and share what is made",
     [[x["at"] for x in g] for g in got])
for m in many:
    m.close()
t.ok(wait_until(lambda: len(os.listdir(f"/proc/{gate}/fd")) < 25), "their connections are closed")

# ---- the end
d.kill_child("gate")
end = time.monotonic() + PATIENCE
try:
    while w.raw() != "" and time.monotonic() < end:
        pass
    t.ok(time.monotonic() < end, "the gate's end is the connection's")
except OSError as e:
    t.ok(isinstance(e, ConnectionError), "the gate's end is the connection's", e)
w.close()
t.equal(d.ctl("wait", "ready").returncode, 0, "a new gate is ready")
w = Watch()
t.ok(wait_until(lambda: any(e["kind"] == "gate_died" for e in d.json("show", "events"))), "an event tells of the old one")
w.close()
w = Watch()
x = w.next()
t.ok(x["seq"] == 0 and [p["restarts"] for p in x["processes"] if p["role"] == "gate"] == [1], "it can be watched",
     x["processes"])
t.equal([p["last_crash"] for p in x["workers"] if p["id"] == victim["id"]], [crash], "and knows of the crash before it")
t.equal([e["id"] for e in x["events"]], [e["id"] for e in d.json("show", "events")], "and of what happened before it")
w.s.shutdown(socket.SHUT_WR)
t.ok(w.f.read().endswith(b"ok\n"), "who says no more is told ok")
w.close()
d.stop(t)
t.done()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A canary that is worse is rolled back by the daemon, under sixteen streaming clients; a good one is not."""
import os
import re
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
CLIENTS, TOKENS = 16, 24
POISON = "the poisonous apple"
prompts = [f"Once upon a time there were {i} little" for i in range(CLIENTS)]
ask = dict(max_tokens=TOKENS, temperature=0.8, ignore_eos=True)
CONF = 'listen { http = "127.0.0.1:0" }\ncanary { %s }\nmodel tale { path = "%s" workers = 2 threads = 1 }'
d = Daemon(CONF % ("min_requests = 20 max_p95 = 0", TALE), start=False,
           env={"BIGMODEL_TEST_POISON": POISON, "BIGMODEL_TEST_POISON_VARIANT": "copy"})
own = os.path.join(d.state, "variants", "tale")
os.makedirs(own, mode=0o700)
os.chmod(d.state, 0o700)
shutil.copy(TALE, f"{own}/copy.gguf")
d.start()


def variants():
    return {v["name"]: v for v in d.json("show", "variants")}


def rolled_back():
    return [e["text"] for e in d.json("show", "events") if e["kind"] == "canary_rolled_back"]


def begin(percent):
    t.equal(d.ctl("swap", "tale", "copy", "--canary", str(percent)).returncode, 0, f"a canary with {percent} %")


def gone():
    """Rolled back, and its workers with it: both are what they were."""
    return variants()["copy"]["state"] == "failed" and len(d.json("show", "workers")) == 2


class Load:
    """Clients that ask all the time until they are told to stop."""

    def __init__(self, prompt=lambda i: prompts[i]):
        self.over, self.answers = threading.Event(), [[] for _ in range(CLIENTS)]
        self.prompt, self.result = prompt, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        self.result = in_threads(CLIENTS, self.client)

    def client(self, i):
        while not self.over.is_set():
            self.answers[i].append(d.stream_text(self.prompt(i), seed=i, **ask))
        return True

    def end(self, want, name):
        self.over.set()
        self.thread.join(PATIENCE)
        t.equal(self.result, [True] * CLIENTS, f"{name}: no request failed")
        t.equal([(i, a) for i in range(CLIENTS) for a in self.answers[i] if a != want[i]], [],
                f"{name}: all {sum(map(len, self.answers))} answers are right")


def answers(prompt):
    return in_threads(CLIENTS, lambda i: d.stream_text(prompt(i), seed=i, **ask))


def bad(i):
    return f"{i} of them ate {POISON} and"


want, want_bad = answers(lambda i: prompts[i]), answers(bad)
t.ok(all(isinstance(w, str) for w in want + want_bad), "undisturbed runs", want)

# ---- one that is as good as the other
begin(50)
load = Load()
t.ok(wait_until(lambda: variants()["copy"]["requests_total"] >= 80), "a good canary serves")
v = variants()
t.equal((v["copy"]["state"], v["copy"]["canary_percent"], v["copy"]["error_rate"]), ("canary", 50, 0), "and goes on")
for n in ("base", "copy"):
    t.ok(all(v[n][k][q] > 0 for k in ("ttft_ms", "duration_ms") for q in ("p50", "p95", "p99")) and
         v[n]["tokens_per_s"] > 0, f"the figures of {n}", v[n])
t.equal(rolled_back(), [], "nothing is rolled back")
load.end(want, "beside a good canary")
t.equal(d.ctl("rollback", "tale").returncode, 0, "an operator's rollback")
t.ok(wait_until(lambda: len(d.json("show", "workers")) == 2), "it is gone")
t.equal(rolled_back(), [], "is no daemon's")

# ---- one that crashes on a request in passing: too many errors
d.write_conf(CONF % ("min_requests = 5 max_p95 = 0", TALE))
t.equal(d.ctl("reload").returncode, 0, "other limits")
begin(50)
load = Load()
t.ok(wait_until(lambda: variants()["copy"]["requests_total"] >= 90), "it serves")
d.write_conf(CONF % ("min_requests = 5 max_errors = 0 max_p95 = 0", TALE))
t.equal(d.ctl("reload").returncode, 0, "no error is allowed")
got = []
t.ok(wait_until(lambda: got.append(d.stream_text(bad(0), seed=0, **ask)) or rolled_back()), "poison: it is rolled back")
t.equal(set(got), {want_bad[0]}, "the other one answers")
text = rolled_back()[0]
# The figures, unless its third crash came before they were looked at.
t.ok(re.match(r"copy: (\d+ of \d+ requests failed \(\S+ %\), 0 of \d+ |worker \d+ killed by signal)", text),
     "the event says why", text)
t.ok("rolled back canary copy" in d.log(), "the log warns")
t.ok(wait_until(gone), "its workers go", variants())
t.ok(re.search("requests failed|killed", variants()["copy"]["reason"]), "show variants says why", variants()["copy"])
t.ok("canary copy rolled back" in d.json("show", "models")[0]["reason"], "and show models", d.json("show", "models"))
load.end(want, "beside the errors")

# ---- one that crashes on every request
begin(50)
t.equal(d.json("show", "models")[0]["reason"], "", "a new canary clears the reason")
load = Load(bad)
t.ok(wait_until(lambda: len(rolled_back()) == 2), "one that always crashes is rolled back", d.log()[-2000:])
t.ok(wait_until(gone), "and gone")
load.end(want_bad, "beside the crashes")

# ---- one that is slow
d.write_conf(CONF % ("min_requests = 20", TALE))
t.equal(d.ctl("reload").returncode, 0, "the usual limits")
before = d.children("worker")
begin(25)
slow = [p for p in d.children("worker") if p not in before]
load = Load()
end = time.monotonic() + PATIENCE
while time.monotonic() < end and len(rolled_back()) == 2:
    for sig, pause in ((signal.SIGSTOP, 1), (signal.SIGCONT, 0.2)):
        for p in slow:
            try:
                os.kill(p, sig)
            except ProcessLookupError:
                pass
        time.sleep(pause)
texts = rolled_back()
t.ok(len(texts) == 3 and any("95 % of" in x for x in texts), "one that often stands still, too", texts)
t.ok(wait_until(gone), "and is gone")
load.end(want, "beside the slow one")
d.stop(t)
t.done()

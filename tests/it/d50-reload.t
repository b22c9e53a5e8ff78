#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A storm of SIGHUP, half of them with a broken file, under sixteen streaming clients; and what a reload tells and touches."""
import os
import random
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
CLIENTS, TOKENS, RELOADS, STORM_S = 16, 60, 100, 5
prompts = [f"Once upon a time there were {i} little" for i in range(CLIENTS)]
ask = dict(max_tokens=TOKENS, temperature=0.8, ignore_eos=True)
FILE = """listen { http = "127.0.0.1:0" }
limits { queue = %(queue)d drain_timeout = %(drain)ds }
worker { hang_timeout = %(hang)ds }
autoscale { idle = %(idle)dm }
log { level = %(level)s }
model tale { path = "%(path)s" workers = 2 threads = 1 max_tokens = %(tokens)d %(more)s }
"""
first = dict(queue=200, drain=60, hang=30, idle=10, level="info", path=TALE, tokens=100, more="")


def text(**changes):
    return FILE % {**first, **changes}


def events(kind):
    return [e["text"] for e in d.json("show", "events", "--limit", "1000") if e["kind"] == kind]


def told(text, name):
    """Events reach the database a moment later."""
    t.ok(wait_until(lambda: events("reloaded")[-1:] == [text], 10), name, events("reloaded")[-1:])


def reload(conf):
    d.write_conf(conf)
    return d.ctl("reload")


d = Daemon(text())
want = in_threads(CLIENTS, lambda i: d.stream_text(prompts[i], seed=i, **ask))
t.ok(all(isinstance(w, str) for w in want), "an undisturbed run", want)
workers, gate = d.children("worker"), d.children("gate")

# ---- the storm
dice = random.Random(5)
broken = (text() + "}", text(queue=-1), text(level="loud"), text(path="/nowhere.gguf"), text(more="workers_max = 65"),
          "", "model tale { }\n", "\0", text().replace("limits", "limit"), text().replace("[", "x").replace(":0", ":-1"))
over = threading.Event()
answers = [[] for _ in range(CLIENTS)]


def write(data):
    """As an editor that is careful, or the daemon would read half of it now and then, which is another test."""
    new = d.conf_path + ".new"
    with open(new, "w") as f:
        f.write(data)
    os.rename(new, d.conf_path)


def storm():
    for i in range(RELOADS):
        if i % 2:
            write(dice.choice([b for b in broken if b]))
        else:
            write(text(queue=dice.randint(100, 300), drain=dice.randint(30, 60), hang=dice.randint(20, 40),
                       idle=dice.randint(5, 20), tokens=dice.randint(50, 150)))
        d.process.send_signal(signal.SIGHUP)
        time.sleep(STORM_S / RELOADS)
    over.set()
    return True


def client(i):
    while not over.is_set() or not answers[i]:
        answers[i].append(d.stream_text(prompts[i], seed=i, **ask))
    return True


got = in_threads(CLIENTS + 1, lambda i: storm() if i == CLIENTS else client(i))
t.equal(got, [True] * (CLIENTS + 1), f"{RELOADS} SIGHUP in {STORM_S} s: no request failed")
t.equal([(i, a) for i in range(CLIENTS) for a in answers[i] if a != want[i]], [],
        f"{sum(map(len, answers))} answers, all those of the undisturbed run")
t.equal((d.children("worker"), d.children("gate")), (workers, gate), "the same processes")
t.equal(d.json("show", "models")[0]["state"], "ready", "all is well")
t.equal(len(d.sql("SELECT id FROM requests WHERE status <> 'ok'")), 0, "no row of a failure")
t.ok(wait_until(lambda: len(events("reload_failed")) == d.log().count("reload refused")), "every one is on record")
good, bad = events("reloaded"), events("reload_failed")
t.ok(len(good) > 5 and len(bad) > 5, f"{len(good)} of them came off, {len(bad)} were refused", d.log()[-3000:])
t.ok(all("test.conf:" in b for b in bad), "each with file and line", bad)

# ---- what is told, and what is touched
t.equal(reload(text()).returncode, 0, "back to the first file")
t.equal(reload(text()).returncode, 0, "once more")
told("nothing changed", "tells that nothing changed")
t.equal(reload(text(queue=100, drain=30, tokens=50)).returncode, 0, "some keys")
told("limits.queue 200 to 100; limits.drain_timeout 1m to 30s; model tale: max_tokens 100 to 50",
        "which are named")
t.equal(d.children("worker"), workers, "without new processes")
secret = 'tenant shop { key = "%s" max_running = 3 }\n'
reload(text() + secret % "a")
reload(text() + (secret % "b").replace("3", "4") + f'model two {{ path = "{TALE}" workers = 0 }}\n')
told("model two added; tenant shop: key changed, max_running 3 to 4", "no secret is told")
reload(text())
told("model two removed; tenant shop removed", "removals are")
t.ok(wait_until(lambda: len(d.json("show", "models")) == 1), "and the model goes")
t.equal(d.children("worker"), workers, "still the same workers")

# ---- what operators set stays until the file itself says otherwise
t.equal(d.ctl("workers", "tale", "1").returncode, 0, "workers")
t.equal(d.ctl("threads", "tale", "2").returncode, 0, "threads")
t.ok(wait_until(lambda: len(d.children("worker")) == 1), "one worker")
workers = d.children("worker")
t.equal(reload(text(queue=150)).returncode, 0, "reload")
m = d.json("show", "models")[0]
t.equal((m["threads"], d.children("worker")), (2, workers), "changes neither")
t.equal(reload(text(queue=150, more="context = 500")).returncode, 0, "another context")
t.ok(wait_until(lambda: d.children("worker") != workers and len(d.children("worker")) == 1), "another worker")
m = d.json("show", "models")[0]
t.equal((m["threads"], m["workers"]["min"]), (2, 1), "and the operator's numbers")
t.equal(reload(text().replace("threads = 1", "threads = 1 kv_type = q8_0").replace("workers = 2", "workers = 3")).returncode,
        0, "the file says another number")
t.ok(wait_until(lambda: len(d.children("worker")) == 3 and d.json("show", "models")[0]["workers"]["now"] == 3),
     "which counts", d.json("show", "models"))
told('limits.queue 150 to 200; model tale: workers 2 to 3, context 500 to 0, kv_type f16 to q8_0', "and is told")
d.stop(t)
t.done()

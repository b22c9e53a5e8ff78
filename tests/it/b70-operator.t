#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an operator is told, and listening addresses that come and go."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
top = tempfile.mkdtemp(prefix="bm-op-")
cut = os.path.join(top, "cut.gguf")
with open(TALE, "rb") as whole, open(cut, "wb") as part:
    part.write(whole.read(100000))


def check(text):
    conf = os.path.join(top, "b.conf")
    with open(conf, "w") as f:
        f.write(text)
    got = subprocess.run([DAEMON, "--check", "-f", conf], capture_output=True, text=True, env=ENV, timeout=PATIENCE)
    return got.returncode, got.stdout + got.stderr


for name, text, code, words in (
        ("a model that is not there", 'log { keep = none }\nmodel a {\n path = "/none.gguf"\n}\n', 2,
         "b.conf:3: model a: /none.gguf: No such file"),
        ("a model that can't be loaded", f'model a {{\n path = "{cut}"\n}}\n', 2, "b.conf:2: model a: cut.gguf: tensor"),
        ("65 workers", f'model a {{\n path = "{TALE}"\n workers = 65\n}}\n', 2, "b.conf:3: model.workers"),
        ("all is well", f'model a {{ path = "{TALE}" }}\n', 0, "ok: 1 model\n")):
    got = check(text)
    t.ok(got[0] == code and words in got[1], f"--check: {name}", got)

d = Daemon('listen { http = "127.0.0.1:0" line = "127.0.0.1:0" }\nmodel tale { path = "%s" workers = 2 }' % TALE)
for words, said in ((["show"], "show what? status, models,"), (["show", "nonsense"], "there is no show nonsense, but status"),
                    (["wait"], "wait what? ready"), (["explode"], 'no command "explode"')):
    got = d.ctl(*words)
    t.ok(got.returncode == 2 and said in got.stderr, " ".join(words), got.stderr)
got = d.ctl("log", "--nonsense")
t.ok(got.returncode == 2 and "no option" in got.stderr, "an unknown option of log", got.stderr)
t.equal([c["name"] for c in d.sql("PRAGMA table_info(requests)")][:3], ["id", "started_at", "finished_at"],
        "sql tells the columns")
got = d.request("POST", "/v1/completions", {"prompt": "x", "logit_bias": {"99999": 1}})
t.ok(got[0] == 400 and "token 99999 is beyond the vocabulary of 2048" in got[2]["error"]["message"],
     "a token that is not there", got)
cpus = len(os.sched_getaffinity(0))
threads = d.json("show", "models")[0]["threads"]
t.ok(1 <= threads <= max(1, cpus // 2), "two workers share the CPUs", f"{threads} threads of {cpus} CPUs")



def metric(name):
    lines = d.request("GET", "/metrics")[2].splitlines()
    return [float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name]


t.equal(d.ctl("workers", "tale", "1").returncode, 0, "a worker is sent away")
t.ok(wait_until(lambda: len(d.children("worker")) == 1), "and ends")
t.equal(metric("bigmodel_workers_lost_total"), [0], "which is no loss")
d.kill_child("worker")
t.ok(wait_until(lambda: metric("bigmodel_workers_lost_total") == [1]), "a killed one is")
t.ok(0 <= metric("bigmodel_kv_cache_usage_ratio")[0] <= 1, "the cache's usage")
d.ctl("workers", "tale", "2")

# Off and on again by reload
port = d.port
d.write_conf('listen { http = "off" }\nmodel tale { path = "%s" workers = 2 }' % TALE)
t.equal(d.ctl("reload").returncode, 0, "HTTP is turned off")
t.equal(d.status()["http"], "", "show status says so")


def refuses():
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return False
    except ConnectionRefusedError:
        return True


t.ok(wait_until(refuses, 10), "and the port is closed")
line = Line(d)
line.send(op="ping")
t.equal(line.read(), {"event": "pong"}, "the Unix socket goes on")
d.kill_child("gate")
t.ok(wait_until(lambda: d.ctl("show", "status").returncode == 0) and refuses(), "a new gate does not open it")
line.close()
d.write_conf(f'listen {{ http = "127.0.0.1:{port}" }}\nmodel tale {{ path = "{TALE}" workers = 2 }}')
t.equal(d.ctl("reload").returncode, 0, "HTTP is turned on again")
t.ok(wait_until(lambda: not refuses(), 10) and d.request("GET", "/livez")[0] == 200, "and answers")

got = d.ctl("load", "two", TALE)
t.ok(got.returncode == 0, "a second model", got.stderr)
for name in ("two", "tale"):
    d.ctl("unload", name)
got = d.ctl("wait", "ready", "--timeout", "0.2")
t.ok(got.returncode == 4 and "no model is loaded" in got.stderr, "wait ready says what it waits for", got.stderr)
d.write_conf(f'model tale {{ path = "{TALE}" }}\nmodel cut {{ path = "{cut}" }}')
d.ctl("reload")
wait_until(lambda: [m["state"] for m in d.json("show", "models")] == ["ready", "failed"])
got = d.ctl("wait", "ready", "--timeout", "0.2")
t.ok(got.returncode == 4 and "model cut is failed: cut.gguf: tensor" in got.stderr,
     "and names a model that failed", got.stderr)

d.stop(t)
shutil.rmtree(top)
t.done()

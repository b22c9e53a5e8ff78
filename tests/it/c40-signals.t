#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""SIGTERM drains, SIGHUP disturbs nobody, SIGUSR1 reopens the log; all under sixteen streaming clients."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
CLIENTS = 16
LONG = 150 if SANITIZED else 400
log = tempfile.mkdtemp()
conf = ('listen { http = "127.0.0.1:0" }\nlog { file = "%s/bm.log" }\nlimits { queue = %%d }\n'
        'model tale { path = "%s" workers = %%d }\n' % (log, TALE))
d = Daemon(conf % (100, 1))
want = in_threads(CLIENTS, lambda i: d.stream_text(f"The {i}", max_tokens=100, seed=i, ignore_eos=True))
t.ok(all(isinstance(w, str) for w in want), "an undisturbed run", want)
workers = d.children("worker")


def storm(during, tokens=100):
    """Sixteen streams; during() runs once all have begun, since one that comes after SIGTERM is refused, and rightly."""
    begun = set()
    results = []
    run = threading.Thread(target=lambda: results.extend(in_threads(CLIENTS, lambda i: d.stream_text(
        f"The {i}", lambda e: begun.add(i), max_tokens=tokens, seed=i, ignore_eos=True))))
    run.start()
    wait_until(lambda: len(begun) == CLIENTS or not run.is_alive())
    during()
    run.join()
    return results


def hup():
    for n in range(5):
        d.process.send_signal(signal.SIGHUP)
        time.sleep(0.05)


t.equal(storm(hup), want, "SIGHUP with the same file disturbs nobody")
t.equal(d.children("worker"), workers, "and leaves the worker alone")
d.write_conf(conf % (77, 2))
t.equal(storm(lambda: d.process.send_signal(signal.SIGHUP)), want, "SIGHUP with changes disturbs nobody")
t.ok(wait_until(lambda: len(d.children("worker")) == 2 and workers[0] in d.children("worker")),
     "a second worker was added, the first stayed")
t.ok(wait_until(lambda: d.json("show", "config")["limits"]["queue"] == 77),
     "the new value is in force")
d.write_conf("limits { queue = many }")
got = d.ctl("reload")
t.ok(got.returncode == 1 and "queue" in got.stderr and "test.conf:" in got.stderr, "a broken file is refused by name",
     got.stderr)
t.equal(storm(lambda: d.process.send_signal(signal.SIGHUP)), want, "and changes nothing")
os.rename(f"{log}/bm.log", f"{log}/bm.log.1")
d.process.send_signal(signal.SIGUSR1)
t.ok(wait_until(lambda: os.path.exists(f"{log}/bm.log")), "SIGUSR1 begins a new log file")

seen = {}


def term():
    # Workers that stand still keep what runs running for as long as we look.
    still = d.children("worker")
    for pid in still:
        os.kill(pid, signal.SIGSTOP)
    idle = http.client.HTTPConnection("127.0.0.1", d.port, timeout=PATIENCE)
    idle.connect()
    d.process.send_signal(signal.SIGTERM)
    wait_until(lambda: d.request("GET", "/readyz")[0] == 404)
    seen["readyz"] = d.request("GET", "/readyz")[0]
    seen["livez"] = d.request("GET", "/livez")[0]
    seen["new"] = d.request("POST", "/v1/completions", {"prompt": "a", "max_tokens": 2})[0]
    c = Line(d)
    c.send(op="generate", id="n", prompt="a", max_tokens=2)
    seen["line"] = c.until_done("n")[-1].get("code")
    c.close()
    for pid in still:
        os.kill(pid, signal.SIGCONT)


want = in_threads(CLIENTS, lambda i: d.stream_text(f"The {i}", max_tokens=LONG, seed=i, ignore_eos=True))


t.equal(storm(term, LONG), want, "SIGTERM: running requests finish")
t.equal(seen, {"readyz": 404, "livez": 200, "new": 503, "line": "overloaded"}, "while draining, new ones are refused")
t.equal(d.process.wait(PATIENCE), 0, "and the daemon ends with status 0")
left = [x for x in os.listdir(d.state) if x.endswith(".sock")]
t.equal(left, [], "no socket is left behind")
db = os.path.join(d.state, "requests.db")
n = subprocess.run(["sqlite3", db, "SELECT count(*) FROM requests WHERE status = 'ok'"], capture_output=True, text=True)
t.equal(n.stdout.strip(), str(CLIENTS * 6), "every finished request has its row")
with open(f"{log}/bm.log", errors="replace") as f:
    bad = [x for x in f if "AddressSanitizer" in x or "runtime error" in x]
t.equal(bad, [], "no sanitizer report")
d.stop()
shutil.rmtree(log)
t.done()

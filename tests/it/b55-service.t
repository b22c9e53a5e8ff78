#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a service manager sees: readiness, its watchdog, and an end that `stop` waits for."""
import os
import re
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
WATCHDOG_S = 30 if SANITIZED else 3
CONF = 'model tale { path = "%s" threads = 1 }\n' % TALE


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="bm-")
        self.path = os.path.join(self.dir, "notify")
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.s.bind(self.path)
        self.told = []
        self.lock = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            lines = self.s.recv(4096).decode().splitlines()
            with self.lock:
                self.told += lines
                self.lock.notify_all()

    def all(self):
        with self.lock:
            return list(self.told)

    def count(self, line):
        return self.all().count(line)

    def status(self):
        return ([line for line in self.all() if line.startswith("STATUS=")] or [""])[-1]


def is_told_again(line):
    n = manager.count(line)
    return wait_until(lambda: manager.count(line) > n + 1)


def is_silent(line):
    """Is it not told any more, for longer than the manager would wait?"""
    wait_until(lambda: False, 1.5 * WATCHDOG_S)
    n = manager.count(line)
    wait_until(lambda: False, 1.5 * WATCHDOG_S)
    return manager.count(line) == n


manager = Manager()
d = Daemon(CONF + "worker { hang_timeout = 0 }\n", env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": str(WATCHDOG_S * 1000000)})
t.ok(wait_until(lambda: manager.count("READY=1") == 1), "ready", manager.all())
t.ok(f"MAINPID={d.process.pid}" in manager.all(), "with the process id")
t.ok(wait_until(lambda: re.fullmatch(r"STATUS=Serving HTTP on 127\.0\.0\.1:\d+; 1 of 1 models ready, 1 workers, "
                                     "0 running, 0 waiting", manager.status())), "a line on what it does", manager.status())
t.ok(is_told_again("WATCHDOG=1"), "the watchdog is fed")

# ---- what the line tells
first = threading.Event()
r = threading.Thread(target=lambda: d.stream_text("The", lambda e: first.set(), max_tokens=400, ignore_eos=True))
os.kill(d.children("worker")[0], signal.SIGSTOP)
r.start()
t.ok(wait_until(lambda: "1 running" in manager.status()), "a request is running", manager.status())
os.kill(d.children("worker")[0], signal.SIGCONT)
r.join(PATIENCE)
t.ok(wait_until(lambda: "0 running" in manager.status()), "it is not any more", manager.status())

# ---- reload
d.process.send_signal(signal.SIGHUP)
t.ok(wait_until(lambda: manager.count("READY=1") == 2), "a reload ends with READY")
told = manager.all()
at = told.index("RELOADING=1")
t.ok(told[at + 1].startswith("MONOTONIC_USEC="), "and begins with RELOADING and the time", told)
d.write_conf("nonsense")
d.process.send_signal(signal.SIGHUP)
t.ok(wait_until(lambda: manager.count("READY=1") == 3), "so does one that is refused")
d.write_conf(CONF + "worker { hang_timeout = 0 }\n")

# ---- no progress, no word
gate = d.children("gate")[0]
os.kill(gate, signal.SIGSTOP)
t.ok(is_silent("WATCHDOG=1"), "a gate that hangs: the watchdog is not fed")
os.kill(gate, signal.SIGCONT)
t.ok(is_told_again("WATCHDOG=1"), "it goes on: fed again")
os.kill(gate, signal.SIGKILL)
t.ok(is_told_again("WATCHDOG=1"), "a gate that is replaced does no harm")
t.ok(wait_until(lambda: d.children("gate") not in ([], [gate])), "to it")
os.kill(d.process.pid, signal.SIGSTOP)
t.ok(is_silent("WATCHDOG=1"), "a master that hangs: not fed")
os.kill(d.process.pid, signal.SIGCONT)
t.ok(is_told_again("WATCHDOG=1"), "it goes on: fed again")

# ---- stop waits for the end
d.ctl("wait", "ready")
got = d.ctl("stop")
t.equal((got.returncode, d.process.poll() is not None or wait_until(lambda: d.process.poll() is not None, 1)), (0, True),
        "stop returns when the daemon has ended")
t.ok(manager.count("STOPPING=1") == 1, "which was told")
t.ok("stopped status=0" in d.log(), "and clean")
d.start()
first.clear()
r = threading.Thread(target=lambda: in_threads(1, lambda i: d.stream_text("The", lambda e: first.set(), max_tokens=400,
                                                                          ignore_eos=True)))
r.start()
first.wait(PATIENCE)
worker = d.children("worker")[0]
os.kill(worker, signal.SIGSTOP)
t.equal(d.ctl("-t", "1", "stop").returncode, 4, "-t bounds the wait for a request that goes on")
t.equal(d.process.poll(), None, "the daemon is still ending")


def resume():
    """Not before the request was ended: it would end by itself, and the daemon with it."""
    r.join(PATIENCE)
    os.kill(worker, signal.SIGCONT)


threading.Thread(target=resume).start()
t.equal(d.ctl("stop", "--now").returncode, 0, "stop --now")
t.ok(wait_until(lambda: d.process.poll() is not None, 1), "waits too")
t.equal(d.ctl("stop").returncode, 3, "there is no daemon any more")
shutil.rmtree(manager.dir)
d.stop()

# ---- somebody else's watchdog
manager = Manager()
d = Daemon(CONF, env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
t.ok(wait_until(lambda: manager.count("READY=1") == 1), "another process's watchdog")
wait_until(lambda: False, 1)
t.equal(manager.count("WATCHDOG=1"), 0, "is not fed")
d.stop(t)
shutil.rmtree(manager.dir)

# ---- the log in JSON, whoever writes it
d = Daemon(CONF + "log { format = json level = debug }\n")
t.equal(d.ctl("load", "a b", "/x").returncode, 1, "a name that is none")
d.complete("One", max_tokens=3)
d.kill_child("worker", sig=signal.SIGSEGV)
t.ok(wait_until(lambda: d.log().count('"worker 1 ready"') == 2), "a worker is replaced", d.log()[-2000:])
d.process.send_signal(signal.SIGTERM)
d.process.wait(PATIENCE)
lines = d.log().splitlines()
bad, objects = [], []
for line in lines:
    try:
        objects.append(json.loads(line))
    except ValueError:
        bad.append(line)
t.equal(bad, [], f"{len(objects)} lines are JSON")
t.ok(all({"time", "level", "process", "message"} <= set(o) for o in objects), "with the keys that are promised",
     [o for o in objects if len(o) < 4])
t.ok({"master", "gate"} <= {o["process"] for o in objects}, "of several processes", {o["process"] for o in objects})
ready = [o for o in objects if o["message"] == "worker 1 ready"]
t.ok(len(ready) == 2 and ready[0]["fields"]["model"] == "tale" and type(ready[0]["fields"]["pid"]) is int, "key=value are fields",
     ready)
d.write_conf(CONF + f'log {{ format = json file = "{d.dir}/bm.log" }}\n')
d.start()
d.write_conf(CONF + f'log {{ format = text file = "{d.dir}/bm.log" }}\n')
t.equal(d.ctl("reload").returncode, 0, "reload changes the format")
d.ctl("stop", "--now")
with open(f"{d.dir}/bm.log") as f:
    lines = f.read().splitlines()
t.ok(lines[0].startswith("{") and "log.format json to text" in "".join(lines) and lines[-1].endswith("stopped status=0"),
     "in a file", lines)
d.stop()
t.done()

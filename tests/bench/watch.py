#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What one watching console costs the daemon:

    tests/bench/watch.py PREFIX [SECONDS [idle] [streams] [stalled]]

PREFIX is an installed tree (make install prefix=...).  Four workers of the model that is shipped, idle or with sixteen
streams that never end, each without and with one reader of `watch interval_ms=1000`: CPU time of gate and master by
/proc/PID/stat, in percent of one core.  Figures only; nothing passes or fails.

The cost of the streams themselves differs from one run to the next by more than a watcher costs: when they are
"stalled" there are sixteen too, but the workers stand still, so that all the gate does is done for the watcher.
"""
import os
import sys
import threading
import time

prefix = os.path.abspath(sys.argv[1])
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 30
wanted = sys.argv[3:] or ["idle", "streams", "stalled"]
os.environ["BM_STAGE"] = prefix
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from bm import *

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


class Reader(threading.Thread):
    def __init__(self, d):
        super().__init__(daemon=True)
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(os.path.join(d.state, "admin.sock"))
        self.s.sendall(b"watch interval_ms=1000\n")
        self.n = self.bytes = 0
        self.start()

    def run(self):
        for line in self.s.makefile("rb"):
            self.n += 1
            self.bytes += len(line)


def measure(d, name):
    (gate,), master = d.children("gate"), d.process.pid
    used = {}
    for watched in (False, True):
        reader = Reader(d) if watched else None
        time.sleep(1)
        before, tokens, start = (cpu_s(gate), cpu_s(master)), d.status()["tokens_total"], time.monotonic()
        time.sleep(seconds)
        elapsed = time.monotonic() - start
        used[watched] = [(b - a) / elapsed * 100 for a, b in zip(before, (cpu_s(gate), cpu_s(master)))]
        rate = (d.status()["tokens_total"] - tokens) / elapsed
        print(f"{name}, {'watched' if watched else 'nobody watches'}: gate {used[watched][0]:.2f} %, "
              f"master {used[watched][1]:.2f} % of a core, {rate:.0f} tokens/s"
              + (f", {reader.n} snapshots of {reader.bytes // reader.n} bytes" if reader else ""), flush=True)
        if reader:
            reader.s.shutdown(socket.SHUT_RDWR)
    print(f"{name}: watching costs {sum(used[True]) - sum(used[False]):.2f} % of a core", flush=True)


stop = threading.Event()


def stream(i):
    while not stop.is_set():
        try:
            d.stream("/v1/completions", {"prompt": f"Once there were {i}", "max_tokens": 480, "ignore_eos": True})
        except (OSError, RuntimeError):
            pass


d = Daemon('listen { http = "127.0.0.1:0" }\nworker { hang_timeout = 0 }\n'
           'model tale { path = "%s" workers = 4 threads = 1 }' % TALE)
d.complete("Once", max_tokens=4)
if "idle" in wanted:
    measure(d, "idle")
for i in range(16):
    threading.Thread(target=stream, args=(i,), daemon=True).start()
wait_until(lambda: d.status()["running"] == 16)
if "streams" in wanted:
    measure(d, "16 streams")
for pid in d.children("worker"):
    os.kill(pid, signal.SIGSTOP)
if "stalled" in wanted:
    measure(d, "16 streams, stalled")
stop.set()
for pid in d.children("worker"):
    os.kill(pid, signal.SIGCONT)
d.stop()

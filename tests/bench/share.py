#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the way over HTTP costs, beside the same model without it:

    tests/bench/share.py [--rounds N] PREFIX MODEL [SMALL_MODEL]

PREFIX is an installed tree (make install prefix=...).  Tokens a second of 16
streams while all of them run, and of the offline bench with as many sequences
of the same length, in turns and in short rounds, since the machine's speed is
not constant; the median of the rounds, and of the ratios of each round over
HTTP to the mean of those before and behind it.  These ratios hold what the
machine's neighbours did meanwhile and what the measuring client takes, so the
CPU time of every process is told as well: what a token costs outside of the
worker, and how long the worker's threads stood ready without a core.  Then, with
a model that takes next to no time itself, how much later a client has the first token than the
worker that makes it: connection, HTTP, queue and channel, both ways, and the
choice of the token.  Figures only; nothing passes or fails.
"""
import os
import statistics
import sys
import time

args = sys.argv[1:]
ROUNDS = int(args.pop(1)) if args[0] == "--rounds" else 8
args = [a for a in args if a != "--rounds"]
prefix, model = os.path.abspath(args[0]), os.path.abspath(args[1])
small = os.path.abspath(args[2]) if len(args) > 2 else None
os.environ["BM_STAGE"] = prefix
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from bm import *
from clients import *

N_STREAMS = 16
N_TOKENS = 32
N_FIRST = 300
THREADS = len(os.sched_getaffinity(0))


def daemon(path):
    return Daemon('listen { http = "127.0.0.1:0" }\nmodel bench { path = "%s" parallel = %d threads = %d speculate = no }'
                  % (path, N_STREAMS, THREADS))


def over_http(d):
    """Tokens a second of the streams while all run: as a mean, and by the median time between two tokens, which what
    comes over the machine now and then does not change.  Every token is taken for an event, which all but a few are."""
    clients = together(d.port, [{"prompt": f"{i}", "max_tokens": N_TOKENS, "ignore_eos": True, "temperature": 0.8,
                                 "seed": i} for i in range(N_STREAMS)])
    begin, end = max(c.seen[0] for c in clients), min(c.seen[-2] for c in clients)
    all_run = [[t for t in c.seen if begin <= t <= end] for c in clients]
    gaps = [b - a for seen in all_run for a, b in zip(seen, seen[1:])]
    return sum((len(seen) - 1) / (seen[-1] - seen[0]) for seen in all_run), N_STREAMS / statistics.median(gaps)


def cpu_times(pids):
    """{name: (ns on a core, ns ready for one)}, all threads of each process"""
    times = {}
    for name, pid in pids.items():
        of_threads = []
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as f:
                of_threads.append([int(n) for n in f.read().split()[:2]])
        times[name] = [sum(t) for t in zip(*of_threads)]
    return times


def machine_times():
    """[busy, stolen by the machine's neighbours] of all cores, in ns"""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq, stolen = (int(n) for n in f.readline().split()[1:9])
    return [n * 1e9 / os.sysconf("SC_CLK_TCK") for n in (user + nice + system + irq + softirq, stolen)]


class Cpu:
    """What the processes of a daemon, this client and all others took, in rounds that begin() and end() enclose."""

    def __init__(self, d):
        self.pids = {"client": os.getpid(), "master": d.process.pid,
                     **{name: d.children(name)[0] for name in ("gate", "reqlog", "worker")}}
        self.took = {name: [0, 0] for name in self.pids}
        self.ns, self.machine = 0, [0, 0]

    def begin(self):
        self.before, self.start = (cpu_times(self.pids), machine_times()), time.monotonic()

    def end(self):
        self.ns += (time.monotonic() - self.start) * 1e9
        of_processes, of_machine = self.before
        for name, now in cpu_times(self.pids).items():
            for i in range(2):
                self.took[name][i] += now[i] - of_processes[name][i]
        for i, now in enumerate(machine_times()):
            self.machine[i] += now - of_machine[i]

    def tell(self, n_tokens):
        all_ns = self.ns * THREADS
        others = self.machine[0] - sum(took[0] for took in self.took.values())
        outside = sum(self.took[name][0] for name in ("gate", "reqlog", "master"))
        print("CPU time a token: " + ", ".join(f"{name} {took[0] / n_tokens / 1000:.1f}" for name, took
                                              in self.took.items()) + " us")
        print(f"of all cores' time: gate, reqlog and master {outside / all_ns:.2%}, client "
              f"{self.took['client'][0] / all_ns:.2%}, worker {self.took['worker'][0] / all_ns:.2%}, "
              f"other processes {others / all_ns:.1%}, stolen {self.machine[1] / all_ns:.1%}; the worker's threads "
              f"stood ready without a core for {self.took['worker'][1] / all_ns:.2%}")


def offline():
    got = subprocess.run([CTL, "bench", model, "--json", "--threads", str(THREADS), "--prompt", "16", "--generate",
                          str(N_TOKENS // 2), "--context", str(N_TOKENS // 4), "--batch", str(N_STREAMS), "--runs", "1"],
                         capture_output=True, text=True, env=ENV)
    if got.returncode != 0:
        raise RuntimeError(got.stderr)
    return json.loads(got.stdout)["tg_batch"][str(N_STREAMS)]


def first_tokens(d):
    """(median of a client's wait, median of the worker's own part), in ms"""
    waits = []
    for i in range(N_FIRST):
        c, = together(d.port, [{"prompt": "Once", "max_tokens": 1, "temperature": 0}])
        waits.append((c.seen[0] - c.start) * 1000)
    wait_until(lambda: d.sql("SELECT count(*) AS n FROM requests")[0]["n"] == N_FIRST)
    rows = d.sql("SELECT queue_ms, prefill_ms, ttft_ms FROM requests")
    return [statistics.median(v) for v in (waits, [r["ttft_ms"] for r in rows], [r["prefill_ms"] for r in rows])]


d = daemon(model)
over_http(d)
cpu = Cpu(d)
alone, served = [offline()], []
for _ in range(ROUNDS):
    cpu.begin()
    served.append(over_http(d))
    cpu.end()
    alone.append(offline())
    print(f"# offline {alone[-2]:.1f}, over HTTP {served[-1][0]:.1f} ({served[-1][1]:.1f} by the median step), "
          f"offline {alone[-1]:.1f} tokens/s", flush=True)
level = d.json("show", "workers")[0]["cpu_level"]
d.stop()
for i, how in enumerate(("mean", "median step")):
    ratios = [2 * s[i] / (a + b) for s, a, b in zip(served, alone, alone[1:])]
    print(f"{N_STREAMS} streams: offline {statistics.median(alone):.1f} tokens/s, over HTTP "
          f"{statistics.median(s[i] for s in served):.1f}, ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to "
          f"{max(ratios):.3f}), by the {how}; {level}")
cpu.tell(ROUNDS * N_STREAMS * N_TOKENS)
if small:
    d = daemon(small)
    client, gate, worker = first_tokens(d)
    print(f"first token of a small model: client {client:.3f} ms with the connection, from arrival to departure "
          f"{gate:.3f} ms, of these the worker {worker:.3f} ms")
    d.stop()

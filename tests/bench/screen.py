#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the screen costs and how fast it answers keys:

    tests/bench/screen.py PREFIX [ROWS [KEYS]]

PREFIX is an installed tree.  A daemon of this script's sends snapshots each second and ROWS (10000) finished requests;
the screen runs at 132x43 on a pseudo-terminal.  Told are the milliseconds from a key to the first and to the last byte
of its repaint (median, 95th percentile, largest) on the list of requests, the memory, the CPU time and bytes of an idle
second.  Figures only; nothing passes or fails.
"""
import fcntl
import json
import os
import pty
import select
import signal
import socket
import statistics
import struct
import sys
import tempfile
import termios
import threading
import time

prefix = os.path.abspath(sys.argv[1])
n_rows = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
n_keys = int(sys.argv[3]) if len(sys.argv) > 3 else 200
folder = tempfile.mkdtemp(prefix="bm-screen-")
path = os.path.join(folder, "admin.sock")
NOW = int(time.time() * 1000)


def snapshot(seq):
    return {"seq": seq, "at": NOW + seq * 1000, "status": {"state": "ready", "version": "0", "uptime_s": seq + 60},
            "models": [{"name": f"model-{i}", "state": "ready", "variant": "base", "workers": 4} for i in range(8)],
            "variants": [], "workers": [{"id": i, "pid": 1000 + i, "model": f"model-{i % 8}", "state": "ready"}
                                        for i in range(32)],
            "requests": [{"id": f"live-{seq}-{i}", "model": f"model-{i % 8}", "state": "running"} for i in range(64)],
            "processes": [], "events": [], "history": []}


def row(i):
    at = NOW - (n_rows - i) * 100
    return {"id": f"{i:08x}-0000-7000-8000-{i:012x}", "started_at": at, "finished_at": at + 300 + i % 3000,
            "tenant": f"tenant-{i % 17}", "client": f"10.0.0.{i % 200}:{i % 50000}", "protocol": "http",
            "endpoint": "/v1/completions", "model": f"model-{i % 8}", "variant": "base", "worker": i % 32,
            "status": "ok" if i % 11 else "cancelled", "finish": "length", "prompt_tokens": i % 900,
            "completion_tokens": i % 300, "cached_tokens": i % 7, "queue_ms": i % 40 + .25, "prefill_ms": i % 70 + .5,
            "decode_ms": i % 2000 + .5, "ttft_ms": 20 + i % 200 + .125, "params": '{"seed":1,"max_tokens":300}',
            "prompt": f"request {i} asks for something " + "x" * 200, "output": "and gets it " + "y" * 200}


def serve(c):
    words = c.makefile("rb").readline().split()
    try:
        if words[0] == b"watch":
            for seq in range(10 ** 6):
                c.sendall(json.dumps(snapshot(seq)).encode() + b"\n")
                time.sleep(1)
        elif words[0] == b"log":
            for i in range(n_rows):
                c.sendall(json.dumps(row(i)).encode() + b"\n")
            time.sleep(10 ** 6)
        else:
            c.sendall(b"ok\n")
            c.close()
    except OSError:
        pass


def accept(s):
    while True:
        threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()


def drain(fd, quiet):
    """Bytes until none come for so long; when the first and the last came."""
    n, first, last = 0, None, None
    while select.select([fd], [], [], quiet)[0]:
        n += len(os.read(fd, 1 << 20))
        last = time.monotonic()
        first = first or last
    return n, first, last


def rss_mb(pid):
    with open(f"/proc/{pid}/status") as f:
        return [int(x.split()[1]) / 1024 for x in f if x.startswith("VmRSS")][0]


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def told(name, v):
    v = sorted(v) or [0]
    print(f"{name:<28}{statistics.median(v):8.2f}{v[int(len(v) * .95)]:8.2f}{v[-1]:8.2f}  ms, of {len(v)} keys", flush=True)


server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(20)
threading.Thread(target=accept, args=(server,), daemon=True).start()
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(TERM="xterm-256color", LC_ALL="C.UTF-8", HOME=folder, XDG_STATE_HOME=folder)
    time.sleep(0.2)
    os.execv(f"{prefix}/bin/bigmodelctl", ["bigmodelctl", "-s", path])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 43, 132, 0, 0))
drain(fd, 0.7)
os.write(fd, b"4")
while drain(fd, 0.5)[0] > 3000:     # until all rows came
    pass
time.sleep(2)
drain(fd, 0.3)
for name, keys in (("move (k)", [b"k"]), ("page (^F ^B)", [b"\x06", b"\x02"]), ("end and begin (G g)", [b"G", b"g"]),
                   ("sort (> <)", [b">", b"<"]), ("reverse (r)", [b"r"]), ("tag (Space)", [b" "]),
                   ("filter (/ten..)", [b"/", b"t", b"e", b"n", b"\x1b"]), ("screens (1 4)", [b"1", b"4"])):
    firsts, lasts = [], []
    for i in range(n_keys):
        start = time.monotonic()
        os.write(fd, keys[i % len(keys)])
        n, first, last = drain(fd, 0.06)
        if first:
            firsts.append((first - start) * 1000)
            lasts.append((last - start) * 1000)
    told(f"{name}: first byte", firsts)
    told(f"{name}: last byte", lasts)
before, start = cpu_s(pid), time.monotonic()
n = 0
while time.monotonic() - start < 5:
    if select.select([fd], [], [], 0.2)[0]:
        n += len(os.read(fd, 1 << 20))
print(f"{'memory':<28}{rss_mb(pid):8.1f}  MiB with {n_rows} rows")
print(f"{'idle':<28}{(cpu_s(pid) - before) / 5 * 100:8.2f}  % of a core, {n / 5:.0f} bytes a second")
os.kill(pid, signal.SIGTERM)

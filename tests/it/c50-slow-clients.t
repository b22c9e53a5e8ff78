#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients that stop reading, and two thousand that say nothing, hurt nobody else."""
import resource
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
d = Daemon('listen { http = "127.0.0.1:0" }\nlimits { output_backlog = "16k" stall = "2s" }\n'
           'model tale { path = "%s" parallel = 32 }' % TALE)
want = in_threads(16, lambda i: d.stream_text(f"The {i}", max_tokens=60, seed=i, ignore_eos=True))


def stuck(raw):
    """A connection with tiny buffers that asks for a lot and reads nothing."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    s.connect(("127.0.0.1", d.port))
    s.sendall(raw)
    return s


body = json.dumps({"prompt": "Once", "max_tokens": 500, "ignore_eos": True, "stream": True, "logprobs": 5, "n": 8}).encode()
http = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
line = b"".join(b'{"op":"generate","id":"%d","prompt":"Once","max_tokens":500,"ignore_eos":true,"stream":true,'
                b'"logprobs":5}\n' % i for i in range(8))
stuck_ones = [stuck(http), stuck(http), stuck(line), stuck(line)]
got = in_threads(16, lambda i: d.stream_text(f"The {i}", max_tokens=60, seed=i, ignore_eos=True))
t.equal(got, want, "sixteen others stream the same texts beside four that do not read")
t.ok(wait_until(lambda: d.json("show", "requests") == []), "what nobody reads is ended", d.json("show", "requests"))
rows = lambda: d.sql("SELECT count(*) AS n FROM requests")[0]["n"]
t.ok(wait_until(lambda: rows() == 32 + 2 * 8 + 2 * 8), "each of them has its row", rows())
for s in stuck_ones:
    s.close()

rss = lambda: sum(int(open(f"/proc/{p}/statm").read().split()[1]) * 4096 for p in d.children("gate"))
before = rss()
idle = []
for i in range(2000):
    if i % 2:
        s = socket.create_connection(("127.0.0.1", d.port))
    else:
        s = socket.socket(socket.AF_UNIX)
        s.connect(d.client_socket())
    idle.append(s)
t.ok(wait_until(lambda: d.status()["connections"] >= 2000), "2,000 idle connections", d.status()["connections"])
got = in_threads(16, lambda i: d.stream_text(f"The {i}", max_tokens=60, seed=i, ignore_eos=True))
t.equal(got, want, "sixteen others stream the same texts")
grown = rss() - before
t.ok(SANITIZED or grown < 24 << 20, f"the gate grew by {grown >> 10} KiB for them")
for s in idle[::100]:
    s.sendall(b"ping\n")
    if not t.ok(s.recv(100).startswith(b"pong"), "an idle one is answered when it speaks"):
        break
for s in idle:
    s.close()
t.ok(wait_until(lambda: d.status()["connections"] < 50), "and they are forgotten", d.status()["connections"])
d.stop(t)
t.done()

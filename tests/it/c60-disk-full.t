#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The log's disk is full: serving goes on, the operator sees it, the rows arrive once there is room."""
import resource
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
where = tempfile.mkdtemp(prefix="bm-disk-")
mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", where], capture_output=True).returncode == 0
d = Daemon('listen { http = "127.0.0.1:0" }\nlog { database = "%s/requests.db" }' % where)


def fill():
    """A file system without room where we may mount one; else a limit on the size of files."""
    if mounted:
        with open(f"{where}/filler", "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 4096):
                    pass
            except OSError:
                pass
    else:
        for pid in d.children("reqlog"):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))


def empty():
    if mounted:
        os.unlink(f"{where}/filler")
    else:
        for pid in d.children("reqlog"):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def ask(i):
    events = d.stream("/v1/completions", {"prompt": f"The {i} " * 50, "max_tokens": 8})
    return events[0]["id"].removeprefix("cmpl-")


ids = [ask(0)]
t.ok(wait_until(lambda: len(d.sql("SELECT id FROM requests")) == 1), "a row while there is room")
fill()
for round in range(6):
    ids += in_threads(16, ask)
t.ok(all(isinstance(x, str) for x in ids), "serving goes on", ids)
t.ok(wait_until(lambda: d.status()["log"]["state"] != "ok"), "show status says so", d.status()["log"])
t.ok(d.status()["log"]["pending_rows"] > 0 and d.status()["log"]["message"], "with its reason and what waits",
     d.status()["log"])
t.ok("bigmodel_log_ok 0" in d.request("GET", "/metrics")[2], "and so do the metrics")
empty()
t.ok(wait_until(lambda: d.status()["log"]["state"] == "ok"), "once there is room it recovers", d.status()["log"])
rows = lambda: sorted(r["id"] for r in d.sql("SELECT id FROM requests"))
t.ok(wait_until(lambda: len(rows()) >= len(ids)), "the rows arrive")
t.equal(rows(), sorted(ids), "all of them, each once")
d.stop(t)
if mounted:
    subprocess.run(["umount", where])
shutil.rmtree(where, ignore_errors=True)
t.done()

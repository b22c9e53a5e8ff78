#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real clients: curl, and the official openai package for Node."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
d = Daemon()
url = f"http://127.0.0.1:{d.port}"


def curl(*args):
    return subprocess.run(["curl", "-sS", "-N", *args], capture_output=True, text=True, timeout=PATIENCE)


body = '{"prompt":"Once upon a time","max_tokens":8,"temperature":0%s}'
got = curl(f"{url}/v1/completions", "-d", body % "")
t.ok(json.loads(got.stdout)["choices"][0]["text"].startswith(", there"), "curl, whole", got)
got = curl(f"{url}/v1/completions", "-d", body % ',"stream":true')
events = [line for line in got.stdout.splitlines() if line]
t.ok(len(events) > 3 and all(e.startswith("data: ") for e in events) and events[-1] == "data: [DONE]",
     "curl, streamed", got.stdout)
got = curl("-i", f"{url}/livez", f"{url}/livez")
t.ok(got.stdout.count("HTTP/1.1 200") == 2 and got.stdout.lower().count("x-request-id:") == 2,
     "curl, two on one connection", got.stdout)
got = curl("-H", "Expect: 100-continue", f"{url}/v1/completions", "-d", body % "")
t.ok('"text"' in got.stdout, "curl, Expect: 100-continue", got)
got = curl("-H", "Transfer-Encoding: chunked", f"{url}/v1/completions", "-d", body % "")
t.ok('"text"' in got.stdout, "curl, a chunked body", got)
# A client that goes away: its requests end as cancelled soon after.  There are 16, so that a busy machine does not
# finish them all before curl is gone.
slow = json.dumps({"prompt": "Once", "max_tokens": 480, "ignore_eos": True, "stream": True, "n": 16})
p = subprocess.Popen(["curl", "-sS", "-N", f"{url}/v1/completions", "-d", slow], stdout=subprocess.PIPE)
p.stdout.read(10)
p.kill()
t.ok(wait_until(lambda: d.json("show", "requests") == []), "a client that goes away leaves nothing running")
gone = lambda: d.sql("SELECT status, completion_tokens FROM requests WHERE status <> 'ok'")
t.ok(wait_until(gone) and {r["status"] for r in gone()} == {"cancelled"}, "and rows that say so", gone())

# The client is fetched, not shipped; $BM_OPENAI may name a folder that has it.
home = os.environ.get("BM_OPENAI") or os.path.join(os.environ["top_builddir"], "openai-client")
if not os.path.isdir(os.path.join(home, "node_modules", "openai")) and shutil.which("npm"):
    os.makedirs(home, exist_ok=True)
    subprocess.run(["npm", "install", "--prefix", home, "--no-package-lock", "--no-audit", "--no-fund", "openai@6.49.0"],
                   capture_output=True, timeout=PATIENCE * 2)
if not os.path.isdir(os.path.join(home, "node_modules", "openai")):
    t.skip("the openai package", "it can't be installed here (npm)")
else:
    script = os.path.join(home, "openai.mjs")
    shutil.copy(os.path.join(os.environ["top_srcdir"], "tests/it/openai.mjs"), script)
    got = subprocess.run(["node", script, url], capture_output=True, text=True, timeout=PATIENCE * 2)
    n = 0
    for line in got.stdout.splitlines():
        if line.startswith(("ok ", "not ok ")):
            n += 1
            t.ok(line.startswith("ok "), line.split(" - ", 1)[1], got.stdout)
    t.ok(got.returncode == 0 and n >= 10, "openai: the script came to its end", got.stdout + got.stderr)
d.stop(t)
t.done()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Any bytes on any socket get a clear error or a closed connection; nothing else suffers."""
import random
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
d = Daemon('listen { http = "127.0.0.1:0" }\nlimits { line_bytes = "64k" }\nlog { sql_timeout = "2s" }')
gate = d.children("gate")
random.seed(1)


def talk(data, unix=True, shut=True):
    s = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    s.settimeout(PATIENCE)
    s.connect(d.client_socket() if unix else ("127.0.0.1", d.port))
    got = b""
    try:
        s.sendall(data)
        if shut:
            s.shutdown(socket.SHUT_WR)
        while chunk := s.recv(65536):
            got += chunk
    except OSError:
        pass
    s.close()
    return got


lines = [b"\x00\x01\x02\n", b"generate\x00\n", b"generate prompt=\xff\xfe\n", b'{"op":"generate","prompt":"\xff"}\n',
         b'{"op":"generate","prompt":"\\u0000"}\n', b"{" * 5000 + b"\n", b"[" * 60000 + b"\n", b"\n\n\n", b"generate =x\n",
         b'generate prompt="a" prompt="b" max_tokens=1e999\n', b'generate prompt="a" max_tokens=-99999999999999999999\n',
         b'generate prompt="a" temperature=nan\n', b'generate prompt="a" logit_bias={"99999999":1}\n',
         b'generate prompt="a" stop=[1,2]\n', b'generate prompt={"a":1}\n', b'detokenize tokens=[-1]\n',
         b'detokenize tokens=[4294967296,1.5]\n', b'chat messages=[]\n', b'chat messages=[{"role":1}]\n',
         b'{"op":1}\n', b"{}\n", b'{"op":"cancel"}\n', b"infer model=tale\n", b"embed input=x\n", b'generate id={"a":1} prompt="a"\n']
for line in lines:
    got = talk(line)
    t.ok(got == b"" and not line.strip() or b"error" in got and b"message" in got or b"pong" in got,
         f"line {line[:40]!r}", got[:300])
got = talk(b'generate prompt="' + b"a" * 100000 + b'"\n')
t.ok(b"error" in got and b"bad_request" in got, "a line beyond the limit", got[:200])
talk(b'generate prompt="' + b"a" * 1000, shut=True)
for i in range(400):
    n = random.randrange(1, 2000)
    data = random.randbytes(n) if i % 2 else bytes(random.choice(b'generate chat id= "{}[]:,\\u\n\r\x00\xffprompt') for _ in range(n))
    talk(data + b"\n", unix=i % 4 < 2)
t.equal(d.children("gate"), gate, "400 random texts: the gate is the same process")

for raw in (b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/completions HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
            b"POST /v1/completions HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
            b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"):
    got = talk(raw, unix=False)
    t.ok(got == b"" or got.startswith(b"HTTP/1."), f"HTTP {raw[:50]!r}", got[:200])
s = socket.create_connection(("127.0.0.1", d.port))
s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
s.close()
t.ok(wait_until(lambda: d.status()["connections"] <= 1), "a body that breaks off leaves no connection")
big = json.dumps({"prompt": "a" * 100000})
t.equal(d.request("POST", "/v1/completions", big)[0], 413, "a body beyond the limit: 413")
for body in ("", "[]", "null", '"x"', "{", '{"prompt":', '{"prompt":"\\ud800"}', '{"prompt":"a\\u0000b"}', '{"prompt":{}}',
             '{"prompt":["a",1]}', '{"prompt":[1.5]}', '{"prompt":[99999999]}', '{"prompt":"a","n":0}',
             '{"prompt":"a","n":100000}', '{"prompt":"a","stop":[[]]}', '{"prompt":"a","stop":""}',
             '{"prompt":"a","max_tokens":"many"}', '{"prompt":"a","logit_bias":{"x":1}}',
             '{"prompt":"a","logprobs":100000}', "[" * 50000, '{"prompt":"a","stream":"perhaps"}',
             '{"prompt":"a","prompt":"b","temperature":1e400}'):
    status, _, value = d.request("POST", "/v1/completions", body)
    t.ok(400 <= status < 500 and isinstance(value, dict) and value["error"]["message"],
         f"body {body[:40]!r}", f"{status} {value}")
for body in ('{"messages":1}', '{"messages":[]}', '{"messages":[1]}', '{"messages":[{"role":"user"}]}',
             '{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}',
             '{"messages":[{"role":"user","content":"a"}],"tools":[{}]}',
             '{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_object"}}'):
    status, _, value = d.request("POST", "/v1/chat/completions", body)
    t.ok(status in (400, 501) and value["error"]["message"], f"chat {body[:60]!r}", f"{status} {value}")

admin = os.path.join(d.state, "admin.sock")
for line in (b"\x00\n", b"show \xff\n", b"log --limit many\n", b"log --explode\n", b'sql "\n', b'sql "ATTACH \'/etc/passwd\' AS x"\n',
             b'sql "PRAGMA writable_schema=1"\n', b'sql "SELECT load_extension(\'x\')"\n', b'sql "SELECT 1; SELECT 2"\n',
             b'sql "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM c"\n' if not SANITIZED
             else b'sql "SELECT"\n', b"workers tale -5\n", b"workers tale 99999999\n", b"load a/b /x\n", b"load x /dev/zero\n",
             b"a " * 40000 + b"\n"):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(PATIENCE)
    s.connect(admin)
    s.sendall(line)
    got = s.makefile("rb").readline()
    t.ok(got.startswith(b"error code=") and b"message=" in got, f"admin {line[:50]!r}", got[:300])
    s.close()
t.equal(d.children("gate"), gate, "the gate is still the same process")
t.ok(d.complete("Once upon a time", max_tokens=4)["choices"], "and answers")
d.stop(t)
t.done()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The line protocol as somebody with nc speaks it."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
d = Daemon('listen { http = "127.0.0.1:0" line = "127.0.0.1:0" }')


def nc(text):
    """What nc -U gets for these lines; nc closes its sending side after them."""
    got = subprocess.run(["nc", "-N", "-U", d.client_socket()], input=text, text=True, capture_output=True,
                         timeout=PATIENCE)
    return got.stdout.splitlines()


lines = nc('generate model=tale max_tokens=6 temperature=0 stream=yes id=a prompt="Once upon a time"\n')
t.ok(lines[-1].startswith("done id=a finish=length prompt_tokens=") and "completion_tokens=6" in lines[-1] and
     "queue_ms=" in lines[-1] and "prefill_ms=" in lines[-1] and "decode_ms=" in lines[-1], "a streamed answer",
     "\n".join(lines))
text = "".join(json.loads(line.split("text=", 1)[1]) for line in lines if line.startswith("token id=a "))
t.ok(text.startswith(", there was"), "its text", text)
lines = nc('generate max_tokens=6 temperature=0 prompt="Once upon a time"\r\n')
t.ok(len(lines) == 1 and lines[0].startswith("done id=1 ") and "text=" + json.dumps(text) in lines[0],
     "without stream: one line, id 1, CR LF accepted", "\n".join(lines))
lines = nc("\n".join(f'generate id=r{i} max_tokens={i + 1} prompt="The"' for i in range(8)) + "\n")
t.equal(sorted(line.split()[1] for line in lines if line.startswith("done ")), [f"id=r{i}" for i in range(8)],
        "eight in flight on one connection")
lines = nc('chat id=c temperature=0 max_tokens=6 messages=[{"role":"user","content":"Once upon a time"}]\n')
t.ok(lines[0].startswith("done id=c ") and json.dumps(text) in lines[0], "chat", "\n".join(lines))
lines = nc('tokenize id=e text="Once upon"\n')
t.ok("tokens=[" in lines[0], "tokenize", lines)
tokens = lines[0].split("tokens=", 1)[1]
t.ok('Once upon' in nc(f"detokenize id=f tokens={tokens}\n")[0], "detokenize")
t.ok(nc("ping\n")[0].startswith("pong"), "ping")
t.ok(any("tale" in line for line in nc("models\n")), "models")
t.equal(nc("quit\nping\n"), [], "quit")

c = Line(d)
c.send(op="generate", id="x", prompt="Once", max_tokens=400, ignore_eos=True, stream=True)
first = c.read()
while first["event"] != "token":
    first = c.read()
c.send(op="cancel", id="x")
end = c.until_done("x")[-1]
t.ok(end["event"] == "error" and end["code"] == "cancelled", "cancel ends a request with an error line", end)
c.send(op="generate", id=7, prompt="Once", max_tokens=2)
t.equal(c.until_done(7)[-1]["event"], "done", "the connection goes on")
c.close()

for name, line, word in (("an unknown verb", "explode now", "bad_request"),
                         ("an unknown model", 'generate model=x prompt="a"', "unknown_model"),
                         ("a value that does not end", 'generate prompt="abc', "bad_request"),
                         ("no prompt", "generate max_tokens=3", "bad_request"),
                         ("JSON that does not end", '{"op":"generate"', "bad_request"),
                         ("a prompt beyond the context", "generate prompt=" + json.dumps("word " * 3000), "too_long"),
                         ("an unknown id", "cancel id=nobody", "bad_request")):
    lines = nc(line + "\n")
    t.ok(lines and "error" in lines[0] and f"{word}" in lines[0] and "message" in lines[0], name, lines)

# HTTP on the Unix socket, lines on the HTTP port: the first bytes decide.
got = subprocess.run(["curl", "-s", "--unix-socket", d.client_socket(), "http://x/livez"], capture_output=True)
t.equal(got.returncode, 0, "HTTP on client.sock")
s = socket.create_connection(("127.0.0.1", d.port))
s.sendall(b"ping\n")
t.ok(s.recv(100).startswith(b"pong"), "lines on the HTTP port")
s.close()
d.stop(t)
t.done()

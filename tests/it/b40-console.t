#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bigmodelctl: exit statuses, offline commands, models that come and go."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()


def ctl(*args, stdin=None, env=None):
    return subprocess.run([CTL, *args], input=stdin, capture_output=True, text=True, env={**ENV, **(env or {})},
                          timeout=PATIENCE)


# Without a daemon
for name, args, code in (("no daemon", ("--state-dir", "/nonexistent", "show", "status"), 3),
                         ("an unknown command", ("explode",), 2), ("too few words", ("load", "x"), 2),
                         ("an unknown option", ("--explode",), 2), ("a file that is not there", ("inspect", "/nowhere"), 1),
                         ("a file of another kind", ("inspect", "/bin/sh"), 1),
                         ("wait for nobody", ("--state-dir", "/nonexistent", "wait", "ready", "--timeout", "1"), 4)):
    got = ctl(*args)
    t.ok(got.returncode == code and got.stderr.startswith("bigmodelctl: "), f"{name}: exit {code}",
         f"{got.returncode} {got.stderr}{got.stdout}")
got = ctl("--help")
t.ok(got.returncode == 0 and "show status" in got.stdout and "tokenize" in got.stdout, "--help", got.stdout)
t.equal(ctl("--version").returncode, 0, "--version")
info = json.loads(ctl("--json", "inspect", TALE).stdout)
t.ok(info["architecture"] == "llama" and info["file_bytes"] == 7397056 and len(info["tensors"]) == 38 and
     info["memory"]["total_bytes"] > 7e6, "inspect --json", {k: v for k, v in info.items() if k != "metadata"})
t.ok("llama" in ctl("inspect", TALE).stdout, "inspect")
text = "Once upon a time\n  there was — ein Mädchen.\n"
tokens = ctl("tokenize", TALE, stdin=text).stdout
t.ok(tokens.startswith("[") and tokens.count("\n") == 1, "tokenize", tokens)
t.equal(ctl("detokenize", TALE, stdin=tokens).stdout, text, "detokenize gives the text back")
t.ok(json.loads(ctl("tokenize", TALE, "--add-special", stdin=text).stdout) == [1] + json.loads(tokens),
     "tokenize --add-special")
lines = ctl("tokenize", TALE, "--jsonl", stdin='{"text":"a"}\n{"text":"<s>","parse_special":true}\n').stdout
t.equal([json.loads(x) for x in lines.splitlines()][1], [1], "tokenize --jsonl --parse-special")
t.equal(json.loads(ctl("detokenize", TALE, "--jsonl", stdin=tokens).stdout), text, "detokenize --jsonl")
t.equal(ctl("detokenize", TALE, stdin="[99999]").returncode, 1, "a token beyond the vocabulary")
out = os.path.join(tempfile.mkdtemp(), "x.f32")
ids = "1,403,407,261,378"
got = ctl("--json", "logits", TALE, "--tokens", ids, "--out", out)
t.ok(got.returncode == 0 and os.path.getsize(out) == 5 * 2048 * 4, "logits", got.stderr)
whole = open(out, "rb").read()
ctl("logits", TALE, "--tokens", ids, "--out", out, "--chunk", "2")
t.ok(open(out, "rb").read() == whole, "logits in chunks are the same bytes")
ctl("logits", TALE, "--tokens", ids, "--out", out, env={"BIGMODEL_CPU": "ref"})
t.ok(len(open(out, "rb").read()) == len(whole), "logits of the reference level")
ctl("logits", TALE, "--tokens", ids, "--out", out, "--embedding")
t.equal(os.path.getsize(out), 256 * 4, "logits --embedding: one vector")
t.equal(ctl("logits", TALE, "--tokens", "1,5000", "--out", out).returncode, 1, "logits of no such token")
shutil.rmtree(os.path.dirname(out))

# With one
d = Daemon('listen { http = "127.0.0.1:0" }\nmodel tale { path = "%s" }' % TALE)
second = shared("golden", "stories260K.gguf") or TALE
got = d.ctl("load", "second", second)
t.equal(got.returncode, 0, "load")
t.equal([m["name"] for m in d.json("show", "models")], ["tale", "second"], "both are shown")
t.ok(d.complete("Once upon a time", model="second", max_tokens=5)["model"] == "second", "and the new one answers")
t.equal(d.ctl("load", "second", second).returncode, 1, "load refuses a name that is taken")
broken = os.path.join(d.dir, "broken.gguf")
with open(TALE, "rb") as f, open(broken, "wb") as g:
    g.write(f.read(500000))
got = d.ctl("load", "third", broken)
t.ok(got.returncode == 1 and ("tensor" in got.stderr or "offset" in got.stderr), "load says what a broken file lacks",
     got.stderr)
t.ok(d.complete("Once", max_tokens=2)["choices"], "and the others go on")
t.equal(d.ctl("workers", "tale", "3").returncode, 0, "workers tale 3")
t.ok(wait_until(lambda: len([w for w in d.json("show", "workers") if w["model"] == "tale" and
                             w["state"] == "ready"]) == 3), "three are ready", d.json("show", "workers"))
t.equal(d.ctl("workers", "tale", "1").returncode, 0, "workers tale 1")
t.ok(wait_until(lambda: len([w for w in d.json("show", "workers") if w["model"] == "tale"]) == 1), "one is left")
t.equal(d.ctl("workers", "nobody", "1").returncode, 1, "workers of no such model")
t.equal(d.ctl("unload", "second").returncode, 0, "unload")
t.equal([m["name"] for m in d.json("show", "models")], ["tale"], "it is gone")
t.equal(d.request("POST", "/v1/completions", {"model": "second", "prompt": "a"})[0], 404, "and refused")
os.kill(d.children("worker")[0], signal.SIGSTOP)  # so that it runs for as long as we look
c = Line(d)
c.send(op="generate", id="x", prompt="Once", max_tokens=450, ignore_eos=True, stream=True)
t.ok(wait_until(lambda: any(r["state"] == "running" for r in d.json("show", "requests"))), "show requests")
live = d.json("show", "requests")
t.equal(d.ctl("cancel", live[0]["id"]).returncode, 0, "cancel ID")
t.equal(c.until_done("x")[-1]["code"], "cancelled", "its client is told")
os.kill(d.children("worker")[0], signal.SIGCONT)
t.equal(d.ctl("cancel", "0192f0c4-0000-7000-8000-000000000000").returncode, 1, "cancel of nobody")
c.close()
events = lambda: d.json("show", "events")
t.ok(wait_until(lambda: {"load", "unload", "workers", "cancel"} <= {e["kind"] for e in events()}) and
     any(e["uid"] == os.getuid() for e in events()), "show events: who did what", events())
got = subprocess.run(["nc", "-N", "-U", os.path.join(d.state, "admin.sock")], input="show models\nnonsense\n", text=True,
                     capture_output=True)
lines = got.stdout.splitlines()
t.ok(json.loads(lines[0])["name"] == "tale" and lines[1] == "ok" and lines[2].startswith("error code=usage message="),
     "nc -U admin.sock", got.stdout)
got = subprocess.run([CTL, "--state-dir", d.state, "stop"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                     env=ENV)
t.equal(got.returncode, 2, "stop without -y off a terminal asks for it")
for args in (("show", "status"), ("show", "models"), ("show", "workers"), ("log",), ("show", "events")):
    got = d.ctl(*args)
    t.ok(got.returncode == 0 and got.stdout and "\x1b" not in got.stdout, "text: " + " ".join(args), got.stdout)
t.equal(d.ctl("stop").returncode, 0, "stop")
t.equal(d.process.wait(PATIENCE), 0, "the daemon ends")
t.equal(d.ctl("show", "status").returncode, 3, "and is gone: exit 3")
d.stop()
t.done()

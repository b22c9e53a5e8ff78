#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bigmodeld itself: options, exit statuses, leaving the terminal, and models that change under streaming clients."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
top = tempfile.mkdtemp(prefix="bm-")


def path(name, data=None):
    p = os.path.join(top, name)
    if data is not None:
        with open(p, "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
    return p


def run(*args, env=None):
    return subprocess.run([DAEMON, *args], capture_output=True, text=True, env={**ENV, **(env or {})}, cwd=top,
                          timeout=PATIENCE)


with open(TALE, "rb") as f:
    whole = f.read()
cut = path("cut.gguf", whole[:200000])
good = path("good.gguf", whole)

# Options
conf = path("a.conf", "# c\n\nlog { level = loud }\n")
for name, args, code, words in (
        ("--help", ("--help",), 0, ["--state-dir"]), ("--version", ("-V",), 0, ["bigmodeld "]),
        ("an unknown option", ("--explode",), 2, ["usage:"]), ("an argument too many", ("x",), 2, ["usage:"]),
        ("--model without a path", ("--model", "x"), 2, ["NAME=PATH"]), ("a bad name", ("--model", "a b=x"), 2, ["name"]),
        ("a bad address", ("--check", "--http", "nonsense"), 2, ["nonsense"]),
        ("a file that is not there", ("--check", "-f", path("none.conf")), 2, ["none.conf"]),
        ("a bad file names the line", ("--check", "-f", conf), 2, ["a.conf:3: ", "loud"]),
        ("a model that is not there", ("--check", "--model", "m=none.gguf"), 2, ["model m", "none.gguf"]),
        ("a model of another kind", ("--check", "--model", "m=/bin/sh"), 2, ["GGUF"]),
        ("--check", ("--check", "--model", "m=good.gguf", "--http", "[::1]:80"), 0, ["ok"])):
    got = run(*args)
    t.ok(got.returncode == code and all(w in got.stdout + got.stderr for w in words), f"{name}: exit {code}",
         f"{got.returncode} {got.stderr}{got.stdout}")
other = os.path.join(top, "open")
os.mkdir(other)
os.chmod(other, 0o777)
got = run("-F", "--state-dir", other, "--http", "127.0.0.1:0")
t.ok(got.returncode == 1 and "others may write" in got.stderr, "a state directory anybody can write to", got.stderr)

# In the background: the parent ends with the outcome
state = os.path.join(top, "state")
got = run("--state-dir", state, "--http", "127.0.0.1:0", "--model", "m=" + cut)
t.ok(got.returncode == 1 and "token_embd.weight" in got.stderr, "in the background: a broken model is told, exit 1",
     got.stderr)
log = path("bm.log")
conf = path("b.conf", f'log {{ file = "{log}" }}\nmodel m {{ path = good.gguf }}\n')
got = run("-f", conf, "--state-dir", state, "--http", "127.0.0.1:0")
t.ok(got.returncode == 0 and got.stderr == "", "in the background: exit 0 once the model is ready", got.stderr)
pid = int(open(os.path.join(state, "master.lock")).read())
t.ok(os.getsid(pid) == pid and os.readlink(f"/proc/{pid}/fd/0") == "/dev/null", "it has left the terminal")
t.ok(" ready http=127.0.0.1:" in open(log).read(), "the log says where")
got = run("-F", "--state-dir", state, "--http", "127.0.0.1:0")
t.ok(got.returncode == 1 and f"pid {pid}" in got.stderr, "a second one on the same directory is refused", got.stderr)
mode = {s: oct(os.stat(os.path.join(state, s)).st_mode & 0o777) for s in ("client.sock", "admin.sock")}
t.equal(mode, {"client.sock": "0o666", "admin.sock": "0o600"}, "modes of the sockets")
ctl = [CTL, "--state-dir", state, "-y"]
t.equal(subprocess.run([*ctl, "stop", "--now"], env=ENV).returncode, 0, "stop --now")
t.ok(wait_until(lambda: not os.path.exists(f"/proc/{pid}")), "and it ends")
t.ok("stopped status=0" in open(log).read(), "cleanly", open(log).read()[-2000:])

# Models that change while clients stream
CLIENTS = 8
text = 'limits { queue = 100 }\nmodel tale { path = "%s" workers = %d context = %d }\n'
d = Daemon(text % (good, 1, 512))


def storm(during=None):
    """Eight streams; during() runs once every one of them has begun."""
    begun = set()
    results = []
    thread = threading.Thread(target=lambda: results.extend(in_threads(CLIENTS, lambda i: d.stream_text(
        f"The {i}", lambda e: begun.add(i), model="tale", max_tokens=150, seed=i, ignore_eos=True))))
    thread.start()
    wait_until(lambda: len(begun) == CLIENTS or not thread.is_alive())
    if during:
        during()
    thread.join()
    return results


def hup(conf):
    d.write_conf(conf)
    d.process.send_signal(signal.SIGHUP)


want = storm()
t.ok(all(isinstance(w, str) and w for w in want), "an undisturbed run", want)
codes = []
t.equal(storm(lambda: codes.append(d.ctl("workers", "tale", "3").returncode)), want, "more workers under load")
t.equal((codes, len(d.children("worker"))), ([0], 3), "three of them when the command returns")
t.equal(storm(lambda: codes.append(d.ctl("workers", "tale", "1").returncode)), want, "fewer workers under load")
t.equal((codes[1:], len(d.children("worker"))), ([0], 1), "one of them when the command returns")
before = d.children("worker")
t.equal(storm(lambda: hup(text % (good, 1, 500))), want, "another context under load")
t.ok(wait_until(lambda: len(d.children("worker")) == 1 and d.children("worker") != before), "a new worker took over")
before = d.children("worker")
t.equal(storm(lambda: hup(text % (cut, 1, 500))), want, "a broken file under load")
t.ok(wait_until(lambda: "can't load model tale" in d.log()), "it was tried and refused")
t.ok(wait_until(lambda: d.children("worker") == before), "only the worker of the old one is left")
t.equal((d.json("show", "models")[0]["state"], d.complete("a", model="tale", max_tokens=1)["model"]),
        ("ready", "tale"), "which goes on serving")
t.equal(storm(lambda: hup(text % (good, 1, 500) + 'model two { path = "%s" }\n' % good)), want, "a second model appears")
t.ok(wait_until(lambda: [m["state"] for m in d.json("show", "models")] == ["ready"] * 2), "and gets ready")
t.equal(storm(lambda: codes.append(d.ctl("load", "bad", cut).returncode)), want, "a load that fails, under load")
t.equal((codes[2:], d.request("GET", "/readyz")[0]), ([1], 200), "is refused and leaves the daemon ready")
t.equal(storm(lambda: codes.append(d.ctl("unload", "tale").returncode)), want, "unload lets running requests finish")
t.equal((codes[3:], [m["name"] for m in d.json("show", "models")]), ([0], ["two"]), "and then the model is gone")
t.equal(d.ctl("unload", "tale").returncode, 1, "unload of what is not there")
t.equal(d.ctl("workers", "two", "65").returncode, 1, "too many workers")
was = d.port
taken = socket.socket()
taken.bind(("127.0.0.1", 0))
hup('listen { http = "127.0.0.1:%d" }\nmodel two { path = "%s" }\n' % (taken.getsockname()[1], good))
t.ok(wait_until(lambda: "reload refused" in d.log()) and d.request("GET", "/livez")[0] == 200,
     "an address that is taken: all stays as it was")
d.port = taken.getsockname()[1]
taken.close()
t.equal(d.ctl("reload").returncode, 0, "another address")
t.equal(d.request("GET", "/livez")[0], 200, "is answered")


def refused():
    try:
        socket.create_connection(("127.0.0.1", was), PATIENCE).close()
    except ConnectionRefusedError:
        return True


t.ok(wait_until(refused), "and the old one is not any more")
kinds = {e["kind"] for e in d.json("show", "events")}
t.ok({"started", "reloaded", "load_failed"} <= kinds, "events tell of it", kinds)
d.stop(t)
shutil.rmtree(top)
t.done()

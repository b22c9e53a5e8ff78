#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sockets that the service manager opened: by name, by kind, and those that are of no use."""
import os
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
# Places the descriptors from 3 on and becomes the daemon, as a service manager does.
LAUNCH = """
import fcntl, os, sys
fds = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 50) for fd in sys.argv[1].split(",")]
for i, fd in enumerate(fds):
    os.dup2(fd, 3 + i)
os.environ.update(LISTEN_PID=sys.argv[3] or str(os.getpid()), LISTEN_FDS=str(len(fds)))
if sys.argv[2]:
    os.environ["LISTEN_FDNAMES"] = sys.argv[2]
os.execv(sys.argv[4], sys.argv[4:])
"""


def tcp(listens=True):
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    if listens:
        s.listen(100)
    return s


def unix(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen(100)
    return s


def start(d, sockets, names="", pid="", wait=True):
    d.process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, ",".join(str(s.fileno()) for s in sockets), names, pid, DAEMON, "-F", "-f", d.conf_path,
         "--state-dir", d.state], stdin=subprocess.DEVNULL, stdout=open(d.log_path, "ab"), stderr=subprocess.STDOUT, env=ENV,
        start_new_session=True, pass_fds=[s.fileno() for s in sockets])
    atexit.register(d.kill)
    if not wait:
        return d.process.wait(PATIENCE)
    got = subprocess.run([CTL, "-s", d.admin, "wait", "ready"], env=ENV, capture_output=True, text=True)
    t.equal(got.returncode, 0, "ready " + got.stderr)


def new(listen='http = "127.0.0.1:1"'):
    d = Daemon('listen { %s }\nmodel tale { path = "%s" threads = 1 }\n' % (listen, TALE), start=False)
    d.admin = os.path.join(d.state, "admin.sock")
    return d


def ask(port):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    c.request("GET", "/readyz")
    status = c.getresponse().status
    c.close()
    return status


# ---- by name: all four, in no order
d = new()
d.admin, client = os.path.join(d.dir, "a.sock"), os.path.join(d.dir, "c.sock")
four = [tcp(), unix(d.admin), tcp(), unix(client)]
ports = [s.getsockname()[1] for s in four[::2]]
early = socket.create_connection(("127.0.0.1", ports[1]))
early.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
start(d, four, "line:admin:http:client")
t.ok(b" 200 " in early.recv(100), "who was there before the daemon is answered")
t.equal([ask(p) for p in ports], [200, 200], "both TCP sockets answer")
status = json.loads(subprocess.run([CTL, "-s", d.admin, "--json", "show", "status"], env=ENV, capture_output=True).stdout)
t.equal(status["http"], f"127.0.0.1:{ports[1]}", "the named one is for HTTP")
d.client_socket = lambda: client
line = Line(d)
line.send(op="hello")
t.ok(isinstance(line.read(), dict), "the clients' socket")
line.close()
t.ok(not os.path.exists(os.path.join(d.state, "client.sock")), "none of our own beside them")
for pid in d.children("gate") + d.children("worker"):
    with open(f"/proc/{pid}/environ", "rb") as f:
        t.ok(b"LISTEN_FDS" not in f.read(), "no child takes them for its own")
d.write_conf('listen { http = "127.0.0.1:2" }\nmodel tale { path = "%s" threads = 1 }\n' % TALE)
d.process.send_signal(signal.SIGHUP)
t.ok(wait_until(lambda: "configuration reloaded" in d.log()), "a reload")
t.equal(ask(ports[1]), 200, "leaves them as they are")
gate = d.kill_child("gate")
t.ok(wait_until(lambda: ask(ports[1]) == 200), "another gate has them too")
t.equal(subprocess.run([CTL, "-s", d.admin, "-y", "stop"], env=ENV).returncode, 0, "stop returns though the sockets go on")
t.equal(d.process.wait(PATIENCE), 0, "a clean end")
t.ok(os.path.exists(client) and os.path.exists(d.admin), "their files are not ours to remove")
early = socket.create_connection(("127.0.0.1", ports[1]))
early.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
start(d, four, "line:admin:http:client")
t.ok(b" 200 " in early.recv(100), "nobody was refused meanwhile")
d.process.send_signal(signal.SIGTERM)
d.process.wait(PATIENCE)
d.stop()

# ---- by what they are
d = new('line = "127.0.0.1:0"')
one = tcp()
start(d, [one], "bigmodeld.socket")
t.equal(ask(one.getsockname()[1]), 200, "one TCP socket is for HTTP")
t.ok(os.path.exists(os.path.join(d.state, "client.sock")), "the rest is ours")
d.stop(t)
d = new("socket_mode = 0660")
os.mkdir(f"{d.dir}/run")
d.admin = f"{d.dir}/run/admin.sock"
start(d, [unix(f"{d.dir}/run/x.sock"), unix(d.admin), one], "")
d.client_socket = lambda: f"{d.dir}/run/x.sock"
t.equal((ask(one.getsockname()[1]), os.path.exists(os.path.join(d.state, "client.sock"))), (200, False), "without names")
d.stop(t)

# ---- of no use
d = new()
for sockets, names, words in (([tcp(False)], "http", "no stream socket"), ([socket.socket(type=socket.SOCK_DGRAM)], "", "no stream"),
                              ([one], "admin", "no Unix socket"), ([one, tcp()], "http:http", "second socket")):
    t.equal((start(d, sockets, names, wait=False), words in d.log()), (1, True), words)
d.write_conf('listen { http = "127.0.0.1:0" }\nmodel tale { path = "%s" threads = 1 }\n' % TALE)
start(d, [one], "http", "1")
d.port = int(d.status()["http"].rsplit(":", 1)[1])
t.ok(d.port != one.getsockname()[1], "those of another process are not taken")
d.stop(t)
t.done()

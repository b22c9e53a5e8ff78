# SPDX-License-Identifier: MIT
"""What the integration tests share: TAP, a private daemon, and clients.

A test is a script that makes a Tap, starts a Daemon in a directory of its own
with the installed tree under $BM_STAGE, and ends with tap.done().  Nothing here
measures time to pass or fail; waits are bounded only so that a hang ends.
"""
import atexit
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

STAGE = os.environ.get("BM_STAGE") or sys.exit("BM_STAGE is not set: use make check")
SHARED = os.environ.get("BM_SHARED", "")
SANITIZED = os.environ.get("BM_SANITIZED") == "1"
PATIENCE = int(os.environ.get("BM_PATIENCE", 240 if SANITIZED else 90))  # seconds
ENV = dict(os.environ,
           BIGMODEL_LIBEXECDIR=f"{STAGE}/libexec/bigmodel",
           BIGMODEL_DATADIR=f"{STAGE}/share/bigmodel")
CTL = f"{STAGE}/bin/bigmodelctl"
DAEMON = f"{STAGE}/sbin/bigmodeld"
TALE = f"{STAGE}/share/bigmodel/tale-3.7m-f16.gguf"

# Run in the background we may have been told to ignore ^C; what is started here is not.
signal.signal(signal.SIGINT, signal.default_int_handler)


def shared(*parts):
    """A file of the golden data, or None."""
    path = os.path.join(SHARED, *parts)
    return path if SHARED and os.path.exists(path) else None


class Tap:
    def __init__(self):
        self.n = self.failed = 0
        self.lock = threading.Lock()

    def ok(self, good, name, detail=""):
        with self.lock:
            self.n += 1
            if not good:
                self.failed += 1
            print(f"{'ok' if good else 'not ok'} {self.n} - {name}", flush=True)
            if not good and detail != "":
                for line in str(detail).splitlines()[:40]:
                    print(f"#   {line}", flush=True)
        return good

    def equal(self, got, want, name):
        return self.ok(got == want, name, f"got:  {got!r}\nwant: {want!r}")

    def skip(self, name, why):
        self.n += 1
        print(f"ok {self.n} - {name} # SKIP {why}", flush=True)

    def done(self):
        print(f"1..{self.n}", flush=True)
        sys.exit(1 if self.failed else 0)


def wait_until(condition, seconds=None):
    """True as soon as condition() is; False when it never was."""
    end = time.monotonic() + (seconds or PATIENCE)
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


class MemoryGroup:
    """A control group below ours with a limit of memory; path is None where this machine makes none."""

    def __init__(self, limit):
        self.path, self.why = None, "no control group for memory"
        for line in open("/proc/self/cgroup"):
            _, controllers, own = line.rstrip("\n").split(":", 2)
            v1 = "memory" in controllers.split(",")
            if not v1 and controllers != "":
                continue
            path = ("/sys/fs/cgroup/memory" if v1 else "/sys/fs/cgroup") + own.rstrip("/") + f"/bm-{os.getpid()}"
            try:
                os.mkdir(path)
                with open(f"{path}/memory.limit_in_bytes" if v1 else f"{path}/memory.max", "w") as f:
                    f.write(str(limit))
                self.path = path
                atexit.register(self.remove)
                return
            except OSError as e:
                self.why = f"no control group for memory: {e}"
                if os.path.isdir(path):
                    os.rmdir(path)

    def join(self):
        with open(f"{self.path}/cgroup.procs", "w") as f:
            f.write(str(os.getpid()))

    def kills(self):
        for name in ("memory.events", "memory.oom_control"):
            if os.path.exists(f"{self.path}/{name}"):
                return [int(x.split()[1]) for x in open(f"{self.path}/{name}") if x.startswith("oom_kill ")]
        return []

    def remove(self):
        wait_until(lambda: not open(f"{self.path}/cgroup.procs").read(), 10)
        os.rmdir(self.path)


class Daemon:
    """bigmodeld in a directory of its own, HTTP on a free port."""

    def __init__(self, conf="", args=(), start=True, env=None, state=None, group=None):
        self.dir = state or tempfile.mkdtemp(prefix="bm-")
        os.chmod(self.dir, 0o755)
        self.conf_path = os.path.join(self.dir, "test.conf")
        self.log_path = os.path.join(self.dir, "daemon.out")
        self.state = os.path.join(self.dir, "state")
        self.write_conf(conf)
        self.args, self.env, self.process = list(args), env or {}, None
        self.group = group
        if start:
            self.start()

    def write_conf(self, text):
        if "listen" not in text:
            text = 'listen { http = "127.0.0.1:0" }\n' + text
        with open(self.conf_path, "w") as f:
            f.write(text)

    def start(self, wait=True):
        self.process = subprocess.Popen(
            [DAEMON, "-F", "-f", self.conf_path, "--state-dir", self.state, *self.args],
            stdin=subprocess.DEVNULL, stdout=open(self.log_path, "ab"), stderr=subprocess.STDOUT,
            env={**ENV, **self.env}, start_new_session=True,
            preexec_fn=self.group.join if self.group else None)
        atexit.register(self.kill)
        if wait:
            got = self.ctl("wait", "ready", "--timeout", str(PATIENCE))
            if got.returncode != 0:
                print(f"# not ready: {got.stderr}\n# " + self.log().replace("\n", "\n# "))
                raise RuntimeError("the daemon did not become ready")
            self.port = int(self.status()["http"].rsplit(":", 1)[1])

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def ctl(self, *args, stdin=None):
        return subprocess.run([CTL, "--state-dir", self.state, "-y", *args], input=stdin, text=True,
                              capture_output=True, env=ENV, timeout=PATIENCE + 30)

    def json(self, *args):
        got = self.ctl("--json", *args)
        if got.returncode != 0:
            raise RuntimeError(f"{args}: exit {got.returncode}: {got.stderr}{got.stdout}")
        return json.loads(got.stdout)

    def status(self):
        return self.json("show", "status")

    def sql(self, query):
        return self.json("sql", query)

    def children(self, name):
        """Process ids of the daemon's children that run an executable of that name."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    fields = f.read().rsplit(")", 1)
                parent = int(fields[1].split()[1])
                state = fields[1].split()[0]
                if parent == self.process.pid and state != "Z" and fields[0].split("(", 1)[1] == name:
                    found.append(int(pid))
            except (OSError, IndexError):
                pass
        return sorted(found)

    def kill_child(self, name, which=0, sig=signal.SIGKILL):
        pids = self.children(name)
        os.kill(pids[which], sig)
        return pids[which]

    def client_socket(self):
        return os.path.join(self.state, "client.sock")

    # -- HTTP

    def request(self, method, path, body=None, headers=None, timeout=PATIENCE):
        """(status, headers, parsed JSON or text)"""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            data = json.dumps(body) if isinstance(body, (dict, list)) else body
            c.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
            r = c.getresponse()
            text = r.read().decode("utf-8", "replace")
            try:
                value = json.loads(text)
            except ValueError:
                value = text
            return r.status, {k.lower(): v for k, v in r.getheaders()}, value
        finally:
            c.close()

    def complete(self, prompt, **params):
        status, _, value = self.request("POST", "/v1/completions", {"prompt": prompt, **params})
        if status != 200:
            raise RuntimeError(f"{status}: {value}")
        return value

    def stream(self, path, body, on_event=None, timeout=PATIENCE):
        """The parsed events of a streamed answer; raises unless it ends in [DONE]."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        events = []
        try:
            c.request("POST", path, json.dumps({**body, "stream": True}), {"Content-Type": "application/json"})
            r = c.getresponse()
            if r.status != 200:
                raise RuntimeError(f"{r.status}: {r.read()!r}")
            for line in r:
                line = line.decode().rstrip("\r\n")
                if line == "data: [DONE]":
                    return events
                if line.startswith("data: "):
                    events.append(json.loads(line[6:]))
                    if "error" in events[-1]:
                        raise RuntimeError(str(events[-1]))
                    if on_event:
                        on_event(events[-1])
            raise RuntimeError("the stream ended without [DONE]")
        finally:
            c.close()

    def stream_text(self, prompt, on_event=None, **params):
        events = self.stream("/v1/completions", {"prompt": prompt, **params}, on_event)
        return "".join(e["choices"][0]["text"] for e in events if e["choices"])

    # -- the end

    def kill(self):
        """Leave nothing behind, however the test ends."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self, tap=None):
        """SIGTERM; with a Tap, say whether it went cleanly and without sanitizer reports."""
        code = None
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        if self.process:
            try:
                code = self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        log = self.log()
        if tap:
            tap.ok(code == 0, "the daemon ends with exit status 0", f"exit {code}\n" + log[-3000:])
            bad = [m for m in ("ERROR: AddressSanitizer", "runtime error:", "LeakSanitizer") if m in log]
            tap.ok(not bad, "no sanitizer report", log[-6000:])
        shutil.rmtree(self.dir, ignore_errors=True)
        return code


class Line:
    """A client of the line protocol over the Unix socket, JSON form."""

    def __init__(self, daemon):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(PATIENCE)
        self.s.connect(daemon.client_socket())
        self.f = self.s.makefile("rb")

    def send(self, **request):
        self.s.sendall(json.dumps(request).encode() + b"\n")

    def raw(self, data):
        self.s.sendall(data)

    def read(self):
        line = self.f.readline()
        return json.loads(line) if line.startswith(b"{") else line.decode("utf-8", "replace").rstrip("\n")

    def until_done(self, id):
        """All events of one request, its last one `done` or `error`."""
        events = []
        while True:
            e = self.read()
            if e == "":
                raise RuntimeError("connection closed")
            if isinstance(e, dict) and str(e.get("id")) == str(id):
                events.append(e)
                if e["event"] in ("done", "error"):
                    return events

    def close(self):
        self.f.close()
        self.s.close()


def in_threads(n, work):
    """Run work(i) in n threads; their results, or the exceptions they ended with."""
    results = [None] * n

    def run(i):
        try:
            results[i] = work(i)
        except Exception as e:  # the caller looks at it
            results[i] = e
    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(PATIENCE * 2)
    return results

# SPDX-License-Identifier: MIT
"""bigmodelctl typed to: a program on a pseudoterminal that draws nothing (TERM=dumb), for what is asked and answered.
tests/lib/terminal.py is for what a screen looks like."""
import atexit
import os
import pty
import re
import select
import shutil
import signal
import struct
import tempfile
import termios
import time
import fcntl

from bm import CTL, ENV, PATIENCE

PROMPT = r"bigmodel(?: \([a-z ]+\))?> $"


class Typed:
    def __init__(self, *args, env=None, home=None, prompt=PROMPT):
        self.home = home or tempfile.mkdtemp(prefix="bm-home-")
        if not home:
            atexit.register(shutil.rmtree, self.home, True)
        self.text, self.code = "", None
        inputrc = os.path.join(self.home, "inputrc")
        if not os.path.exists(inputrc):
            with open(inputrc, "w") as f:
                f.write("set enable-bracketed-paste off\nset bell-style none\n")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.clear()
            os.environ.update({**ENV, "TERM": "dumb", "HOME": self.home, "INPUTRC": inputrc, "LC_ALL": "C.UTF-8",
                               "XDG_STATE_HOME": os.path.join(self.home, "state"), **(env or {})})
            os.execv(CTL, [CTL, *args])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        atexit.register(self.kill)
        if prompt:
            self.expect(prompt)

    def _read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.text += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)

    def expect(self, pattern, seconds=None):
        """Read until what was not yet taken matches; that much of it."""
        end = time.monotonic() + (seconds or PATIENCE)
        while not (found := re.search(pattern, self.text)):
            if time.monotonic() > end or not self._read(0.1):
                raise RuntimeError(f"no {pattern!r} in {self.text!r}")
        taken, self.text = self.text[:found.end()], self.text[found.end():]
        return taken

    def send(self, text):
        os.write(self.fd, text.encode())

    def say(self, line, prompt=PROMPT):
        """A line; what is answered before the next prompt."""
        self.send(line + "\r")
        got = self.expect(r"\n")     # the echo
        got = self.expect(prompt)
        return re.sub(prompt, "", got)

    def end(self, send="\x04"):
        """The exit status after ^D."""
        if send:
            self.send(send)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if not self._read(0.1):
                break
        return self.wait()

    def wait(self):
        if self.code is None:
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.code = os.waitstatus_to_exitcode(status)
                    return self.code
                time.sleep(0.02)
        return self.code

    def kill(self):
        if self.code is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass

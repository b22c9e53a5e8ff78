# SPDX-License-Identifier: MIT
"""A real terminal for the tests of the console: a private tmux server with one window."""
import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time

from bm import ENV, wait_until


class Terminal:
    """A shell, or a program, in a window of tmux.  Nothing of the user's tmux or configuration is touched."""

    def __init__(self, *command, width=80, height=24, env=None, term="screen-256color", locale="C.UTF-8"):
        self.dir = tempfile.mkdtemp(prefix="bm-tmux-")
        self.env = {**ENV, "TMUX_TMPDIR": self.dir, "LC_ALL": locale, "HOME": self.dir, **(env or {})}
        self.env["LSAN_OPTIONS"] = "print_suppressions=0:suppressions=" + os.path.join(os.path.dirname(__file__), "lsan.supp")
        for name in ("TMUX", "TMUX_PANE"):
            self.env.pop(name, None)
        self.conf = os.path.join(self.dir, "tmux.conf")
        with open(self.conf, "w") as f:
            f.write(f"set -g default-terminal {term}\nset -g status off\nset -g escape-time 0\n"
                    "set -g remain-on-exit on\nset -g history-limit 5000\n")
        atexit.register(self.close)
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height), *(command or ("sh",)))

    def tmux(self, *args):
        got = subprocess.run(["tmux", "-u", "-f", self.conf, "-L", "bm", *args], env=self.env, capture_output=True,
                             text=True, timeout=60)
        if got.returncode != 0:
            raise RuntimeError(f"tmux {args}: {got.stderr}")
        return got.stdout

    def keys(self, *keys):
        """Names as tmux has them: "Enter", "C-c", "F1", "Up"; else characters."""
        self.tmux("send-keys", *keys)
        if keys[-1] == "Escape":
            time.sleep(0.2)  # what follows at once would be Alt and a letter

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def screen(self):
        """What is seen, as a text of lines."""
        return self.tmux("capture-pane", "-p")

    def escapes(self):
        """The same with the sequences of its colours."""
        return self.tmux("capture-pane", "-p", "-e")

    def sees(self, *texts, seconds=None):
        """Are all of them on the screen, now or soon?"""
        return wait_until(lambda: all(x in self.screen() for x in texts), seconds)

    def loses(self, text, seconds=None):
        return wait_until(lambda: text not in self.screen(), seconds)

    def ask(self, what):
        """A format of tmux: "#{pane_dead_status}", "#{alternate_on}", "#{cursor_flag}"."""
        return self.tmux("display-message", "-p", what).strip()

    def ended(self, seconds=None):
        def has_status():
            dead, status, server = self.ask("#{pane_dead} #{pane_dead_status}#{pane_dead_signal} #{pid}").split(" ")
            if dead == "1" and status == "":
                # tmux 3.3 misses the end of a child now and then; then it is a zombie, and this reminds it.
                os.kill(int(server), signal.SIGCHLD)
            return status != ""
        return wait_until(has_status, seconds)

    def close(self):
        subprocess.run(["tmux", "-L", "bm", "kill-server"], env=self.env, capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The screen on real terminals: sizes, ways to end, ways to stop, what is written, what is pasted."""
import os
import pty
import select
import struct
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *
import fcntl
import termios
if not shutil.which("tmux"):
    print("1..0 # SKIP no tmux")
    sys.exit(0)
from terminal import Terminal

t = Tap()
d = Daemon('listen { http = "127.0.0.1:0" }\nmodel tale { path = "%s" }' % TALE)
pid_file = os.path.join(d.dir, "console.pid")


class Screen(Terminal):
    """A shell that keeps its modes in a file, and runs the screen."""

    def __init__(self, **more):
        super().__init__(**more)
        self.type("PS1='% '; stty -a > before\n")
        self.runs = 0

    def run(self, *args, prefix=""):
        self.runs += 1
        if os.path.exists(pid_file):
            os.unlink(pid_file)
        self.type(f"cd {self.dir}; sh -c 'echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; "
                  f"{prefix} exec {CTL} --state-dir {d.state} {' '.join(args)}'\n")
        wait_until(lambda: os.path.exists(pid_file), 20)
        return int(open(pid_file).read())

    def shell_is_back(self, name, status):
        """After its end: the modes of before, the screen of before, a cursor."""
        wait_until(lambda: self.ask("#{alternate_on}#{cursor_flag}") == "01")
        self.type(f"echo status=$? run=$((9000+{self.runs}))\n")
        t.ok(self.sees(f"status={status} run={9000 + self.runs}"), f"{name}: it ends with {status}", self.screen())
        self.type("stty -a > after; diff before after && echo modes $((500+55))\n")
        t.ok(self.sees("modes 555"), f"{name}: the modes are those of before", self.screen())
        t.equal(self.ask("#{alternate_on} #{cursor_flag} #{keypad_cursor_flag} #{mouse_any_flag}"), "0 1 0 0",
                f"{name}: the screen of before, a cursor, plain keys")
        self.type("clear\n")
        self.loses("modes 555")


s = Screen(width=80, height=24)
s.type(f"cd {s.dir}; stty -a > before\n")

# Ways to end
for name, end, status in (("q", lambda pid: s.keys("q"), 0), ("^C", lambda pid: s.keys("C-c"), 0),
                          ("TERM", lambda pid: os.kill(pid, signal.SIGTERM), 128 + 15),
                          ("HUP", lambda pid: os.kill(pid, signal.SIGHUP), 128 + 1),
                          ("SEGV", lambda pid: os.kill(pid, signal.SIGSEGV), 128 + 11),
                          ("ABRT", lambda pid: os.kill(pid, signal.SIGABRT), 128 + 6),
                          ("KILL", lambda pid: os.kill(pid, signal.SIGKILL), 128 + 9)):
    pid = s.run("top", "--mouse") if name == "KILL" else s.run()
    t.ok(s.sees("bigmodel", "1 Overview", "tale", "ready"), f"{name}: the screen comes", s.screen())
    t.equal(s.ask("#{alternate_on}"), "1", f"{name}: it is a screen of its own")
    end(pid)
    s.shell_is_back(name, status)

# Sizes
s.run()
s.sees("1 Overview")
for w, h in ((60, 16), (132, 43), (200, 60)):
    s.resize(w, h)
    t.ok(wait_until(lambda: max(len(x) for x in s.screen().splitlines()) > w * 2 // 3 and s.sees("1 Overview")),
         f"{w}x{h}", s.screen())
for w, h in ((20, 5), (1, 1), (1, 30), (300, 1), (39, 9)):
    s.resize(w, h)
    time.sleep(0.1)
s.resize(80, 24)
t.ok(s.sees("1 Overview", "tale", "Help"), "from 1x1 and other small sizes back to 80x24", s.screen())

# Stop and go on
s.keys("C-z")
t.ok(wait_until(lambda: s.ask("#{alternate_on} #{cursor_flag}") == "0 1"), "^Z gives the terminal back")
s.type("stty -a > after; diff before after && echo modes $((500+55))\n")
t.ok(s.sees("modes 555"), "with the modes of before", s.screen())
s.type("fg\n")
t.ok(s.sees("1 Overview", "tale"), "fg: the screen is back", s.screen())
pid = int(open(pid_file).read())
os.kill(pid, signal.SIGSTOP)
os.kill(pid, signal.SIGCONT)
s.keys("2")
t.ok(s.sees("Variants of tale"), "STOP and CONT: it goes on", s.screen())
os.kill(pid, signal.SIGTSTP)
t.ok(wait_until(lambda: s.ask("#{alternate_on}") == "0"), "TSTP from outside gives the terminal back")
s.type("fg\n")
t.ok(s.sees("Variants of tale"), "and fg takes it again", s.screen())

# A command that takes the terminal
s.keys(":")
s.type(f"inspect {TALE}\n")
t.ok(s.sees("Press Enter"), "a command without a daemon has the terminal", s.screen())
t.equal(s.ask("#{alternate_on}"), "0", "outside the screen")
s.keys("Enter")
t.ok(s.sees("Variants of tale"), "Enter returns", s.screen())
s.keys("q")
s.shell_is_back("after all that", 0)

# Colours, other terminals
s.run()
s.sees("1 Overview")
t.ok("\033[3" in s.escapes() or "\033[4" in s.escapes(), "there are colours", s.escapes())
s.keys("q")
s.shell_is_back("in colour", 0)
for name, prefix, args in (("NO_COLOR", "NO_COLOR=1", ()), ("--color=never", "", ("--color=never",)),
                           ("vt100", "TERM=vt100", ())):
    s.run(*args, prefix=prefix)
    t.ok(s.sees("1 Overview", "ready"), f"{name}: the screen comes", s.screen())
    coloured = [x for x in s.escapes().split("\033[")[1:] if x.split("m")[0].split(";")[0][:2] in
                [f"{a}{b}" for a in "34" for b in "01234567"]]
    t.equal(coloured[:3], [], f"{name}: no colours")
    s.keys("q")
    s.shell_is_back(name, 0)
s.run("--ascii")
s.sees("1 Overview")
t.ok(s.screen().isascii(), "--ascii", s.screen())
s.keys("q")
s.shell_is_back("--ascii", 0)
for name, prefix in (("TERM=dumb", "TERM=dumb"), ("an unknown terminal", "TERM=nonsense")):
    s.run(prefix=prefix)
    t.ok(s.sees("--batch", "%"), f"{name}: refused with what to do instead", s.screen())
    s.shell_is_back(name, 2)
got = subprocess.run([CTL, "top"], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=ENV)
t.ok(got.returncode == 2 and "--batch" in got.stderr and "--json" in got.stderr and got.stdout == "",
     "without a terminal: exit 2 with what to do instead", f"{got.returncode} {got.stderr}")

# What is pasted is text
s.run(prefix="TERM=xterm-256color")
s.sees("1 Overview")
s.tmux("set-buffer", "XXyes\rq2")
s.tmux("paste-buffer", "-p")
time.sleep(0.3)
s.keys(":")
t.ok(s.sees("\n:") and "Variants of tale" not in s.screen(), "keys that are pasted command nothing", s.screen())
s.tmux("set-buffer", "show models\rstop --now\ryes\r")
s.tmux("paste-buffer", "-p")
t.ok(s.sees(":show models stop --now yes"), "lines that are pasted are one line", s.screen())
s.keys("Escape")
s.sees("Help")
s.keys("q")
s.shell_is_back("after pasting", 0)
t.equal(d.status()["state"], "ready", "the daemon never noticed")
s.close()


# What is written: differences only
def written(seconds):
    """Bytes that the screen writes: to begin, and in so many idle seconds after."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(ENV, TERM="xterm-256color", LC_ALL="C.UTF-8")
        os.execv(CTL, [CTL, "--state-dir", d.state])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 43, 132, 0, 0))
    os.kill(pid, signal.SIGWINCH)
    counts, phases = [0, 0], (2.0, seconds)
    for i, phase in enumerate(phases):
        end = time.monotonic() + phase
        while (left := end - time.monotonic()) > 0:
            if select.select([fd], [], [], left)[0]:
                counts[i] += len(os.read(fd, 65536))
    os.kill(pid, signal.SIGTERM)
    try:
        while os.read(fd, 65536):
            pass
    except OSError:
        pass
    os.close(fd)
    os.waitpid(pid, 0)
    return counts


first, idle = written(5)
print(f"# {first} bytes to begin at 132x43, {idle} in 5 idle seconds")
t.ok(1000 < first < 50000, "a screen is written once", first)
t.ok(0 < idle < 5 * 1000, "an idle screen writes only what changes", idle)
d.stop()
t.done()

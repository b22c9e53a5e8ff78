#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The shell: editing, history, ^C, words written short, scripts, watch, and talking with a model."""
import os
import re
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *
from terminal import Terminal
from typed import Typed

t = Tap()
top = tempfile.mkdtemp(prefix="bm-")
nowhere = ["--state-dir", os.path.join(top, "nowhere")]


def script(text, *args):
    return subprocess.run([CTL, *args], input=text, capture_output=True, text=True, env=ENV, timeout=PATIENCE)


# ---- without a daemon

s = Typed(*nowhere, "shell", prompt=r"bigmodel \(no daemon\)> $")
got = s.say("sh mod")
t.ok("no daemon listens on" in got, "sh mod is show models, and an error ends nothing", got)
got = s.say("sh")
t.ok("sh: which? show status" in got and "shell" in got, "several that fit are listed", got)
got = s.say("shell")
t.ok("a shell already" in got, "no shell in a shell", got)
got = s.say("explode now")
t.ok("no command" in got, "an unknown command", got)
s.say(" help show status")
s.say("help show status")
s.say("sh mod")
s.send("half a line\x03")
s.expect(r"> $")
got = s.say("help wait ready")
t.ok(got.startswith("wait ready ["), "^C gives up the line, and only that", got)
s.send("show ?")
got = s.expect(r"> show $")
t.ok("models" in got and "the models and how busy each is" in got, "? tells what could stand there", got)
s.send("\x03")
s.expect(r"> $")
s.send("unlo\t")
t.ok(s.expect(r"unload "), "Tab completes")
s.send("\x03")
s.expect(r"> $")
s.send("show w\t\r")
t.ok("no daemon" in s.expect(r"> $"), "and what it completed runs")
got = s.say('sql "SELECT 1 ? 2')
t.ok("quote" in got, "? is text within quotes", got)
t.equal(s.end(), 1, "the status is that of the last command")
history = os.path.join(s.home, "state", "bigmodelctl", "history")
t.equal(oct(os.stat(history).st_mode & 0o777), "0o600", "the history is for its owner only")
t.equal(open(history).read().split("\n")[:-1],
        ["sh", "shell", "explode now", "help show status", "sh mod", "help wait ready", "show workers",
         'sql "SELECT 1 ? 2'], "no repetitions, nothing that begins with a blank")
with open(history, "w") as f:
    f.write("".join(f"show status {i}\n" for i in range(1500)))
s = Typed(*nowhere, "-i", home=s.home)
s.say("help reload")
s.send("\x1b[A\x1b[A\r")
got = s.expect(r"\n.*\n.*> $")
t.equal(s.end("quit\r"), 2, "quit leaves")
lines = open(history).read().split("\n")[:-1]
t.ok(len(lines) == 1000 and lines[-3:-1] == ["help reload", "show status 1499"] or lines[-2:] == ["show status 1499", "quit"],
     "a thousand lines are kept, and the arrows find them", lines[-4:])
s = Typed(*nowhere, "shell")
s.say("help reload")
t.equal(s.end("exit\r"), 0, "exit leaves")
s = Typed(*nowhere, "--readonly", "shell")
got = s.say("stop")
t.ok("may only read" in got, "--readonly holds in the shell", got)
s.send("unl\t")
s.send("\x03")
got = s.expect(r"> $")
t.ok("unload" not in got, "and what changes something is not offered", got)
t.equal(s.end(), 5, "exit status 5")
inputrc = os.path.join(s.home, "inputrc")
with open(inputrc, "a") as f:
    f.write('$if bigmodelctl\n"\\C-t": "help quit"\n$endif\n')
s = Typed(*nowhere, "shell", home=s.home)
s.send("\x14\r")
got = s.expect(r"\n(.|\n)*> $")
t.ok("leave the shell" in got, "$if bigmodelctl in inputrc", got)
s.end()

# ---- scripts

got = script("# a comment\n\nhelp quit\nexplode\nhelp reload\n", *nowhere)
t.ok(got.returncode == 2 and "leave the shell" in got.stdout and "configuration" not in got.stdout,
     "a script stops at the first error, with its status", got)
got = script("explode\nhelp reload\n", "--keep-going", *nowhere)
t.ok(got.returncode == 0 and "configuration" in got.stdout, "--keep-going goes on; the last status counts", got)
got = script("help reload\nexplode\n", "--keep-going", *nowhere)
t.equal(got.returncode, 2, "also when it is an error")
got = script("sh mod\n", *nowhere)
t.ok(got.returncode == 2 and "no command" in got.stderr, "words are not shortened in scripts", got)
got = script("help quit\nquit\nexplode\n", *nowhere)
t.equal(got.returncode, 0, "quit ends a script")
got = script("help quit\n", *nowhere, "shell")
t.ok(got.returncode == 0 and "leave the shell" in got.stdout and "bigmodel>" not in got.stdout,
     "shell without a terminal reads a script", got)

# ---- with a daemon

d = Daemon('model tale { path = "%s" threads = 1 }\nmodel two { path = "%s" threads = 1 }' % (TALE, TALE))
at = ["--state-dir", d.state]
s = Typed(*at, "shell", prompt=r"bigmodel> $")
t.ok(True, "the prompt of a daemon that is ready")
s.send("unload \t\t")
got = s.expect(r"two .*\n(.|\n)*> unload $")
t.ok("tale" in got and "ready" in got, "live names are offered, each with a word about it", got)
s.send("tw\t")
t.ok(s.expect(r"tw(\x08|o)o? ?$|two $"), "and completed")
s.send("\x03")
s.expect(r"> $")
s.send("swap tale \t\t")
t.ok("base" in s.expect(r"base"), "variants of a model")
s.send("\x03")
s.expect(r"> $")
s.send("watch --interval 0.05 show models\r")
got = s.expect(r"every 0.05s: show models\n(.|\n)*every 0.05s")
t.ok("tale" in got, "watch COMMAND", got)
s.send("\x03")
t.ok("bigmodel> " in s.expect(r"bigmodel> $"), "^C ends it and not the shell")
got = s.say("watch unload tale")
t.ok("only" in got and "unload" in got, "watch changes nothing", got)
s.send("unload two\r")
got = s.expect(r"\[y/N\] ")
s.send("n\r")
got += s.expect(r"bigmodel> $")
t.ok("not done" in got and len(d.json("show", "models")) == 2, "a risky command asks on the terminal of the shell", got)
t.equal(s.end(), 2, "and no is exit status 2")

got = d.ctl("watch", "--count", "3", "--interval", "0.02", "show", "models")
t.ok(got.stdout.count("every 0.02s: show models") == 3 and got.returncode == 0, "watch into a pipe", got.stdout)
got = d.ctl("watch", "--json", "--count", "3", "--interval", "0.02", "show", "models")
t.equal([[m["name"] for m in json.loads(x)] for x in got.stdout.splitlines()], [["tale", "two"]] * 3,
        "watch --json: a line each")
for interval in ("0", "x", "1e9"):
    t.equal(d.ctl("watch", "--interval", interval, "show", "models").returncode, 2, f"watch --interval {interval}")
p = subprocess.Popen([CTL, *at, "--json", "watch", "interval_ms=100"], stdout=subprocess.PIPE, text=True, env=ENV)
got = [json.loads(p.stdout.readline())["seq"] for _ in range(2)]
p.kill()
p.wait()
t.equal(got, [0, 1], "watch without a command: snapshots")
got = d.ctl("--batch", "-n", "2", "-d", "0.02")
t.ok(got.returncode == 0 and got.stdout.count("overview") == 2 and got.stdout.count("TOK/S") == 4, "--batch", got.stdout)
got = d.ctl("--batch", "-n", "2", "-d", "0.02", "--json")
t.equal([sorted(json.loads(x)) for x in got.stdout.splitlines()], [["at", "models", "status", "workers"]] * 2,
        "--batch --json")
t.equal(subprocess.run([CTL, *nowhere, "--batch"], capture_output=True, env=ENV, timeout=PATIENCE).returncode, 3,
        "--batch ends without a daemon")

# ---- chat

PROMPT = r"tale> $"
MORE = r"\.\.\. $"
s = Typed(*at, "chat", "tale", prompt=PROMPT)
s.say("/set temperature=0 max_tokens=12 seed=1", PROMPT)
got = s.say("Once upon a time", PROMPT)
figures = re.search(r"\[(\d+) tokens, first after \d+ ms.*(\d+) of (\d+) prompt tokens cached", got)
t.ok(figures and figures[1] == "12", "an answer and its figures", got)
again = s.say("What then?", PROMPT)
figures2 = re.search(r"of (\d+) prompt tokens", again)
t.ok(figures2 and int(figures2[1]) > int(figures[3]), "the conversation is kept", again)
s.say("/reset", PROMPT)
third = s.say("Once upon a time", PROMPT)
t.equal(third.split("\n[")[0], got.split("\n[")[0], "/reset forgets it: the same answer again")
s.say("/system You tell tales.", PROMPT)
s.say("/reset", PROMPT)
got = s.say("Once upon a time", PROMPT)
t.ok(int(re.search(r"of (\d+) prompt tokens", got)[1]) > int(figures[3]), "/system", got)
s.say("Once \\", MORE)
got = s.say("upon", PROMPT)
t.ok("prompt tokens" in got, "a line that ends in \\ goes on", got)
s.say('"""a', MORE)
s.say("", MORE)
got = s.say('b"""', PROMPT)
t.ok("prompt tokens" in got, "a block of several lines", got)
t.equal(s.say("", PROMPT).strip(), "", "a blank line is not sent")
t.ok("/help" in s.say("/explode", PROMPT), "a wrong word")
t.ok("can't be set" in s.say("/set model=two", PROMPT), "/set leaves alone what is the chat's")
s.say("/set temperature=hot", PROMPT)
got = s.say("Hi", PROMPT)
t.ok("bigmodelctl: " in got and "tokens," not in got, "a refused parameter is told, and the chat stays", got)
s.say("/set temperature=0 max_tokens=450 ignore_eos=true", PROMPT)
s.say("/reset", PROMPT)
os.kill(d.children("worker")[0], signal.SIGSTOP)  # so that the answer is still under way
os.kill(d.children("worker")[1], signal.SIGSTOP)
s.send("Once upon a time\r")
wait_until(lambda: d.json("show", "requests"))
s.send("\x03")
got = s.expect(PROMPT)
os.kill(d.children("worker")[0], signal.SIGCONT)
os.kill(d.children("worker")[1], signal.SIGCONT)
t.ok("cancelled" in got, "^C cancels the answer", got)
t.ok(wait_until(lambda: not d.json("show", "requests")), "in the daemon too", d.json("show", "requests"))
s.say("/set max_tokens=3", PROMPT)
t.ok("3 tokens" in s.say("Hi", PROMPT), "and the chat goes on")
s.send("/quit\r")
t.equal(s.end(""), 0, "/quit leaves")
s = Typed(*at, "shell")
s.send("chat tale\r")
s.expect(PROMPT)
s.send("\x04")
t.ok("bigmodel> " in s.expect(r"bigmodel> $"), "chat within the shell, and back")
s.end()
got = script("/set temperature=0 max_tokens=5\nOnce upon\nOnce upon\n", *at, "chat", "tale")
t.ok(got.returncode == 0 and "[" not in got.stdout and got.stdout.count("\n") >= 2 and got.stderr == "",
     "chat from a pipe: only the answers", got)
got = script("/set temperature=0 max_tokens=5\nOnce upon\n", *at, "--json", "chat", "tale")
answer = json.loads(got.stdout)
t.ok(answer["completion_tokens"] == 5 and answer["text"] and answer["ttft_ms"] > 0 and answer["finish"] == "length",
     "chat --json", answer)
got = script("Hi\n", *at, "chat", "nobody")
t.ok(got.returncode == 1 and "tale, two" in got.stderr, "no such model: those that are", got)
got = script("/explode\nHi\n", *at, "chat", "tale")
t.ok(got.returncode == 2 and got.stdout == "", "from a pipe the first error ends it", got)

# ---- on a terminal that draws

if not shutil.which("tmux"):
    t.skip("a terminal", "tmux is not installed")
else:
    w = Terminal(CTL, *at, "shell", width=90, height=24)
    w.sees("bigmodel>")
    w.type("show mo")
    w.keys("Tab", "Enter")
    t.ok(w.sees("show models", "NAME", "tale", "two"), "a table in the shell", w.screen())
    t.ok("\x1b[32m" in w.escapes(), "with colour", repr(w.escapes()))
    w.type("watch --interval 0.1 show workers")
    w.keys("Enter")
    t.ok(w.sees("every 0.1s: show workers", "PID") and w.screen().count("every") == 1, "watch clears the screen",
         w.screen())
    w.keys("C-c")
    t.ok(w.sees("^C\nbigmodel>"), "and leaves it", w.screen())
    w.keys("C-d")
    t.ok(w.ended() and w.ask("#{pane_dead_status}") == "130", "the status of what was interrupted", w.ask("#{pane_dead_status}"))
    w.close()
    w = Terminal(CTL, *at, "shell", env={"NO_COLOR": "1"})
    w.sees("bigmodel>")
    w.type("show models")
    w.keys("Enter")
    t.ok(w.sees("tale", "NAME") and "\x1b[3" not in w.escapes(), "NO_COLOR", repr(w.escapes()))
    w.close()
d.stop(t)
shutil.rmtree(top)
t.done()

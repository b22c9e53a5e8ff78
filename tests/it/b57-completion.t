#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What bash offers for a line of bigmodelctl, without a daemon and with one."""
import os
import re
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
if not shutil.which("bash"):
    t.skip("completion", "bash is not installed")
    t.done()
SCRIPT = f"{STAGE}/share/bash-completion/completions/bigmodelctl"
ASK = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_bigmodelctl
printf '%s\\n' "${COMPREPLY[@]}"
"""
top = tempfile.mkdtemp(prefix="bm-")
open(os.path.join(top, "m.gguf"), "w").close()


def offered(*words):
    """The line's words; the last is the one under the cursor."""
    got = subprocess.run(["bash", "--norc", "-c", ASK, "x", SCRIPT, CTL, *words], env={**ENV, "HOME": top, "XDG_RUNTIME_DIR": top},
                         cwd=top, capture_output=True, text=True, timeout=PATIENCE)
    if got.stderr:
        return got.stderr
    return sorted(filter(None, got.stdout.split("\n")))


table = json.loads(subprocess.run([CTL, "--json", "help"], capture_output=True, text=True, env=ENV).stdout)
t.equal(offered(""), sorted({c["command"].split()[0] for c in table}), "every command")
t.equal(offered("sho"), ["show"], "the begin of one")
t.equal(offered("show", ""), sorted(c["command"].split()[1] for c in table if c["command"].startswith("show ")), "its second word")
t.equal(offered("--json", "-t", "3", "wait", ""), ["ready"], "options before the command")
t.equal(offered("stop", "--"), ["--now"], "a command's option")
t.equal(offered("swap", "tale", "q8", "--c"), ["--canary"], "one of several")
t.equal(offered("--st"), ["--state-dir"], "options of all commands")
t.equal(offered("--color", "n"), ["never"], "the value of one")
t.equal(offered("inspect", ""), ["m.gguf"], "files")
t.equal(offered("bench", "m.gguf", "--kv-type", ""), ["f16", "q8_0"], "words that stand for themselves")
lacking = [c["command"] for c in table if not set(re.findall("--[a-z-]+", c["arguments"])) <=
           set(offered(*c["command"].split(), "--"))]
t.equal(lacking, [], "every option of every command")
with open(os.path.join(os.environ["top_srcdir"], "console", "options.def")) as f:
    names = re.findall(r'^OPTION\([A-Z_]+, "([a-z-]+)"', f.read(), re.M)
t.equal(sorted(set(names) - {x[2:] for x in offered("--")}), [], "and every option of the table")
t.equal(offered("quantize", "a", "b", "--to", "Q4_"), ["Q4_0", "Q4_1", "Q4_K"], "tensor types")
t.equal(offered("explode", ""), [], "nothing for what is no command")
t.equal(offered("unload", ""), [], "no names without a daemon")
d = Daemon('model tale { path = "%s" threads = 1 }\nmodel two { path = "%s" threads = 1 }\n' % (TALE, TALE))
at = ("--state-dir", d.state)
workers = [str(w["id"]) for w in d.json("show", "workers")]
t.equal(offered(*at, "unload", ""), ["tale", "two"], "a daemon's models")
t.equal(offered(*at, "unload", "tw"), ["two"], "the begin of one")
t.equal(offered(*at, "drain", ""), sorted(["tale", "two", *workers]), "models or workers")
t.equal(offered(*at, "swap", "tale", ""), ["base"], "a model's variants")
d.stop(t)
shutil.rmtree(top)
t.done()

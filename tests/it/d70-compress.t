#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A variant is made while the model is served; what goes wrong leaves nothing behind."""
import os
import resource
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
CLIENTS, TOKENS = 16, 40
prompts = [f"Once upon a time there were {i} little" for i in range(CLIENTS)]
ask = dict(max_tokens=TOKENS, temperature=0.8, ignore_eos=True)

# The job's worker is the one of low priority; as long as `hold` is there it waits before it begins.
root = tempfile.mkdtemp(prefix="bm-libexec-")
hold, own_exec = f"{root}/hold", f"{root}/libexec"
shutil.copytree(f"{STAGE}/libexec/bigmodel", own_exec)
with open(f"{own_exec}/worker", "w") as f:
    f.write(f"""#!/bin/sh
while [ "$(nice)" = 19 ] && [ -e {hold} ]; do sleep 0.05; done
exec {STAGE}/libexec/bigmodel/worker
""")
d = Daemon('listen { http = "127.0.0.1:0" }\nmodel tale { path = "%s" workers = 2 threads = 1 }' % TALE,
           env={"BIGMODEL_LIBEXECDIR": own_exec})
own = os.path.join(d.state, "variants", "tale")


def variants():
    return {v["name"]: v for v in d.json("show", "variants")}


def files():
    """What is in the model's folder, but for what is known of it."""
    return sorted(f for f in os.listdir(own) if not f.endswith(".quality")) if os.path.exists(own) else []


def rows():
    return {r["name"]: r for r in d.sql("SELECT * FROM variants WHERE model = 'tale'")}


def job():
    """The process that compresses: the worker that no `show workers` knows."""
    known = {w["pid"] for w in d.json("show", "workers")}
    return [pid for pid in d.children("worker") if pid not in known]


def begin(*words):
    open(hold, "w").close()
    p = subprocess.Popen([CTL, "--state-dir", d.state, "compress", "tale", *words], env=ENV, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: any(v["state"] == "compressing" for v in variants().values()) and job())
    return p


def events(kind):
    return [e["text"] for e in d.json("show", "events", "--limit", "1000") if e["kind"] == kind]


def release():
    if os.path.exists(hold):
        os.unlink(hold)


# ---- under load
want = in_threads(CLIENTS, lambda i: d.stream_text(prompts[i], seed=i, **ask))
t.ok(all(isinstance(x, str) for x in want), "sixteen clients", want)
over = threading.Event()
answers = [[] for _ in range(CLIENTS)]


def client(i):
    while not over.is_set():
        answers[i].append(d.stream_text(prompts[i], seed=i, **ask))
    return True


def compress(_):
    try:
        return [d.json("compress", "tale", "--to", "Q8_0")]
    finally:
        over.set()


got = in_threads(CLIENTS + 1, lambda i: compress(i) if i == CLIENTS else client(i))
t.equal(got[:CLIENTS], [True] * CLIENTS, "nobody fails while variants are made")
t.equal([(i, a) for i in range(CLIENTS) for a in answers[i] if a != want[i]], [],
        f"{sum(map(len, answers))} answers are what they were")
made = got[CLIENTS] + [d.json("compress", "tale", "--to", "q4_k", "--as", "small")]
t.ok([m["variant"] for m in made] == ["q8_0", "small"], "by the type's name or by --as", made)
t.equal([os.path.getsize(m["file"]) for m in made], [m["file_bytes"] for m in made], "the answer tells their sizes")
t.ok(made[0]["bits_per_weight"] > made[1]["bits_per_weight"] > 0, "and their bits", made)
plain = os.path.join(root, "plain.gguf")
subprocess.run([CTL, "quantize", TALE, plain, "--to", "Q8_0"], env=ENV, capture_output=True)
t.ok(open(plain, "rb").read() == open(made[0]["file"], "rb").read(), "they are what quantize makes")
t.ok({"q8_0.gguf", "small.gguf"} <= set(files()) and not any(f.endswith(".tmp") for f in files()), "and nothing else", files())
v = variants()
t.equal((v["q8_0"]["state"], v["small"]["state"]), ("available", "available"), "show variants knows them")
t.ok(wait_until(lambda: (len(events("compress_started")), len(events("compressed"))) == (2, 2)), "events tell of them")
t.equal((v["small"]["type"], v["small"]["made_from"], v["small"]["bits_per_weight"], v["small"]["perplexity"]),
        ("Q4_K", "base", made[1]["bits_per_weight"], None), "before any worker had it")

# ---- used
t.equal(d.ctl("swap", "tale", "q8_0").returncode, 0, "swap to one")
other = in_threads(CLIENTS, lambda i: d.stream_text(prompts[i], seed=i, **ask))
t.ok(other != want and all(isinstance(x, str) for x in other), "it answers in its way", other)
t.equal(d.ctl("rollback", "tale").returncode, 0, "rollback")
t.equal(in_threads(CLIENTS, lambda i: d.stream_text(prompts[i], seed=i, **ask)), want, "and all is as before")

# ---- registered
t.ok(wait_until(lambda: set(rows()) == {"base", "q8_0", "small"}), "each has a row in the database", rows())
r = rows()
t.equal([(r[n]["source"], r[n]["made_from"], r[n]["type"], r[n]["removed_at"]) for n in ("base", "q8_0", "small")],
        [("base", None, "F16", None), ("compress", "base", "Q8_0", None), ("compress", "base", "Q4_K", None)], "that says what it is")
t.equal((r["small"]["file_bytes"], r["small"]["file"]), (made[1]["file_bytes"], made[1]["file"]), "and where")
t.ok(wait_until(lambda: (rows()["q8_0"]["tokens_per_s"] or 0) > 0), "how fast it was", rows()["q8_0"])
t.equal(rows()["small"]["tokens_per_s"], None, "if it has served")
with open(f"{own}/small.gguf.quality", "a") as f:
    f.write("perplexity 4.5\nreference 4.25\nkl_divergence 0.0125\n")
v = variants()["small"]
t.equal((v["perplexity"], v["reference_perplexity"], v["kl_divergence"], v["type"]), (4.5, 4.25, 0.0125, "Q4_K"), "figures are shown")
t.ok(wait_until(lambda: rows()["small"]["perplexity"] == 4.5), "and registered", rows()["small"])
shutil.copy(f"{own}/small.gguf", f"{own}/brought.gguf")
t.equal(variants()["brought"]["source"], "found", "a file that is brought is found")
os.unlink(f"{own}/brought.gguf")
t.ok("brought" not in variants(), "and forgotten when it goes")
t.ok(wait_until(lambda: "brought" in rows() and rows()["brought"]["removed_at"]), "but not by the database", rows())

# ---- refused
for words, says in ((("--to", "Q8_0"), "already"), (("--to", "Q8_0", "--as", "base"), "base"), (("--to", "Q9_X"), "no tensor type"),
                    (("--to", "../x"), "no tensor type"), (("--to", "Q8_0", "--as", "../x"), "name"), ((), "usage"),
                    (("--to", "Q8_0", "--as", "x", "--from", "nothing"), "no variant"), (("--as", "x"), "usage"),
                    (("--cancel",), "not being compressed"), (("--to", "Q8_0", "--cancel"), "usage")):
    r = d.ctl("compress", "tale", *words)
    t.ok(r.returncode in (1, 2) and says in r.stderr, " ".join(("compress tale",) + words) + " is refused", r.stderr)
r = d.ctl("compress", "nobody", "--to", "Q8_0")
t.ok(r.returncode == 1 and "no model" in r.stderr, "a model that is not there", r.stderr)
t.equal(files(), ["q8_0.gguf", "small.gguf"], "nothing of these is left")
t.ok(wait_until(lambda: d.ctl("compress", "tale", "--to", "Q8_0", "--force").returncode == 0), "--force replaces one that is not in use")
t.equal(d.ctl("swap", "tale", "small").returncode, 0, "swap to the other")
r = d.ctl("compress", "tale", "--to", "Q8_0", "--as", "small", "--force")
t.ok(r.returncode == 1 and "in use" in r.stderr, "but not one that is", r.stderr)
t.equal(d.ctl("rollback", "tale").returncode, 0, "back")
r = d.ctl("compress", "tale", "--to", "Q4_0", "--from", "q8_0", "--as", "again")
t.equal(r.returncode, 0, "--from another variant")

# ---- while it runs
p = begin("--to", "Q6_K")
t.equal(variants()["q6_k"]["state"], "compressing", "show variants says so")
r = d.ctl("compress", "tale", "--to", "Q5_K")
t.ok(r.returncode == 1 and "one at a time" in r.stderr, "a second one is refused", r.stderr)
r = d.ctl("swap", "tale", "q6_k")
t.ok(r.returncode == 1 and "no variant" in r.stderr, "it can't be swapped to", r.stderr)
t.equal(os.sched_getscheduler(job()[0]), os.SCHED_IDLE, "it takes only what nobody else wants")


def is_clean():
    return files() == ["again.gguf", "q8_0.gguf", "small.gguf"] and "q6_k" not in variants() and job() == []


def ended(p, says, name):
    code, err = p.wait(PATIENCE), p.stderr.read()
    t.ok(code == 1 and says in err, f"{name}: the command fails and says why", f"exit {code}: {err}")
    t.ok(wait_until(is_clean), f"{name}: nothing is left", (files(), variants(), job()))
    t.ok(wait_until(lambda: says in events("compress_failed")[-1]), f"{name}: and an event says why", events("compress_failed"))


t.equal(d.ctl("compress", "tale", "--cancel").returncode, 0, "--cancel")
ended(p, "cancelled", "cancelled")
p = begin("--to", "Q6_K")
p.send_signal(signal.SIGINT)
p.wait(PATIENCE)
t.ok(wait_until(is_clean), "interrupted: nothing is left", (files(), variants(), job()))
t.ok(wait_until(lambda: "gone" in events("compress_failed")[-1]), "interrupted: an event says why")
p = begin("--to", "Q6_K")
os.kill(job()[0], signal.SIGKILL)
ended(p, "signal 9", "killed")
p = begin("--to", "Q6_K")
resource.prlimit(job()[0], resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
release()
ended(p, "no room", "a disk that becomes full")
p = begin("--to", "Q6_K")
d.kill_child("gate")
p.wait(PATIENCE)
t.ok(wait_until(lambda: d.ctl("show", "variants").returncode == 0 and variants()["q6_k"]["state"] == "compressing"),
     "it outlives the gate")
d.port = int(d.status()["http"].rsplit(":", 1)[1])
release()
t.ok(wait_until(lambda: variants()["q6_k"]["state"] == "available"), "and comes to its end", variants())
os.unlink(f"{own}/q6_k.gguf")
open(f"{own}/q6_k.gguf.quality", "a").write("perplexity 1\nreference 1\nkl_divergence 0\n")
t.equal(d.ctl("compress", "tale", "--to", "Q6_K").returncode, 0, "what was lost is made again")
t.equal(variants()["q6_k"]["perplexity"], None, "without the figures of the lost one")
os.unlink(f"{own}/q6_k.gguf")
r = d.ctl("load", "other", TALE)
t.equal(r.returncode, 0, "another model")
open(hold, "w").close()
p = subprocess.Popen([CTL, "--state-dir", d.state, "compress", "other", "--to", "Q8_0"], env=ENV, text=True,
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
wait_until(lambda: job())
t.equal(d.ctl("unload", "other").returncode, 0, "is unloaded in the middle")
t.ok(p.wait(PATIENCE) == 1 and "unloaded" in p.stderr.read() and wait_until(lambda: job() == []), "that ends it")
t.equal(os.listdir(os.path.join(d.state, "variants", "other")), [], "with nothing left")
release()

# ---- no room
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", own], capture_output=True).returncode == 0:
    r = d.ctl("compress", "tale", "--to", "Q8_0", "--as", "big")
    t.ok(r.returncode == 1 and "MiB" in r.stderr and "2.0 MiB left" in r.stderr, "too little room is refused with both figures", r.stderr)
    t.equal(files(), [], "before anything is written")
    subprocess.run(["umount", own])
else:
    t.skip("too little room is refused", "no file system may be mounted here")

# ---- stopped, killed
p = begin("--to", "Q6_K")
d.process.send_signal(signal.SIGTERM)
code, err = p.wait(PATIENCE), p.stderr.read()
t.ok(code == 1 and "stopping" in err, "a daemon that stops ends it", f"exit {code}: {err}")
t.equal(d.process.wait(PATIENCE), 0, "and stops")
t.ok(not any(f.endswith(".tmp") for f in files()), "with nothing left", files())
release()
d.start()
p = begin("--to", "Q6_K")
d.process.kill()
d.process.wait()
p.wait(PATIENCE)
release()
t.ok(any(f.endswith(".tmp") for f in files()), "a daemon that is killed leaves what it wrote", files())
d.start()
t.ok(not any(f.endswith(".tmp") for f in files()), "and removes it when it starts", files())
t.equal(d.stream_text(prompts[0], seed=0, **ask), want[0], "it serves")
d.stop(t)
shutil.rmtree(root, ignore_errors=True)
t.done()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What does not fit into memory is refused with the sum, and those who are served do not notice."""
import os
import re
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *

t = Tap()
CLIENTS, TOKENS = 16, 40
MIB = 1 << 20
prompts = [f"Once upon a time there were {i} little" for i in range(CLIENTS)]
ask = dict(max_tokens=TOKENS, temperature=0.8, ignore_eos=True)
SUM = r"workers? of (\S+) needs?( at least)? [\d.]+ .*\(.*\); [\d.]+ \S+ are left of [\d.]+ .iB"


def models(d):
    return {m["name"]: m for m in d.json("show", "models")}


def evictions(d):
    return len([e for e in d.json("show", "events") if e["kind"] == "evicted"])


def under_load(d, act):
    """What act() gives while sixteen stream, and what is wrong with their answers."""
    over, bad = threading.Event(), []
    want = in_threads(CLIENTS, lambda i: d.stream_text(prompts[i], seed=i, **ask))

    def client(i):
        while True:
            got = d.stream_text(prompts[i], seed=i, **ask)
            if got != want[i]:
                bad.append((i, got))
            if over.is_set():
                return True

    def actor():
        try:
            return act()
        finally:
            over.set()
    got = in_threads(CLIENTS + 1, lambda i: actor() if i == CLIENTS else client(i))
    return got[CLIENTS], bad + [g for g in got[:CLIENTS] if g is not True]


# ---- by the configured limit
CONF = 'listen { http = "127.0.0.1:0" }\nlimits { memory = 128M }\n' \
    'autoscale { target_wait = 20ms up_delay = 100ms down_delay = 60s }\n' \
    'model tale { path = "%s" threads = 1 kv_cache = 16M parallel = 4 }\n'
d = Daemon(CONF % TALE)
memory, m, w = d.status()["memory"], models(d)["tale"], d.json("show", "workers")[0]
t.equal((memory["limit"], memory["free"]), (128 * MIB, memory["limit"] - memory["committed"]), "the limit, and what is left of it")
t.equal(memory["committed"], m["weights_bytes"] + m["kv_bytes"] + m["scratch_bytes"], "committed is what the one model has")
t.equal([w[k] for k in ("kv_bytes", "scratch_bytes")], [m[k] for k in ("kv_bytes", "scratch_bytes")], "all of it the one worker's")
t.ok(15 * MIB <= m["kv_bytes"] <= 16 * MIB, "keys and values count in full", m)


def refusals():
    got = [d.ctl("workers", "tale", "20"), d.ctl("workers", "tale", "20..30")]
    for _ in range(5):
        got.append(d.ctl("load", "second", TALE))
        if got[-1].returncode == 0:
            d.ctl("unload", "second")
    return got


got, bad = under_load(d, refusals)
t.ok(got[0].returncode == 1 and re.search("19 more " + SUM, got[0].stderr), "too many workers: refused with the sum", got[0].stderr)
t.ok(got[1].returncode == 1 and re.search(SUM, got[1].stderr), "and as the least of a range", got[1].stderr)
t.equal(models(d)["tale"]["workers"], {"now": 1, "min": 1, "max": 1}, "nothing has changed")
t.equal(bad, [], "sixteen streams have noticed nothing")
room = memory["free"] // (m["kv_bytes"] + m["scratch_bytes"])
t.equal(d.ctl("workers", "tale", str(1 + room)).returncode, 0, f"{room} more do fit")
after = d.status()["memory"]
t.ok(after["free"] < m["kv_bytes"] + m["scratch_bytes"], "then there is no room for another", after)
t.equal(after["committed"], sum(models(d)["tale"][k] for k in ("weights_bytes", "kv_bytes", "scratch_bytes")),
        "weights count once for all of them")
got = d.ctl("threads", "tale", "2")
t.ok(got.returncode == 1 and re.search(SUM, got.stderr), "new threads want new workers beside the old", got.stderr)
t.equal(models(d)["tale"]["threads"], 1, "and are as they were")

# ---- another model: refused, until there is room
got, bad = under_load(d, lambda: d.ctl("load", "second", TALE))
t.ok(got.returncode == 1 and "second need" in got.stderr, "a load that does not fit is refused with the sum", got.stderr)
t.equal(bad, [], "sixteen streams have noticed nothing")
t.equal(list(models(d)), ["tale"], "and nothing is left of it")
t.equal(d.ctl("workers", "tale", "2").returncode, 0, "fewer workers")
wait_until(lambda: d.status()["memory"]["free"] >= 40 * MIB)
got = d.ctl("load", "second", TALE)
t.equal((got.returncode, got.stderr), (0, ""), "then it fits")
after = d.status()["memory"]
t.ok(after["committed"] <= after["limit"] and models(d)["second"]["kv_bytes"] > 0, "with keys and values that fit", after)
d.write_conf((CONF % TALE).replace("128M", str(after["committed"])))
t.equal(d.ctl("reload").returncode, 0, "a limit that just holds both")
got = d.ctl("load", "third", TALE)
t.ok(got.returncode == 1 and "third need" in got.stderr, "a third one is refused", got.stderr)
t.equal(d.ctl("unload", "second").returncode, 0, "unloaded")
t.equal(d.ctl("load", "third", TALE).returncode, 0, "the third one in its place")
t.equal(d.ctl("unload", "third").returncode, 0, "unloaded as well")

# ---- the load wants more than there is
if os.cpu_count() >= 2:
    t.equal(d.ctl("workers", "tale", "1").returncode, 0, "one worker")
    d.write_conf((CONF % TALE).replace("128M", "60M"))
    t.equal(d.ctl("reload").returncode, 0, "a limit that just holds it")
    t.equal(d.ctl("workers", "tale", "1..2").returncode, 0, "a range")
    over = threading.Event()

    def press(i):
        while not over.is_set():
            d.stream_text(prompts[i], seed=i, **ask)
    crowd = threading.Thread(target=lambda: in_threads(CLIENTS, press))
    crowd.start()
    t.ok(wait_until(lambda: re.search(SUM, models(d)["tale"]["workers_why"])), "why there are no more says the sum", models(d)["tale"])
    t.equal(models(d)["tale"]["workers"]["now"], 1, "one worker it stays")
    over.set()
    crowd.join(PATIENCE)
else:
    t.skip("the load wants more than there is", "one CPU")
d.stop(t)

# ---- unloading waits for what runs, and with --now it does not
d = Daemon(CONF % TALE)
first, answers = threading.Event(), []
long = dict(ask, max_tokens=480)


def one_long():
    try:
        answers.append(d.stream_text(prompts[0], lambda e: first.set(), seed=0, **long))
    except RuntimeError as e:
        answers.append(e)


def while_it_runs(*words):
    first.clear()
    r = threading.Thread(target=one_long)
    r.start()
    first.wait(PATIENCE)
    pids = d.children("worker")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    u = threading.Thread(target=lambda: answers.append(d.ctl(*words)))
    u.start()
    return r, u, pids


r, u, pids = while_it_runs("unload", "tale")
t.ok(wait_until(lambda: models(d)["tale"]["state"] == "draining"), "unload waits", models(d))
for pid in pids:
    os.kill(pid, signal.SIGCONT)
r.join(PATIENCE)
u.join(PATIENCE)
t.ok(len(answers) == 2 and any(isinstance(a, str) and len(a) > 100 for a in answers) and
     all(a.returncode == 0 for a in answers if hasattr(a, "returncode")), "the request ends as usual", answers)
answers.clear()
t.equal(d.ctl("load", "tale", TALE).returncode, 0, "loaded again")
r, u, pids = while_it_runs("unload", "tale", "--now")
r.join(PATIENCE)
for pid in pids:
    os.kill(pid, signal.SIGCONT)
u.join(PATIENCE)
t.ok(any(isinstance(a, RuntimeError) and "unloaded" in str(a) for a in answers), "--now ends it, and says why", answers)
t.ok(any(hasattr(a, "stdout") and a.returncode == 0 and "1 request was ended" in a.stdout for a in answers), "and how many there were", answers)
t.equal(d.ctl("unload", "tale", "--never").returncode, 2, "nothing but --now")
d.stop(t)

# ---- a model that may be evicted gives way, and comes back
d = Daemon((CONF % TALE).replace("parallel", "evict = yes parallel"))
one = d.status()["memory"]["committed"]
text = d.stream_text(prompts[0], seed=0, **ask)
d.write_conf((CONF % TALE).replace("parallel", "evict = yes parallel").replace("128M", str(one * 5 // 4)))
t.equal(d.ctl("reload").returncode, 0, "room for one")
got = d.ctl("load", "other", TALE)
t.equal((got.returncode, got.stderr), (0, ""), "another one is loaded all the same")
m = models(d)["tale"]
t.ok(m["state"] == "idle" and "gave way" in m["workers_why"], "the one that nobody asked gave way", m)
wait_until(lambda: evictions(d) > 0)
events = [e["text"] for e in d.json("show", "events") if e["kind"] == "evicted"]
t.ok(len(events) == 1 and re.search(r"1 to 0: gave way .*MiB\): .* needs", events[0]), "which is an event with the sum", events)
status, _, value = d.request("POST", "/v1/completions", {"prompt": "x", "model": "tale", "max_tokens": 4})
t.ok(status == 503 and re.search(SUM, str(value)), "while the other one stays it can't come back, and says why", (status, value))
t.equal(d.ctl("unload", "other").returncode, 0, "the other one is unloaded")
t.ok(wait_until(lambda: models(d)["tale"]["state"] != "failed"), "it can come back", models(d))
t.equal(d.stream_text(prompts[0], seed=0, model="tale", **ask), text, "and does when it is asked for")
d.stop(t)

two = (CONF % TALE).replace("parallel", "evict = yes parallel").replace("128M", str(one * 3 // 2))
d = Daemon(two + two[two.index("model "):].replace("model tale", "model twin"))
got = [d.stream_text(prompts[0], seed=0, model=name, **ask) for name in ("tale", "twin") * 3]
t.equal(got, [text] * 6, "two that give way to one another answer both")
t.ok(wait_until(lambda: evictions(d) >= 5), "by turns", d.json("show", "events"))
got = in_threads(8, lambda i: d.stream_text(prompts[0], seed=0, model=("tale", "twin")[i % 2], **ask))
t.equal(got, [text] * 8, "and all at once")
d.stop(t)

# ---- by the limit of a control group, which is what really kills
group = MemoryGroup(160 * MIB)
if SANITIZED:
    t.skip("the limit of a control group", "what sanitizers use is in no account")
elif group.path:
    d = Daemon(CONF.replace("limits { memory = 128M }\n", "") % TALE, group=group)
    memory = d.status()["memory"]
    t.ok(0 < memory["limit"] <= 160 * MIB, "the limit is the group's", memory)
    got, bad = under_load(d, lambda: [d.ctl("workers", "tale", "60"), d.ctl("load", "second", TALE), d.ctl("workers", "tale", "60")])
    t.ok(got[0].returncode == 1 and re.search(SUM, got[0].stderr), "too many workers: refused with the sum", got[0].stderr)
    t.ok(got[1].returncode == 0 or re.search("second needs?", got[1].stderr), "a second model fits or is refused", got[1].stderr)
    t.ok(got[2].returncode == 1 and re.search(SUM, got[2].stderr), "and so are more workers beside it", got[2].stderr)
    t.equal(bad, [], "sixteen streams have noticed nothing")
    t.equal(group.kills(), [0], "and nobody was killed for memory")
    d.stop(t)
else:
    t.skip("the limit of a control group", group.why)

# ---- nothing fits at the start
d = Daemon((CONF % TALE).replace("128M", "8M"), start=False)
d.start(wait=False)
t.equal(d.process.wait(PATIENCE), 1, "a daemon whose only model does not fit ends")
t.ok(re.search(SUM, d.log()), "and says the sum", d.log())
d.stop()
t.done()

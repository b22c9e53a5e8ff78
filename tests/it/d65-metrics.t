#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""/metrics is what Prometheus reads, and has all that the dashboard and the alerts ask for."""
import os
import re
import sys
sys.path.insert(0, os.path.join(os.environ["top_srcdir"], "tests", "lib"))
from bm import *
import exposition

t = Tap()
d = Daemon('listen { http = "127.0.0.1:0" }\nmodel tale { path = "%s" workers = 1 threads = 1 }\n'
           'model other { path = "%s" workers = 0 workers_max = 2 threads = 1 }' % (TALE, TALE), start=False)
own = os.path.join(d.state, "variants", "tale")
os.makedirs(own, mode=0o700)
os.chmod(d.state, 0o700)
shutil.copy(TALE, f"{own}/copy.gguf")
shutil.copy(TALE, f"{own}/unused.gguf")
d.start()


def metrics():
    status, headers, text = d.request("GET", "/metrics")
    t.ok(status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4"), "content type", headers)
    return text


def value(families, name, **labels):
    for f in families.values():
        if (name, tuple(sorted(labels.items()))) in f.samples:
            return f.samples[name, tuple(sorted(labels.items()))]


for bad in ("a 1", "# HELP a A.\n# TYPE a gauge\na 1\na 2\n", "# HELP a A.\n# TYPE a counter\na 1\n",
            '# HELP a A.\n# TYPE a gauge\na{b="c"d} 1\n', "# HELP a A.\n# TYPE a gauge\na 0x1\n",
            '# HELP a_seconds A.\n# TYPE a_seconds histogram\na_seconds_bucket{le="1"} 2\na_seconds_bucket{le="+Inf"} 1\n'
            'a_seconds_sum 1\na_seconds_count 1\n'):
    try:
        exposition.parse(bad)
        t.ok(False, "a wrong text is found out", bad)
    except ValueError:
        pass
before = exposition.parse(metrics())
t.equal(value(before, "bigmodel_variant_ttft_seconds_count", model="tale", variant="base"), 0, "a fresh daemon's parse")
TOKENS = 12
PROMPT = "Once upon a time there was a little girl who had a small red ball. " * 4
for i in range(4):
    d.stream_text(PROMPT, max_tokens=TOKENS, ignore_eos=True)
t.equal(d.ctl("swap", "tale", "copy", "--canary", "50").returncode, 0, "a canary")
for i in range(4):
    d.stream_text(PROMPT, max_tokens=TOKENS, ignore_eos=True)
t.equal(d.request("POST", "/v1/completions", {"model": "nobody", "prompt": "x"})[0], 404, "a model that is not there")
d.kill_child("worker")
t.ok(wait_until(lambda: value(exposition.parse(d.request("GET", "/metrics")[2]), "bigmodel_worker_restarts_total",
                              model="tale") == 1), "a worker was killed")
t.ok(wait_until(lambda: len([w for w in d.json("show", "workers") if w["state"] == "ready"]) == 2), "and replaced")
text = metrics()
m = exposition.parse(text)
got = {v: value(m, "bigmodel_variant_requests_total", model="tale", variant=v) for v in ("base", "copy", "unused")}
t.equal(got, {"base": 6, "copy": 2, "unused": None}, "requests of each variant that is or was used")
t.equal(value(m, "bigmodel_requests_total", model="tale", status="ok"), 8, "and of the model")
t.equal(value(m, "bigmodel_requests_total", model="", status="unknown_model"), 1, "and of none")
for name in ("ttft", "queue", "request_duration"):
    t.equal(value(m, f"bigmodel_variant_{name}_seconds_count", model="tale", variant="copy"), 2, f"{name} of the canary")
gaps = value(m, "bigmodel_inter_token_seconds_count", model="tale")
t.ok(8 <= gaps <= 8 * (TOKENS - 1), "time between outputs", gaps)
t.equal([value(m, "bigmodel_variant_completion_tokens_total", model="tale", variant=v) for v in ("base", "copy")],
        [6 * TOKENS, 2 * TOKENS], "tokens")
t.ok(value(m, "bigmodel_prefix_hit_ratio", model="tale") > 0, "what the cache had")
t.equal([sum(value(m, "bigmodel_variant_worker_deaths_total", model="tale", variant=v, kind=k) for v in ("base", "copy"))
         for k in ("crashed", "hung", "killed")], [0, 0, 1], "deaths by kind")
t.equal(value(m, "bigmodel_worker_restarts_total", model="tale"), 1, "restarts")
t.equal([value(m, "bigmodel_variant_share_ratio", model="tale", variant=v) for v in ("base", "copy")], [0.5, 0.5], "shares")
t.equal([value(m, f"bigmodel_{n}", model="other") for n in ("workers_wanted", "workers_min", "workers_max", "workers")],
        [0, 0, 2, 0], "what the autoscaler wants")
t.ok(value(m, "bigmodel_memory_private_bytes", model="tale") > 0 and
     value(m, "bigmodel_memory_private_bytes", model="tale") + value(m, "bigmodel_memory_shared_bytes", model="tale") ==
     value(m, "bigmodel_model_memory_bytes", model="tale"), "memory")
less = [(n, k) for n, f in before.items() if f.type == "counter" for k in f.samples if m[n].samples[k] < f.samples[k]]
t.equal(less, [], "no counter became less")
t.equal([n for n in before if n not in m], [], "and no family went away")

# ---- what comes with the daemon for Prometheus and Grafana
deploy = os.path.join(os.environ["top_srcdir"], "deploy", "prometheus")
texts = {n: open(os.path.join(deploy, n)).read() for n in ("bigmodel-dashboard.json", "bigmodel-rules.yml", "prometheus.yml")}
panels = [p for p in json.loads(texts["bigmodel-dashboard.json"])["panels"] if p["type"] != "row"]
t.ok(len(panels) > 10 and len({p["id"] for p in panels}) == len(panels) and all(p["targets"] for p in panels), "the dashboard")
samples = set(m) | {name for f in m.values() for name, _ in f.samples}
for name, of in texts.items():
    used = set(re.findall(r"\bbigmodel_[a-z0-9_]+", of))
    t.equal(sorted(used - samples), [], f"{name} asks for what there is")
    t.ok(bool(used) == (name != "prometheus.yml"), f"{name}: {len(used)} names")
try:
    import yaml
    alerts = [r["alert"] for g in yaml.safe_load(texts["bigmodel-rules.yml"])["groups"] for r in g["rules"]
              if r["expr"] and r["annotations"]["summary"]]
    t.ok(len(alerts) == len(set(alerts)) == texts["bigmodel-rules.yml"].count("- alert:"), "the alerts", alerts)
    t.equal(yaml.safe_load(texts["prometheus.yml"])["scrape_configs"][0]["job_name"], "bigmodel", "the scrape example")
except ImportError:
    t.skip("the alerts and the scrape example are YAML", "no YAML library for Python here")
promtool = shutil.which("promtool")
if promtool:
    got = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
    t.equal((got.returncode, got.stderr), (0, ""), "promtool agrees")
else:
    t.skip("promtool agrees", "no promtool here")

d.stop(t)
t.done()

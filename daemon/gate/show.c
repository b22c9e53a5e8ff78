/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gate/show.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "gate/rows.h"
#include "gate/show_json.h"
#include "wire/commands.h"

/* A worker says LOAD twice a second while it works. */
#define LOAD_FRESH_NS	(2 * CLOCK_NS_PER_S)

void
show_message(const char *text, struct buf *out)
{
	json_t *o = json_object();

	show_set_str(o, "message", text);
	show_put(out, o);
}

/* ---- memory of the processes ---- */

/* What one of a variant's workers has of files and shared memory at most. */
static uint64_t
most_shared(const struct gate *g, const struct gate_variant *v, uint64_t *sum)
{
	const struct gate_worker *w;
	const struct proc *p;
	uint64_t most = 0;

	TAILQ_FOREACH(w, &g->workers, entry) {
		if (w->variant != v ||
		    (p = procs_worker(&g->procs, w->id)) == NULL)
			continue;
		*sum += p->shared_bytes;
		most = MEM_MAX(most, p->shared_bytes);
	}
	return most;
}

/* Of all processes; what workers of one file share counts once. */
static uint64_t
total_memory(const struct gate *g)
{
	const struct gate_model *m;
	const struct gate_variant *v;
	uint64_t total = 0, shared = 0, once = 0;

	for (size_t i = 0; i < g->procs.n; i++)
		total += g->procs.v[i].rss_bytes;
	TAILQ_FOREACH(m, &g->models, entry)
		TAILQ_FOREACH(v, &m->variants, entry)
			once += most_shared(g, v, &shared);
	return total - shared + once;
}

/* ---- status ---- */

static json_t *
memory_object(const struct msg_memory *m)
{
	json_t *o = json_object();

	show_set_int(o, "limit", m->limit);
	show_set_int(o, "committed", m->committed);
	show_set_int(o, "free", m->free);
	return o;
}

static json_t *
log_object(const struct gate *g)
{
	json_t *o = json_object();
	bool is_ok = g->log_code == 0 && g->reqlog != NULL;

	show_set_str(o, "state", is_ok ? "ok" : "failing");
	show_set_str(o, "message", g->log_code != 0 ? g->log_text :
	    g->reqlog == NULL ? "the log process is away" : "");
	show_set_int(o, "pending_rows", g->rows->n);
	show_set_int(o, "dropped_rows", g->rows->n_dropped);
	return o;
}

static uint64_t
n_processes(const struct procs *p)
{
	uint64_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += p->v[i].pid != 0;
	return n;
}

void
show_status(struct gate *g, struct buf *out)
{
	uint64_t now_ns = clock_now_ns();
	const struct gate_model *m;
	json_t *o = json_object();
	uint64_t n_models = 0;

	TAILQ_FOREACH(m, &g->models, entry)
		n_models++;
	show_set_str(o, "version", PACKAGE_VERSION);
	show_set_int(o, "pid", g->master_pid);
	show_set_uptime(o, g->master_pid, g->started_ms);
	show_set_str(o, "state", g->is_draining ? "draining" : g->state);
	show_set_bool(o, "ready", gate_is_ready(g));
	show_set_str(o, "http", g->http_addr);
	show_set_int(o, "models", n_models);
	show_set_int(o, "workers_ready", gate_workers_ready(g, NULL));
	show_set_int(o, "processes", n_processes(&g->procs));
	show_set_int(o, "connections", g->n_connections);
	show_set_int(o, "queued", g->n_queued);
	show_set_int(o, "running", g->n_running);
	show_set_int(o, "requests_total", g->stats->requests_total);
	show_set_int(o, "tokens_total", g->stats->tokens_total);
	show_set_num(o, "requests_per_s", rate_per_s(&g->stats->requests,
	    now_ns));
	show_set_num(o, "tokens_per_s", rate_per_s(&g->stats->tokens, now_ns));
	show_set_quantiles(o, "ttft_ms", &g->stats->ttft, now_ns);
	show_set_quantiles(o, "gap_ms", &g->stats->gap, now_ns);
	show_set_int(o, "memory_bytes", total_memory(g));
	json_object_set_new(o, "memory", memory_object(&g->procs.memory));
	json_object_set_new(o, "log", log_object(g));
	show_put(out, o);
}

/* ---- lists ---- */

static uint64_t
own_weights(const struct gate_variant *v)
{
	return v->own_bytes - v->kv_bytes - v->scratch_bytes;
}

/* Of all workers of a model; shared weights count once a variant. */
static void
set_account(json_t *o, const struct gate *g, const struct gate_model *m)
{
	const struct gate_worker *w;
	const struct gate_variant *v;
	uint64_t weights = 0, kv = 0, scratch = 0;

	TAILQ_FOREACH(v, &m->variants, entry) {
		size_t n = 0;

		TAILQ_FOREACH(w, &g->workers, entry)
			n += w->is_ready && w->variant == v;
		weights += n * own_weights(v) + (n > 0 ? v->shared_bytes : 0);
		kv += n * v->kv_bytes;
		scratch += n * v->scratch_bytes;
	}
	show_set_int(o, "weights_bytes", weights);
	show_set_int(o, "kv_bytes", kv);
	show_set_int(o, "scratch_bytes", scratch);
}

static void
show_model(const struct gate *g, const struct gate_model *m, uint64_t now_ns,
    struct buf *out)
{
	json_t *o = json_object(), *workers = json_object();

	show_set_int(workers, "now", gate_workers_ready(g, m));
	show_set_int(workers, "min", m->workers_min);
	show_set_int(workers, "max", m->workers_max);
	show_set_str(o, "workers_why", m->why);
	show_set_str(o, "name", m->name);
	show_set_str(o, "variant", m->active->name);
	show_set_str(o, "state", m->state);
	json_object_set_new(o, "workers", workers);
	show_set_int(o, "threads", m->n_threads != 0 ? m->n_threads :
	    m->n_threads_chosen);
	show_set_int(o, "queued", m->n_queued);
	show_set_int(o, "running", gate_model_running(g, m));
	show_set_num(o, "tokens_per_s", rate_per_s(&m->token_rate, now_ns));
	show_set_int(o, "memory_bytes", gate_model_memory(g, m));
	show_set_int(o, "shared_bytes", m->active->shared_bytes);
	set_account(o, g, m);
	show_set_str(o, "architecture", m->architecture);
	show_set_int(o, "parameters", m->n_params);
	show_set_int(o, "context", m->n_ctx);
	show_set_str(o, "type", m->active->type);
	show_set_int(o, "file_bytes", m->active->file_bytes);
	show_set_str(o, "path", m->path);
	show_set_int(o, "requests_total", m->n_requests);
	show_set_int(o, "errors_total", m->n_errors);
	show_set_str(o, "previous", m->previous);
	show_set_str(o, "next", m->next);
	show_set_int(o, "canary_percent", m->percent);
	show_set_bool(o, "held", m->is_held);
	show_set_str(o, "reason", m->reason);
	show_put(out, o);
}

void
show_models(struct gate *g, struct buf *out)
{
	const struct gate_model *m;
	uint64_t now_ns = clock_now_ns();

	TAILQ_FOREACH(m, &g->models, entry)
		show_model(g, m, now_ns, out);
}

static void
show_variant(const struct gate_model *m, struct gate_variant *v,
    uint64_t now_ns, struct buf *out)
{
	json_t *o = json_object();

	show_set_str(o, "name", v->name);
	show_set_str(o, "model", m->name);
	show_set_str(o, "file", v->path);
	show_set_str(o, "type", v->type);
	show_set_num(o, "bits_per_weight", v->bits_per_weight);
	show_set_int(o, "file_bytes", v->file_bytes);
	show_set_known(o, "perplexity", v->perplexity);
	show_set_known(o, "reference_perplexity", v->reference);
	show_set_known(o, "kl_divergence", v->kl_divergence);
	show_set_str(o, "source", v->source);
	show_set_str(o, "made_from", v->made_from);
	show_set_int(o, "created_at", (uint64_t)v->created_ms);
	show_set_num(o, "tokens_per_s", rate_per_s(&v->token_rate, now_ns));
	show_set_bool(o, "active", v == m->active);
	show_set_str(o, "state", v->state);
	show_set_int(o, "canary_percent", v == m->canary ? m->percent : 0);
	show_set_int(o, "percent_done", strcmp(v->state, "compressing") == 0 ?
	    v->percent_done : 100);
	show_set_int(o, "live", v->n_bound);
	show_set_int(o, "requests_total", v->n_requests);
	show_set_int(o, "errors_total", v->n_errors);
	show_set_num(o, "error_rate", v->trial.n_requests == 0 ? 0 :
	    (double)v->trial.n_errors / (double)v->trial.n_requests);
	show_set_quantiles(o, "ttft_ms", &v->ttft, now_ns);
	show_set_quantiles(o, "duration_ms", &v->duration, now_ns);
	show_set_str(o, "reason", v->reason);
	show_put(out, o);
}

void
show_variants(struct gate *g, struct buf *out)
{
	const struct gate_model *m;
	struct gate_variant *v;
	uint64_t now_ns = clock_now_ns();

	TAILQ_FOREACH(m, &g->models, entry)
		TAILQ_FOREACH(v, &m->variants, entry)
			show_variant(m, v, now_ns, out);
}

/* When and how it died last; null: not yet. */
static json_t *
crash_object(const struct gate_worker *w)
{
	json_t *o;

	if (w->crashed_ms == 0)
		return json_null();
	o = json_object();
	show_set_int(o, "at", (uint64_t)w->crashed_ms);
	show_set_str(o, "text", w->crash);
	return o;
}

static json_t *
request_ids(const struct gate_worker *w)
{
	json_t *a = json_array();
	const struct request *r;

	TAILQ_FOREACH(r, &w->running, entry)
		json_array_append_new(a, json_string(r->uuid));
	return a;
}

static void
show_worker(const struct gate_worker *w, const struct proc *p,
    uint64_t now_ns, struct buf *out)
{
	bool is_fresh = w->load_ns != 0 && now_ns - w->load_ns < LOAD_FRESH_NS;
	json_t *o = json_object();

	show_set_int(o, "id", w->id);
	show_set_int(o, "pid", w->pid);
	show_set_str(o, "model", w->model_name);
	show_set_str(o, "variant", w->variant_name);
	show_set_str(o, "state", w->is_held ? "held" : w->state);
	show_set_int(o, "running", w->n_running);
	show_set_int(o, "parallel", w->n_parallel);
	show_set_num(o, "tokens_per_s", is_fresh ? (double)w->tokens_per_s : 0);
	show_set_int(o, "threads", w->n_threads);
	show_set_num(o, "cpu_percent", p == NULL ? 0 : p->cpu_percent);
	show_set_int(o, "rss_bytes", p == NULL ? 0 : p->rss_bytes);
	show_set_int(o, "shared_bytes", p == NULL ? 0 : p->shared_bytes);
	if (w->is_ready && w->variant != NULL) {
		show_set_int(o, "weights_bytes", w->variant->shared_bytes +
		    own_weights(w->variant));
		show_set_int(o, "kv_bytes", w->variant->kv_bytes);
		show_set_int(o, "scratch_bytes", w->variant->scratch_bytes);
	}
	if (w->node != 0)
		show_set_int(o, "node", w->node - 1);
	show_set_int(o, "restarts", w->restarts);
	show_set_str(o, "cpu_level", w->cpu_level);
	show_set_uptime(o, w->pid, w->started_ms);
	show_set_int(o, "kv_pages_used", w->kv_pages_used);
	show_set_int(o, "kv_pages", w->kv_pages);
	show_set_int(o, "drafted_tokens", w->drafted_tokens);
	show_set_int(o, "accepted_tokens", w->accepted_tokens);
	json_object_set_new(o, "last_crash", crash_object(w));
	json_object_set_new(o, "requests", request_ids(w));
	show_put(out, o);
}

void
show_workers(struct gate *g, struct buf *out)
{
	const struct gate_worker *w;
	uint64_t now_ns = clock_now_ns();

	TAILQ_FOREACH(w, &g->workers, entry)
		show_worker(w, procs_worker(&g->procs, w->id), now_ns, out);
}

static void
show_process(const struct proc *p, struct buf *out)
{
	json_t *o = json_object();

	show_set_str(o, "role", role_name((enum role)p->role));
	show_set_int(o, "pid", p->pid);
	json_object_set_new(o, "worker", p->role == R_WORKER ?
	    json_integer(p->worker) : json_null());
	show_set_str(o, "state", p->state);
	show_set_uptime(o, p->pid, p->started_ms);
	show_set_int(o, "restarts", p->restarts);
	show_set_int(o, "rss_bytes", p->rss_bytes);
	show_set_num(o, "cpu_percent", p->cpu_percent);
	show_put(out, o);
}

void
show_processes(struct gate *g, struct buf *out)
{
	for (size_t i = 0; i < g->procs.n; i++)
		show_process(&g->procs.v[i], out);
}

/* ---- compress ---- */

static void
show_progress(const char *model, const struct msg_progress *p,
    struct buf *out)
{
	json_t *o = json_object();

	show_set_str(o, "model", model);
	show_set_str(o, "state", "compressing");
	show_set_int(o, "done_bytes", p->done);
	show_set_int(o, "total_bytes", p->total);
	show_put(out, o);
}

static void
show_compressed(const char *model, const struct msg_quantized *q,
    struct buf *out)
{
	json_t *o = json_object(), *types = json_object();
	struct cur list = strs_of(q->types);
	struct slice name, count;
	char type[32];

	while (strs_next(&list, &name) && strs_next(&list, &count)) {
		str_vis(type, sizeof(type), name.p, name.n);
		show_set_slice(types, type, count);
	}
	show_set_str(o, "model", model);
	show_set_slice(o, "variant", q->variant);
	show_set_slice(o, "file", q->file);
	show_set_int(o, "file_bytes", q->bytes);
	show_set_int(o, "parameters", q->n_params);
	show_set_num(o, "bits_per_weight", q->bits_per_weight);
	json_object_set_new(o, "tensors", types);
	show_set_int(o, "fallback", q->n_fallback);
	show_set_int(o, "requantized", q->n_requantized);
	show_set_num(o, "seconds", q->ms / 1000);
	show_put(out, o);
}

void
show_compress(const char *model, unsigned type, struct cur body,
    struct buf *out)
{
	struct msg_progress p;
	struct msg_quantized q;

	if (type == MSG_PROGRESS && msg_get_progress(body, &p) == 0)
		show_progress(model, &p, out);
	else if (type == MSG_QUANTIZED && msg_get_quantized(body, &q) == 0)
		show_compressed(model, &q, out);
}

/* ---- configuration, commands, kernels ---- */

static void
show_keys(const void *base, enum conf_section_kind kind, const char *name,
    struct buf *out)
{
	struct buf value;

	buf_init(&value, 1 << 16);
	for (size_t i = 0; i < conf_n_keys; i++) {
		const struct conf_key *k = &conf_keys[i];
		bool is_secret = kind == CONF_TENANT &&
		    strcmp(k->key, "key") == 0;
		json_t *o;

		if (k->kind != kind)
			continue;
		buf_clear(&value);
		conf_get_text(base, k, &value);
		o = json_object();
		show_set_str(o, "section", k->section);
		show_set_str(o, "name", name);
		show_set_str(o, "key", k->key);
		/* A screen is no place for a client's key. */
		show_set_str(o, "value", is_secret && value.len > 0 ? "(set)" :
		    buf_cstr(&value));
		show_set_str(o, "default", k->def);
		show_set_str(o, "what", k->what);
		show_put(out, o);
	}
	buf_fini(&value);
}

void
show_config(struct gate *g, struct buf *out)
{
	const struct conf *c = &g->conf;

	show_keys(c, CONF_ONE, "", out);
	for (size_t i = 0; i < c->n_models; i++)
		show_keys(&c->models[i], CONF_MODEL, c->models[i].name, out);
	for (size_t i = 0; i < c->n_tenants; i++)
		show_keys(&c->tenants[i], CONF_TENANT, c->tenants[i].name,
		    out);
}

void
show_commands(struct buf *out)
{
	for (size_t i = 0; i < CMD_N; i++) {
		json_t *o;

		if (commands[i].where == CMD_OFFLINE ||
		    commands[i].where == CMD_CONSOLE)
			continue;
		o = json_object();
		show_set_str(o, "words", commands[i].words);
		show_set_str(o, "args", commands[i].args);
		show_set_str(o, "help", commands[i].help);
		show_set_int(o, "risk", (uint64_t)commands[i].risk);
		show_put(out, o);
	}
}

void
show_kernel(uint32_t worker, unsigned type, struct cur body, struct buf *out)
{
	struct msg_kernel m;
	json_t *o;

	if (type != MSG_KERNEL || msg_get_kernel(body, &m) != 0)
		return;
	o = json_object();
	show_set_slice(o, "name", m.name);
	show_set_slice(o, "level", m.level);
	show_set_slice(o, "what", m.what);
	show_set_int(o, "worker", worker);
	show_put(out, o);
}

/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gate/show.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "gate/rows.h"
#include "gate/sched.h"
#include "wire/commands.h"

/* A worker says LOAD twice a second while it works. */
#define LOAD_FRESH_NS	(2 * CLOCK_NS_PER_S)
#define SHOWN_BYTES_MAX 4096	/* of a text of a request */

/* ---- JSON ---- */

static void
put_line(struct buf *out, json_t *o)
{
	char *s = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(15));

	if (s != NULL)
		buf_puts(out, s);
	buf_put_u8(out, '\n');
	free(s);
	json_decref(o);
}

static void
set_slice(json_t *o, const char *key, struct slice s)
{
	json_t *v = json_stringn(s.p != NULL ? s.p : "", s.n);
	char vis[512];

	/* What is no UTF-8 is shown escaped. */
	if (v == NULL)
		v = json_string(str_vis(vis, sizeof(vis), s.p, s.n));
	json_object_set_new(o, key, v);
}

static void
set_str(json_t *o, const char *key, const char *s)
{
	set_slice(o, key, slice_of(s));
}

static void
set_int(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

/* Three decimals are enough for milliseconds and rates. */
static void
set_num(json_t *o, const char *key, double x)
{
	json_object_set_new(o, key, json_real(isfinite(x) ?
	    round(x * 1000) / 1000 : 0));
}

static void
set_known(json_t *o, const char *key, double x)
{
	json_object_set_new(o, key, isfinite(x) ? json_real(x) : json_null());
}

static void
set_quantiles(json_t *o, const char *key, struct window_hist *w,
    uint64_t now_ns)
{
	json_t *q = json_object();

	set_num(q, "p50", window_hist_quantile_ms(w, now_ns, 0.50));
	set_num(q, "p95", window_hist_quantile_ms(w, now_ns, 0.95));
	set_num(q, "p99", window_hist_quantile_ms(w, now_ns, 0.99));
	json_object_set_new(o, key, q);
}

void
show_message(const char *text, struct buf *out)
{
	json_t *o = json_object();

	set_str(o, "message", text);
	put_line(out, o);
}

/* ---- memory of the processes ---- */

void
show_procs_add(struct show_procs *p, unsigned type, struct cur body)
{
	struct msg_proc m;
	struct msg_memory memory;

	if (type == MSG_MEMORY && msg_get_memory(body, &memory) == 0)
		p->memory = memory;
	if (type != MSG_PROC || msg_get_proc(body, &m) != 0)
		return;
	p->v = xreallocarray(p->v, p->n + 1, sizeof(*p->v));
	p->v[p->n++] = (struct show_proc){ m.role, m.worker, m.rss_bytes,
	    MEM_MIN(m.shared_bytes, m.rss_bytes) };
}

void
show_procs_fini(struct show_procs *p)
{
	free(p->v);
	*p = (struct show_procs){ 0 };
}

/* NULL when the master did not tell. */
static const struct show_proc *
find_proc(const struct show_procs *p, uint32_t worker)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i].role == R_WORKER && p->v[i].worker == worker)
			return &p->v[i];
	}
	return NULL;
}

/* What one of a variant's workers has of files and shared memory at most. */
static uint64_t
most_shared(const struct gate *g, const struct show_procs *p,
    const struct gate_variant *v, uint64_t *sum)
{
	const struct gate_worker *w;
	const struct show_proc *proc;
	uint64_t most = 0;

	TAILQ_FOREACH(w, &g->workers, entry) {
		if (w->variant != v || (proc = find_proc(p, w->id)) == NULL)
			continue;
		*sum += proc->shared_bytes;
		most = MEM_MAX(most, proc->shared_bytes);
	}
	return most;
}

/* Of all processes; what workers of one file share counts once. */
static uint64_t
total_memory(const struct gate *g, const struct show_procs *p)
{
	const struct gate_model *m;
	const struct gate_variant *v;
	uint64_t total = 0, shared = 0, once = 0;

	for (size_t i = 0; i < p->n; i++)
		total += p->v[i].rss_bytes;
	TAILQ_FOREACH(m, &g->models, entry)
		TAILQ_FOREACH(v, &m->variants, entry)
			once += most_shared(g, p, v, &shared);
	return total - shared + once;
}

/* ---- status ---- */

static json_t *
memory_object(const struct msg_memory *m)
{
	json_t *o = json_object();

	set_int(o, "limit", m->limit);
	set_int(o, "committed", m->committed);
	set_int(o, "free", m->free);
	return o;
}

static json_t *
log_object(const struct gate *g)
{
	json_t *o = json_object();
	bool is_ok = g->log_code == 0 && g->reqlog != NULL;

	set_str(o, "state", is_ok ? "ok" : "failing");
	set_str(o, "message", g->log_code != 0 ? g->log_text :
	    g->reqlog == NULL ? "the log process is away" : "");
	set_int(o, "pending_rows", g->rows->n);
	set_int(o, "dropped_rows", g->rows->n_dropped);
	return o;
}

void
show_status(struct gate *g, const struct show_procs *p, struct buf *out)
{
	uint64_t now_ns = clock_now_ns();
	int64_t age_ms = clock_unix_ms() - g->started_ms;
	const struct gate_model *m;
	json_t *o = json_object();
	uint64_t n_models = 0;

	TAILQ_FOREACH(m, &g->models, entry)
		n_models++;
	set_str(o, "version", PACKAGE_VERSION);
	set_int(o, "pid", g->master_pid);
	set_num(o, "uptime_s", (double)MEM_MAX(age_ms, (int64_t)0) / 1000);
	set_str(o, "state", g->is_draining ? "draining" : g->state);
	json_object_set_new(o, "ready", json_boolean(gate_is_ready(g)));
	set_str(o, "http", g->http_addr);
	set_int(o, "models", n_models);
	set_int(o, "workers_ready", gate_workers_ready(g, NULL));
	set_int(o, "connections", g->n_connections);
	set_int(o, "queued", g->n_queued);
	set_int(o, "running", g->n_running);
	set_int(o, "requests_total", g->stats->requests_total);
	set_int(o, "tokens_total", g->stats->tokens_total);
	set_num(o, "requests_per_s", rate_per_s(&g->stats->requests, now_ns));
	set_num(o, "tokens_per_s", rate_per_s(&g->stats->tokens, now_ns));
	set_quantiles(o, "ttft_ms", &g->stats->ttft, now_ns);
	set_int(o, "memory_bytes", total_memory(g, p));
	json_object_set_new(o, "memory", memory_object(&p->memory));
	json_object_set_new(o, "log", log_object(g));
	put_line(out, o);
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
	set_int(o, "weights_bytes", weights);
	set_int(o, "kv_bytes", kv);
	set_int(o, "scratch_bytes", scratch);
}

static void
show_model(const struct gate *g, const struct gate_model *m, uint64_t now_ns,
    struct buf *out)
{
	json_t *o = json_object(), *workers = json_object();

	set_int(workers, "now", gate_workers_ready(g, m));
	set_int(workers, "min", m->workers_min);
	set_int(workers, "max", m->workers_max);
	set_str(o, "workers_why", m->why);
	set_str(o, "name", m->name);
	set_str(o, "variant", m->active->name);
	set_str(o, "state", m->state);
	json_object_set_new(o, "workers", workers);
	set_int(o, "threads", m->n_threads != 0 ? m->n_threads :
	    m->n_threads_chosen);
	set_int(o, "queued", m->n_queued);
	set_int(o, "running", gate_model_running(g, m));
	set_num(o, "tokens_per_s", rate_per_s(&m->token_rate, now_ns));
	set_int(o, "memory_bytes", gate_model_memory(g, m));
	set_int(o, "shared_bytes", m->active->shared_bytes);
	set_account(o, g, m);
	set_str(o, "architecture", m->architecture);
	set_int(o, "parameters", m->n_params);
	set_int(o, "context", m->n_ctx);
	set_str(o, "type", m->active->type);
	set_int(o, "file_bytes", m->active->file_bytes);
	set_str(o, "path", m->path);
	set_int(o, "requests_total", m->n_requests);
	set_int(o, "errors_total", m->n_errors);
	set_str(o, "previous", m->previous);
	set_str(o, "next", m->next);
	set_int(o, "canary_percent", m->percent);
	json_object_set_new(o, "held", json_boolean(m->is_held));
	set_str(o, "reason", m->reason);
	put_line(out, o);
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

	set_str(o, "name", v->name);
	set_str(o, "model", m->name);
	set_str(o, "file", v->path);
	set_str(o, "type", v->type);
	set_num(o, "bits_per_weight", v->bits_per_weight);
	set_int(o, "file_bytes", v->file_bytes);
	set_known(o, "perplexity", v->perplexity);
	set_known(o, "reference_perplexity", v->reference);
	set_known(o, "kl_divergence", v->kl_divergence);
	set_str(o, "source", v->source);
	set_str(o, "made_from", v->made_from);
	set_int(o, "created_at", (uint64_t)v->created_ms);
	set_num(o, "tokens_per_s", rate_per_s(&v->token_rate, now_ns));
	json_object_set_new(o, "active", json_boolean(v == m->active));
	set_str(o, "state", v->state);
	set_int(o, "canary_percent", v == m->canary ? m->percent : 0);
	set_int(o, "percent_done", strcmp(v->state, "compressing") == 0 ?
	    v->percent_done : 100);
	set_int(o, "live", v->n_bound);
	set_int(o, "requests_total", v->n_requests);
	set_int(o, "errors_total", v->n_errors);
	set_num(o, "error_rate", v->trial.n_requests == 0 ? 0 :
	    (double)v->trial.n_errors / (double)v->trial.n_requests);
	set_quantiles(o, "ttft_ms", &v->ttft, now_ns);
	set_quantiles(o, "duration_ms", &v->duration, now_ns);
	set_str(o, "reason", v->reason);
	put_line(out, o);
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

static void
show_worker(const struct gate_worker *w, const struct show_proc *proc,
    uint64_t now_ns, struct buf *out)
{
	bool is_fresh = w->load_ns != 0 && now_ns - w->load_ns < LOAD_FRESH_NS;
	int64_t age_ms = clock_unix_ms() - w->started_ms;
	json_t *o = json_object();

	set_int(o, "id", w->id);
	set_int(o, "pid", w->pid);
	set_str(o, "model", w->model_name);
	set_str(o, "variant", w->variant_name);
	set_str(o, "state", w->is_held ? "held" : w->state);
	set_int(o, "running", w->n_running);
	set_int(o, "parallel", w->n_parallel);
	set_num(o, "tokens_per_s", is_fresh ? (double)w->tokens_per_s : 0);
	set_int(o, "rss_bytes", proc == NULL ? 0 : proc->rss_bytes);
	set_int(o, "shared_bytes", proc == NULL ? 0 : proc->shared_bytes);
	if (w->is_ready && w->variant != NULL) {
		set_int(o, "weights_bytes", w->variant->shared_bytes +
		    own_weights(w->variant));
		set_int(o, "kv_bytes", w->variant->kv_bytes);
		set_int(o, "scratch_bytes", w->variant->scratch_bytes);
	}
	if (w->node != 0)
		set_int(o, "node", w->node - 1);
	set_int(o, "restarts", w->restarts);
	set_str(o, "cpu_level", w->cpu_level);
	set_num(o, "uptime_s", w->pid == 0 ? 0 :
	    (double)MEM_MAX(age_ms, (int64_t)0) / 1000);
	set_int(o, "kv_pages_used", w->kv_pages_used);
	set_int(o, "kv_pages", w->kv_pages);
	set_int(o, "drafted_tokens", w->drafted_tokens);
	set_int(o, "accepted_tokens", w->accepted_tokens);
	put_line(out, o);
}

void
show_workers(struct gate *g, const struct show_procs *p, struct buf *out)
{
	const struct gate_worker *w;
	uint64_t now_ns = clock_now_ns();

	TAILQ_FOREACH(w, &g->workers, entry)
		show_worker(w, find_proc(p, w->id), now_ns, out);
}

/* The begin of a long text, whole characters; null when there is none. */
static void
set_begin(json_t *o, const char *key, struct slice s)
{
	if (s.n > SHOWN_BYTES_MAX) {
		s.n = SHOWN_BYTES_MAX;
		while (s.n > 0 && ((unsigned char)s.p[s.n] & 0xc0) == 0x80)
			s.n--;
	}
	if (s.n == 0)
		json_object_set_new(o, key, json_null());
	else
		set_slice(o, key, s);
}

/* What is not known before the end, and what the log is not to keep. */
static void
set_request_rest(const struct gate *g, const struct request *r,
    uint64_t now_ns, json_t *o)
{
	bool is_kept = strcmp(g->conf.log_keep, "full") == 0;
	uint64_t begun_ns = r->dispatched_ns != 0 ? r->dispatched_ns : now_ns;

	set_int(o, "started_at", (uint64_t)r->arrived_unix_ms);
	json_object_set_new(o, "finished_at", json_null());
	set_str(o, "status", r->worker != NULL ? "running" : "queued");
	json_object_set_new(o, "finish", json_null());
	set_int(o, "cached_tokens", r->cached_tokens);
	set_num(o, "queue_ms", clock_ms_between(r->arrived_ns, begun_ns));
	set_num(o, "prefill_ms", r->first_output_ns == 0 ? 0 :
	    clock_ms_between(begun_ns, r->first_output_ns));
	set_num(o, "decode_ms", r->first_output_ns == 0 ? 0 :
	    clock_ms_between(r->first_output_ns, now_ns));
	set_num(o, "ttft_ms", r->first_output_ns == 0 ? 0 :
	    clock_ms_between(r->arrived_ns, r->first_output_ns));
	set_begin(o, "prompt", is_kept ? slice_of(r->prompt) :
	    (struct slice){ 0 });
	set_begin(o, "output", is_kept ? (struct slice){
	    (const char *)r->output.data, r->output.len } :
	    (struct slice){ 0 });
	set_begin(o, "params", slice_of(r->params));
}

static void
show_request(const struct gate *g, const struct request *r, uint64_t now_ns,
    struct buf *out)
{
	json_t *o = json_object();

	set_str(o, "id", r->uuid);
	set_begin(o, "tenant", slice_of(r->tenant));
	set_str(o, "client", r->client);
	set_str(o, "protocol", r->protocol);
	set_str(o, "endpoint", r->endpoint);
	set_str(o, "model", r->on_model->name);
	set_str(o, "variant", r->variant != NULL ? r->variant->name : "");
	json_object_set_new(o, "worker", r->worker != NULL ?
	    json_integer(r->worker->id) : json_null());
	set_str(o, "state", r->worker != NULL ? "running" : "queued");
	set_int(o, "priority", (uint64_t)r->priority);
	json_object_set_new(o, "position", r->worker != NULL ? json_null() :
	    json_integer((json_int_t)r->position));
	set_num(o, "age_ms", clock_ms_between(r->arrived_ns, now_ns));
	set_int(o, "prompt_tokens", r->prompt_tokens);
	set_int(o, "completion_tokens", r->n_generated);
	set_int(o, "retries", r->n_retries);
	set_request_rest(g, r, now_ns, o);
	put_line(out, o);
}

static int
by_arrival(const void *a, const void *b)
{
	const struct request *x = *(struct request *const *)a;
	const struct request *y = *(struct request *const *)b;

	return (x->id > y->id) - (x->id < y->id);
}

void
show_requests(struct gate *g, struct buf *out)
{
	size_t n = 0, at = 0;
	struct request *r, **all = xreallocarray(NULL, g->requests.n + 1,
	    sizeof(struct request *));
	uint64_t now_ns = clock_now_ns();
	struct gate_model *m;

	TAILQ_FOREACH(m, &g->models, entry)
		sched_number(m);
	while ((r = map_next(&g->requests, &at)) != NULL)
		all[n++] = r;
	qsort(all, n, sizeof(struct request *), by_arrival);
	for (size_t i = 0; i < n; i++)
		show_request(g, all[i], now_ns, out);
	free(all);
}

/* ---- compress ---- */

static void
show_progress(const char *model, const struct msg_progress *p,
    struct buf *out)
{
	json_t *o = json_object();

	set_str(o, "model", model);
	set_str(o, "state", "compressing");
	set_int(o, "done_bytes", p->done);
	set_int(o, "total_bytes", p->total);
	put_line(out, o);
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
		set_slice(types, type, count);
	}
	set_str(o, "model", model);
	set_slice(o, "variant", q->variant);
	set_slice(o, "file", q->file);
	set_int(o, "file_bytes", q->bytes);
	set_int(o, "parameters", q->n_params);
	set_num(o, "bits_per_weight", q->bits_per_weight);
	json_object_set_new(o, "tensors", types);
	set_int(o, "fallback", q->n_fallback);
	set_int(o, "requantized", q->n_requantized);
	set_num(o, "seconds", q->ms / 1000);
	put_line(out, o);
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
		set_str(o, "section", k->section);
		set_str(o, "name", name);
		set_str(o, "key", k->key);
		/* A screen is no place for a client's key. */
		set_str(o, "value", is_secret && value.len > 0 ? "(set)" :
		    buf_cstr(&value));
		set_str(o, "default", k->def);
		set_str(o, "what", k->what);
		put_line(out, o);
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

		if (commands[i].where == CMD_OFFLINE)
			continue;
		o = json_object();
		set_str(o, "words", commands[i].words);
		set_str(o, "args", commands[i].args);
		set_str(o, "help", commands[i].help);
		set_int(o, "risk", (uint64_t)commands[i].risk);
		put_line(out, o);
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
	set_slice(o, "name", m.name);
	set_slice(o, "level", m.level);
	set_slice(o, "what", m.what);
	set_int(o, "worker", worker);
	put_line(out, o);
}

/* SPDX-License-Identifier: MIT */
/*
 * The runs.  A run waits, is admitted, and leaves when it ends.  Both lists are
 * in order of arrival.  A run needs nothing but its tokens to be computed, and
 * what it generates does not depend on how its rows were batched; so when the
 * KV cache is full, the youngest active run gives its pages back and waits
 * again.  What happens to active runs in a step is in step.c.
 */
#include "config.h"

#include "worker/engine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "worker/engine_impl.h"
#include "worker/prefix.h"
#include "worker/reply.h"
#include "worker/run.h"

#define DEFAULT_GAP_MS	200

/* ---- life ---- */

static void
alloc_lists(struct engine *e)
{
	size_t n_vocab = model_desc(e->conf.model)->n_vocab;
	int n_threads = pool_n_threads(e->conf.pool);

	e->rows = xcalloc(e->max_rows, sizeof(*e->rows));
	e->outs = xcalloc(e->max_outs, sizeof(*e->outs));
	e->prompts = xcalloc(e->conf.n_parallel, sizeof(*e->prompts));
	e->drafts = xcalloc(e->conf.n_parallel, sizeof(*e->drafts));
	e->scratch = xcalloc((size_t)n_threads, sizeof(*e->scratch));
	for (int i = 0; i < n_threads; i++)
		sample_scratch_init(&e->scratch[i], n_vocab);
}

/* Layers are weights, and so are the logits. */
static void
init_progress(struct engine *e)
{
	const struct model_desc *d = model_desc(e->conf.model);
	double n_logits = (double)d->n_vocab * d->n_embd;
	double n_layers = (double)d->n_params - n_logits;

	e->progress.n_layers = d->n_layer;
	e->progress.n_after = n_layers > 0 ? n_logits / n_layers * d->n_layer :
	    1;
}

int
engine_new(const struct engine_conf *conf, struct engine **out,
    struct cause *cause)
{
	size_t n_vocab = model_desc(conf->model)->n_vocab, n_logits;
	struct engine *e = xcalloc(1, sizeof(*e));
	int r;

	e->conf = *conf;
	TAILQ_INIT(&e->waiting);
	TAILQ_INIT(&e->active);
	if (e->conf.max_gap_ms == 0)
		e->conf.max_gap_ms = DEFAULT_GAP_MS;
	plan_init(&e->plan, e->conf.max_gap_ms);
	init_progress(e);
	e->max_outs = MEM_MAX((size_t)conf->n_parallel,
	    (size_t)PLAN_DRAFT_MAX + 1);
	e->max_rows = e->max_outs + PLAN_ROWS_MAX;
	r = model_run_new(conf->model, conf->pool, conf->kv, e->max_rows,
	    &e->model_run, cause);
	if (r == 0 && !conf->no_prefixes)
		r = kv_pool_keep(conf->kv, cause);
	if (r == 0 && (!size_mul(n_vocab, e->max_outs, &n_logits) ||
	    (e->logits = try_calloc(n_logits, sizeof(float))) == NULL))
		r = cause_set(cause, BM_ENOMEM,
		    "no memory for the logits of %zu rows", e->max_outs);
	if (r != 0) {
		engine_free(&e);
		return r;
	}
	run_env_init(&e->env, conf->model, conf->chat, conf->n_ctx);
	alloc_lists(e);
	*out = e;
	return 0;
}

static void
give_pages(struct engine *e, struct run *r)
{
	model_drop(e->model_run, &r->kv);
	r->n_put_off = 0;
	kv_seq_clear(e->conf.kv, &r->kv);
}

/* Take it off its list, pages and all, and free it. */
static void
forget(struct engine *e, struct run *r)
{
	give_pages(e, r);
	if (r->is_active) {
		TAILQ_REMOVE(&e->active, r, entry);
		e->n_active--;
	} else {
		TAILQ_REMOVE(&e->waiting, r, entry);
		e->n_waiting--;
	}
	run_free(&r);
}

void
engine_free(struct engine **ep)
{
	struct engine *e = *ep;
	struct run *r;

	if (e == NULL)
		return;
	*ep = NULL;
	while ((r = TAILQ_FIRST(&e->waiting)) != NULL ||
	    (r = TAILQ_FIRST(&e->active)) != NULL)
		forget(e, r);
	for (int i = 0; e->scratch != NULL &&
	    i < pool_n_threads(e->conf.pool); i++)
		sample_scratch_fini(&e->scratch[i]);
	free(e->scratch);
	free(e->drafts);
	free(e->prompts);
	free(e->outs);
	free(e->rows);
	free(e->logits);
	run_env_fini(&e->env);
	model_run_free(&e->model_run);
	free(e);
}

void
engine_end(struct engine *e, struct run *r, int code)
{
	reply_ended(e->conf.send, r, code);
	forget(e, r);
}

/* ---- coming and going ---- */

static struct run *
find(const struct run_list *list, const void *link, uint64_t id)
{
	struct run *r;

	TAILQ_FOREACH(r, list, entry)
		if (r->link == link && r->id == id)
			return r;
	return NULL;
}

void
engine_run(struct engine *e, void *link, uint64_t id, const struct msg_run *m)
{
	struct cause cause = { 0 };
	struct run *r;
	int rc;

	if ((rc = run_new(&e->env, m, &r, &cause)) != 0) {
		reply_refused(e->conf.send, link, id, rc, &cause);
		return;
	}
	r->link = link;
	r->id = id;
	r->arrival = ++e->n_arrived;
	r->arrived_ns = engine_now_ns(e);
	TAILQ_INSERT_TAIL(&e->waiting, r, entry);
	e->n_waiting++;
}

void
engine_cancel(struct engine *e, const void *link, uint64_t id)
{
	struct run *r = find(&e->active, link, id);

	if (r == NULL)
		r = find(&e->waiting, link, id);
	if (r != NULL)
		engine_end(e, r, BM_ECANCEL);
}

static void
drop_from(struct engine *e, struct run_list *list, const void *link)
{
	struct run *r, *next;

	TAILQ_FOREACH_SAFE(r, list, entry, next)
		if (r->link == link)
			forget(e, r);
}

void
engine_drop_link(struct engine *e, const void *link)
{
	drop_from(e, &e->active, link);
	drop_from(e, &e->waiting, link);
}

static void
activate(struct engine *e, struct run *r)
{
	struct run *at;

	TAILQ_REMOVE(&e->waiting, r, entry);
	e->n_waiting--;
	TAILQ_FOREACH(at, &e->active, entry)
		if (at->arrival > r->arrival)
			break;
	if (at != NULL)
		TAILQ_INSERT_BEFORE(at, r, entry);
	else
		TAILQ_INSERT_TAIL(&e->active, r, entry);
	e->n_active++;
	r->is_active = true;
}

/*
 * Pages for all the tokens that a run has, with one to spare for each active
 * run to grow into, so that the next step does not throw it out again.
 */
static bool
reserve_all(struct engine *e, struct run *r)
{
	size_t spare = e->n_active == 0 ? 0 : e->n_active + 1;
	struct kv_pool *kv = e->conf.kv;

	if (r->finish != FINISH_NONE)
		return true;
	kv_seq_adopt(kv, &r->kv, r->tokens, r->n_tokens - 1);
	if (kv_pool_n_free(kv) + r->kv.n_pages >= kv_pages_of(r->n_tokens) +
	    spare && kv_seq_reserve(kv, &r->kv, (uint32_t)r->n_tokens) == 0)
		return true;
	kv_seq_clear(kv, &r->kv);
	return false;
}

void
engine_admit(struct engine *e)
{
	struct run *r;

	while (e->n_active < e->conf.n_parallel &&
	    (r = TAILQ_FIRST(&e->waiting)) != NULL && reserve_all(e, r)) {
		activate(e, r);
		if (r->finish == FINISH_NONE) {
			prefix_take(e->conf.kv, &e->active, r);
		} else {
			if (!r->is_started)
				reply_started(e->conf.send, r);
			reply_text(e->conf.send, r);
			engine_end(e, r, 0);
		}
	}
}

static void
preempt(struct engine *e, struct run *r)
{
	log_debug("run %llu waits for KV pages", (unsigned long long)r->id);
	give_pages(e, r);
	r->n_planned = 0;
	TAILQ_REMOVE(&e->active, r, entry);
	e->n_active--;
	TAILQ_INSERT_HEAD(&e->waiting, r, entry);
	e->n_waiting++;
	r->is_active = false;
}

bool
engine_make_room(struct engine *e, struct run *r)
{
	uint32_t n = r->kv.n_tokens + (uint32_t)r->n_planned;

	while (kv_seq_reserve(e->conf.kv, &r->kv, n) != 0) {
		struct run *youngest = TAILQ_LAST(&e->active, run_list);

		preempt(e, youngest);
		if (youngest == r)
			return false;
	}
	return true;
}

/* ---- how things stand ---- */

uint64_t
engine_now_ns(const struct engine *e)
{
	return e->conf.now_ns != NULL ? e->conf.now_ns() : clock_now_ns();
}

bool
engine_has_work(const struct engine *e)
{
	return e->n_active + e->n_waiting > 0;
}

void
engine_load(const struct engine *e, struct msg_load *out)
{
	size_t pages = kv_pool_n_pages(e->conf.kv);

	*out = (struct msg_load){
	    .running = (uint32_t)e->n_active,
	    .waiting = (uint32_t)e->n_waiting,
	    .kv_pages = (uint32_t)pages,
	    .kv_pages_used = (uint32_t)(pages -
	    kv_pool_n_free(e->conf.kv)),
	    .tokens_total = e->tokens_total,
	    .drafted_tokens = e->drafted_total,
	    .accepted_tokens = e->accepted_total };
}

struct plan_work
engine_last_work(const struct engine *e)
{
	return e->work;
}

uint64_t
engine_prompt_rows(const struct engine *e)
{
	return e->prompt_rows;
}

uint64_t
engine_scratch_bytes(const struct engine *e)
{
	size_t n_vocab = model_desc(e->conf.model)->n_vocab;
	size_t n_threads = (size_t)pool_n_threads(e->conf.pool);

	return model_run_bytes(e->model_run) +
	    n_vocab * e->max_outs * sizeof(float) +
	    n_vocab * n_threads * (2 * sizeof(float) + sizeof(uint32_t) +
	    sizeof(struct candidate));
}

/* SPDX-License-Identifier: MIT */
/*
 * A run waits, is admitted, and leaves when it ends.  Both lists are in order
 * of arrival.  A run needs nothing but its tokens to be computed, and what it
 * generates does not depend on how its rows were batched; so when the KV cache
 * is full, the youngest active run gives its pages back and waits again.
 *
 * Of a text that several runs begin with, one computes the next page and the
 * others are behind it (worker/prefix.h).
 *
 * In a step a run has one row for each token that the cache lacks, as far as
 * the budget goes; the row of its last token gives the logits of the next.
 * "Generating" and "prefilling" are only names for lacking one or more.
 */
#include "config.h"

#include "worker/engine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "worker/prefix.h"
#include "worker/reply.h"
#include "worker/run.h"

/* Rows of prompts in a step: while nobody generates, and while somebody does
 * and waits for the step to end. */
#define PREFILL_ROWS_ALONE	512
#define PREFILL_ROWS_SHARED	64
/* What one prompt gets before the next one has its turn. */
#define PREFILL_TURN		32

struct engine {
	struct engine_conf conf;
	struct run_env	 env;
	struct model_run *model_run;
	struct run_list	 waiting;
	struct run_list	 active;
	size_t		 n_waiting;
	size_t		 n_active;
	uint64_t	 n_arrived;
	uint64_t	 last_turn;	/* arrival of the last one served */
	uint64_t	 tokens_total;
	uint64_t	 prompt_rows;

	struct batch_row *rows;
	size_t		 max_rows;
	struct run	**outs;		/* whose logits these are */
	size_t		 n_outs;
	float		*logits;
	struct sample_scratch *scratch;	/* a thread */
};

/* ---- life ---- */

int
engine_new(const struct engine_conf *conf, struct engine **out,
    struct cause *cause)
{
	size_t n_vocab = model_desc(conf->model)->n_vocab, n_logits;
	struct engine *e = xcalloc(1, sizeof(*e));
	int n_threads = pool_n_threads(conf->pool), r;

	e->conf = *conf;
	TAILQ_INIT(&e->waiting);
	TAILQ_INIT(&e->active);
	e->max_rows = conf->n_parallel + PREFILL_ROWS_ALONE;
	r = model_run_new(conf->model, conf->pool, conf->kv, e->max_rows,
	    &e->model_run, cause);
	if (r == 0 && !conf->no_prefixes)
		r = kv_pool_keep(conf->kv, cause);
	if (r == 0 && (!size_mul(n_vocab, conf->n_parallel, &n_logits) ||
	    (e->logits = try_calloc(n_logits, sizeof(float))) == NULL))
		r = cause_set(cause, BM_ENOMEM,
		    "no memory for the logits of %u sequences",
		    conf->n_parallel);
	if (r != 0) {
		engine_free(&e);
		return r;
	}
	run_env_init(&e->env, conf->model, conf->chat, conf->n_ctx);
	e->rows = xcalloc(e->max_rows, sizeof(*e->rows));
	e->outs = xcalloc(conf->n_parallel, sizeof(*e->outs));
	e->scratch = xcalloc((size_t)n_threads, sizeof(*e->scratch));
	for (int i = 0; i < n_threads; i++)
		sample_scratch_init(&e->scratch[i], n_vocab);
	*out = e;
	return 0;
}

/* Take it off its list, pages and all, and free it. */
static void
forget(struct engine *e, struct run *r)
{
	kv_seq_clear(e->conf.kv, &r->kv);
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
	free(e->outs);
	free(e->rows);
	free(e->logits);
	run_env_fini(&e->env);
	model_run_free(&e->model_run);
	free(e);
}

/* Say how it ended and forget it. */
static void
end_run(struct engine *e, struct run *r, int code)
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
		end_run(e, r, BM_ECANCEL);
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

static size_t
pages_of(size_t n_tokens)
{
	return (n_tokens + KV_PAGE - 1) / KV_PAGE;
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
	if (kv_pool_n_free(kv) + r->kv.n_pages >= pages_of(r->n_tokens) +
	    spare && kv_seq_reserve(kv, &r->kv, (uint32_t)r->n_tokens) == 0)
		return true;
	kv_seq_clear(kv, &r->kv);
	return false;
}

/* Let waiting runs in, in order, while there is room. */
static void
admit(struct engine *e)
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
			end_run(e, r, 0);
		}
	}
}

/* ---- planning a step ---- */

static void
preempt(struct engine *e, struct run *r)
{
	log_debug("run %llu waits for KV pages", (unsigned long long)r->id);
	kv_seq_clear(e->conf.kv, &r->kv);
	r->n_planned = 0;
	TAILQ_REMOVE(&e->active, r, entry);
	e->n_active--;
	TAILQ_INSERT_HEAD(&e->waiting, r, entry);
	e->n_waiting++;
	r->is_active = false;
}

/* Pages for what is planned of r, taken from younger runs when there are no
 * free ones; false when r itself had to give way. */
static bool
make_room(struct engine *e, struct run *r)
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

static size_t
plan_generating(struct engine *e)
{
	size_t n = 0;
	struct run *r;

	TAILQ_FOREACH(r, &e->active, entry) {
		r->n_planned = run_n_missing(r) == 1;
		n += r->n_planned;
	}
	return n;
}

/* The prompt whose turn it is: the next in order of arrival after the one
 * served last, or the first; NULL when all are planned. */
static struct run *
next_prompt(const struct engine *e)
{
	struct run *r, *first = NULL;

	TAILQ_FOREACH(r, &e->active, entry) {
		if (r->n_planned == run_n_missing(r) || r->is_behind)
			continue;
		if (r->arrival > e->last_turn)
			return r;
		if (first == NULL)
			first = r;
	}
	return first;
}

static void
plan_prompts(struct engine *e, size_t budget)
{
	struct run *r;

	while (budget > 0 && (r = next_prompt(e)) != NULL) {
		size_t n = MEM_MIN(run_n_missing(r) - r->n_planned,
		    (size_t)PREFILL_TURN);

		n = MEM_MIN(n, budget);
		r->n_planned += n;
		budget -= n;
		e->last_turn = r->arrival;
	}
}

/* Decide how many rows each active run has, and reserve their pages. */
static void
plan(struct engine *e)
{
	struct run *r;

	TAILQ_FOREACH(r, &e->active, entry)
		r->is_behind = prefix_is_behind(e->conf.kv, &e->active, r);
	plan_prompts(e, plan_generating(e) > 0 ? PREFILL_ROWS_SHARED :
	    PREFILL_ROWS_ALONE);
	TAILQ_FOREACH(r, &e->active, entry)
		if (r->n_planned > 0 && !make_room(e, r))
			break;		/* it was the last of the list */
	TAILQ_FOREACH(r, &e->active, entry)
		if (r->n_planned > 0 && !r->is_started)
			reply_started(e->conf.send, r);
}

static void
build_batch(struct engine *e, struct batch *b)
{
	struct run *r;

	*b = (struct batch){ e->rows, 0 };
	e->n_outs = 0;
	TAILQ_FOREACH(r, &e->active, entry) {
		size_t missing = run_n_missing(r);

		for (size_t i = 0; i < r->n_planned; i++) {
			uint32_t pos = r->kv.n_tokens + (uint32_t)i;

			assert(b->n < e->max_rows);
			e->rows[b->n++] = (struct batch_row){ r->tokens[pos],
			    pos, &r->kv, i + 1 == missing };
		}
		if (r->n_planned > 0 && r->n_planned == missing)
			e->outs[e->n_outs++] = r;
	}
}

/* What the step has computed, before those go who computed it. */
static void
share_prefixes(struct engine *e)
{
	struct run *r;

	TAILQ_FOREACH(r, &e->active, entry) {
		size_t before = r->kv.n_tokens - r->n_planned;

		e->prompt_rows += MEM_MIN(r->kv.n_tokens,
		    MEM_MAX(r->n_prompt, before)) - before;
		r->n_held = MEM_MAX(r->n_held, (size_t)r->kv.n_tokens);
		kv_seq_share(e->conf.kv, &r->kv, r->tokens);
	}
	TAILQ_FOREACH(r, &e->active, entry)
		prefix_take(e->conf.kv, &e->active, r);
}

/* ---- choosing tokens ---- */

static void
sample_item(void *arg, size_t i, int thread)
{
	struct engine *e = arg;
	struct run *r = e->outs[i];
	struct sample_scratch *s = &e->scratch[thread];
	const float *logits = e->logits + i * s->n_vocab;
	struct sample_history h = { r->tokens, r->n_tokens, r->n_prompt };

	r->code = sample_token(&r->sample, &h, logits, s, &r->sampled);
	if (r->code == 0 && r->n_probs >= 0)
		r->n_top = sample_logprobs(logits, r->sampled,
		    (size_t)r->n_probs, s, r->probs);
}

static void
deliver(struct engine *e, struct run *r)
{
	if (r->code != 0) {
		if (r->code == BM_EINTERNAL)
			log_warnx("run %llu: the logits are no numbers",
			    (unsigned long long)r->id);
		end_run(e, r, r->code);
		return;
	}
	if (r->first_ns == 0)
		r->first_ns = clock_now_ns();
	e->tokens_total++;
	run_accept(r, r->sampled);
	reply_out(e->conf.send, r);
	if (r->finish != FINISH_NONE)
		end_run(e, r, 0);
}

bool
engine_has_work(const struct engine *e)
{
	return e->n_active + e->n_waiting > 0;
}

void
engine_step(struct engine *e)
{
	struct batch b;

	admit(e);
	plan(e);
	build_batch(e, &b);
	if (b.n == 0)
		return;
	model_forward(e->model_run, &b, e->n_outs > 0 ? e->logits : NULL,
	    NULL);
	share_prefixes(e);
	if (e->n_outs > 1)
		pool_run(e->conf.pool, e->n_outs, sample_item, e);
	else if (e->n_outs == 1)
		sample_item(e, 0, 0);
	for (size_t i = 0; i < e->n_outs; i++)
		deliver(e, e->outs[i]);
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
	    .tokens_total = e->tokens_total };
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
	    n_vocab * e->conf.n_parallel * sizeof(float) +
	    n_vocab * n_threads * (2 * sizeof(float) + sizeof(uint32_t) +
	    sizeof(struct candidate));
}

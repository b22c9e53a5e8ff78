/* SPDX-License-Identifier: MIT */
/*
 * One step.  A run has one row for each token that the cache lacks, as far as
 * the plan goes; the row of its last token gives the logits of the next.
 * "Generating" and "prefilling" are only names for lacking one or more.
 *
 * A run that generates may have rows for guesses behind its last token.  The
 * choice after each row is made as if the guesses before it were right, from
 * the same logits, history and draw as without guesses; choices count up to
 * the first that differs from the guess.  So what is answered is the same, and
 * rows of wrong guesses leave nothing: the cache forgets them before anybody
 * can find a page.
 *
 * A step that turns out to take too long for those who generate is divided:
 * rows of prompts stay behind at some layer and go on in the next step, which
 * has no other ones of prompts.  Until they come to the end, their run is as if
 * they had not begun, but for its pages, which stay its own.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "worker/crash.h"
#include "worker/engine_impl.h"
#include "worker/prefix.h"
#include "worker/reply.h"

/* ---- planning ---- */

/* A row for each run that generates; how long one of them waited, in ms. */
static double
plan_generating(struct engine *e, uint64_t now)
{
	uint64_t oldest = now;
	struct run *r;

	e->work = (struct plan_work){ 0 };
	TAILQ_FOREACH(r, &e->active, entry) {
		r->n_draft = r->n_right = 0;
		r->n_planned = run_n_missing(r) == 1;
		if (r->n_planned == 0)
			continue;
		plan_add_decode(&e->work, r->kv.n_tokens, 1);
		if (r->last_ns != 0)
			oldest = MEM_MIN(oldest, r->last_ns);
	}
	return clock_ms_between(oldest, now);
}

/*
 * What r may compute before the plan is made anew: what it lacks, or as far as
 * others wait for it when it goes on well beyond that.  They may begin then,
 * and what is r's alone has no right to come before theirs.
 */
static size_t
n_until_shared(struct engine *e, struct run *r)
{
	size_t n = run_n_missing(r), held = r->kv.n_tokens;
	size_t awaited = prefix_n_awaited(e->conf.kv, &e->active, r);

	return awaited > held && awaited + PLAN_ROWS_LEAST <= held + n ?
	    awaited - held : n;
}

static void
plan_waiting(struct engine *e, uint64_t now, double late_ms)
{
	size_t n = 0;
	struct run *r;

	TAILQ_FOREACH(r, &e->active, entry) {
		r->is_behind = prefix_is_behind(e->conf.kv, &e->active, r);
		if (r->n_planned == 0 && !r->is_behind)
			e->prompts[n++] = (struct plan_prompt){ .run = r,
			    .n_held = r->kv.n_tokens,
			    .n_missing = n_until_shared(e, r),
			    .waited_ms = clock_ms_between(r->arrived_ns,
			    now) };
	}
	plan_prompts(&e->plan, &e->work, late_ms, e->prompts, n);
	for (size_t i = 0; i < n; i++) {
		r = e->prompts[i].run;
		r->n_planned = e->prompts[i].n_rows;
	}
}

/* How many guesses the pages of r have room for; it takes a free one, but
 * not those that others are about to need. */
static size_t
room_for_draft(struct engine *e, struct run *r, size_t n)
{
	size_t room = r->kv.n_pages * KV_PAGE - r->n_tokens;

	if (n > room && kv_pool_n_free(e->conf.kv) > e->n_active &&
	    kv_seq_reserve(e->conf.kv, &r->kv, (uint32_t)(r->n_tokens + n)) ==
	    0)
		room = n;
	return MEM_MIN(n, room);
}

/* Guesses are made in steps without prompts only: rows that are sure to be of
 * use come first. */
static void
plan_guesses(struct engine *e)
{
	size_t n = 0;
	struct run *r;

	if (e->conf.speculate == SPECULATE_NO || e->work.n_prompt > 0)
		return;
	TAILQ_FOREACH(r, &e->active, entry) {
		double accept = speculate_chance(&r->speculate);

		if (r->n_planned > 0 && accept > 0)
			e->drafts[n++] = (struct plan_draft){ .run = r,
			    .accept = accept, .n_held = r->n_tokens,
			    .n_most = run_draft_most(r) };
	}
	plan_drafts(&e->plan, &e->work, e->conf.speculate == SPECULATE_YES,
	    e->max_outs - e->work.n_decode, e->drafts, n);
	for (size_t i = 0; i < n; i++) {
		r = e->drafts[i].run;
		run_draft(r, room_for_draft(e, r, e->drafts[i].n_rows));
		r->n_planned += r->n_draft;
		plan_add_decode(&e->work, r->n_tokens, r->n_draft);
	}
}

/* Those whose rows a late step left behind, and nobody else of the prompts. */
static void
plan_put_off(struct engine *e)
{
	struct run *r;

	TAILQ_FOREACH(r, &e->active, entry)
		if (r->n_put_off > 0)
			r->n_planned = r->n_put_off;
}

/* What is planned of those who did not have to give way. */
static void
count_work(struct engine *e)
{
	struct plan_progress *p = &e->progress;
	struct run *r;

	p->first = model_put_off(e->model_run);
	e->work = (struct plan_work){ .put_off = (double)p->first /
	    p->n_layers };
	TAILQ_FOREACH(r, &e->active, entry) {
		if (run_n_missing(r) == 1)
			plan_add_decode(&e->work, r->kv.n_tokens,
			    r->n_planned);
		else
			plan_add_prompt(&e->work, r->kv.n_tokens,
			    r->n_planned);
	}
}

/* Decide how many rows each active run has, and reserve their pages. */
static void
make_plan(struct engine *e, uint64_t now)
{
	double late_ms = plan_generating(e, now);
	struct run *r;

	if (model_put_off(e->model_run) > 0)
		plan_put_off(e);
	else
		plan_waiting(e, now, late_ms);
	e->step_ns = now;
	e->progress.late_ms = late_ms;
	TAILQ_FOREACH(r, &e->active, entry)
		if (r->n_planned > 0 && !engine_make_room(e, r))
			break;		/* it was the last of the list */
	count_work(e);
	plan_guesses(e);
	TAILQ_FOREACH(r, &e->active, entry)
		if (r->n_planned > 0 && !r->is_started)
			reply_started(e->conf.send, r);
}

static void
add_rows(struct engine *e, struct run *r, struct batch *b)
{
	size_t missing = run_n_missing(r), n_outs = 0;

	for (size_t i = 0; i < r->n_planned; i++) {
		uint32_t pos = r->kv.n_tokens + (uint32_t)i;
		bool wants_output = i + 1 >= missing;

		assert(b->n < e->max_rows);
		if (r->n_put_off == 0)
			e->rows[b->n++] = (struct batch_row){ r->tokens[pos],
			    pos, &r->kv, wants_output };
		if (!wants_output)
			continue;
		assert(e->n_outs < e->max_outs);
		e->outs[e->n_outs++] = (struct out){ r, n_outs++ };
	}
}

/* Rows of the streams, then of the prompts; how many the streams have. */
static size_t
make_batch(struct engine *e, struct batch *b)
{
	size_t n_urgent;
	struct run *r;

	e->n_outs = 0;
	TAILQ_FOREACH(r, &e->active, entry)
		if (run_n_missing(r) == 1)
			add_rows(e, r, b);
	n_urgent = b->n;
	e->n_urgent_outs = e->n_outs;
	TAILQ_FOREACH(r, &e->active, entry)
		if (run_n_missing(r) > 1)
			add_rows(e, r, b);
	return n_urgent;
}

/* ---- computing ---- */

static bool
is_late(void *arg, uint32_t n_layers_done)
{
	struct engine *e = arg;

	e->progress.n_done = n_layers_done;
	e->progress.spent_ms = clock_ms_between(e->step_ns, engine_now_ns(e));
	return plan_is_late(&e->plan, &e->work, &e->progress);
}

/* The prompts' rows stayed behind before that layer; 0: none did. */
static void
note_put_off(struct engine *e, uint32_t layer)
{
	const struct plan_progress *p = &e->progress;
	struct run *r;

	if (layer > 0) {
		e->n_outs = e->n_urgent_outs;
		e->work.put_off = 1 - (double)(layer - p->first) /
		    p->n_layers;
	}
	TAILQ_FOREACH(r, &e->active, entry) {
		r->n_put_off = 0;
		if (layer > 0 && run_n_missing(r) > 1) {
			r->n_put_off = r->n_planned;
			r->n_planned = 0;
		}
	}
}

static void
compute(struct engine *e, const struct batch *b, size_t n_urgent)
{
	const struct model_haste haste = { n_urgent, is_late, e };

	model_forward_urgent(e->model_run, b, &haste, e->n_outs > 0 ?
	    e->logits : NULL);
	note_put_off(e, model_put_off(e->model_run));
}

/* ---- choosing tokens ---- */

static void
choose_item(void *arg, size_t i, int thread)
{
	struct engine *e = arg;
	struct run *r = e->outs[i].run;
	size_t at = e->outs[i].at;
	struct run_choice *c = &r->choices[at];
	struct sample_scratch *s = &e->scratch[thread];
	const float *logits = e->logits + i * s->n_vocab;
	struct sample_history h = { r->tokens, r->n_tokens + at,
	    r->n_prompt };

	c->code = sample_token(&r->sample, &h, logits, s, &c->token);
	if (c->code == 0 && r->n_probs >= 0)
		c->n_top = sample_logprobs(logits, c->token,
		    (size_t)r->n_probs, s, c->probs);
}

/* Which guesses of r were right; the cache forgets the others. */
static void
verify(struct engine *e, struct run *r)
{
	size_t n = 0;

	while (n < r->n_draft && r->choices[n].code == 0 &&
	    r->choices[n].token == r->tokens[r->n_tokens + n])
		n++;
	r->n_right = n;
	if (r->n_draft == 0)
		return;
	kv_seq_truncate(&r->kv, (uint32_t)(r->n_tokens + n));
	speculate_learn(&r->speculate, r->n_draft, n);
	e->drafted_total += r->n_draft;
	e->accepted_total += n;
}

/* ---- afterwards ---- */

/* What the step has computed, before those go who computed it. */
static void
share_prefixes(struct engine *e)
{
	struct run *r;

	TAILQ_FOREACH(r, &e->active, entry) {
		size_t before = r->kv.n_tokens + r->n_draft - r->n_right -
		    r->n_planned;

		e->prompt_rows += MEM_MIN(r->kv.n_tokens,
		    MEM_MAX(r->n_prompt, before)) - before;
		r->n_held = MEM_MAX(r->n_held, (size_t)r->kv.n_tokens);
		kv_seq_share(e->conf.kv, &r->kv, r->tokens);
	}
	TAILQ_FOREACH(r, &e->active, entry)
		if (r->kv.n_tokens + 1 < r->n_tokens && r->n_put_off == 0)
			prefix_take(e->conf.kv, &e->active, r);
}

/* One choice; false when the run has ended with it. */
static bool
deliver_one(struct engine *e, struct run *r, const struct run_choice *c)
{
	if (c->code != 0) {
		if (c->code == BM_EINTERNAL)
			log_warnx("run %llu: the logits are no numbers",
			    (unsigned long long)r->id);
		engine_end(e, r, c->code);
		return false;
	}
	e->tokens_total++;
	run_accept(r, c->token);
	reply_out(e->conf.send, r, c);
	if (r->finish == FINISH_NONE)
		return true;
	engine_end(e, r, 0);
	return false;
}

static void
deliver(struct engine *e, struct run *r, uint64_t now)
{
	size_t n = r->n_right + 1;

	if (r->first_ns == 0)
		r->first_ns = clock_now_ns();
	r->last_ns = now;
	for (size_t i = 0; i < n; i++)
		if (!deliver_one(e, r, &r->choices[i]))
			return;
	if (e->conf.speculate != SPECULATE_NO)
		speculate_add(&r->speculate, r->tokens, r->n_tokens);
}

/* For the record, should this step be the last. */
static void
note_step(struct engine *e)
{
	uint64_t ids[PULSE_REQUESTS] = { 0 };
	bool has_poison = false;
	size_t n = 0;
	struct run *r;

	TAILQ_FOREACH(r, &e->active, entry) {
		if (r->n_planned == 0)
			continue;
		if (n < N_ELEMENTS(ids))
			ids[n++] = r->id;
		has_poison |= r->is_poison;
	}
	crash_note_step(e->conf.pulse, ids, n);
	if (has_poison)
		abort();
}

/* What the step took, for the plans to come and whoever wonders about them. */
static void
observe(struct engine *e, double ms)
{
	log_debug("step decode=%zu prompt=%zu put_off=%.2f ms=%.2f "
	    "estimate_ms=%.2f margin=%.2f", e->work.n_decode,
	    e->work.n_prompt, e->work.put_off, ms,
	    plan_estimate_ms(&e->plan, &e->work), e->plan.margin);
	plan_observe(&e->plan, &e->work, ms);
}

void
engine_step(struct engine *e)
{
	struct batch b = { e->rows, 0 };
	size_t n_urgent;
	uint64_t now;

	engine_admit(e);
	make_plan(e, engine_now_ns(e));
	n_urgent = make_batch(e, &b);
	if (b.n == 0 && model_put_off(e->model_run) == 0)
		return;
	note_step(e);
	compute(e, &b, n_urgent);
	pool_run(e->conf.pool, e->n_outs, choose_item, e);
	for (size_t i = 0; i < e->n_outs; i++)
		if (e->outs[i].at == 0)
			verify(e, e->outs[i].run);
	share_prefixes(e);
	now = engine_now_ns(e);
	for (size_t i = 0; i < e->n_outs; i++)
		if (e->outs[i].at == 0)
			deliver(e, e->outs[i].run, now);
	crash_note_step(e->conf.pulse, NULL, 0);
	observe(e, clock_ms_between(e->step_ns, engine_now_ns(e)));
}

/* SPDX-License-Identifier: MIT */
/*
 * The life of a request: admitted, queued, sent to a worker; answers.c hands
 * its output on, ending.c ends it.  What must stay true:
 *
 *  - `done` is called exactly once for every request that was submitted, and
 *    not at all after request_abandon; a row is written either way.
 *  - A request is in exactly one place: a model's queue or a worker's list.
 *  - One that we give up (cancelled, late) leaves at once, but its slot in the
 *    worker stays taken until the worker's ENDED (gate_worker.ending).
 *  - A worker's death takes away nothing that a client saw: the tokens of
 *    every OUT are kept, and go to the next worker as `resume`.
 */
#include "config.h"

#include "gate/core.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hist.h"
#include "base/mem.h"
#include "gate/sched.h"

uint32_t
core_seq(uint64_t id)
{
	return (uint32_t)(id & 0x7fffffff);
}

/* ---- begin ---- */

static uint64_t
retry_ms(const struct gate *g, const struct gate_model *m, int code)
{
	if (code == BM_EOVERLOAD)
		return CORE_RETRY_MS;
	if (!err_is_retryable(code) || m == NULL)
		return 0;
	return sched_retry_ms(m->mean_ms, sched_slots(&g->workers, m));
}

static void
set_deadline(struct gate *g, struct request *r)
{
	uint64_t limit = g->conf.limits_request_timeout;

	/* The operator's limit holds for everybody. */
	if (r->timeout_ms == 0 || (limit != 0 && r->timeout_ms > limit))
		r->timeout_ms = limit;
	if (r->timeout_ms == 0)
		return;
	r->deadline_ns = r->arrived_ns + r->timeout_ms * CLOCK_NS_PER_MS;
	sched_heap_add(g->deadlines, r);
}

static void
arrive(struct gate *g, struct request *r, struct gate_model *m)
{
	r->id = ++g->last_id;
	r->arrived_ns = clock_now_ns();
	r->arrived_unix_ms = clock_unix_ms();
	r->last_worker = -1;
	r->on_model = m;
}

void
request_refuse(struct gate *g, struct request *r, int code)
{
	arrive(g, r, r->model != NULL ? gate_model_find(g, r->model) : NULL);
	core_fail(g, r, code, NULL, 0);
}

void
request_submit(struct gate *g, struct request *r)
{
	struct cause cause = { 0 };
	struct gate_model *m = gate_model_find(g, r->model);
	size_t before;
	int code;

	arrive(g, r, m);
	if ((code = core_admit(g, r, &cause)) != 0) {
		core_fail(g, r, code, cause.text, retry_ms(g, m, code));
		return;
	}
	map_set(&g->requests, r->id, r);
	m->n_live++;
	if (r->use != NULL)
		r->use->n_live++;
	set_deadline(g, r);
	if (r->kind == REQUEST_GENERATE) {
		affinity_key_init(&r->key, &r->m.run);
		variants_draw(m, r);
	}
	before = sched_enqueue(m, r);
	g->n_queued++;
	core_hold(r);
	core_dispatch(g, m);
	/* A model without workers must not sleep until the next tick. */
	if (strcmp(m->state, "idle") == 0)
		links_tell_load(g, m, r->arrived_ns);
	if (!r->is_over)
		positions_tell(g, r, before);
	core_release(r);
}

/* ---- to a worker ---- */

static int
send_work(struct gate_worker *w, struct request *r)
{
	uint32_t seq = core_seq(r->id);

	switch (r->kind) {
	case REQUEST_TOKENIZE:
		return chan_send(w->chan, MSG_TOKENIZE, seq, r->id,
		    &r->m.tokenize);
	case REQUEST_DETOKENIZE:
		return chan_send(w->chan, MSG_DETOKENIZE, seq, r->id,
		    &r->m.detokenize);
	case REQUEST_RENDER:
		return chan_send(w->chan, MSG_RENDER, seq, r->id,
		    &r->m.render);
	default:
		r->m.run.resume = (struct words){ r->generated,
		    r->n_generated };
		return chan_send(w->chan, MSG_RUN, seq, r->id, &r->m.run);
	}
}

static void
count_wait(const struct request *r)
{
	double ms = clock_ms_between(r->arrived_ns, r->dispatched_ns);

	hist_add(&r->on_model->tally.queue_time, ms);
	hist_add(&r->variant->tally.queue_time, ms);
}

static void
start(struct gate *g, struct gate_worker *w, struct request *r)
{
	struct gate_model *m = r->on_model;

	sched_dequeue(m, r);
	g->n_queued--;
	r->worker = w;
	r->last_worker = (int32_t)w->id;
	TAILQ_INSERT_TAIL(&w->running, r, entry);
	if (r->kind == REQUEST_GENERATE) {
		w->n_running++;
		g->n_running++;
		w->has_suspect = r->is_suspect;
		variants_bind(r, w->variant);
		affinity_note(&w->affinity, &r->key);
	}
	if (r->dispatched_ns == 0) {
		r->dispatched_ns = clock_now_ns();
		if (r->kind == REQUEST_GENERATE)
			count_wait(r);
	}
	if (send_work(w, r) != 0) {
		struct request_result res = { .code = BM_ELIMIT,
		    .message = "the request is too large" };

		core_end(g, r, &res, true);
	}
}

void
core_dispatch(struct gate *g, struct gate_model *m)
{
	struct gate_worker *w;
	struct request *r;

	/* A request that ends here comes back; the outer loop goes on. */
	if (m->is_dispatching)
		return;
	m->is_dispatching = true;
	while ((r = sched_next(&g->workers, m, &w)) != NULL)
		start(g, w, r);
	m->is_dispatching = false;
}

static void
lose(struct gate *g, struct gate_worker *w, struct request *r)
{
	TAILQ_REMOVE(&w->running, r, entry);
	r->worker = NULL;
	if (r->kind == REQUEST_GENERATE) {
		g->n_running--;
		suspects_detain(r, w->id);
	}
	sched_enqueue(r->on_model, r);
	g->n_queued++;
	g->stats->retries_total++;
	if (++r->n_retries > g->conf.limits_retries)
		core_fail(g, r, BM_EWORKER, NULL, 0);
}

void
core_worker_lost(struct gate *g, struct gate_worker *w)
{
	struct gate_model *m = w->model;
	struct request *r;

	w->is_ready = false;
	w->has_suspect = false;
	map_fini(&w->ending);
	map_init(&w->ending);
	if (m != NULL)
		m->is_dispatching = true;
	while ((r = TAILQ_FIRST(&w->running)) != NULL)
		lose(g, w, r);
	w->n_running = 0;
	if (m != NULL) {
		m->is_dispatching = false;
		core_dispatch(g, m);
	}
}

/* ---- who lives ---- */

void
core_hold(struct request *r)
{
	r->n_holds++;
}

bool
core_release(struct request *r)
{
	bool is_over = r->is_over;

	if (--r->n_holds == 0 && is_over)
		request_free(r);
	return !is_over;
}

struct request *
core_find_uuid(const struct gate *g, const char *uuid)
{
	struct request *r;
	size_t at = 0;

	while ((r = map_next(&g->requests, &at)) != NULL) {
		if (strcmp(r->uuid, uuid) == 0)
			return r;
	}
	return NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * The end of a request, which is always the same: counted, logged, taken out of
 * its place, and told to the protocol.  Callbacks may end other requests.
 */
#include "config.h"

#include "gate/core.h"

#include "base/clock.h"
#include "base/hist.h"
#include "gate/history.h"
#include "gate/sched.h"

static void
fill_times(const struct request *r, uint64_t now_ns,
    struct request_result *res)
{
	uint64_t begun = r->dispatched_ns != 0 ? r->dispatched_ns : now_ns;

	res->queue_ms = clock_ms_between(r->arrived_ns, begun);
	if (r->first_output_ns != 0)
		res->ttft_ms = clock_ms_between(r->arrived_ns,
		    r->first_output_ns);
}

static void
count_run(struct tally *t, double ms, const struct request_result *res)
{
	t->prompt_tokens += res->prompt_tokens;
	t->cached_tokens += res->cached_tokens;
	hist_add(&t->duration, ms);
}

static void
count_end(struct gate *g, const struct request *r, uint64_t now_ns,
    const struct request_result *res)
{
	struct stats *s = g->stats;
	struct gate_model *m = r->on_model;
	unsigned slot = stats_status(res->code);
	double ms = clock_ms_between(r->arrived_ns, now_ns);

	if (r->kind != REQUEST_GENERATE)
		return;
	s->requests_total++;
	rate_add(&s->requests, now_ns, 1);
	history_request(g->history, now_ns, res->code != 0);
	if (m == NULL) {
		s->n_no_model[slot]++;
		return;
	}
	m->n_requests++;
	m->n_by_status[slot]++;
	if (res->code != 0)
		m->n_errors++;
	if (r->dispatched_ns == 0)
		return;
	count_run(&m->tally, ms, res);
	if (r->variant != NULL) {
		count_run(&r->variant->tally, ms, res);
		r->variant->n_requests++;
		r->variant->n_errors += stats_is_fault(res->code);
		window_hist_add(&r->variant->duration, now_ns, ms);
		canary_count_end(r->variant, res->code, ms);
		r->variant->decoded_tokens += res->completion_tokens;
		r->variant->decode_ms += res->decode_ms;
	}
	if (res->code == 0)
		m->mean_ms = sched_mean_ms(m->mean_ms,
		    clock_ms_between(r->dispatched_ns, now_ns));
}

/* Take it out of the queue or away from its worker. */
static void
detach(struct gate *g, struct request *r, bool worker_has_ended)
{
	struct gate_worker *w = r->worker;
	bool is_run = r->kind == REQUEST_GENERATE;

	if (r->on_model == NULL || map_get(&g->requests, r->id) == NULL)
		return;
	if (w == NULL) {
		sched_dequeue(r->on_model, r);
		g->n_queued--;
		return;
	}
	TAILQ_REMOVE(&w->running, r, entry);
	r->worker = NULL;
	if (!is_run)
		return;
	g->n_running--;
	if (worker_has_ended || w->chan == NULL) {
		w->n_running--;
		if (r->is_suspect)
			w->has_suspect = false;
		return;
	}
	map_set(&w->ending, r->id, w);
	chan_send(w->chan, MSG_CANCEL, core_seq(r->id), r->id,
	    &(struct msg_cancel){ 0 });
}

static void
forget(struct gate *g, struct request *r)
{
	sched_heap_remove(g->deadlines, r);
	map_remove(&g->requests, r->id);
	variants_bind(r, NULL);
	if (r->on_model != NULL)
		r->on_model->n_live--;
	if (r->use != NULL)
		r->use->n_live--;
}

void
core_end(struct gate *g, struct request *r, struct request_result *res,
    bool worker_has_ended)
{
	uint64_t now_ns = clock_now_ns();
	struct gate_model *m = r->on_model;
	bool was_admitted = map_get(&g->requests, r->id) != NULL;

	if (res->message == NULL)
		res->message = res->code != 0 ? err_text(res->code) : "";
	fill_times(r, now_ns, res);
	count_end(g, r, now_ns, res);
	if (r->kind == REQUEST_GENERATE)
		journal_request(g, r, res);
	detach(g, r, worker_has_ended);
	if (was_admitted)
		forget(g, r);
	if (!r->is_abandoned && r->events != NULL && r->events->done != NULL)
		r->events->done(r, res);
	r->is_over = true;
	if (r->n_holds == 0)
		request_free(r);
	if (was_admitted) {
		core_dispatch(g, m);
		links_check_idle(g);
	}
}

void
core_fail(struct gate *g, struct request *r, int code, const char *text,
    uint64_t retry_ms)
{
	struct request_result res = { .code = code, .message = text,
	    .retry_ms = retry_ms, .prompt_tokens = r->prompt_tokens,
	    .cached_tokens = r->cached_tokens,
	    .completion_tokens = (uint32_t)r->n_generated };

	/* As seen from here: the worker's own figures come with its ENDED. */
	if (r->first_output_ns != 0) {
		res.prefill_ms = clock_ms_between(r->dispatched_ns,
		    r->first_output_ns);
		res.decode_ms = clock_ms_between(r->first_output_ns,
		    clock_now_ns());
	} else if (r->dispatched_ns != 0) {
		res.prefill_ms = clock_ms_between(r->dispatched_ns,
		    clock_now_ns());
	}
	core_end(g, r, &res, false);
}

/* ---- early ---- */

void
request_abandon(struct gate *g, struct request *r)
{
	if (r->is_over || r->is_abandoned)
		return;
	r->is_abandoned = true;
	core_fail(g, r, BM_ECANCEL, NULL, 0);
}

void
request_cancel(struct gate *g, struct request *r)
{
	if (r->is_over || r->is_cancelled)
		return;
	r->is_cancelled = true;
	core_fail(g, r, BM_ECANCEL, NULL, 0);
}

void
core_deadlines(struct gate *g, uint64_t now_ns)
{
	struct request *r;

	while ((r = sched_heap_due(g->deadlines, now_ns)) != NULL)
		core_fail(g, r, BM_ETIMEOUT, r->worker != NULL ? NULL :
		    "the deadline passed while the request waited", 0);
}

void
core_model_end(struct gate *g, struct gate_model *m, int code,
    const char *text, bool all)
{
	struct gate_worker *w;
	struct request *r;

	/* The end of one may end others (its connection closes), so these
	 * loops begin anew each time. */
	while ((r = TAILQ_FIRST(&m->asides)) != NULL ||
	    (r = TAILQ_FIRST(&m->queue)) != NULL)
		core_fail(g, r, code, text, CORE_RETRY_MS);
	if (!all)
		return;
	TAILQ_FOREACH(w, &g->workers, entry) {
		while (w->model == m &&
		    (r = TAILQ_FIRST(&w->running)) != NULL)
			core_fail(g, r, code, text, 0);
	}
}

void
core_end_all(struct gate *g, int code, const char *text)
{
	struct gate_model *m;

	TAILQ_FOREACH(m, &g->models, entry)
		core_model_end(g, m, code, text, true);
}

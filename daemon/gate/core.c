/* SPDX-License-Identifier: MIT */
/*
 * The life of a request: admitted, queued, sent to a worker, its output handed
 * on, ended.  What must stay true:
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
#include "base/log.h"
#include "base/mem.h"
#include "gate/history.h"
#include "gate/sched.h"

#define OVERLOAD_RETRY_MS 1000

/* Questions have the high bit of seq, see asks.c. */
static uint32_t
seq_of(uint64_t id)
{
	return (uint32_t)(id & 0x7fffffff);
}

/* ---- the end ---- */

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
	chan_send(w->chan, MSG_CANCEL, seq_of(r->id), r->id,
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

/* The one way out.  res->code and ->message are set, and what the worker told
 * of tokens and times. */
static void
request_end(struct gate *g, struct request *r, struct request_result *res,
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

/* End it without an answer of the worker. */
static void
request_fail(struct gate *g, struct request *r, int code, const char *text,
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
	request_end(g, r, &res, false);
}

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

/* ---- begin ---- */

static uint64_t
retry_ms(const struct gate *g, const struct gate_model *m, int code)
{
	if (code == BM_EOVERLOAD)
		return OVERLOAD_RETRY_MS;
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
	request_fail(g, r, code, NULL, 0);
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
		request_fail(g, r, code, cause.text, retry_ms(g, m, code));
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
	uint32_t seq = seq_of(r->id);

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

		request_end(g, r, &res, true);
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
		request_fail(g, r, BM_EWORKER, NULL, 0);
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

/* ---- from a worker ---- */

static void
count_out(struct gate *g, struct request *r, size_t n, uint64_t now_ns)
{
	struct gate_model *m = r->on_model;
	struct gate_variant *v = r->variant;
	bool is_first = r->first_output_ns == 0;
	double ms = clock_ms_between(is_first ? r->arrived_ns :
	    r->last_output_ns, now_ns);

	if (is_first) {
		r->first_output_ns = now_ns;
		hist_add(&m->tally.ttft, ms);
		hist_add(&v->tally.ttft, ms);
		window_hist_add(&v->ttft, now_ns, ms);
		hist_add(&v->trial.ttft, ms);
		window_hist_add(&g->stats->ttft, now_ns, ms);
		history_first_token(g->history, now_ns, ms);
	} else {
		hist_add(&m->tally.gap, ms);
		hist_add(&v->tally.gap, ms);
		window_hist_add(&g->stats->gap, now_ns, ms);
	}
	r->last_output_ns = now_ns;
	g->stats->tokens_total += n;
	m->tally.completion_tokens += n;
	v->tally.completion_tokens += n;
	rate_add(&g->stats->tokens, now_ns, n);
	history_tokens(g->history, now_ns, n);
	rate_add(&m->token_rate, now_ns, n);
	rate_add(&v->token_rate, now_ns, n);
}

static void
on_out(struct gate *g, struct request *r, const struct msg_out *m)
{
	uint64_t now_ns = clock_now_ns();
	size_t n = m->tokens.n;

	count_out(g, r, n, now_ns);
	if (r->n_generated + n > r->cap_generated) {
		r->cap_generated = MEM_MAX(r->cap_generated * 2,
		    r->n_generated + n + 16);
		r->generated = xreallocarray(r->generated, r->cap_generated,
		    sizeof(*r->generated));
	}
	if (n > 0)
		memcpy(r->generated + r->n_generated, m->tokens.p,
		    n * sizeof(*r->generated));
	r->n_generated += n;
	/* A put beyond the limit fails; the log has what fitted. */
	buf_put(&r->output, m->text.p, m->text.n);
	if (r->events != NULL && r->events->output != NULL)
		r->events->output(r, m->text, m->tokens, m->logprobs);
}

static void
on_ended(struct gate *g, struct request *r, const struct msg_ended *m)
{
	struct request_result res = { .code = m->code,
	    .finish = m->finish, .prompt_tokens = m->prompt_tokens,
	    .completion_tokens = m->completion_tokens,
	    .cached_tokens = m->cached_tokens, .prefill_ms = m->prefill_ms,
	    .decode_ms = m->decode_ms };
	char *text = m->code != 0 && m->text.n > 0 ? slice_dup(m->text) : NULL;

	res.message = text;
	if (err_is_retryable(m->code))
		res.retry_ms = OVERLOAD_RETRY_MS;
	request_end(g, r, &res, true);
	free(text);
}

/* TOKENS, TEXT or RESULT: the answer to what is no RUN. */
static void
on_answer(struct gate *g, struct request *r, const struct frame *f)
{
	struct request_result res = { 0 };
	struct msg_tokens tokens;
	struct msg_text text;
	struct msg_result result;
	char *why = NULL;

	core_hold(r);
	if (f->type == MSG_TOKENS && msg_get_tokens(f->body, &tokens) == 0) {
		if (r->events != NULL && r->events->tokens != NULL)
			r->events->tokens(r, tokens.tokens);
	} else if (f->type == MSG_TEXT && msg_get_text(f->body, &text) == 0) {
		if (r->events != NULL && r->events->text != NULL)
			r->events->text(r, text.text);
	} else if (f->type == MSG_RESULT &&
	    msg_get_result(f->body, &result) == 0 && result.code != 0) {
		res.code = result.code;
		res.message = why = slice_dup(result.text);
	} else {
		res.code = BM_EINTERNAL;
	}
	if (!r->is_over)
		request_end(g, r, &res, true);
	core_release(r);
	free(why);
}

static struct request *
find(struct gate *g, struct gate_worker *w, const struct frame *f)
{
	struct request *r = map_get(&g->requests, f->id);

	if (f->id != 0)
		return r != NULL && r->worker == w ? r : NULL;
	TAILQ_FOREACH(r, &w->running, entry) {
		if (f->seq != 0 && seq_of(r->id) == f->seq)
			return r;
	}
	return NULL;
}

/* What we gave up has ended there too: its slot is free. */
static void
on_late(struct gate *g, struct gate_worker *w, const struct frame *f)
{
	if (f->type != MSG_ENDED || map_remove(&w->ending, f->id) == NULL)
		return;
	w->n_running--;
	/* A suspect was the only one there. */
	w->has_suspect = false;
	if (w->model != NULL)
		core_dispatch(g, w->model);
	links_check_idle(g);
}

void
core_frame(struct gate *g, struct gate_worker *w, const struct frame *f)
{
	struct request *r = f->id == 0 && f->seq == 0 ? NULL : find(g, w, f);
	bool is_run = r != NULL && r->kind == REQUEST_GENERATE;
	struct msg_started started;
	struct msg_out out;
	struct msg_ended ended;

	if (r == NULL) {
		on_late(g, w, f);
	} else if (!is_run) {
		on_answer(g, r, f);
	} else if (f->type == MSG_STARTED &&
	    msg_get_started(f->body, &started) == 0) {
		r->prompt_tokens = started.prompt_tokens;
		r->cached_tokens = started.cached_tokens;
	} else if (f->type == MSG_OUT && msg_get_out(f->body, &out) == 0) {
		core_hold(r);
		on_out(g, r, &out);
		if (!r->is_over)
			suspects_progress(g, r);
		/* Between two looks of core_deadlines. */
		if (!r->is_over && r->deadline_ns != 0 &&
		    clock_now_ns() >= r->deadline_ns)
			request_fail(g, r, BM_ETIMEOUT, NULL, 0);
		core_release(r);
	} else if (f->type == MSG_ENDED &&
	    msg_get_ended(f->body, &ended) == 0) {
		on_ended(g, r, &ended);
	} else {
		log_warnx("worker %u: unexpected %s for a request", w->id,
		    msg_name(f->type));
	}
}

/* ---- ending early ---- */

void
request_abandon(struct gate *g, struct request *r)
{
	if (r->is_over || r->is_abandoned)
		return;
	r->is_abandoned = true;
	request_fail(g, r, BM_ECANCEL, NULL, 0);
}

void
request_cancel(struct gate *g, struct request *r)
{
	if (r->is_over || r->is_cancelled)
		return;
	r->is_cancelled = true;
	request_fail(g, r, BM_ECANCEL, NULL, 0);
}

void
core_deadlines(struct gate *g, uint64_t now_ns)
{
	struct request *r;

	while ((r = sched_heap_due(g->deadlines, now_ns)) != NULL)
		request_fail(g, r, BM_ETIMEOUT, r->worker != NULL ? NULL :
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
		request_fail(g, r, code, text, OVERLOAD_RETRY_MS);
	if (!all)
		return;
	TAILQ_FOREACH(w, &g->workers, entry) {
		while (w->model == m &&
		    (r = TAILQ_FIRST(&w->running)) != NULL)
			request_fail(g, r, code, text, 0);
	}
}

void
core_fail(struct gate *g, struct request *r, int code, const char *text)
{
	request_fail(g, r, code, text, 0);
}

void
core_end_all(struct gate *g, int code, const char *text)
{
	struct gate_model *m;

	TAILQ_FOREACH(m, &g->models, entry)
		core_model_end(g, m, code, text, true);
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

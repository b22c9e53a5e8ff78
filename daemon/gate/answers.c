/* SPDX-License-Identifier: MIT */
/* What workers say of requests: output, ends, answers to what is no RUN. */
#include "config.h"

#include "gate/core.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hist.h"
#include "base/log.h"
#include "base/mem.h"
#include "gate/history.h"

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
		res.retry_ms = CORE_RETRY_MS;
	core_end(g, r, &res, true);
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
		core_end(g, r, &res, true);
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
		if (f->seq != 0 && core_seq(r->id) == f->seq)
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
			core_fail(g, r, BM_ETIMEOUT, NULL, 0);
		core_release(r);
	} else if (f->type == MSG_ENDED &&
	    msg_get_ended(f->body, &ended) == 0) {
		on_ended(g, r, &ended);
	} else {
		log_warnx("worker %u: unexpected %s for a request", w->id,
		    msg_name(f->type));
	}
}

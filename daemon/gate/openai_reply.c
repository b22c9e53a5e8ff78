/* SPDX-License-Identifier: MIT */
/*
 * What the core reports becomes an answer.  A stream begins with the first
 * output, not before: until then a failure still has its own status.
 */
#include "config.h"

#include <stdlib.h>

#include "gate/gate.h"
#include "gate/http_io.h"
#include "gate/openai_impl.h"

static const struct slice nothing = { .p = "", .n = 0 };

/* The role comes first and alone. */
static struct buf *
begin_stream(struct choice *c)
{
	struct buf *out = http_stream(c->job->call);

	if (!c->has_begun && c->job->is_chat)
		job_write_chunk(out, c->job, c, nothing, nothing, false);
	c->has_begun = true;
	return out;
}

/* The first that has to wait speaks for the exchange. */
static void
on_queued(struct request *r, size_t position, uint64_t wait_ms)
{
	struct http_call *c = ((struct choice *)r->arg)->job->call;

	if (r->worker != NULL || c->has_waited)
		return;
	c->has_waited = true;
	c->queue_position = position;
	c->queue_wait_ms = wait_ms;
}

static void
on_output(struct request *r, struct slice text, struct words tokens,
    struct slice logprobs)
{
	struct choice *c = r->arg;
	struct job *j = c->job;

	if (j->is_answered)
		return;
	if (!j->is_stream) {
		buf_put(&c->text, text.p, text.n);
		buf_put(&c->logprobs, logprobs.p, logprobs.n);
		return;
	}
	if (text.n == 0 && logprobs.n == 0)
		return;
	job_write_chunk(begin_stream(c), j, c, text, logprobs, false);
	http_stream_flush(j->call);
}

/* One choice failed, and with it the exchange. */
static void
fail(struct job *j, const struct request_result *res)
{
	bool has_begun = false;
	struct buf *out;

	j->is_answered = true;
	for (size_t i = 0; i < j->n_choices; i++)
		has_begun |= j->choices[i].has_begun;
	if (!has_begun) {
		openai_error(j->call, res->code, NULL, res->retry_ms,
		    res->message);
		return;
	}
	out = http_stream(j->call);
	buf_puts(out, "data: ");
	openai_write_error(out, res->code, NULL, res->message);
	buf_puts(out, "\n\n");
	http_stream_end(j->call);
}

static void
finish(struct job *j)
{
	struct buf out;

	j->is_answered = true;
	if (j->is_stream) {
		if (j->include_usage)
			job_write_usage_chunk(http_stream(j->call), j);
		buf_puts(http_stream(j->call), "data: [DONE]\n\n");
		http_stream_end(j->call);
		return;
	}
	buf_init(&out, OPENAI_BODY_MAX);
	job_write(&out, j);
	http_reply(j->call, 200, HTTP_JSON, &out);
}

static void
on_done(struct request *r, const struct request_result *res)
{
	struct choice *c = r->arg;
	struct job *j = c->job;

	c->r = NULL;
	if (j->is_answered)
		return;
	if (res->code != 0) {
		fail(j, res);
		return;
	}
	c->finish = res->finish;
	/* Copies share their prompt; it is counted once. */
	if (c->copy == 0) {
		j->prompt_tokens += res->prompt_tokens;
		j->cached_tokens += res->cached_tokens;
	}
	j->completion_tokens += res->completion_tokens;
	if (j->is_stream) {
		job_write_chunk(begin_stream(c), j, c, nothing, nothing, true);
		http_stream_flush(j->call);
	}
	if (++j->n_ended == j->n_choices)
		finish(j);
}

const struct request_events job_events = {
	.queued = on_queued,
	.output = on_output,
	.done = on_done
};

void
job_free(void *arg)
{
	struct job *j = arg;

	for (size_t i = 0; i < j->n_choices; i++) {
		struct choice *c = &j->choices[i];

		if (c->r != NULL)
			request_abandon(j->call->g, c->r);
		buf_fini(&c->head);
		buf_fini(&c->text);
		buf_fini(&c->logprobs);
	}
	free(j->choices);
	free(j->model);
	free(j);
}

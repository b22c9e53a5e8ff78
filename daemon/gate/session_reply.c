/* SPDX-License-Identifier: MIT */
/*
 * The answers of a session: what the core reports of a request, written in the
 * form its line was asked in.
 */
#include "config.h"

#include "gate/session_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/line.h"

json_t *
session_text(struct slice s)
{
	json_t *v = json_stringn(s.p, s.n);
	struct buf b;

	if (v != NULL)
		return v;
	buf_init(&b, REPLY_BYTES_MAX);
	buf_put_json(&b, s);
	v = json_loadb(buf_cstr(&b), b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL,
	    NULL);
	buf_fini(&b);
	return v;
}

json_t *
session_fields(const struct tag *t)
{
	json_t *o = json_object();

	if (t->id != NULL)
		json_object_set(o, "id", t->id);
	return o;
}

void
session_reply(const struct tag *t, const char *event, json_t *fields)
{
	struct buf b;

	buf_init(&b, REPLY_BYTES_MAX);
	line_write(&b, t->as_json, event, fields);
	json_decref(fields);
	t->s->io->write(t->s->arg, buf_cstr(&b), b.len);
	buf_fini(&b);
}

/* Clients know the codes of bigmodel-protocol(7) only. */
static const char *
code_word(int code)
{
	switch (code) {
	case BM_EBADREQ: case BM_ENOMODEL: case BM_ENOAUTH: case BM_EFORBID:
	case BM_EQUEUE: case BM_EQUOTA: case BM_ETOOLONG: case BM_ETIMEOUT:
	case BM_ECANCEL: case BM_EOVERLOAD: case BM_EWORKER:
		return err_name(code);
	}
	return code == BM_EUNSUP || err_http_status(code) < 500 ?
	    err_name(BM_EBADREQ) : err_name(BM_EINTERNAL);
}

void
session_reply_error(const struct tag *t, int code, uint64_t retry_ms,
    const char *message)
{
	json_t *o = session_fields(t);

	json_object_set_new(o, "code", json_string(code_word(code)));
	if (retry_ms > 0)
		json_object_set_new(o, "retry_ms",
		    json_integer((json_int_t)retry_ms));
	json_object_set_new(o, "message", session_text(slice_of(message)));
	session_reply(t, "error", o);
}

void
session_reply_cause(const struct tag *t, const struct cause *c)
{
	session_reply_error(t, c->code, 0, c->text);
}

void
session_close_soon(struct session *s)
{
	if (s->is_closed)
		return;
	s->is_closed = true;
	s->io->close(s->arg);
}

/* ---- tags ---- */

bool
session_id_is_taken(const struct session *s, const json_t *id)
{
	const struct tag *t;

	TAILQ_FOREACH(t, &s->tags, entry)
		if (json_equal(t->id, id))
			return true;
	return false;
}

void
session_tag_free(struct tag *t)
{
	json_decref(t->id);
	json_decref(t->tokens);
	json_decref(t->logprobs);
	buf_fini(&t->text);
	free(t);
}

/* Keep a tag for a request that is about to be submitted. */
struct tag *
session_tag_keep(const struct tag *from, struct request *r)
{
	struct tag *t = xcalloc(1, sizeof(*t));

	*t = *from;
	json_incref(t->id);
	t->r = r;
	buf_init(&t->text, REPLY_BYTES_MAX / 2);
	TAILQ_INSERT_TAIL(&t->s->tags, t, entry);
	t->s->n_running++;
	r->arg = t;
	return t;
}

static void
tag_end(struct tag *t)
{
	struct session *s = t->s;

	TAILQ_REMOVE(&s->tags, t, entry);
	s->n_running--;
	session_tag_free(t);
	if (s->n_running == 0 && (s->is_eof || s->g->is_draining))
		session_close_soon(s);
}

/* ---- what the core reports ---- */

static double
round_ms(double ms)
{
	return (double)(int64_t)(ms * 1000 + 0.5) / 1000;
}

static void
on_queued(struct request *r, size_t position, uint64_t wait_ms)
{
	struct tag *t = r->arg;
	json_t *o;

	if (!t->is_stream)
		return;
	o = session_fields(t);
	json_object_set_new(o, "position", json_integer((json_int_t)position));
	json_object_set_new(o, "wait_ms", json_integer((json_int_t)wait_ms));
	/* What it waits for, if not only for others. */
	if (r->worker == NULL && r->on_model != NULL &&
	    strcmp(r->on_model->state, "ready") != 0)
		json_object_set_new(o, "state",
		    json_string(r->on_model->state));
	session_reply(t, "queued", o);
}

static json_t *
logprob_value(const struct logprob_item *i)
{
	json_t *o = json_object();

	json_object_set_new(o, "token", json_integer(i->token));
	json_object_set_new(o, "text", session_text(i->piece));
	json_object_set_new(o, "logprob", json_real((double)i->logprob));
	return o;
}

static json_t *
logprobs_value(struct slice logprobs)
{
	struct cur c = cur_of(logprobs.p, logprobs.n);
	json_t *list = json_array();
	struct logprob_item item, top;

	while (logprob_next(&c, &item)) {
		json_t *o = logprob_value(&item), *tops = json_array();

		for (unsigned i = 0; i < item.n_top; i++)
			if (logprob_next(&c, &top))
				json_array_append_new(tops,
				    logprob_value(&top));
		json_object_set_new(o, "top", tops);
		json_array_append_new(list, o);
	}
	return list;
}

static void
on_output(struct request *r, struct slice text, struct words tokens,
    struct slice logprobs)
{
	struct tag *t = r->arg;
	json_t *o, *list = logprobs.n > 0 ? logprobs_value(logprobs) : NULL;

	if (!t->is_stream) {
		buf_put(&t->text, text.p, text.n);
		if (list != NULL && t->logprobs != NULL)
			json_array_extend(t->logprobs, list);
		else if (list != NULL)
			t->logprobs = json_incref(list);
	} else if (text.n > 0 || list != NULL) {
		o = session_fields(t);
		json_object_set_new(o, "text", session_text(text));
		if (list != NULL)
			json_object_set(o, "logprobs", list);
		session_reply(t, "token", o);
	}
	json_decref(list);
}

static void
on_tokens(struct request *r, struct words tokens)
{
	struct tag *t = r->arg;

	t->tokens = json_array();
	for (size_t i = 0; i < tokens.n; i++)
		json_array_append_new(t->tokens,
		    json_integer(words_at(tokens, i)));
}

static void
on_text(struct request *r, struct slice text)
{
	struct tag *t = r->arg;

	buf_put(&t->text, text.p, text.n);
}

static void
put_counts(json_t *o, const struct request_result *res)
{
	json_object_set_new(o, "finish",
	    json_string(finish_name(res->finish)));
	json_object_set_new(o, "prompt_tokens",
	    json_integer(res->prompt_tokens));
	json_object_set_new(o, "completion_tokens",
	    json_integer(res->completion_tokens));
	json_object_set_new(o, "cached_tokens",
	    json_integer(res->cached_tokens));
	json_object_set_new(o, "queue_ms", json_real(round_ms(res->queue_ms)));
	json_object_set_new(o, "prefill_ms",
	    json_real(round_ms(res->prefill_ms)));
	json_object_set_new(o, "decode_ms",
	    json_real(round_ms(res->decode_ms)));
}

static void
on_done(struct request *r, const struct request_result *res)
{
	struct tag *t = r->arg;
	json_t *o;

	if (res->code != 0) {
		session_reply_error(t, res->code, res->retry_ms,
		    res->message != NULL && res->message[0] != '\0' ?
		    res->message : err_text(res->code));
		tag_end(t);
		return;
	}
	o = session_fields(t);
	if (t->tokens != NULL)
		json_object_set(o, "tokens", t->tokens);
	else if (!t->is_stream)
		json_object_set_new(o, "text", session_text(
		    (struct slice){ .p = buf_cstr(&t->text),
		    .n = t->text.len }));
	if (r->kind == REQUEST_GENERATE)
		put_counts(o, res);
	if (t->logprobs != NULL)
		json_object_set(o, "logprobs", t->logprobs);
	session_reply(t, "done", o);
	tag_end(t);
}

const struct request_events session_events = {
	.queued = on_queued,
	.output = on_output,
	.tokens = on_tokens,
	.text = on_text,
	.done = on_done
};

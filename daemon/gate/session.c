/* SPDX-License-Identifier: MIT */
/*
 * Each request in flight is a tag: the client's id and how to answer.  A tag
 * is linked before its request is submitted, because the core may end it
 * before request_submit returns, and freed in `done` or with the session.
 * Every request line gets exactly one `done` or `error`.
 */
#include "config.h"

#include "gate/session_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/line.h"

#define ID_BYTES_MAX	128

/* The client's id, or the next number when the verb needs one. */
static int
read_id(struct tag *t, json_t *o, bool is_work, struct cause *cause)
{
	json_t *id = json_object_get(o, "id");

	if (id != NULL && !json_is_integer(id) && (!json_is_string(id) ||
	    json_string_length(id) == 0 ||
	    json_string_length(id) > ID_BYTES_MAX))
		return cause_set(cause, BM_EBADREQ, "id must be a word of at "
		    "most %d bytes or an integer", ID_BYTES_MAX);
	if (id != NULL) {
		t->id = json_incref(id);
		return 0;
	}
	while (is_work && t->id == NULL) {
		t->id = json_integer(++t->s->last_id);
		if (session_id_is_taken(t->s, t->id)) {
			json_decref(t->id);
			t->id = NULL;
		}
	}
	return 0;
}

static int
check_work(const struct tag *t, struct cause *cause)
{
	struct session *s = t->s;
	bool is_needed = false;

	if (!s->is_authorised) {
		(void)gate_tenant(s->g, slice_of(""), &is_needed);
		if (is_needed)
			return cause_set(cause, BM_ENOAUTH,
			    "a key is needed: auth key=...");
	}
	if (session_id_is_taken(s, t->id))
		return cause_set(cause, BM_EBADREQ,
		    "a request of that id is running");
	if (s->n_running >= s->g->conf.limits_per_connection)
		return cause_set(cause, BM_EQUEUE,
		    "%zu requests are running on this connection",
		    s->n_running);
	return 0;
}

/* The row of a line that never became a request. */
static void
log_refusal(const struct session *s, const struct verb *verb,
    const json_t *o, int code)
{
	const char *model = json_string_value(json_object_get(o, "model"));
	struct request *r = request_new(REQUEST_GENERATE);

	if (model != NULL)
		r->model = xstrdup(model);
	if (s->tenant != NULL)
		r->tenant = xstrdup(s->tenant);
	str_copy(r->client, s->client, sizeof(r->client));
	r->protocol = "line";
	r->endpoint = verb->name;
	request_refuse(s->g, r, code);
}

static void
handle_line(struct session *s, struct slice line)
{
	struct tag t = { .s = s };
	struct cause cause;
	const struct verb *verb = NULL;
	json_t *o = NULL;
	int r;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (line.n == 0)
		return;
	r = line_parse(line, &o, &t.as_json, &cause);
	if (r == 0) {
		const char *op = json_string_value(json_object_get(o, "op"));

		verb = session_verb(op);
		r = read_id(&t, o, verb != NULL && verb->is_work, &cause);
		if (r == 0 && verb == NULL)
			r = cause_set(&cause, BM_EBADREQ,
			    "there is no verb %.64s (try help)", op);
	}
	if (r == 0 && verb->is_work)
		r = check_work(&t, &cause);
	if (r == 0)
		r = verb->fn(&t, o, &cause);
	if (r != 0) {
		session_reply_cause(&t, &cause);
		if (verb != NULL && verb->is_logged)
			log_refusal(s, verb, o, cause.code);
	}
	json_decref(t.id);
	json_decref(o);
	if (s->n_running == 0 && s->g->is_draining)
		session_close_soon(s);
}

static void
refuse_length(struct session *s)
{
	struct tag t = { .s = s };
	char text[80];

	snprintf(text, sizeof(text), "a line is at most %llu bytes",
	    (unsigned long long)s->g->conf.limits_line_bytes);
	session_reply_error(&t, BM_EBADREQ, 0, text);
	session_close_soon(s);
}

/* One whole line, of which s->in may hold the begin. */
static void
end_line(struct session *s, const char *p, size_t n)
{
	if (s->in.len + n > s->g->conf.limits_line_bytes) {
		refuse_length(s);
		return;
	}
	if (s->in.len == 0) {
		handle_line(s, (struct slice){ .p = p, .n = n });
		return;
	}
	buf_put(&s->in, p, n);
	if (s->in.failed) {
		refuse_length(s);
		return;
	}
	handle_line(s, (struct slice){ .p = (const char *)s->in.data,
	    .n = s->in.len });
	/* Idle connections keep no memory. */
	buf_fini(&s->in);
	buf_init(&s->in, s->g->conf.limits_line_bytes);
}

void
session_feed(struct session *s, const void *p, size_t n)
{
	const char *at = p, *end = at + n, *lf;

	while (at < end && !s->is_closed && !s->is_eof &&
	    (lf = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		end_line(s, at, (size_t)(lf - at));
		at = lf + 1;
	}
	if (at == end || s->is_closed || s->is_eof)
		return;
	buf_put(&s->in, at, (size_t)(end - at));
	if (s->in.failed)
		refuse_length(s);
}

void
session_eof(struct session *s)
{
	if (!s->is_closed && !s->is_eof && s->in.len > 0)
		end_line(s, "", 0);
	s->is_eof = true;
	if (s->n_running == 0)
		session_close_soon(s);
}

size_t
session_n_running(const struct session *s)
{
	return s->n_running;
}

struct session *
session_new(struct gate *g, const struct session_io *io, void *arg,
    const char *client)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->g = g;
	s->io = io;
	s->arg = arg;
	s->client = client;
	TAILQ_INIT(&s->tags);
	buf_init(&s->in, g->conf.limits_line_bytes);
	return s;
}

void
session_free(struct session **sp)
{
	struct session *s = *sp;
	struct tag *t;

	if (s == NULL)
		return;
	*sp = NULL;
	while ((t = TAILQ_FIRST(&s->tags)) != NULL) {
		TAILQ_REMOVE(&s->tags, t, entry);
		request_abandon(s->g, t->r);
		session_tag_free(t);
	}
	buf_fini(&s->in);
	free(s->tenant);
	free(s);
}

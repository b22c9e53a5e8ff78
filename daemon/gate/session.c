/* SPDX-License-Identifier: MIT */
/*
 * Each request in flight is a tag: the client's id and how to answer.  A tag
 * is linked before its request is submitted, because the core may end it
 * before request_submit returns, and freed in `done` or with the session.
 * Every request line gets exactly one `done` or `error`.
 */
#include "config.h"

#include "gate/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/queue.h"
#include "base/str.h"
#include "gate/gate.h"
#include "gate/params.h"
#include "gate/prompt.h"
#include "gate/request.h"
#include "wire/line.h"

#define ID_BYTES_MAX	128
#define REPLY_BYTES_MAX	((size_t)64 << 20)

struct tag {
	struct session	*s;
	struct request	*r;
	json_t		*id;		/* NULL: the line named none and its
					 * verb needs none */
	bool		 as_json;
	bool		 is_stream;
	struct buf	 text;		/* for done, when not streamed */
	json_t		*tokens;	/* of tokenize */
	json_t		*logprobs;	/* for done, when not streamed */
	TAILQ_ENTRY(tag) entry;
};
TAILQ_HEAD(tag_list, tag);

struct session {
	struct gate	*g;
	const struct session_io *io;
	void		*arg;
	const char	*client;
	char		*tenant;	/* by `auth`; NULL: none */
	bool		 is_authorised;
	bool		 is_eof;	/* or `quit`: take no more lines */
	bool		 is_closed;
	struct buf	 in;		/* the begin of a line */
	struct tag_list	 tags;
	size_t		 n_running;
	json_int_t	 last_id;
};

/* ---- answers ---- */

/* Foreign text as a JSON string: what is no UTF-8 becomes U+FFFD. */
static json_t *
text_value(struct slice s)
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

static json_t *
fields_of(const struct tag *t)
{
	json_t *o = json_object();

	if (t->id != NULL)
		json_object_set(o, "id", t->id);
	return o;
}

/* Takes fields. */
static void
reply(const struct tag *t, const char *event, json_t *fields)
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

static void
reply_error(const struct tag *t, int code, uint64_t retry_ms,
    const char *message)
{
	json_t *o = fields_of(t);

	json_object_set_new(o, "code", json_string(code_word(code)));
	if (retry_ms > 0)
		json_object_set_new(o, "retry_ms",
		    json_integer((json_int_t)retry_ms));
	json_object_set_new(o, "message", text_value(slice_of(message)));
	reply(t, "error", o);
}

static void
reply_cause(const struct tag *t, const struct cause *c)
{
	reply_error(t, c->code, 0, c->text);
}

static void
close_soon(struct session *s)
{
	if (s->is_closed)
		return;
	s->is_closed = true;
	s->io->close(s->arg);
}

/* ---- tags ---- */

static bool
id_is_taken(const struct session *s, const json_t *id)
{
	const struct tag *t;

	TAILQ_FOREACH(t, &s->tags, entry)
		if (json_equal(t->id, id))
			return true;
	return false;
}

static void
tag_free(struct tag *t)
{
	json_decref(t->id);
	json_decref(t->tokens);
	json_decref(t->logprobs);
	buf_fini(&t->text);
	free(t);
}

/* Keep a tag for a request that is about to be submitted. */
static struct tag *
tag_keep(const struct tag *from, struct request *r)
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
	tag_free(t);
	if (s->n_running == 0 && (s->is_eof || s->g->is_draining))
		close_soon(s);
}

/* ---- what the core reports ---- */

static double
round_ms(double ms)
{
	return (double)(int64_t)(ms * 1000 + 0.5) / 1000;
}

static void
on_queued(struct request *r, size_t position)
{
	struct tag *t = r->arg;
	json_t *o;

	if (!t->is_stream)
		return;
	o = fields_of(t);
	json_object_set_new(o, "position", json_integer((json_int_t)position));
	reply(t, "queued", o);
}

static json_t *
logprob_value(const struct logprob_item *i)
{
	json_t *o = json_object();

	json_object_set_new(o, "token", json_integer(i->token));
	json_object_set_new(o, "text", text_value(i->piece));
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
		o = fields_of(t);
		json_object_set_new(o, "text", text_value(text));
		if (list != NULL)
			json_object_set(o, "logprobs", list);
		reply(t, "token", o);
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
		reply_error(t, res->code, res->retry_ms,
		    res->message != NULL && res->message[0] != '\0' ?
		    res->message : err_text(res->code));
		tag_end(t);
		return;
	}
	o = fields_of(t);
	if (t->tokens != NULL)
		json_object_set(o, "tokens", t->tokens);
	else if (!t->is_stream)
		json_object_set_new(o, "text", text_value(
		    (struct slice){ .p = buf_cstr(&t->text),
		    .n = t->text.len }));
	if (r->kind == REQUEST_GENERATE)
		put_counts(o, res);
	if (t->logprobs != NULL)
		json_object_set(o, "logprobs", t->logprobs);
	reply(t, "done", o);
	tag_end(t);
}

static const struct request_events events = {
	.queued = on_queued,
	.output = on_output,
	.tokens = on_tokens,
	.text = on_text,
	.done = on_done
};

/* ---- verbs ---- */

/* Refuse members that are neither in the list nor (with_params) parameters:
 * a misspelt limit must not pass for none. */
static int
check_keys(json_t *o, const char *const *known, bool with_params,
    struct cause *cause)
{
	const char *key;
	json_t *v;

	json_object_foreach(o, key, v) {
		bool ok = strcmp(key, "op") == 0 || strcmp(key, "id") == 0 ||
		    (with_params && params_is_name(key));

		for (size_t i = 0; !ok && known[i] != NULL; i++)
			ok = strcmp(key, known[i]) == 0;
		if (!ok)
			return cause_set(cause, BM_EBADREQ,
			    "%.64s is not known here", key);
	}
	return 0;
}

static int
read_model(const json_t *o, const char **model, struct cause *cause)
{
	const json_t *v = json_object_get(o, "model");

	*model = json_string_value(v);
	if (v != NULL && *model == NULL)
		return cause_set(cause, BM_EBADREQ, "model must be a string");
	return 0;
}

static int
read_flag(const json_t *o, const char *key, bool *out, struct cause *cause)
{
	const json_t *v = json_object_get(o, key);

	if (v != NULL && !params_flag(v, out))
		return cause_set(cause, BM_EBADREQ, "%s must be yes or no",
		    key);
	return 0;
}

static void
submit(const struct tag *from, struct request *r, const char *model,
    const char *endpoint)
{
	struct session *s = from->s;

	if (model != NULL)
		r->model = xstrdup(model);
	if (s->tenant != NULL)
		r->tenant = xstrdup(s->tenant);
	str_copy(r->client, s->client, sizeof(r->client));
	r->protocol = "line";
	r->endpoint = endpoint;
	r->events = &events;
	(void)tag_keep(from, r);
	request_submit(s->g, r);
}

static int
read_generate(struct tag *t, json_t *o, bool is_chat, const char **model,
    struct params *p, struct prompts *prompts, struct cause *cause)
{
	static const char *const text_keys[] = { "model", "stream", "prompt",
	    NULL };
	static const char *const chat_keys[] = { "model", "stream", "messages",
	    NULL };
	int r = check_keys(o, is_chat ? chat_keys : text_keys, true, cause);

	if (r == 0)
		r = read_model(o, model, cause);
	if (r == 0)
		r = read_flag(o, "stream", &t->is_stream, cause);
	if (r == 0)
		r = params_read(p, o, cause);
	if (r == 0)
		r = is_chat ?
		    prompts_read_chat(json_object_get(o, "messages"), prompts,
		    cause) :
		    prompts_read(json_object_get(o, "prompt"), prompts, cause);
	if (r == 0 && (prompts->n > 1 || p->n_copies > 1))
		r = cause_set(cause, BM_EBADREQ,
		    "one prompt and one answer a line");
	return r;
}

static int
generate(struct tag *t, json_t *o, bool is_chat, struct cause *cause)
{
	struct params p;
	struct prompts prompts = { 0 };
	const char *model;
	int r;

	params_init(&p);
	r = read_generate(t, o, is_chat, &model, &p, &prompts, cause);
	if (r == 0)
		submit(t, params_request(&p, &prompts.v[0], 0), model,
		    is_chat ? "chat" : "generate");
	prompts_fini(&prompts);
	params_fini(&p);
	return r;
}

static int
do_generate(struct tag *t, json_t *o, struct cause *cause)
{
	return generate(t, o, false, cause);
}

static int
do_chat(struct tag *t, json_t *o, struct cause *cause)
{
	return generate(t, o, true, cause);
}

static int
do_tokenize(struct tag *t, json_t *o, struct cause *cause)
{
	static const char *const keys[] = { "model", "text", "add_special",
	    "parse_special", NULL };
	const json_t *text = json_object_get(o, "text");
	bool add_special = false, parse_special = true;
	const char *model = NULL;
	struct request *r;
	int e = check_keys(o, keys, false, cause);

	if (e == 0)
		e = read_model(o, &model, cause);
	if (e == 0)
		e = read_flag(o, "add_special", &add_special, cause);
	if (e == 0)
		e = read_flag(o, "parse_special", &parse_special, cause);
	if (e == 0 && !json_is_string(text))
		e = cause_set(cause, BM_EBADREQ, "text must be a string");
	if (e != 0)
		return e;
	r = request_new(REQUEST_TOKENIZE);
	r->m.tokenize.text = (struct slice){ .n = json_string_length(text),
	    .p = request_own(r, json_string_value(text),
	    json_string_length(text)) };
	r->m.tokenize.add_special = add_special;
	r->m.tokenize.parse_special = parse_special;
	submit(t, r, model, "tokenize");
	return 0;
}

static int
do_detokenize(struct tag *t, json_t *o, struct cause *cause)
{
	static const char *const keys[] = { "model", "tokens", "special",
	    NULL };
	const char *model = NULL;
	struct request *r;
	struct buf tokens;
	bool special = false;
	int e = check_keys(o, keys, false, cause);

	buf_init(&tokens, REPLY_BYTES_MAX / 2);
	if (e == 0)
		e = read_model(o, &model, cause);
	if (e == 0)
		e = read_flag(o, "special", &special, cause);
	if (e == 0)
		e = prompt_tokens(json_object_get(o, "tokens"), "tokens",
		    &tokens, cause);
	if (e == 0) {
		r = request_new(REQUEST_DETOKENIZE);
		r->m.detokenize.tokens = (struct words){ .n = tokens.len / 4,
		    .p = request_own(r, tokens.data, tokens.len) };
		r->m.detokenize.special = special;
		submit(t, r, model, "detokenize");
	}
	buf_fini(&tokens);
	return e;
}

static int
do_unsupported(struct tag *t, json_t *o, struct cause *cause)
{
	return cause_set(cause, BM_EUNSUP, "%s is not supported by any model "
	    "here", json_string_value(json_object_get(o, "op")));
}

static int
do_cancel(struct tag *t, json_t *o, struct cause *cause)
{
	struct tag *other;

	if (json_object_get(o, "id") == NULL)
		return cause_set(cause, BM_EBADREQ,
		    "cancel needs the id of a running request");
	TAILQ_FOREACH(other, &t->s->tags, entry) {
		if (!json_equal(other->id, t->id))
			continue;
		/* Its own error line, code=cancelled, is the answer. */
		request_cancel(t->s->g, other->r);
		return 0;
	}
	return cause_set(cause, BM_EBADREQ, "no request of that id is running");
}

static int
do_models(struct tag *t, json_t *o, struct cause *cause)
{
	const struct gate_model *m;

	TAILQ_FOREACH(m, &t->s->g->models, entry) {
		json_t *f = fields_of(t);

		json_object_set_new(f, "name", text_value(slice_of(m->name)));
		json_object_set_new(f, "state",
		    text_value(slice_of(m->state)));
		json_object_set_new(f, "architecture",
		    text_value(slice_of(m->architecture)));
		json_object_set_new(f, "context", json_integer(m->n_ctx));
		reply(t, "model", f);
	}
	reply(t, "done", fields_of(t));
	return 0;
}

static int
do_ping(struct tag *t, json_t *o, struct cause *cause)
{
	reply(t, "pong", fields_of(t));
	return 0;
}

static int
do_auth(struct tag *t, json_t *o, struct cause *cause)
{
	const json_t *key = json_object_get(o, "key");
	const struct conf_tenant *tenant;
	struct session *s = t->s;
	struct slice shown = { .p = json_string_value(key),
	    .n = json_string_length(key) };
	bool is_needed = false;
	char digits[24];

	/* A bare key may happen to be a number. */
	if (json_is_integer(key)) {
		snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT,
		    json_integer_value(key));
		shown = slice_of(digits);
	} else if (!json_is_string(key)) {
		return cause_set(cause, BM_EBADREQ,
		    "key must be a string, in quotes where it "
		    "reads as JSON");
	}
	tenant = gate_tenant(s->g, shown, &is_needed);
	if (tenant == NULL && is_needed)
		return cause_set(cause, BM_ENOAUTH, "no tenant has that key");
	free(s->tenant);
	s->tenant = tenant != NULL ? xstrdup(tenant->name) : NULL;
	s->is_authorised = tenant != NULL;
	reply(t, "done", fields_of(t));
	return 0;
}

static int
do_quit(struct tag *t, json_t *o, struct cause *cause)
{
	t->s->is_eof = true;
	if (t->s->n_running == 0)
		close_soon(t->s);
	return 0;
}

static int	do_help(struct tag *, json_t *, struct cause *);

static const struct verb {
	const char	*name;
	/* An error is answered by the caller; else the verb did or will. */
	int		(*fn)(struct tag *, json_t *, struct cause *);
	bool		 is_work;	/* needs a key and gets an id */
	bool		 is_logged;	/* also when it is refused */
	const char	*usage;
} verbs[] = {
	{ "generate", do_generate, true, true,
	    "prompt=TEXT [model=] [stream=yes] [max_tokens=] [temperature=] "
	    "[seed=] [stop=] ..." },
	{ "chat", do_chat, true, true,
	    "messages=[{\"role\":\"user\",\"content\":TEXT}] and as generate" },
	{ "embed", do_unsupported, true, true, "input=TEXT" },
	{ "infer", do_unsupported, true, true, "inputs=[...]" },
	{ "tokenize", do_tokenize, true, false,
	    "text=TEXT [add_special=no] [parse_special=yes]" },
	{ "detokenize", do_detokenize, true, false,
	    "tokens=[N,...] [special=no]" },
	{ "cancel", do_cancel, false, false, "id=ID" },
	{ "models", do_models, false, false, "" },
	{ "ping", do_ping, false, false, "" },
	{ "auth", do_auth, false, false, "key=KEY" },
	{ "help", do_help, false, false, "" },
	{ "quit", do_quit, false, false, "" },
};

static int
do_help(struct tag *t, json_t *o, struct cause *cause)
{
	for (size_t i = 0; i < N_ELEMENTS(verbs); i++) {
		json_t *f = fields_of(t);

		json_object_set_new(f, "verb", json_string(verbs[i].name));
		json_object_set_new(f, "usage", json_string(verbs[i].usage));
		reply(t, "help", f);
	}
	reply(t, "done", fields_of(t));
	return 0;
}

/* ---- lines ---- */

static const struct verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

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
		if (id_is_taken(t->s, t->id)) {
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
	if (id_is_taken(s, t->id))
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

		verb = find_verb(op);
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
		reply_cause(&t, &cause);
		if (verb != NULL && verb->is_logged)
			log_refusal(s, verb, o, cause.code);
	}
	json_decref(t.id);
	json_decref(o);
	if (s->n_running == 0 && s->g->is_draining)
		close_soon(s);
}

static void
refuse_length(struct session *s)
{
	struct tag t = { .s = s };
	char text[80];

	snprintf(text, sizeof(text), "a line is at most %llu bytes",
	    (unsigned long long)s->g->conf.limits_line_bytes);
	reply_error(&t, BM_EBADREQ, 0, text);
	close_soon(s);
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
		close_soon(s);
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
		tag_free(t);
	}
	buf_fini(&s->in);
	free(s->tenant);
	free(s);
}

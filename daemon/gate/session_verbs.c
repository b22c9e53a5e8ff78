/* SPDX-License-Identifier: MIT */
/*
 * The verbs of the line protocol: each reads its keys from the object that the
 * line became, and answers at once or submits a request.
 */
#include "config.h"

#include "gate/session_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "gate/params.h"
#include "gate/prompt.h"

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
	r->events = &session_events;
	(void)session_tag_keep(from, r);
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
		json_t *f = session_fields(t);

		json_object_set_new(f, "name", session_text(slice_of(m->name)));
		json_object_set_new(f, "state",
		    session_text(slice_of(m->state)));
		json_object_set_new(f, "architecture",
		    session_text(slice_of(m->architecture)));
		json_object_set_new(f, "context", json_integer(m->n_ctx));
		session_reply(t, "model", f);
	}
	session_reply(t, "done", session_fields(t));
	return 0;
}

static int
do_ping(struct tag *t, json_t *o, struct cause *cause)
{
	session_reply(t, "pong", session_fields(t));
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
	session_reply(t, "done", session_fields(t));
	return 0;
}

static int
do_quit(struct tag *t, json_t *o, struct cause *cause)
{
	t->s->is_eof = true;
	if (t->s->n_running == 0)
		session_close_soon(t->s);
	return 0;
}

static int	do_help(struct tag *, json_t *, struct cause *);

static const struct verb verbs[] = {
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
		json_t *f = session_fields(t);

		json_object_set_new(f, "verb", json_string(verbs[i].name));
		json_object_set_new(f, "usage", json_string(verbs[i].usage));
		session_reply(t, "help", f);
	}
	session_reply(t, "done", session_fields(t));
	return 0;
}

const struct verb *
session_verb(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * From the body of an exchange to its requests.  Everything is checked before
 * the first request is made; members we do not know are passed over, as
 * clients expect, but those that would change the answer are refused.
 */
#include "config.h"

#include "gate/openai.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "gate/gate.h"
#include "gate/http_io.h"
#include "gate/openai_impl.h"
#include "gate/params.h"
#include "gate/prompt.h"

json_t *
openai_body(struct http_call *c)
{
	char text[256];
	json_error_t e;
	json_t *o;

	if (c->body.n == 0) {
		openai_error(c, BM_EBADREQ, NULL, 0, "the body is empty; a "
		    "JSON object is expected");
		return NULL;
	}
	o = json_loadb(c->body.p, c->body.n, 0, &e);
	if (o == NULL) {
		snprintf(text, sizeof(text), "the body is not JSON: line %d "
		    "column %d: %s", e.line, e.column,
		    json_error_code(&e) == json_error_null_character ?
		    "\\u0000 is not taken" : e.text);
		openai_error(c, BM_EBADREQ, NULL, 0, text);
		return NULL;
	}
	if (!json_is_object(o)) {
		json_decref(o);
		openai_error(c, BM_EBADREQ, NULL, 0,
		    "the body must be a JSON object");
		return NULL;
	}
	return o;
}

bool
openai_read_model(struct http_call *c, const json_t *o,
    const struct gate_model **out)
{
	const json_t *v = json_object_get(o, "model");
	const char *name = json_string_value(v);
	char text[256];

	if (v != NULL && !json_is_null(v) && name == NULL) {
		openai_error(c, BM_EBADREQ, "model", 0,
		    "model must be a string");
		return false;
	}
	*out = gate_model_find(c->g,
	    name != NULL && name[0] != '\0' ? name : NULL);
	c->model = name != NULL ? name : *out != NULL ? (*out)->name : NULL;
	if (*out != NULL)
		return true;
	if (name != NULL && name[0] != '\0')
		snprintf(text, sizeof(text),
		    "the model \"%.120s\" does not exist", name);
	else
		snprintf(text, sizeof(text), "there is no model");
	openai_error(c, BM_ENOMODEL, "model", 0, text);
	return false;
}

void
openai_submit(struct http_call *c, struct request *r,
    const struct gate_model *m, const char *endpoint,
    const struct request_events *events, void *arg)
{
	r->model = xstrdup(m->name);
	if (c->tenant != NULL)
		r->tenant = xstrdup(c->tenant);
	str_copy(r->client, c->client, sizeof(r->client));
	r->protocol = "http";
	r->endpoint = endpoint;
	r->events = events;
	r->arg = arg;
	request_submit(c->g, r);
}

/* ---- what we do not do yet is said, not passed over ---- */

static bool
is_set(const json_t *v)
{
	return v != NULL && !json_is_null(v) && !json_is_false(v) &&
	    !(json_is_array(v) && json_array_size(v) == 0) &&
	    !(json_is_string(v) && json_string_length(v) == 0);
}

static int
check_tools(const json_t *o, const char **param, struct cause *cause)
{
	const char *choice = json_string_value(
	    json_object_get(o, "tool_choice"));
	bool is_none = choice != NULL && strcmp(choice, "none") == 0;

	*param = "tools";
	if (is_set(json_object_get(o, "tools")) && !is_none)
		return cause_set(cause, BM_EBADREQ,
		    "tools are not supported");
	*param = "tool_choice";
	if (is_set(json_object_get(o, "tool_choice")) && !is_none &&
	    (choice == NULL || strcmp(choice, "auto") != 0))
		return cause_set(cause, BM_EBADREQ,
		    "tool_choice is not supported but for none and auto");
	return 0;
}

static int
check_format(const json_t *o, const char **param, struct cause *cause)
{
	const json_t *v = json_object_get(o, "response_format");
	const char *type = json_string_value(json_object_get(v, "type"));

	*param = "response_format";
	if (is_set(v) && type == NULL)
		return cause_set(cause, BM_EBADREQ,
		    "response_format must be an object with a type");
	if (is_set(v) && strcmp(type, "text") != 0)
		return cause_set(cause, BM_EBADREQ, "response_format of type "
		    "%.40s is not supported, text only", type);
	return 0;
}

static int
check_unsupported(const json_t *o, const char **param, struct cause *cause)
{
	static const char *const others[] = { "grammar", "json_schema",
	    "functions", "suffix", "audio", "prediction", "images" };
	const json_t *best = json_object_get(o, "best_of");
	int r = check_tools(o, param, cause);

	if (r == 0)
		r = check_format(o, param, cause);
	for (size_t i = 0; i < N_ELEMENTS(others) && r == 0; i++) {
		*param = others[i];
		if (is_set(json_object_get(o, others[i])))
			r = cause_set(cause, BM_EBADREQ,
			    "%s is not supported", others[i]);
	}
	if (r == 0 && best != NULL && !json_is_null(best) &&
	    json_integer_value(best) != 1) {
		*param = "best_of";
		r = cause_set(cause, BM_EBADREQ,
		    "best_of is not supported but for 1");
	}
	if (r == 0)
		*param = NULL;
	return r;
}

/* ---- reading ---- */

static int
read_stream(struct job *j, const json_t *o, const char **param,
    struct cause *cause)
{
	const json_t *v = json_object_get(o, "stream");
	const json_t *usage = json_object_get(json_object_get(o,
	    "stream_options"), "include_usage");

	*param = "stream";
	if (v != NULL && !json_is_null(v) && !params_flag(v, &j->is_stream))
		return cause_set(cause, BM_EBADREQ,
		    "stream must be true or false");
	*param = "stream_options";
	if (usage != NULL && !json_is_null(usage) &&
	    !params_flag(usage, &j->include_usage))
		return cause_set(cause, BM_EBADREQ,
		    "stream_options.include_usage must be true or false");
	if (!j->is_stream)
		j->include_usage = false;
	*param = NULL;
	return 0;
}

static int
read_job(struct job *j, const json_t *o, struct params *p,
    struct prompts *prompts, const char **param, struct cause *cause)
{
	int r = check_unsupported(o, param, cause);

	if (r == 0)
		r = read_stream(j, o, param, cause);
	if (r != 0)
		return r;
	r = params_read(p, o, cause);
	*param = p->bad;
	if (r != 0)
		return r;
	*param = j->is_chat ? "messages" : "prompt";
	r = j->is_chat ?
	    prompts_read_chat(json_object_get(o, "messages"), prompts, cause) :
	    prompts_read(json_object_get(o, "prompt"), prompts, cause);
	if (r != 0)
		return r;
	*param = "n";
	if (prompts->n * p->n_copies > PROMPTS_MAX)
		return cause_set(cause, BM_EBADREQ,
		    "at most %d answers at once", PROMPTS_MAX);
	if (j->is_chat)
		p->run.echo = 0;
	j->has_logprobs = p->run.n_probs >= 0;
	*param = NULL;
	return 0;
}

/* ---- running ---- */

static void
make_choices(struct job *j, const struct params *p,
    const struct prompts *prompts)
{
	j->n_choices = prompts->n * p->n_copies;
	j->choices = xcalloc(j->n_choices, sizeof(*j->choices));
	for (size_t i = 0; i < j->n_choices; i++) {
		struct choice *c = &j->choices[i];

		c->job = j;
		c->index = (unsigned)i;
		c->copy = (unsigned)(i % p->n_copies);
		buf_init(&c->head, OPENAI_BODY_MAX);
		buf_init(&c->text, OPENAI_BODY_MAX);
		buf_init(&c->logprobs, OPENAI_BODY_MAX);
		c->r = params_request(p, &prompts->v[i / p->n_copies],
		    c->copy);
	}
	/* The exchange is known by its first request; rows are theirs. */
	j->call->endpoint = NULL;
	str_copy(j->call->id, j->choices[0].r->uuid, sizeof(j->call->id));
	snprintf(j->id, sizeof(j->id), "%s-%s",
	    j->is_chat ? "chatcmpl" : "cmpl", j->call->id);
}

/* A request may end while it is submitted, and end the exchange with it: what
 * was not submitted by then never is. */
static void
submit_choices(struct job *j, const struct gate_model *m)
{
	for (size_t i = 0; i < j->n_choices; i++) {
		struct choice *c = &j->choices[i];

		if (!j->is_answered)
			openai_submit(j->call, c->r, m, j->is_chat ?
			    "/v1/chat/completions" : "/v1/completions",
			    &job_events, c);
		else {
			request_free(c->r);
			c->r = NULL;
		}
	}
}

static void
generate(struct http_call *c, const json_t *o, bool is_chat)
{
	const struct gate_model *m;
	struct prompts prompts = { 0 };
	struct params p;
	struct cause cause;
	struct job *j;
	const char *param = NULL;
	int r;

	if (!openai_read_model(c, o, &m))
		return;
	j = xcalloc(1, sizeof(*j));
	j->call = c;
	j->is_chat = is_chat;
	j->model = xstrdup(m->name);
	j->created_s = clock_unix_ms() / 1000;
	c->arg = j;
	c->on_end = job_free;
	params_init(&p);
	r = read_job(j, o, &p, &prompts, &param, &cause);
	if (r == 0) {
		make_choices(j, &p, &prompts);
		submit_choices(j, m);
	} else
		openai_error(c, r == BM_EUNSUP ? BM_EBADREQ : r, param, 0,
		    cause.text);
	prompts_fini(&prompts);
	params_fini(&p);
}

static void
generate_body(struct http_call *c, bool is_chat)
{
	json_t *o = openai_body(c);

	if (o == NULL)
		return;
	generate(c, o, is_chat);
	json_decref(o);
}

void
openai_chat(struct http_call *c)
{
	generate_body(c, true);
}

void
openai_completions(struct http_call *c)
{
	generate_body(c, false);
}

void
openai_embeddings(struct http_call *c)
{
	openai_error(c, BM_EUNSUP, NULL, 0,
	    "no model here gives embeddings");
}

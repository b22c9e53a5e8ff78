/* SPDX-License-Identifier: MIT */
/*
 * The routes beside generation: models, tokens, templates.  Their shapes are
 * OpenAI's for models and llama-server's for the rest.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "gate/gate.h"
#include "gate/http_io.h"
#include "gate/openai_impl.h"
#include "gate/params.h"
#include "gate/prompt.h"

/* A request that is answered at once; freed by the call's on_end. */
struct aside {
	struct http_call *call;
	struct request	*r;
	struct buf	 out;
	const char	*end;		/* what closes `out` */
};

/* ---- models ---- */

static void
put_model(struct buf *out, const struct gate_model *m)
{
	buf_puts(out, "{\"id\":");
	buf_put_json(out, slice_of(m->name));
	buf_printf(out, ",\"object\":\"model\",\"created\":%lld,"
	    "\"owned_by\":\"bigmodel\",\"status\":{\"value\":",
	    (long long)m->created_s);
	buf_put_json(out, slice_of(m->state));
	buf_puts(out, "},\"meta\":{\"architecture\":");
	buf_put_json(out, slice_of(m->architecture));
	buf_puts(out, ",\"type\":");
	buf_put_json(out, slice_of(m->active->type));
	buf_printf(out, ",\"n_ctx\":%u,\"n_vocab\":%u,\"n_params\":%llu,"
	    "\"size\":%llu}}", m->n_ctx, m->n_vocab,
	    (unsigned long long)m->n_params,
	    (unsigned long long)m->active->file_bytes);
}

void
openai_models(struct http_call *c)
{
	const struct gate_model *m;
	const char *comma = "";
	struct buf out;

	buf_init(&out, OPENAI_BODY_MAX);
	buf_puts(&out, "{\"object\":\"list\",\"data\":[");
	TAILQ_FOREACH(m, &c->g->models, entry) {
		buf_puts(&out, comma);
		put_model(&out, m);
		comma = ",";
	}
	buf_puts(&out, "]}");
	http_reply(c, 200, HTTP_JSON, &out);
}

void
openai_model(struct http_call *c)
{
	const struct gate_model *m = gate_model_find(c->g, c->rest);
	struct buf out;
	char text[256];

	if (m == NULL) {
		snprintf(text, sizeof(text),
		    "the model \"%.120s\" does not exist", c->rest);
		openai_error(c, BM_ENOMODEL, "model", 0, text);
		return;
	}
	buf_init(&out, OPENAI_BODY_MAX);
	put_model(&out, m);
	http_reply(c, 200, HTTP_JSON, &out);
}

/* ---- requests of one answer ---- */

static void
on_tokens(struct request *r, struct words tokens)
{
	struct aside *a = r->arg;

	for (size_t i = 0; i < tokens.n; i++)
		buf_printf(&a->out, "%s%u", i > 0 ? "," : "",
		    words_at(tokens, i));
}

static void
on_text(struct request *r, struct slice text)
{
	struct aside *a = r->arg;

	buf_put_json(&a->out, text);
}

static void
on_done(struct request *r, const struct request_result *res)
{
	struct aside *a = r->arg;

	a->r = NULL;
	if (res->code != 0) {
		openai_error(a->call, res->code, NULL, res->retry_ms,
		    res->message);
		return;
	}
	buf_puts(&a->out, a->end);
	http_reply(a->call, 200, HTTP_JSON, &a->out);
}

static const struct request_events aside_events = {
	.tokens = on_tokens,
	.text = on_text,
	.done = on_done
};

static void
aside_free(void *arg)
{
	struct aside *a = arg;

	if (a->r != NULL)
		request_abandon(a->call->g, a->r);
	buf_fini(&a->out);
	free(a);
}

static void
ask(struct http_call *c, struct request *r, const struct gate_model *m,
    const char *endpoint, const char *begin, const char *end)
{
	struct aside *a = xcalloc(1, sizeof(*a));

	a->call = c;
	a->r = r;
	a->end = end;
	buf_init(&a->out, OPENAI_BODY_MAX);
	buf_puts(&a->out, begin);
	c->arg = a;
	c->on_end = aside_free;
	memcpy(c->id, r->uuid, sizeof(c->id));
	openai_submit(c, r, m, endpoint, &aside_events, a);
}

/* A yes or no with a default; false after the error was answered. */
static bool
read_flag(struct http_call *c, const json_t *o, const char *key, bool *out)
{
	const json_t *v = json_object_get(o, key);
	char text[80];

	if (v == NULL || json_is_null(v) || params_flag(v, out))
		return true;
	snprintf(text, sizeof(text), "%s must be true or false", key);
	openai_error(c, BM_EBADREQ, key, 0, text);
	return false;
}

static void
tokenize(struct http_call *c, const json_t *o)
{
	const struct gate_model *m;
	const json_t *text = json_object_get(o, "content");
	bool add_special = false, parse_special = true;
	struct request *r;

	if (text == NULL)
		text = json_object_get(o, "text");
	if (!json_is_string(text)) {
		openai_error(c, BM_EBADREQ, "content", 0,
		    "content must be a string");
		return;
	}
	if (!openai_read_model(c, o, &m) ||
	    !read_flag(c, o, "add_special", &add_special) ||
	    !read_flag(c, o, "parse_special", &parse_special))
		return;
	r = request_new(REQUEST_TOKENIZE);
	r->m.tokenize.text = (struct slice){ .n = json_string_length(text),
	    .p = request_own(r, json_string_value(text),
	    json_string_length(text)) };
	r->m.tokenize.add_special = add_special;
	r->m.tokenize.parse_special = parse_special;
	ask(c, r, m, "/tokenize", "{\"tokens\":[", "]}");
}

static void
detokenize(struct http_call *c, const json_t *o)
{
	const struct gate_model *m;
	const json_t *v = json_object_get(o, "tokens");
	bool special = false;
	struct request *r;
	struct cause cause;
	struct buf tokens;

	buf_init(&tokens, OPENAI_BODY_MAX);
	if (!json_is_array(v) || json_array_size(v) > 0) {
		int e = prompt_tokens(v, "tokens", &tokens, &cause);

		if (e != 0) {
			openai_error(c, e, "tokens", 0, cause.text);
			goto out;
		}
	}
	if (!openai_read_model(c, o, &m) ||
	    !read_flag(c, o, "special", &special))
		goto out;
	r = request_new(REQUEST_DETOKENIZE);
	r->m.detokenize.tokens = (struct words){ .n = tokens.len / 4,
	    .p = request_own(r, tokens.data, tokens.len) };
	r->m.detokenize.special = special;
	ask(c, r, m, "/detokenize", "{\"content\":", "}");
out:
	buf_fini(&tokens);
}

static void
apply_template(struct http_call *c, const json_t *o)
{
	const struct gate_model *m;
	bool add_prompt = true;
	struct request *r;
	struct cause cause;
	struct buf list;
	int e;

	buf_init(&list, OPENAI_BODY_MAX);
	e = prompt_messages(json_object_get(o, "messages"), &list, &cause);
	if (e != 0) {
		openai_error(c, e == BM_EUNSUP ? BM_EBADREQ : e, "messages",
		    0, cause.text);
		goto out;
	}
	if (!openai_read_model(c, o, &m) ||
	    !read_flag(c, o, "add_generation_prompt", &add_prompt))
		goto out;
	r = request_new(REQUEST_RENDER);
	r->m.render.messages = (struct slice){ .n = list.len,
	    .p = request_own(r, list.data, list.len) };
	r->m.render.add_generation_prompt = add_prompt;
	ask(c, r, m, "/apply-template", "{\"prompt\":", "}");
out:
	buf_fini(&list);
}

static void
with_body(struct http_call *c, void (*fn)(struct http_call *, const json_t *))
{
	json_t *o = openai_body(c);

	if (o == NULL)
		return;
	fn(c, o);
	json_decref(o);
}

void
openai_tokenize(struct http_call *c)
{
	with_body(c, tokenize);
}

void
openai_detokenize(struct http_call *c)
{
	with_body(c, detokenize);
}

void
openai_apply_template(struct http_call *c)
{
	with_body(c, apply_template);
}

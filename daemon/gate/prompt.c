/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gate/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "gate/request.h"

/* A frame must hold it. */
#define LIST_BYTES_MAX	(24u << 20)

/* ---- tokens ---- */

static bool
is_token(const json_t *v)
{
	return json_is_integer(v) && json_integer_value(v) >= 0 &&
	    json_integer_value(v) <= INT32_MAX;
}

int
prompt_tokens(const json_t *v, const char *name, struct buf *out,
    struct cause *cause)
{
	size_t n = json_array_size(v);

	if (n == 0)
		return cause_set(cause, BM_EBADREQ,
		    "%s must be an array of at least one token number", name);
	for (size_t i = 0; i < n; i++) {
		const json_t *t = json_array_get(v, i);

		if (!is_token(t))
			return cause_set(cause, BM_EBADREQ,
			    "%s[%zu] must be a token number", name, i);
		buf_put_u32(out, (uint32_t)json_integer_value(t));
	}
	if (out->failed)
		return cause_set(cause, BM_EBADREQ, "%s is too long", name);
	return 0;
}

static struct prompt *
add_prompt(struct prompts *p, enum run_input input)
{
	struct prompt *one;

	p->v = xreallocarray(p->v, p->n + 1, sizeof(*p->v));
	one = &p->v[p->n++];
	memset(one, 0, sizeof(*one));
	one->input = input;
	buf_init(&one->list, LIST_BYTES_MAX);
	return one;
}

static int
read_one(const json_t *v, const char *name, struct prompts *out,
    struct cause *cause)
{
	struct prompt *p;

	if (json_is_array(v)) {
		p = add_prompt(out, RUN_TOKENS);
		return prompt_tokens(v, name, &p->list, cause);
	}
	if (!json_is_string(v))
		return cause_set(cause, BM_EBADREQ, "%s must be a string or an "
		    "array of token numbers", name);
	p = add_prompt(out, RUN_TEXT);
	p->text = (struct slice){ .p = json_string_value(v),
	    .n = json_string_length(v) };
	return 0;
}

int
prompts_read(const json_t *v, struct prompts *out, struct cause *cause)
{
	size_t n = json_array_size(v);
	char name[32];

	if (v == NULL || json_is_null(v))
		return cause_set(cause, BM_EBADREQ, "prompt is missing");
	if (!json_is_array(v) || n == 0 ||
	    json_is_integer(json_array_get(v, 0)))
		return read_one(v, "prompt", out, cause);
	if (n > PROMPTS_MAX)
		return cause_set(cause, BM_EBADREQ,
		    "prompt may hold at most %d prompts", PROMPTS_MAX);
	for (size_t i = 0; i < n; i++) {
		int r;

		snprintf(name, sizeof(name), "prompt[%zu]", i);
		r = read_one(json_array_get(v, i), name, out, cause);
		if (r != 0)
			return r;
	}
	return 0;
}

void
prompts_fini(struct prompts *p)
{
	for (size_t i = 0; i < p->n; i++)
		buf_fini(&p->v[i].list);
	free(p->v);
	*p = (struct prompts){ 0 };
}

/* ---- messages ---- */

/* A role ends up between a template's control words, so it is one word. */
static bool
is_role(const json_t *v)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	const char *s = json_string_value(v);

	return s != NULL && s[0] != '\0' && strlen(s) <= 64 &&
	    s[strspn(s, letters)] == '\0';
}

static int
add_part(const json_t *part, size_t i, struct buf *text, struct cause *cause)
{
	const char *type = json_string_value(json_object_get(part, "type"));
	const json_t *v = json_object_get(part, "text");

	if (type == NULL)
		return cause_set(cause, BM_EBADREQ, "messages[%zu].content: a "
		    "part must be an object with a type", i);
	if (strcmp(type, "text") != 0)
		return cause_set(cause, BM_EUNSUP, "messages[%zu].content: "
		    "parts of type %.40s are not supported, text only", i,
		    type);
	if (!json_is_string(v))
		return cause_set(cause, BM_EBADREQ, "messages[%zu].content: "
		    "text must be a string", i);
	buf_put(text, json_string_value(v), json_string_length(v));
	return 0;
}

/* The content as one text; parts are joined. */
static int
read_content(const json_t *v, size_t i, struct buf *text, struct cause *cause)
{
	if (json_is_string(v)) {
		buf_put(text, json_string_value(v), json_string_length(v));
		return 0;
	}
	if (json_is_null(v))
		return 0;
	if (!json_is_array(v))
		return cause_set(cause, BM_EBADREQ, "messages[%zu].content "
		    "must be a string or an array of parts", i);
	for (size_t k = 0; k < json_array_size(v); k++) {
		int r = add_part(json_array_get(v, k), i, text, cause);

		if (r != 0)
			return r;
	}
	return 0;
}

static int
add_message(const json_t *m, size_t i, struct buf *out, struct cause *cause)
{
	const json_t *role = json_object_get(m, "role");
	const json_t *content = json_object_get(m, "content");
	struct buf text;
	int r;

	if (!json_is_object(m))
		return cause_set(cause, BM_EBADREQ,
		    "messages[%zu] must be an object", i);
	if (!is_role(role))
		return cause_set(cause, BM_EBADREQ,
		    "messages[%zu].role must be a word such as user", i);
	if (content == NULL)
		return cause_set(cause, BM_EBADREQ,
		    "messages[%zu].content is missing", i);
	if (json_array_size(json_object_get(m, "tool_calls")) > 0)
		return cause_set(cause, BM_EUNSUP,
		    "messages[%zu].tool_calls are not supported", i);
	buf_init(&text, LIST_BYTES_MAX);
	r = read_content(content, i, &text, cause);
	if (r == 0) {
		strs_put(out, slice_of(json_string_value(role)));
		strs_put(out, (struct slice){ .p = (const char *)text.data,
		    .n = text.len });
	}
	buf_fini(&text);
	return r;
}

int
prompt_messages(const json_t *v, struct buf *out, struct cause *cause)
{
	size_t n = json_array_size(v);

	if (n == 0)
		return cause_set(cause, BM_EBADREQ, "messages must be an array "
		    "of at least one {\"role\",\"content\"}");
	for (size_t i = 0; i < n; i++) {
		int r = add_message(json_array_get(v, i), i, out, cause);

		if (r != 0)
			return r;
	}
	if (out->failed)
		return cause_set(cause, BM_EBADREQ, "messages are too long");
	return 0;
}

int
prompts_read_chat(const json_t *v, struct prompts *out, struct cause *cause)
{
	struct prompt *p = add_prompt(out, RUN_CHAT);

	p->messages = v;
	return prompt_messages(v, &p->list, cause);
}

/* ---- into a request ---- */

static char *
tokens_text(const struct buf *list)
{
	struct cur c = cur_of(list->data, list->len);
	const char *comma = "";
	struct buf text;

	buf_init(&text, (size_t)LIST_BYTES_MAX * 4);
	buf_puts(&text, "[");
	for (; cur_left(&c) > 0; comma = ",")
		buf_printf(&text, "%s%u", comma, cur_u32(&c));
	buf_puts(&text, "]");
	return buf_take(&text);
}

void
prompt_put(const struct prompt *p, struct request *r)
{
	struct msg_run *run = &r->m.run;
	const void *list;

	run->input = (uint8_t)p->input;
	if (p->input == RUN_TEXT) {
		run->text = (struct slice){ .n = p->text.n,
		    .p = request_own(r, p->text.p, p->text.n) };
		r->prompt = slice_dup(p->text);
		return;
	}
	list = request_own(r, p->list.data, p->list.len);
	if (p->input == RUN_TOKENS) {
		run->tokens = (struct words){ .p = list,
		    .n = p->list.len / 4 };
		r->prompt = tokens_text(&p->list);
	} else {
		run->messages = (struct slice){ .p = list, .n = p->list.len };
		r->prompt = json_dumps(p->messages, JSON_COMPACT);
	}
}

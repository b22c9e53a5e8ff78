/* SPDX-License-Identifier: MIT */
/*
 * The conversation is sent whole with every question; the daemon has the begin
 * of it cached.  Nothing of what a model says is trusted: not its characters,
 * nor the shape of the events it comes in.
 */
#include "config.h"

#include "console/chat.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"
#include "console/tui/text.h"

void
chat_init(struct chat *c, const char *model)
{
	*c = (struct chat){ model, json_array(), json_object(), NULL };
}

void
chat_fini(struct chat *c)
{
	json_decref(c->messages);
	json_decref(c->params);
	free(c->system);
}

/* ---- prompts ---- */

static bool
takes_quotes(struct slice *line, bool at_end)
{
	static const char quotes[] = "\"\"\"";

	if (line->n < 3 || memcmp(at_end ? line->p + line->n - 3 : line->p,
	    quotes, 3) != 0)
		return false;
	if (!at_end)
		line->p += 3;
	line->n -= 3;
	return true;
}

bool
chat_prompt_take(struct chat_prompt *p, struct slice line)
{
	bool is_whole;

	if (!p->goes_on) {
		buf_clear(&p->text);
		p->in_block = takes_quotes(&line, false);
	} else {
		buf_put_u8(&p->text, '\n');
	}
	if (p->in_block) {
		is_whole = takes_quotes(&line, true);
	} else {
		is_whole = line.n == 0 || line.p[line.n - 1] != '\\';
		line.n -= !is_whole;
	}
	buf_put(&p->text, line.p, line.n);
	p->goes_on = !is_whole;
	return is_whole;
}

/* ---- commands ---- */

/* One NAME=VALUE: a JSON value, or a word. */
static int
set_param(struct chat *c, const char *word, struct cause *cause)
{
	static const char *const ours[] = { "op", "id", "model", "messages",
	    "stream", "prompt" };
	const char *eq = strchr(word, '=');
	char name[64], shown[64];
	json_t *v;

	str_vis(shown, sizeof(shown), word, strlen(word));
	if (eq == NULL || eq == word || (size_t)(eq - word) >= sizeof(name))
		return cause_set(cause, BM_EUSAGE,
		    "/set wants NAME=VALUE, not %s", shown);
	str_copy(name, word, (size_t)(eq - word) + 1);
	for (size_t i = 0; i < N_ELEMENTS(ours); i++)
		if (strcmp(name, ours[i]) == 0)
			return cause_set(cause, BM_EUSAGE,
			    "%s can't be set", name);
	if (eq[1] == '\0') {
		json_object_del(c->params, name);
		return 0;
	}
	v = json_loads(eq + 1, JSON_DECODE_ANY, NULL);
	if (v == NULL)
		v = json_string(eq + 1);
	if (v == NULL)
		return cause_set(cause, BM_EUSAGE, "%s is no UTF-8", shown);
	json_object_set_new(c->params, name, v);
	return 0;
}

static int
set_params(struct chat *c, const char *text, struct buf *out,
    struct cause *cause)
{
	char *copy = xstrdup(text), *rest = copy, *word, *shown;
	int r = 0;

	while (r == 0 && (word = strsep(&rest, " \t")) != NULL)
		if (word[0] != '\0')
			r = set_param(c, word, cause);
	free(copy);
	if (r != 0)
		return r;
	shown = json_dumps(c->params, JSON_COMPACT | JSON_ENSURE_ASCII);
	buf_puts(out, shown);
	free(shown);
	return 0;
}

static const char help[] =
    "A line is sent to the model; one that ends in \\ goes on in the next,\n"
    "and \"\"\" begins and ends a text of several lines.\n"
    "  /reset             forget what was said\n"
    "  /system TEXT       say this before everything (nothing: no more)\n"
    "  /set NAME=VALUE... parameters: temperature=0.2 max_tokens=64 ...;\n"
    "                     NAME= takes one back\n"
    "  /quit              leave";

int
chat_command(struct chat *c, const char *text, enum chat_did *did,
    struct buf *out, struct cause *cause)
{
	size_t n = strcspn(text, " \t");
	const char *rest = text + n + strspn(text + n, " \t");
	struct slice word = { text, n };
	char shown[64];

	*did = CHAT_DONE;
	if (text[0] != '/') {
		*did = CHAT_SAY;
	} else if (slice_eq(word, "/quit") || slice_eq(word, "/exit")) {
		*did = CHAT_QUIT;
	} else if (slice_eq(word, "/reset")) {
		json_array_clear(c->messages);
		buf_puts(out, "a new conversation");
	} else if (slice_eq(word, "/system")) {
		free(c->system);
		c->system = rest[0] != '\0' ? xstrdup(rest) : NULL;
	} else if (slice_eq(word, "/set")) {
		return set_params(c, rest, out, cause);
	} else if (slice_eq(word, "/help") || slice_eq(word, "/?")) {
		buf_puts(out, help);
	} else {
		return cause_set(cause, BM_EUSAGE, "there is no %s; try /help",
		    str_vis(shown, sizeof(shown), text, n));
	}
	return 0;
}

/* ---- request ---- */

static json_t *
message(const char *role, struct slice text)
{
	json_t *content = json_stringn(text.p, text.n);
	struct buf b;

	/* What was typed need not be UTF-8; buf_put_json mends it. */
	if (content == NULL) {
		buf_init(&b, SIZE_MAX / 2);
		buf_put_json(&b, text);
		content = json_loadb((const char *)b.data, b.len,
		    JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		buf_fini(&b);
	}
	return json_pack("{s:s, s:o}", "role", role, "content", content);
}

void
chat_request(const struct chat *c, const char *text, struct buf *out)
{
	json_t *all = json_deep_copy(c->params), *messages = json_array();
	char *line;

	if (c->system != NULL)
		json_array_append_new(messages, message("system",
		    slice_of(c->system)));
	json_array_extend(messages, c->messages);
	json_array_append_new(messages, message("user", slice_of(text)));
	json_object_set_new(all, "op", json_string("chat"));
	json_object_set_new(all, "id", json_string("1"));
	json_object_set_new(all, "model", json_string(c->model));
	json_object_set_new(all, "stream", json_true());
	json_object_set_new(all, "messages", messages);
	line = json_dumps(all, JSON_COMPACT);
	buf_puts(out, line != NULL ? line : "{}");
	buf_put_u8(out, '\n');
	free(line);
	json_decref(all);
}

void
chat_keep(struct chat *c, const char *text, struct slice answer)
{
	json_array_append_new(c->messages, message("user", slice_of(text)));
	json_array_append_new(c->messages, message("assistant", answer));
}

/* ---- answer ---- */

void
chat_answer_init(struct chat_answer *a)
{
	*a = (struct chat_answer){ .ttft_ms = -1 };
	buf_init(&a->text, (size_t)256 << 20);
}

void
chat_answer_fini(struct chat_answer *a)
{
	buf_fini(&a->text);
	json_decref(a->done);
}

static const char *
text_of_field(const json_t *o, const char *field)
{
	const char *v = json_string_value(json_object_get(o, field));

	return v != NULL ? v : "";
}

int
chat_answer_take(struct chat_answer *a, struct slice line, double ms,
    struct slice *piece, struct cause *cause)
{
	json_t *e = json_loadb(line.p, line.n, JSON_ALLOW_NUL, NULL);
	const json_t *text = json_object_get(e, "text");
	const char *what = text_of_field(e, "event");
	size_t before = a->text.len;
	int r = 1;

	*piece = (struct slice){ "", 0 };
	if (strcmp(what, "token") == 0 && json_is_string(text)) {
		if (a->ttft_ms < 0)
			a->ttft_ms = ms;
		buf_put(&a->text, json_string_value(text),
		    json_string_length(text));
		if (a->text.len > before)
			*piece = (struct slice){ (const char *)a->text.data +
			    before, a->text.len - before };
	} else if (strcmp(what, "done") == 0) {
		a->done = json_incref(e);
		r = 0;
	} else if (strcmp(what, "error") == 0) {
		r = err_from_name(text_of_field(e, "code"));
		cause_set(cause, r, "%s", text_of_field(e, "message"));
	} else if (strcmp(what, "queued") != 0) {
		r = cause_set(cause, BM_EPROTO,
		    "the daemon sent what is no event of an answer");
	}
	json_decref(e);
	return r;
}

static double
number(const struct chat_answer *a, const char *field)
{
	return json_number_value(json_object_get(a->done, field));
}

static double
tokens_per_s(const struct chat_answer *a)
{
	double ms = number(a, "decode_ms");

	/* The first token comes of the prompt. */
	return ms > 0 && number(a, "completion_tokens") > 1 ?
	    (number(a, "completion_tokens") - 1) * 1000 / ms : 0;
}

void
chat_answer_tell(const struct chat_answer *a, struct buf *out)
{
	buf_printf(out, "%.0f tokens", number(a, "completion_tokens"));
	if (a->ttft_ms >= 0)
		buf_printf(out, ", first after %.0f ms", a->ttft_ms);
	if (tokens_per_s(a) > 0)
		buf_printf(out, ", %.1f tokens/s", tokens_per_s(a));
	buf_printf(out, ", %.0f of %.0f prompt tokens cached",
	    number(a, "cached_tokens"), number(a, "prompt_tokens"));
	if (strcmp(text_of_field(a->done, "finish"), "length") == 0)
		buf_puts(out, ", cut at the limit");
}

void
chat_answer_json(const struct chat_answer *a, struct buf *out)
{
	json_t *o = json_deep_copy(a->done);
	char *line;

	json_object_del(o, "event");
	json_object_del(o, "id");
	json_object_set_new(o, "text", json_stringn(
	    a->text.len > 0 ? (const char *)a->text.data : "", a->text.len));
	json_object_set_new(o, "ttft_ms", a->ttft_ms >= 0 ?
	    json_real(a->ttft_ms) : json_null());
	json_object_set_new(o, "tokens_per_s", json_real(tokens_per_s(a)));
	line = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(10));
	buf_puts(out, line != NULL ? line : "{}");
	free(line);
	json_decref(o);
}

/* ---- safety ---- */

static void
put_unit(const struct text_unit *u, struct buf *out)
{
	char utf8[4];

	if (u->ch == 0)
		buf_put(out, u->escape, (size_t)u->width);
	else
		buf_put(out, utf8, utf8_encode((uint32_t)u->ch, utf8));
}

void
chat_put_safe(struct chat_safe *s, struct slice piece, struct buf *out)
{
	while (piece.n > 0) {
		struct slice run = { piece.p, 0 };
		struct text_unit u;
		struct text t;

		while (run.n < piece.n && piece.p[run.n] != '\n' &&
		    piece.p[run.n] != '\t')
			run.n++;
		t = text_of(run, s->ascii, false);
		t.n_marks = s->n_marks;
		while (text_next(&t, &u))
			put_unit(&u, out);
		s->n_marks = t.n_marks;
		piece.p += run.n;
		piece.n -= run.n;
		if (piece.n > 0) {
			buf_put_u8(out, (uint8_t)*piece.p++);
			piece.n--;
			s->n_marks = -1;
		}
	}
}

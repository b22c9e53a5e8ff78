/* SPDX-License-Identifier: MIT */
/*
 * The line grammar.  Values in JSON are left to jansson, which tells how many
 * bytes it took; everything else is one pass over the line.  The whole line is
 * checked for UTF-8 and control bytes first, so that no later step meets any.
 */
#include "config.h"

#include "wire/line.h"

#include <string.h>

#include "base/utf8.h"

/* More pairs than any request has. */
#define PAIRS_MAX 256

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

/* Where p is in the line, counted from 1 as editors do. */
static int
column(struct slice line, const char *p)
{
	return (int)(p - line.p) + 1;
}

static int
check_bytes(struct slice line, struct cause *cause)
{
	size_t at = 0;

	while (at < line.n) {
		unsigned char c = (unsigned char)line.p[at];
		size_t n = utf8_length(line.p + at, line.n - at);

		if (n == 0)
			return cause_set(cause, BM_EBADREQ,
			    "column %zu: byte 0x%02x is not UTF-8", at + 1, c);
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return cause_set(cause, BM_EBADREQ,
			    "column %zu: control byte 0x%02x", at + 1, c);
		at += n;
	}
	return 0;
}

static int
json_fault(struct slice line, const char *at, const json_error_t *e,
    struct cause *cause)
{
	int where = column(line, at) + (e->column > 0 ? e->column - 1 : 0);

	return cause_set(cause, BM_EBADREQ, "column %d: %.200s", where,
	    json_error_code(e) == json_error_null_character ?
	    "\\u0000 is not taken" : e->text);
}

/* ---- the JSON form ---- */

static int
parse_json(struct slice line, json_t **out, struct cause *cause)
{
	json_error_t e;
	json_t *o = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, &e);

	if (o == NULL)
		return json_fault(line, line.p, &e, cause);
	if (!json_is_object(o) || !json_is_string(json_object_get(o, "op"))) {
		json_decref(o);
		return cause_set(cause, BM_EBADREQ,
		    "\"op\" must name the verb, as in {\"op\":\"ping\"}");
	}
	*out = o;
	return 0;
}

/* ---- the word form ---- */

static bool
may_be_literal(struct slice w)
{
	return (w.n > 0 && ((w.p[0] >= '0' && w.p[0] <= '9') ||
	    w.p[0] == '-')) || slice_eq(w, "true") || slice_eq(w, "false") ||
	    slice_eq(w, "null");
}

/* A number, true, false or null; NULL when the word reads as none of them. */
static json_t *
literal_of(struct slice w)
{
	json_t *v;

	if (!may_be_literal(w))
		return NULL;
	v = json_loadb(w.p, w.n, JSON_DECODE_ANY, NULL);
	if (v != NULL && (json_is_array(v) || json_is_object(v))) {
		json_decref(v);
		return NULL;
	}
	return v;
}

static int
parse_value(struct slice line, const char **p, json_t **out,
    struct cause *cause)
{
	const char *end = line.p + line.n, *from = *p;
	json_error_t e;
	struct slice word;

	if (from < end && (*from == '"' || *from == '[' || *from == '{')) {
		*out = json_loadb(from, (size_t)(end - from), JSON_DECODE_ANY |
		    JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &e);
		if (*out == NULL)
			return json_fault(line, from, &e, cause);
		*p = from + e.position;
		return 0;
	}
	while (*p < end && !is_blank(**p))
		(*p)++;
	word = (struct slice){ .p = from, .n = (size_t)(*p - from) };
	*out = literal_of(word);
	if (*out == NULL)
		*out = json_stringn(word.p, word.n);
	return *out != NULL ? 0 : cause_set(cause, BM_ENOMEM, "no memory");
}

/* One key=value at *p into o. */
static int
parse_pair(struct slice line, const char **p, json_t *o, struct cause *cause)
{
	const char *end = line.p + line.n, *from = *p;
	char key[64];
	size_t n;
	json_t *v;
	int r;

	while (*p < end && is_key_char(**p))
		(*p)++;
	n = (size_t)(*p - from);
	if (n == 0 || *p == end || **p != '=')
		return cause_set(cause, BM_EBADREQ,
		    "column %d: key=value expected", column(line, from));
	if (n >= sizeof(key))
		return cause_set(cause, BM_EBADREQ,
		    "column %d: no key is that long", column(line, from));
	memcpy(key, from, n);
	key[n] = '\0';
	if (json_object_get(o, key) != NULL)
		return cause_set(cause, BM_EBADREQ,
		    "column %d: %s is given twice", column(line, from), key);
	(*p)++;
	r = parse_value(line, p, &v, cause);
	if (r != 0)
		return r;
	if (json_object_set_new(o, key, v) != 0)
		return cause_set(cause, BM_ENOMEM, "no memory");
	if (*p < end && !is_blank(**p))
		return cause_set(cause, BM_EBADREQ,
		    "column %d: a space must follow the value of %s",
		    column(line, *p), key);
	return 0;
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

static int
parse_words(struct slice line, json_t *o, struct cause *cause)
{
	const char *end = line.p + line.n, *p = line.p;

	while (p < end && is_key_char(*p))
		p++;
	if (p == line.p || (p < end && !is_blank(*p)))
		return cause_set(cause, BM_EBADREQ,
		    "column %d: a line begins with a verb (try help)",
		    column(line, p));
	if (json_object_set_new(o, "op",
	    json_stringn(line.p, (size_t)(p - line.p))) != 0)
		return cause_set(cause, BM_ENOMEM, "no memory");
	for (p = skip_blanks(p, end); p < end; p = skip_blanks(p, end)) {
		int r;

		if (json_object_size(o) > PAIRS_MAX)
			return cause_set(cause, BM_EBADREQ,
			    "column %d: too many values", column(line, p));
		r = parse_pair(line, &p, o, cause);
		if (r != 0)
			return r;
	}
	return 0;
}

int
line_parse(struct slice line, json_t **out, bool *is_json,
    struct cause *cause)
{
	const char *begin = skip_blanks(line.p, line.p + line.n);
	json_t *o;
	int r;

	*is_json = begin < line.p + line.n && *begin == '{';
	r = check_bytes(line, cause);
	if (r != 0)
		return r;
	if (*is_json)
		return parse_json(line, out, cause);
	line.n -= (size_t)(begin - line.p);
	line.p = begin;
	o = json_object();
	if (o == NULL)
		return cause_set(cause, BM_ENOMEM, "no memory");
	r = parse_words(line, o, cause);
	if (r != 0) {
		json_decref(o);
		return r;
	}
	*out = o;
	return 0;
}

/* ---- writing ---- */

static int
put_json_piece(const char *p, size_t n, void *arg)
{
	buf_put(arg, p, n);
	return 0;
}

static void
put_value(struct buf *out, const json_t *v)
{
	/* 15 digits: what was put in as 0.1 comes out as 0.1. */
	json_dump_callback(v, put_json_piece, out, JSON_COMPACT |
	    JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
}

/* May the string stand without quotes and still be read as a string? */
static bool
is_bare(struct slice s)
{
	if (s.n == 0 || may_be_literal(s))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_key_char(s.p[i]) && s.p[i] != '/' && s.p[i] != ':')
			return false;
	return true;
}

/* Free text is always quoted, so that a reader without a parser for words can
 * rely on it. */
static bool
is_free_text(const char *key)
{
	return strcmp(key, "text") == 0 || strcmp(key, "message") == 0;
}

static void
put_word(struct buf *out, const char *key, const json_t *v)
{
	struct slice s = { .p = json_string_value(v),
	    .n = json_string_length(v) };

	if (json_is_string(v) && !is_free_text(key) && is_bare(s))
		buf_put(out, s.p, s.n);
	else
		put_value(out, v);
}

void
line_write(struct buf *out, bool as_json, const char *event,
    const json_t *fields)
{
	const char *key;
	json_t *v;

	if (as_json)
		buf_printf(out, "{\"event\":\"%s\"", event);
	else
		buf_puts(out, event);
	/* jansson's walk takes no const object though it changes nothing. */
	json_object_foreach((json_t *)(uintptr_t)fields, key, v) {
		if (as_json) {
			buf_put(out, ",", 1);
			buf_put_json(out, slice_of(key));
			buf_put(out, ":", 1);
			put_value(out, v);
		} else {
			buf_printf(out, " %s=", key);
			put_word(out, key, v);
		}
	}
	buf_puts(out, as_json ? "}\n" : "\n");
}

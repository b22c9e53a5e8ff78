/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/log_json.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define TAIL_BYTES	16	/* what closes a line: "}} and its ends */

struct out {
	char	*p;
	size_t	 n;
	size_t	 size;		/* without the tail */
	bool	 is_full;
};

static void
put(struct out *o, const char *s, size_t n)
{
	if (o->is_full || o->size - o->n < n) {
		o->is_full = true;
		return;
	}
	memcpy(o->p + o->n, s, n);
	o->n += n;
}

/* What stands for the character at s in a JSON string, and how many bytes of s
 * that were. */
static size_t
escape(const char *s, size_t n, char out[8], size_t *used)
{
	unsigned char c = (unsigned char)s[0];

	*used = utf8_length(s, n);
	if (*used == 0) {
		*used = 1;
		memcpy(out, "\xef\xbf\xbd", 3);
		return 3;
	}
	if (c == '"' || c == '\\') {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	if (c < 0x20 || c == 0x7f)
		return (size_t)snprintf(out, 8, "\\u%04x", c);
	memcpy(out, s, *used);
	return *used;
}

static void
put_string(struct out *o, const char *s, size_t n)
{
	char unit[8];
	size_t used;

	put(o, "\"", 1);
	for (size_t at = 0; at < n && !o->is_full; at += used)
		put(o, unit, escape(s + at, n - at, unit, &used));
}

static void
put_member(struct out *o, const char *name, const char *s, size_t n)
{
	if (o->is_full)
		return;
	put(o, name, strlen(name));
	put_string(o, s, n);
	/* The tail has room for the quote of one that was cut. */
	o->p[o->n++] = '"';
	o->size++;
}

/* ---- key=value ---- */

static size_t
key_length(const char *token)
{
	size_t n = strspn(token, "abcdefghijklmnopqrstuvwxyz_");

	return token[n] == '=' ? n : 0;
}

/* Is the key that token begins with (n bytes) that of a pair behind it? */
static bool
is_repeated(const char *token, size_t n)
{
	const char *p = token;

	while ((p = strchr(p, ' ')) != NULL)
		if (strncmp(++p, token, n + 1) == 0)
			return true;
	return false;
}

/* Where the pairs at the end of text begin. */
static size_t
find_pairs(const char *text)
{
	size_t begin = strlen(text);

	for (size_t at = begin; at-- > 0; ) {
		size_t n;

		if (at > 0 && text[at - 1] != ' ')
			continue;
		if ((n = key_length(text + at)) == 0 ||
		    is_repeated(text + at, n))
			break;
		begin = at;
	}
	return begin;
}

static bool
is_number(const char *s, size_t n)
{
	return n > 0 && n < 16 && strspn(s, "0123456789") >= n &&
	    (s[0] != '0' || n == 1);
}

/* All of it or nothing. */
static void
put_pair(struct out *o, const char *token, size_t n, bool is_first)
{
	struct out was = *o;
	size_t key = key_length(token);
	const char *value = token + key + 1;

	put(o, is_first ? "" : ",", !is_first);
	put_string(o, token, key);
	put(o, "\":", 2);
	n -= key + 1;
	if (is_number(value, n)) {
		put(o, value, n);
	} else {
		put_string(o, value, n);
		put(o, "\"", 1);
	}
	if (o->is_full) {
		*o = was;
		o->is_full = true;
	}
}

static void
put_fields(struct out *o, const char *pairs)
{
	static const char name[] = ",\"fields\":{";
	bool is_first = true;

	put(o, name, sizeof(name) - 1);
	if (o->is_full)
		return;
	while (*pairs != '\0') {
		size_t n = strcspn(pairs, " ");

		put_pair(o, pairs, n, is_first);
		is_first = false;
		pairs += n + (pairs[n] == ' ');
	}
	o->p[o->n++] = '}';
}

size_t
log_json_line(char *out, size_t size, const struct log_json *l)
{
	struct out o = { .p = out, .size = size - TAIL_BYTES };
	size_t pairs = find_pairs(l->text);
	size_t n = pairs > 0 && l->text[pairs] != '\0' ? pairs - 1 : pairs;
	char pid[32];

	put_member(&o, "{\"time\":", l->time, strlen(l->time));
	put_member(&o, ",\"level\":", l->level, strlen(l->level));
	put_member(&o, ",\"process\":", l->process, strlen(l->process));
	if (l->pid != 0)
		put(&o, pid, (size_t)snprintf(pid, sizeof(pid),
		    ",\"pid\":%d", l->pid));
	put_member(&o, ",\"message\":", l->text, n);
	if (l->text[pairs] != '\0')
		put_fields(&o, l->text + pairs);
	memcpy(o.p + o.n, "}\n", 3);
	return o.n + 2;
}

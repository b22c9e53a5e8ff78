/* SPDX-License-Identifier: MIT */
/*
 * Cuts the text into the same tokens as libconfuse does: strings in either
 * quotes with backslash escapes, ${variables}, words, and what ends a word.
 * A comment begins only where a token may.
 */
#include "config.h"

#include "master/conf_strip.h"

#include <stdbool.h>
#include <string.h>

#define WORD_ENDS	" #\"'\t\n\r={}()+,*"

struct strip {
	char	*p;
	size_t	 n;
	size_t	 at;
	int	 line;
};

static char
peek(const struct strip *s, size_t k)
{
	return s->at + k < s->n ? s->p[s->at + k] : '\0';
}

/* Go on by k bytes; blank them if asked to. */
static void
skip(struct strip *s, size_t k, bool blank)
{
	for (; k > 0 && s->at < s->n; k--, s->at++) {
		if (s->p[s->at] == '\n')
			s->line++;
		else if (blank)
			s->p[s->at] = ' ';
	}
}

/* ${NAME}: its length; 0 when that is not what stands here. */
static size_t
variable(const struct strip *s)
{
	const char *from = s->p + s->at, *end;

	if (peek(s, 0) != '$' || peek(s, 1) != '{')
		return 0;
	end = memchr(from, '}', s->n - s->at);
	return end == NULL ? 0 : (size_t)(end - from) + 1;
}

/* False when it is not closed. */
static bool
string(struct strip *s)
{
	char quote = peek(s, 0);
	size_t k;

	skip(s, 1, false);
	while (s->at < s->n && peek(s, 0) != quote) {
		if (peek(s, 0) == '\\')
			skip(s, 2, false);
		else if (quote == '"' && (k = variable(s)) > 0)
			skip(s, k, false);
		else
			skip(s, 1, false);
	}
	if (s->at >= s->n)
		return false;
	skip(s, 1, false);
	return true;
}

static bool
block_comment(struct strip *s)
{
	skip(s, 2, true);
	while (s->at < s->n && !(peek(s, 0) == '*' && peek(s, 1) == '/'))
		skip(s, 1, true);
	if (s->at >= s->n)
		return false;
	skip(s, 2, true);
	return true;
}

static void
line_comment(struct strip *s)
{
	while (s->at < s->n && peek(s, 0) != '\n')
		skip(s, 1, true);
}

static void
word(struct strip *s)
{
	size_t k;

	if ((k = variable(s)) > 0) {
		skip(s, k, false);
		return;
	}
	do {
		skip(s, 1, false);
	} while (s->at < s->n && strchr(WORD_ENDS, peek(s, 0)) == NULL);
}

/* One token; what is not closed in it, or NULL. */
static const char *
token(struct strip *s)
{
	char c = peek(s, 0);

	if (c == '"' || c == '\'')
		return string(s) ? NULL : "string";
	if (c == '/' && peek(s, 1) == '*')
		return block_comment(s) ? NULL : "comment";
	if (c == '#' || (c == '/' && peek(s, 1) == '/'))
		line_comment(s);
	else if (strchr(WORD_ENDS, c) != NULL)
		skip(s, 1, false);
	else
		word(s);
	return NULL;
}

int
conf_strip(char *text, size_t n, int *line, struct cause *cause)
{
	struct strip s = { .p = text, .n = n, .line = 1 };
	const char *open = NULL;
	int depth = 0, section_line = 1, from = 1;

	while (s.at < n && open == NULL) {
		char c = peek(&s, 0);

		from = s.line;
		if (c == '{' && depth++ == 0)
			section_line = s.line;
		if (c == '}')
			depth--;
		open = token(&s);
	}
	if (open == NULL && depth > 0) {
		open = "section";
		from = section_line;
	}
	if (open == NULL)
		return 0;
	*line = from;
	return cause_set(cause, BM_ECONF, "this %s is not closed", open);
}

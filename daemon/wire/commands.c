/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "wire/commands.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define WORDS_MAX 256

const struct command commands[CMD_N] = {
#define CMD(sym, words, args, least, most, where, risk, help) \
	{ CMD_ID_##sym, words, args, least, most, CMD_##where, risk, help },
#include "wire/commands.def"
#undef CMD
};

/* One word from *at on; moves *at behind it. */
static int
take_word(struct slice line, size_t *at, struct buf *word,
    struct cause *cause)
{
	char quote = '\0';

	for (; *at < line.n; (*at)++) {
		char c = line.p[*at];

		if (quote == '\0' && (c == ' ' || c == '\t'))
			return 0;
		if (quote == '\0' && (c == '"' || c == '\'')) {
			quote = c;
		} else if (quote != '\0' && c == quote) {
			quote = '\0';
		} else {
			if (quote == '"' && c == '\\' && *at + 1 < line.n)
				c = line.p[++*at];
			buf_put_u8(word, (uint8_t)c);
		}
	}
	if (quote != '\0')
		return cause_set(cause, BM_EBADREQ,
		    "a quote (%c) is not closed", quote);
	return 0;
}

int
words_split(struct slice line, struct words_list *out, struct cause *cause)
{
	struct words_list list = { 0 };
	struct buf word;
	size_t at = 0;
	int r = 0;

	buf_init(&word, line.n + 1);
	for (;;) {
		while (at < line.n && (line.p[at] == ' ' ||
		    line.p[at] == '\t'))
			at++;
		if (at >= line.n)
			break;
		buf_clear(&word);
		if ((r = take_word(line, &at, &word, cause)) != 0)
			break;
		if (list.n == WORDS_MAX) {
			r = cause_set(cause, BM_EBADREQ,
			    "more than %d words", WORDS_MAX);
			break;
		}
		list.w = xreallocarray(list.w, list.n + 2, sizeof(*list.w));
		list.w[list.n++] = xstrdup(buf_cstr(&word));
		list.w[list.n] = NULL;
	}
	buf_fini(&word);
	if (r != 0)
		words_free(&list);
	else
		*out = list;
	return r;
}

void
words_free(struct words_list *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->w[i]);
	free(w->w);
	*w = (struct words_list){ 0 };
}

void
words_join(const char *const *w, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_put_u8(out, ' ');
		if (w[i][0] != '\0' && strpbrk(w[i], " \t\"'\\") == NULL) {
			buf_puts(out, w[i]);
			continue;
		}
		buf_put_u8(out, '"');
		for (const char *p = w[i]; *p != '\0'; p++) {
			if (*p == '"' || *p == '\\')
				buf_put_u8(out, '\\');
			buf_put_u8(out, (uint8_t)*p);
		}
		buf_put_u8(out, '"');
	}
}

struct slice
command_word(const struct command *cmd, size_t k)
{
	const char *p = cmd->words;

	while (k-- > 0) {
		p += strcspn(p, " ");
		p += *p == ' ';
	}
	return (struct slice){ p, strcspn(p, " ") };
}

/* How many of the words w are those of the command; 0 when they differ. */
static size_t
match(const struct command *c, const char *const *w, size_t n)
{
	size_t k;

	for (k = 0; command_word(c, k).n > 0; k++)
		if (k == n || !slice_eq(command_word(c, k), w[k]))
			return 0;
	return k;
}

/* No command is w: what could follow its first word, if that is known. */
static int
not_found(const char *const *w, size_t n, struct cause *cause)
{
	char word[64];
	size_t len = n == 0 ? 0 : strlen(w[0]);
	struct buf list;

	buf_init(&list, 1024);
	for (size_t i = 0; i < CMD_N && n > 0; i++) {
		const char *c = commands[i].words;

		if (strncmp(c, w[0], len) == 0 && c[len] == ' ')
			buf_printf(&list, "%s%s", list.len > 0 ? ", " : "",
			    c + len + 1);
	}
	if (list.len == 0)
		cause_set(cause, BM_EUSAGE, "no command \"%s\"; try: help",
		    n == 0 ? "" : str_vis(word, sizeof(word), w[0], len));
	else if (n == 1)
		cause_set(cause, BM_EUSAGE, "%s what? %s", w[0],
		    buf_cstr(&list));
	else
		cause_set(cause, BM_EUSAGE, "there is no %s %s, but %s", w[0],
		    str_vis(word, sizeof(word), w[1], strlen(w[1])),
		    buf_cstr(&list));
	buf_fini(&list);
	return BM_EUSAGE;
}

int
command_find(const char *const *w, size_t n, const struct command **out,
    size_t *used, struct cause *cause)
{
	for (size_t i = 0; i < CMD_N; i++) {
		const struct command *c = &commands[i];
		size_t k = match(c, w, n);
		int n_args = (int)(n - k);

		if (k == 0)
			continue;
		if (n_args < c->least ||
		    (c->most >= 0 && n_args > c->most))
			return cause_set(cause, BM_EUSAGE, "usage: %s%s%s",
			    c->words, c->args[0] != '\0' ? " " : "", c->args);
		*out = c;
		*used = k;
		return 0;
	}
	return not_found(w, n, cause);
}

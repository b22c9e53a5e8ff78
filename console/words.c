/* SPDX-License-Identifier: MIT */
/*
 * Completion by the syntax that commands.def writes for people: [ ] around
 * what may be left out, a lone | between forms of a command, | within a word
 * between kinds of an argument.  Names come from a daemon and thereby from
 * outside: a candidate is quoted where the line needs it, and one that no line
 * can hold is not offered.
 */
#include "config.h"

#include "console/words.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

#define SPEC_MAX 16	/* options, or operands, of one form of a command */

static const struct {
	const char	*name;
	const char	*argument;
	const char	*help;
} common_options[] = {
#define OPTION(sym, name, letter, argument, behind, help) \
	{ (behind) ? "--" name : NULL, argument, help },
#include "console/options.def"
#undef OPTION
};

const char *const words_types[] = { "Q4_K", "Q8_0", "Q6_K", "Q5_K", "Q4_0",
    "IQ4_XS", "IQ4_NL", "MXFP4", "Q3_K", "Q2_K", "Q4_1", "Q5_0", "Q5_1",
    "F16", "BF16", "F32" };
const size_t words_n_types = N_ELEMENTS(words_types);

static const char *const statuses[] = { "ok",
#define E(sym, number, name, http, exit_status, retryable, text) name,
#include "base/err.def"
#undef E
};

/* ---- names ---- */

void
names_add(struct names *s, enum word_kind kind, const char *text,
    const char *model, const char *hint)
{
	s->v = xreallocarray(s->v, s->n + 1, sizeof(*s->v));
	s->v[s->n++] = (struct name){ kind, xstrdup(text),
	    model != NULL ? xstrdup(model) : NULL,
	    hint != NULL ? xstrdup(hint) : NULL };
}

void
names_fini(struct names *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].text);
		free(s->v[i].model);
		free(s->v[i].hint);
	}
	free(s->v);
	*s = (struct names){ 0 };
}

/* ---- candidates ---- */

/* Can it be typed?  No control characters, and UTF-8. */
static bool
is_sayable(const char *text)
{
	size_t n = strlen(text);

	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f ||
		    ((unsigned char)p[0] == 0xc2 &&
		    (unsigned char)p[1] < 0xa0))
			return false;
	return n > 0 && utf8_is_valid(text, n);
}

/* Types are known by their upper-case names, whatever was typed. */
static bool
begins(enum word_kind kind, const char *text, const char *partial)
{
	size_t n = strlen(partial);

	return kind == WORD_TYPE ? strncasecmp(text, partial, n) == 0 :
	    strncmp(text, partial, n) == 0;
}

void
candidates_add(struct candidates *c, enum word_kind kind, const char *text,
    const char *hint)
{
	char shown[160];
	struct buf b;

	if (!begins(kind, text, c->partial) || !is_sayable(text))
		return;
	buf_init(&b, SIZE_MAX / 2);
	words_join(&text, 1, &b);
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->v[i].text, buf_cstr(&b)) == 0) {
			buf_fini(&b);
			return;
		}
	if (hint == NULL)
		hint = "";
	c->v = xreallocarray(c->v, c->n + 1, sizeof(*c->v));
	c->v[c->n++] = (struct candidate){ kind, buf_take(&b),
	    xstrdup(str_vis(shown, sizeof(shown), hint, strlen(hint))) };
}

void
candidates_fini(struct candidates *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->v[i].text);
		free(c->v[i].hint);
	}
	free(c->v);
	free(c->partial);
	*c = (struct candidates){ 0 };
}

/* ---- the line ---- */

/* The words of a line whose last may be unfinished: that one becomes the
 * partial word of out, those before it go to w. */
static void
cut_line(struct slice line, struct words_list *w, struct candidates *out)
{
	struct buf word;
	char quote = '\0';
	bool in_word = false;

	buf_init(&word, line.n + 1);
	out->start = line.n;
	for (size_t i = 0; i < line.n; i++) {
		char c = line.p[i];

		if (quote == '\0' && (c == ' ' || c == '\t')) {
			if (in_word) {
				w->w = xreallocarray(w->w, w->n + 2,
				    sizeof(*w->w));
				w->w[w->n++] = xstrdup(buf_cstr(&word));
				w->w[w->n] = NULL;
			}
			in_word = false;
			out->start = line.n;
			buf_clear(&word);
			continue;
		}
		if (!in_word)
			out->start = i;
		in_word = true;
		if (quote == '\0' && (c == '"' || c == '\''))
			quote = c;
		else if (quote != '\0' && c == quote)
			quote = '\0';
		else if (quote == '"' && c == '\\' && i + 1 < line.n)
			buf_put_u8(&word, (uint8_t)line.p[++i]);
		else
			buf_put_u8(&word, (uint8_t)c);
	}
	out->partial = xstrdup(buf_cstr(&word));
	buf_fini(&word);
}

/* ---- the syntax of a command ---- */

struct spec_word {
	struct slice	 text;
	struct slice	 value;		/* of an option; empty: a flag */
};
struct spec {			/* one form of a command */
	struct spec_word	 options[SPEC_MAX];
	size_t			 n_options;
	struct slice		 operands[SPEC_MAX];
	size_t			 n_operands;
};

/* The next word of a syntax without its brackets; false at the end. */
static bool
spec_next(const char **p, struct slice *word, bool *closes)
{
	size_t n;

	*p += strspn(*p, " [");
	n = strcspn(*p, " ]");
	*word = (struct slice){ *p, n };
	*p += n;
	*closes = **p == ']';
	*p += strspn(*p, "]");
	return n > 0;
}

static bool
is_option(struct slice s)
{
	return s.n > 2 && s.p[0] == '-' && s.p[1] == '-';
}

/* One form; moves *p behind it.  False when there is none left. */
static bool
spec_parse(const char **p, struct spec *out)
{
	struct slice word;
	bool closes, any = false;

	*out = (struct spec){ 0 };
	while (spec_next(p, &word, &closes)) {
		any = true;
		if (slice_eq(word, "|"))
			break;
		if (is_option(word) && out->n_options < SPEC_MAX) {
			struct spec_word *o = &out->options[out->n_options++];
			const char *ahead = *p;

			o->text = word;
			if (closes || !spec_next(&ahead, &word, &closes) ||
			    is_option(word) || slice_eq(word, "|"))
				continue;
			o->value = word;
			*p = ahead;
		} else if (out->n_operands < SPEC_MAX) {
			out->operands[out->n_operands++] = word;
		}
	}
	return any;
}

/* ---- what an argument may be ---- */

struct completing {
	const struct names	*names;
	int			 max_risk;
	struct candidates	*out;
};

static void
add_live(struct completing *c, enum word_kind kind, const char *model)
{
	c->out->wants |= WORD_BIT(kind);
	for (size_t i = 0; c->names != NULL && i < c->names->n; i++) {
		const struct name *n = &c->names->v[i];

		if (n->kind == kind && (model == NULL || n->model == NULL ||
		    strcmp(n->model, model) == 0))
			candidates_add(c->out, kind, n->text, n->hint);
	}
}

static void
add_all(struct completing *c, enum word_kind kind, const char *const *v,
    size_t n)
{
	c->out->wants |= WORD_BIT(kind);
	for (size_t i = 0; i < n; i++)
		candidates_add(c->out, kind, v[i], NULL);
}

/* A word that stands for itself: f16, mean, interval_ms=MS. */
static void
add_literal(struct completing *c, struct slice word)
{
	char text[32];
	size_t n = 0;

	while (n < word.n && n + 1 < sizeof(text) &&
	    (islower((unsigned char)word.p[n]) ||
	    isdigit((unsigned char)word.p[n]) ||
	    strchr("_=", word.p[n]) != NULL)) {
		text[n] = word.p[n];
		n++;
	}
	text[n] = '\0';
	if (n == word.n || (n > 0 && text[n - 1] == '='))
		candidates_add(c->out, WORD_VALUE, text, NULL);
}

/* One kind of an argument; model is the command's first operand or NULL. */
static void
add_kind(struct completing *c, struct slice kind, const char *model)
{
	static const char *const files[] = { "FILE", "PATH", "IN", "OUT",
	    "F.f32" };

	for (size_t i = 0; i < N_ELEMENTS(files); i++)
		if (slice_eq(kind, files[i]))
			c->out->wants |= WORD_BIT(WORD_FILE);
	if (slice_eq(kind, "NAME"))
		add_live(c, WORD_MODEL, NULL);
	else if (slice_eq(kind, "VARIANT"))
		add_live(c, WORD_VARIANT, model);
	else if (slice_eq(kind, "WORKER"))
		add_live(c, WORD_WORKER, NULL);
	else if (slice_eq(kind, "ID"))
		add_live(c, WORD_REQUEST, NULL);
	else if (slice_eq(kind, "TYPE"))
		add_all(c, WORD_TYPE, words_types, words_n_types);
	else if (slice_eq(kind, "STATUS"))
		add_all(c, WORD_VALUE, statuses, N_ELEMENTS(statuses));
	else
		add_literal(c, kind);
}

static void
add_argument(struct completing *c, struct slice kinds, const char *model)
{
	while (kinds.n > 0) {
		const char *bar = memchr(kinds.p, '|', kinds.n);
		size_t n = bar != NULL ? (size_t)(bar - kinds.p) : kinds.n;

		add_kind(c, (struct slice){ kinds.p, n }, model);
		n += bar != NULL;
		kinds.p += n;
		kinds.n -= n;
	}
}

/* ---- a command's arguments ---- */

static const struct spec_word *
find_option(const struct spec *s, const char *word)
{
	for (size_t i = 0; i < s->n_options; i++)
		if (slice_eq(s->options[i].text, word))
			return &s->options[i];
	return NULL;
}

static bool
was_given(char *const *w, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(w[i], word) == 0)
			return true;
	return false;
}

static void
add_options(struct completing *c, const struct spec *s, char *const *w,
    size_t n)
{
	char name[64], hint[64];

	c->out->wants |= WORD_BIT(WORD_OPTION);
	for (size_t i = 0; i < s->n_options; i++) {
		const struct spec_word *o = &s->options[i];

		snprintf(name, sizeof(name), "%.*s", (int)o->text.n,
		    o->text.p);
		snprintf(hint, sizeof(hint), "%.*s", (int)o->value.n,
		    o->value.p);
		if (!was_given(w, n, name))
			candidates_add(c->out, WORD_OPTION, name, hint);
	}
}

static bool
is_common(const char *word)
{
	for (size_t i = 0; i < N_ELEMENTS(common_options); i++)
		if (common_options[i].name != NULL &&
		    strcmp(common_options[i].name, word) == 0)
			return true;
	return false;
}

static void
add_common_options(struct completing *c, char *const *w, size_t n)
{
	/* They are many and fit everywhere: only when a dash is typed. */
	if (c->out->partial[0] != '-')
		return;
	for (size_t i = 0; i < N_ELEMENTS(common_options); i++)
		if (common_options[i].name != NULL &&
		    !was_given(w, n, common_options[i].name))
			candidates_add(c->out, WORD_OPTION,
			    common_options[i].name, common_options[i].help);
	candidates_add(c->out, WORD_OPTION, "--help", "the command's syntax");
}

static void	complete_words(struct completing *c, char **w, size_t n);

/* An operand that is a command of its own, which only reads ("watch"). */
static void
complete_command(struct completing *c, char **w, size_t n)
{
	int max_risk = c->max_risk;

	c->max_risk = 0;
	complete_words(c, w, n);
	c->max_risk = max_risk;
}

/* The word behind the arguments w of a form of a command. */
static void
complete_form(struct completing *c, const struct spec *s, char **w, size_t n)
{
	const struct spec_word *option;
	const char *first = NULL;
	size_t n_operands = 0;

	for (size_t i = 0; i < n; i++) {
		option = find_option(s, w[i]);
		if (option != NULL && option->value.n > 0) {
			if (i + 1 == n) {
				add_argument(c, option->value, first);
				return;
			}
			i++;
			continue;
		}
		if (option == NULL && is_option(slice_of(w[i])) &&
		    !is_common(w[i]))
			return;		/* another form of the command */
		if (w[i][0] == '-')
			continue;
		if (n_operands < s->n_operands &&
		    slice_eq(s->operands[n_operands], "COMMAND")) {
			complete_command(c, w + i, n - i);
			return;
		}
		if (n_operands++ == 0)
			first = w[i];
	}
	if (n_operands < s->n_operands) {
		if (slice_eq(s->operands[n_operands], "COMMAND"))
			complete_command(c, NULL, 0);
		else
			add_argument(c, s->operands[n_operands], first);
	}
	add_options(c, s, w, n);
}

static void
complete_arguments(struct completing *c, const struct command *cmd, char **w,
    size_t n)
{
	const char *p = cmd->args;
	struct spec s;

	c->out->command = cmd;
	while (spec_parse(&p, &s))
		complete_form(c, &s, w, n);
	add_common_options(c, w, n);
}

/* ---- the words of commands ---- */

/* How many of the words w begin cmd; all of its own: *is_whole. */
static size_t
matches(const struct command *cmd, char *const *w, size_t n, bool *is_whole)
{
	size_t k = 0;

	while (k < n && command_word(cmd, k).n > 0 &&
	    slice_eq(command_word(cmd, k), w[k]))
		k++;
	*is_whole = command_word(cmd, k).n == 0;
	return k;
}

/* The word behind those, of commands that begin with them. */
static void
add_command_words(struct completing *c, char *const *w, size_t n)
{
	char word[32], hint[160];
	bool is_whole;

	c->out->wants |= WORD_BIT(WORD_COMMAND);
	for (size_t i = 0; i < CMD_N; i++) {
		const struct command *cmd = &commands[i];
		struct slice next = command_word(cmd, n);

		if (cmd->risk > c->max_risk ||
		    matches(cmd, w, n, &is_whole) != n || is_whole)
			continue;
		snprintf(word, sizeof(word), "%.*s", (int)next.n, next.p);
		snprintf(hint, sizeof(hint), "%s", cmd->help);
		if (command_word(cmd, n + 1).n > 0)
			snprintf(hint, sizeof(hint), "...");
		candidates_add(c->out, WORD_COMMAND, word, hint);
	}
}

static void
complete_words(struct completing *c, char **w, size_t n)
{
	bool is_whole;

	for (size_t i = 0; i < CMD_N; i++) {
		size_t k = matches(&commands[i], w, n, &is_whole);

		if (is_whole && commands[i].risk <= c->max_risk) {
			complete_arguments(c, &commands[i], w + k, n - k);
			return;
		}
	}
	add_command_words(c, w, n);
}

void
words_complete(struct slice line, size_t cursor, const struct names *names,
    int max_risk, struct candidates *out)
{
	struct completing c = { names, max_risk, out };
	struct words_list w = { 0 }, full = { 0 };
	const char **given;
	struct cause cause;

	*out = (struct candidates){ 0 };
	line.n = MEM_MIN(line.n, cursor);
	cut_line(line, &w, out);
	given = xcalloc(w.n + 1, sizeof(*given));
	for (size_t i = 0; i < w.n; i++)
		given[i] = w.w[i];
	if ((w.n == 0 || w.w[0][0] != '#') &&
	    words_expand(given, w.n, &full, &cause) == 0)
		complete_words(&c, (char **)given, w.n);
	free(given);
	words_free(&full);
	words_free(&w);
}

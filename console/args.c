/* SPDX-License-Identifier: MIT */
/*
 * Parsing the words behind a command.  getopt is for the options before it;
 * these words may also come from a line of stdin, so nothing here is static.
 */
#include "config.h"

#include "console/args.h"

#include <string.h>

#include "base/str.h"

/* The text behind "NAME=" when word begins so, else NULL. */
static const char *
after_equals(const char *word, const char *name)
{
	size_t n = strlen(name);

	return strncmp(word, name, n) == 0 && word[n] == '=' ? word + n + 1 :
	    NULL;
}

/* One option at w[*i]; moves *i to the last word it took. */
static int
take_option(const char *const *w, size_t n, size_t *i, const struct arg *spec,
    size_t n_spec, struct cause *cause)
{
	const char *value;

	for (size_t k = 0; k < n_spec; k++) {
		const struct arg *a = &spec[k];

		if (strcmp(w[*i], a->name) == 0) {
			if (a->flag != NULL) {
				*a->flag = true;
				return 0;
			}
			if (*i + 1 >= n)
				return cause_set(cause, BM_EUSAGE,
				    "%s needs a value", a->name);
			*a->value = w[++*i];
			return 0;
		}
		if ((value = after_equals(w[*i], a->name)) == NULL)
			continue;
		if (a->flag != NULL)
			return cause_set(cause, BM_EUSAGE,
			    "%s takes no value", a->name);
		*a->value = value;
		return 0;
	}
	return cause_set(cause, BM_EUSAGE, "no option %s here", w[*i]);
}

int
args_parse(const char *const *w, size_t n, const struct arg *spec,
    size_t n_spec, const char **operands, size_t n_operands,
    struct cause *cause)
{
	size_t n_got = 0;
	bool only_operands = false;
	int r;

	for (size_t i = 0; i < n; i++) {
		if (!only_operands && strcmp(w[i], "--") == 0) {
			only_operands = true;
		} else if (!only_operands && w[i][0] == '-' &&
		    w[i][1] != '\0') {
			r = take_option(w, n, &i, spec, n_spec, cause);
			if (r != 0)
				return r;
		} else if (n_got == n_operands) {
			return cause_set(cause, BM_EUSAGE,
			    "one word too many: %s", w[i]);
		} else {
			operands[n_got++] = w[i];
		}
	}
	if (n_got < n_operands)
		return cause_set(cause, BM_EUSAGE, "a FILE is missing");
	return 0;
}

int
args_color(const char *word, enum ctl_color *out, struct cause *cause)
{
	if (strcmp(word, "auto") == 0)
		*out = COLOR_AUTO;
	else if (strcmp(word, "always") == 0)
		*out = COLOR_ALWAYS;
	else if (strcmp(word, "never") == 0)
		*out = COLOR_NEVER;
	else
		return cause_set(cause, BM_EUSAGE,
		    "--color is auto, always or never, not %s", word);
	return 0;
}

int
args_ms(const char *what, const char *word, uint64_t *out,
    struct cause *cause)
{
	double s;

	if (str_to_ms(word, out) == 0)
		return 0;
	if (str_to_f64(word, &s) != 0 || s < 0 || s > 1e9)
		return cause_set(cause, BM_EUSAGE,
		    "%s wants seconds, not %s", what, word);
	*out = (uint64_t)(s * 1000);
	return 0;
}

/* A common option that has a value; 1 when it was one. */
static int
take_valued(struct ctl *ctl, const char **w, size_t n, size_t *i,
    struct cause *cause)
{
	const char *color = NULL, *short_s = NULL;
	const struct arg spec[] = {
		{ "--socket", &ctl->socket, NULL },
		{ "-s", &short_s, NULL },
		{ "--state-dir", &ctl->state_dir, NULL },
		{ "--color", &color, NULL },
	};
	int r;

	for (size_t k = 0; k < sizeof(spec) / sizeof(spec[0]); k++) {
		if (strcmp(w[*i], spec[k].name) != 0 &&
		    after_equals(w[*i], spec[k].name) == NULL)
			continue;
		r = take_option(w, n, i, &spec[k], 1, cause);
		if (r == 0 && short_s != NULL)
			ctl->socket = short_s;
		if (r == 0 && color != NULL)
			r = args_color(color, &ctl->color, cause);
		return r != 0 ? r : 1;
	}
	return 0;
}

int
args_take_common(struct ctl *ctl, const char **w, size_t *n,
    struct cause *cause)
{
	size_t left = 0, i = 0;

	for (; i < *n && strcmp(w[i], "--") != 0; i++) {
		int r;

		if (strcmp(w[i], "--json") == 0)
			ctl->json = true;
		else if (strcmp(w[i], "-y") == 0 || strcmp(w[i], "--yes") == 0)
			ctl->yes = true;
		else if (strcmp(w[i], "-q") == 0 ||
		    strcmp(w[i], "--quiet") == 0)
			ctl->quiet = true;
		else if (strcmp(w[i], "--headers") == 0)
			ctl->headers = true;
		else if (strcmp(w[i], "--readonly") == 0)
			ctl->readonly = true;
		else if (strcmp(w[i], "--ascii") == 0)
			ctl->ascii = true;
		else if ((r = take_valued(ctl, w, *n, &i, cause)) < 0)
			return r;
		else if (r == 0)
			w[left++] = w[i];
	}
	for (; i < *n; i++)
		w[left++] = w[i];
	*n = left;
	return 0;
}

static bool
is_separator(char c)
{
	return c != '\0' && strchr(", \t\r\n[]", c) != NULL;
}

int
args_tokens(struct slice text, struct buf *out, struct cause *cause)
{
	char word[32], shown[64];
	uint64_t v;

	for (size_t i = 0; i < text.n; ) {
		size_t k = 0;

		if (is_separator(text.p[i])) {
			i++;
			continue;
		}
		while (i + k < text.n && !is_separator(text.p[i + k]))
			k++;
		memcpy(word, text.p + i, k < sizeof(word) ? k : 0);
		word[k < sizeof(word) ? k : 0] = '\0';
		if (str_to_u64(word, &v) != 0 || v > UINT32_MAX)
			return cause_set(cause, BM_EUSAGE,
			    "\"%s\" is no token", str_vis(shown,
			    sizeof(shown), text.p + i, k));
		buf_put_u32(out, (uint32_t)v);
		i += k;
	}
	if (out->failed)
		return cause_set(cause, BM_ELIMIT, "too many tokens");
	if (out->len == 0)
		return cause_set(cause, BM_EUSAGE, "there are no tokens");
	return 0;
}

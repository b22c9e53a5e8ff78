/* SPDX-License-Identifier: MIT */
/*
 * Words written short: "sh mod" is show models, though sh alone could be shell
 * as well.  Who types that is asked which; nothing is guessed.
 */
#include "config.h"

#include "console/words.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* Does the word begin the k-th of the command?  Nothing shortens what is a
 * whole word of another command. */
static bool
is_short_for(const struct command *cmd, size_t k, const char *const *w)
{
	struct slice own = command_word(cmd, k);
	size_t n = strlen(w[k]);

	if (own.n < n || n == 0 || memcmp(own.p, w[k], n) != 0)
		return false;
	if (own.n == n)
		return true;
	for (size_t i = 0; i < CMD_N; i++)
		if (slice_eq(command_word(&commands[i], k), w[k]) && (k == 0 ||
		    slice_eq(command_word(&commands[i], 0), w[0])))
			return false;
	return true;
}

/* How many words of w are short for the command's own: all of those, or 0. */
static size_t
short_words(const struct command *cmd, const char *const *w, size_t n)
{
	size_t k = 0;

	while (command_word(cmd, k).n > 0) {
		if (k == n || !is_short_for(cmd, k, w))
			return 0;
		k++;
	}
	return k;
}

/* The words that w[0] may be short for, if they are several. */
static int
tell_choices(const char *const *w, size_t n, struct cause *cause)
{
	char word[64];
	struct buf b;
	int r = 0;

	buf_init(&b, 512);
	for (size_t i = 0; i < CMD_N; i++) {
		bool fits = n > 1 && command_word(&commands[i], 1).n > 0 ?
		    short_words(&commands[i], w, n) > 0 :
		    is_short_for(&commands[i], 0, w);

		if (fits)
			buf_printf(&b, "%s%s", b.len > 0 ? ", " : "",
			    commands[i].words);
	}
	r = cause_set(cause, BM_EUSAGE, "%s: which? %s", str_vis(word,
	    sizeof(word), w[0], strlen(w[0])), buf_cstr(&b));
	buf_fini(&b);
	return r;
}

static void
replace(const char **w, size_t k, struct slice by, struct words_list *keep)
{
	keep->w = xreallocarray(keep->w, keep->n + 2, sizeof(*keep->w));
	keep->w[keep->n++] = slice_dup(by);
	keep->w[keep->n] = NULL;
	w[k] = keep->w[keep->n - 1];
}

/* The first word alone, when the rest does not make a command (yet). */
static int
expand_first(const char **w, struct words_list *keep, struct cause *cause)
{
	struct slice found = { NULL, 0 };

	for (size_t i = 0; i < CMD_N; i++) {
		struct slice own = command_word(&commands[i], 0);

		if (!is_short_for(&commands[i], 0, w))
			continue;
		if (found.n > 0 && (found.n != own.n ||
		    memcmp(found.p, own.p, own.n) != 0))
			return tell_choices(w, 1, cause);
		found = own;
	}
	if (found.n > 0)
		replace(w, 0, found, keep);
	return 0;
}

int
words_expand(const char **w, size_t n, struct words_list *keep,
    struct cause *cause)
{
	const struct command *found = NULL;
	size_t n_found = 0, n_own = 0;

	*keep = (struct words_list){ 0 };
	if (n == 0)
		return 0;
	/* "sh mod" is show models, though sh alone could be shell. */
	for (size_t i = 0; i < CMD_N; i++) {
		size_t k = short_words(&commands[i], w, n);

		if (k == 0 || k < n_own)
			continue;
		n_found = k > n_own ? 1 : n_found + 1;
		n_own = k;
		found = &commands[i];
	}
	if (n_found > 1)
		return tell_choices(w, n, cause);
	/* A first word that begins longer commands too is not decided. */
	if (n_found == 0 || n_own == 1)
		return expand_first(w, keep, cause);
	for (size_t k = 0; k < n_own; k++)
		replace(w, k, command_word(found, k), keep);
	return 0;
}

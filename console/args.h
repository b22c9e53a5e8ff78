/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_ARGS_H
#define BM_CONSOLE_ARGS_H

/* The words behind a command: options, operands, lists of tokens. */

#include "console/ctl.h"

/* An option: exactly one of value and flag is set. */
struct arg {
	const char	 *name;		/* "--out" */
	const char	**value;
	bool		 *flag;
};

/*
 * Take options ("--name VALUE" or "--name=VALUE", anywhere; "--" ends them)
 * and exactly n_operands operands.  BM_EUSAGE with a sentence.
 */
int	 args_parse(const char *const *w, size_t n, const struct arg *spec,
	    size_t n_spec, const char **operands, size_t n_operands,
	    struct cause *cause) BM_MUST_CHECK;

/*
 * The options common to all commands may also follow the command: take them
 * out of the n words of w (an array of pointers that this reorders) and set
 * them in ctl.  *n becomes the number of words that are left.
 */
int	 args_take_common(struct ctl *ctl, const char **w, size_t *n,
	    struct cause *cause) BM_MUST_CHECK;

int	 args_color(const char *word, enum ctl_color *out,
	    struct cause *cause) BM_MUST_CHECK;
/* "5", "0.5" (seconds), "500ms", "2m"; what names it in the sentence. */
int	 args_ms(const char *what, const char *word, uint64_t *out,
	    struct cause *cause) BM_MUST_CHECK;

/*
 * Token numbers: "1,2,3", "[1, 2, 3]" or separated by spaces.  Appended to
 * out as little-endian u32, the form of struct words.  BM_EUSAGE names what
 * is no token.
 */
int	 args_tokens(struct slice text, struct buf *out, struct cause *cause)
	    BM_MUST_CHECK;

#endif

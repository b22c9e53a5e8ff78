/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_EFFECT_H
#define BM_CONSOLE_EFFECT_H

/*
 * What a command would do to those who use the daemon now, in numbers: the
 * sentences of every confirmation, in the shell as on the screen.
 */

#include <jansson.h>

#include "base/buf.h"
#include "wire/commands.h"

/* The rows that the daemon shows; NULL where not asked for. */
struct facts {
	const json_t	*status;	/* an object */
	const json_t	*models;	/* arrays */
	const json_t	*variants;
	const json_t	*workers;
	const json_t	*requests;
};

/* The lists that the sentences about a command need, as bits. */
enum { FACT_STATUS = 1, FACT_MODELS = 2, FACT_VARIANTS = 4, FACT_WORKERS = 8,
    FACT_REQUESTS = 16 };
unsigned effect_needs(const struct command *cmd);

/* Append sentences about cmd with these arguments.  What the facts do not
 * tell is left out; there is always one sentence. */
void	 effect_say(const struct facts *f, const struct command *cmd,
	    const char *const *args, size_t n_args, struct buf *out);

#endif

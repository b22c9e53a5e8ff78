/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_WORDS_H
#define BM_CONSOLE_WORDS_H

/*
 * What could stand at the cursor of a command line, from the table of commands
 * and the names that live in a daemon; and words written short.  Pure: knows
 * neither terminal nor daemon, so that shell and screen share it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "wire/commands.h"

enum word_kind { WORD_COMMAND, WORD_OPTION, WORD_VALUE, WORD_TYPE, WORD_MODEL,
    WORD_VARIANT, WORD_WORKER, WORD_REQUEST, WORD_FILE };
#define WORD_BIT(kind) (1u << (kind))
/* The kinds that only a daemon knows. */
#define WORD_LIVE (WORD_BIT(WORD_MODEL) | WORD_BIT(WORD_VARIANT) | \
    WORD_BIT(WORD_WORKER) | WORD_BIT(WORD_REQUEST))

/* The tensor types that the quantiser writes, the usual ones first. */
extern const char *const words_types[];
extern const size_t words_n_types;

/* What lives in the daemon now. */
struct name {
	enum word_kind	 kind;
	char		*text;
	char		*model;		/* of a variant; NULL */
	char		*hint;		/* "ready, 2 workers" */
};
struct names {
	struct name	*v;
	size_t		 n;
};

/* Copies; model and hint may be NULL. */
void	 names_add(struct names *s, enum word_kind kind, const char *text,
	    const char *model, const char *hint);
void	 names_fini(struct names *s);

struct candidate {
	enum word_kind	 kind;
	char		*text;	/* as a line has it: quoted if need be */
	char		*hint;	/* printable, at most a line */
};
struct candidates {
	struct candidate *v;	/* in the order of the table, no two alike */
	size_t		 n;
	size_t		 start;	/* they replace what is from here to the
				 * cursor */
	char		*partial;	/* what stands there, unquoted */
	unsigned	 wants;	/* WORD_BIT of the kinds that could stand
				 * there; files are the caller's to find */
	const struct command *command;	/* of the line; NULL: none yet */
};

/* Candidates for the word that ends at the cursor, given names; max_risk 0
 * leaves out commands that change anything (3: none). */
void	 words_complete(struct slice line, size_t cursor,
	    const struct names *names, int max_risk, struct candidates *out);
void	 candidates_fini(struct candidates *c);
/* One more, if its text begins with what stands at the cursor and can be said
 * on a line at all. */
void	 candidates_add(struct candidates *c, enum word_kind kind,
	    const char *text, const char *hint);

/*
 * Words written short: the begin of a command's words where it fits only one.
 * Replaces pointers in w by words that keep owns.  Words that fit nothing
 * stay; BM_EUSAGE with the choices when several fit.
 */
int	 words_expand(const char **w, size_t n, struct words_list *keep,
	    struct cause *cause) BM_MUST_CHECK;

#endif

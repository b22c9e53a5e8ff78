/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_NAMES_H
#define BM_CONSOLE_NAMES_H

/* Rows of the daemon as names to complete with. */

#include <jansson.h>

#include "console/words.h"

/* The lists of the daemon that hold names. */
#define NAMES_N_LISTS 4
struct names_list {
	enum word_kind	 kind;
	const char	*list;		/* "models": show models, and a field
					 * of snapshots */
	const char	*id;		/* the field that is the name */
	const char	*hints[3];	/* the fields that make the hint */
};
extern const struct names_list names_lists[NAMES_N_LISTS];

/* Nothing when the row has no name. */
void	 names_add_row(struct names *s, const struct names_list *l,
	    const json_t *row);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_COMPRESS_ARGS_H
#define BM_MASTER_COMPRESS_ARGS_H

/* What `compress NAME ...` was told, and the names that follow from it. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct compress_args {
	const char	*to;		/* the words of a tensor type */
	const char	*from;		/* a variant; NULL: base */
	char		 as[NAME_MAX + 1]; /* the new variant, never base */
	bool		 is_forced;	/* replace one that is not in use */
	bool		 is_cancel;	/* and nothing else */
};

/* The words behind the model's name; *out borrows them. */
int	 compress_args_parse(struct compress_args *out,
	    const char *const *words, size_t n, struct cause *cause)
	    BM_MUST_CHECK;
/* What the job writes to until the file is whole, in the variants' folder;
 * hidden and without the ending, so that no scan takes it for a variant. */
void	 compress_temp_name(char out[NAME_MAX + 1], const char *variant);
bool	 compress_is_temp_name(const char *file);

#endif

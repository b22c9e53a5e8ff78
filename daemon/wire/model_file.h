/* SPDX-License-Identifier: MIT */
#ifndef BM_WIRE_MODEL_FILE_H
#define BM_WIRE_MODEL_FILE_H

/*
 * The files of a model: the one that is named, or, when that is the first of
 * a split (PREFIX-00001-of-0000N.gguf), all N.  Master and console open them,
 * looking at the first four bytes only; the worker gets the descriptors and
 * mistrusts the rest.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MODEL_FILE_PARTS_MAX 999

struct model_part {
	char	*name;		/* without the directory */
	int	 fd;
};

struct model_file {
	struct model_part	*parts;
	size_t			 n_parts;
	uint64_t		 n_bytes;	/* of all parts */
};

/* Opens every part; the cause names the file at fault. */
int	 model_file_open(const char *path, struct model_file *out,
	    struct cause *cause) BM_MUST_CHECK;
void	 model_file_close(struct model_file *f);

/*
 * Is path named as a part of a split?  Then *part and *n_parts (1 to
 * MODEL_FILE_PARTS_MAX) tell which, and the return value is the length of
 * PREFIX; else 0.
 */
size_t	 model_file_split(const char *path, int *part, int *n_parts);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_TESTS_MODEL_HOSTILE_H
#define BM_TESTS_MODEL_HOSTILE_H

/* Broken model files.  Each must be refused with a cause that names what is
 * wrong and where. */

#include <stdbool.h>
#include <stddef.h>

#include "gguf_writer.h"

struct hostile {
	const char	*what;
	void		 (*build)(struct gguf_writer *w);
	int		 code;
	const char	*named;		/* in the cause */
	const char	*also;		/* likewise, or NULL */
};

/* Fails the test unless all of them are refused, by the container or, with
 * `vocabulary`, by the tokenizer. */
void	 check_hostile(const struct hostile *h, size_t n, bool vocabulary);

#endif

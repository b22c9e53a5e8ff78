/* SPDX-License-Identifier: MIT */
#ifndef BM_TESTS_MODEL_EXERCISE_H
#define BM_TESTS_MODEL_EXERCISE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * Open a GGUF file in memory and whatever is built on one, and use all of it.
 * Returns 0, or the first refusal with its cause; *opened tells whether the
 * file itself was accepted.
 */
int	 exercise_file(const void *data, size_t n, bool *opened,
	    struct cause *cause);

#endif

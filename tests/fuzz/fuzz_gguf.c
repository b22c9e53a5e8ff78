/* SPDX-License-Identifier: MIT */
/* Model files and the tokenizer in them. */
#include "config.h"

#include "fuzz.h"

#include <stdlib.h>

#include "base/err.h"
#include "tests/model/exercise.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cause cause = { 0 };
	bool opened;

	if (exercise_file(data, n, &opened, &cause) < 0 &&
	    cause.text[0] == '\0')
		abort();	/* a refusal must say why */
	return 0;
}

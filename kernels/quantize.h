/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_QUANTIZE_H
#define BM_KERNELS_QUANTIZE_H

/*
 * Weights to blocks.  Each type has the search that other GGUF software uses
 * for it, in the same order of operations, so that the bytes are the same
 * where the arithmetic is IEEE single precision.  A row is a function of its
 * values alone: threads may share a tensor by rows.
 */

#include <stdbool.h>
#include <stddef.h>

#include "kernels/types.h"

/* Can rows of n elements be stored in that type? */
bool	 quantize_fits(enum tensor_type t, size_t n);

/*
 * n floats (a multiple of the type's block_n) to type_row_bytes(t, n) bytes.
 * importance: NULL, or n weights (>= 0) saying how much an error in each
 * column matters; types that have no search (floats, Q8_0) ignore it.
 *
 * 0, or BM_ELIMIT when the row can't be stored: a value is infinite or no
 * number, or so large that the type's scale overflows.  out is then undefined.
 */
int	 quantize_row(enum tensor_type t, const float *x,
	    const float *importance, void *out, size_t n);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_ROWS_H
#define BM_MODEL_ROWS_H

/*
 * Scratch for the rows of a batch: n floats each, `stride` floats apart.
 *
 * Kernels go over some hundred elements of many rows before the next elements.
 * Rows a power of two apart would have these in the same few sets of a cache
 * and push one another out, so the stride is such that pieces of 16 lines lie
 * side by side.  Scratch of that size is made of huge pages: with small ones
 * these pieces would use up the near translation buffer.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rows {
	float		*p;
	size_t		 n;
	size_t		 stride;
};

/* Room for n times `each` bytes, not cleared, for free(); adds its size to
 * *n_bytes.  NULL when there is no memory or the product wraps. */
void	*scratch_new(size_t n, size_t each, uint64_t *n_bytes);
/* As scratch_new; false when that gives NULL, and then p is NULL. */
bool	 rows_new(struct rows *rows, size_t n_rows, size_t n,
	    uint64_t *n_bytes);

static inline float *
row_at(const struct rows *rows, size_t i)
{
	return rows->p + i * rows->stride;
}

#endif

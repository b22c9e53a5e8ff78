/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/rows.h"

#include <sys/mman.h>

#include <stdlib.h>

#include "base/mem.h"

#define LINE_BYTES	64
#define HUGE_PAGE	((size_t)2 << 20)
#define LINE		(LINE_BYTES / sizeof(float))
#define SET_LINES	64	/* lines apart that share a set */
#define STEP_LINES	17	/* rows are so far apart, modulo SET_LINES */

void *
scratch_new(size_t n, size_t each, uint64_t *n_bytes)
{
	size_t bytes;
	void *p;

	/* a line more, since n may be 0 */
	if (!size_mul(n, each, &bytes) ||
	    !size_add(bytes, LINE_BYTES, &bytes) || posix_memalign(&p,
	    bytes < HUGE_PAGE ? LINE_BYTES : HUGE_PAGE, bytes) != 0)
		return NULL;
	if (bytes >= HUGE_PAGE)
		madvise(p, bytes, MADV_HUGEPAGE);
	*n_bytes += bytes;
	return p;
}

static size_t
row_stride(size_t n)
{
	size_t lines = (n + LINE - 1) / LINE;

	return (lines + (SET_LINES + STEP_LINES - lines % SET_LINES) %
	    SET_LINES) * LINE;
}

bool
rows_new(struct rows *rows, size_t n_rows, size_t n, uint64_t *n_bytes)
{
	rows->n = n;
	rows->stride = row_stride(n);
	rows->p = scratch_new(n_rows, rows->stride * sizeof(*rows->p),
	    n_bytes);
	return rows->p != NULL;
}

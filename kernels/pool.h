/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_POOL_H
#define BM_KERNELS_POOL_H

/*
 * The thread pool.  The caller is thread 0 and computes too.  Each thread has
 * an equal share of the items, in order, and helps others when it is done,
 * since neighbours on the machine are noisy; what is computed must not depend
 * on which thread takes an item.  Idle threads spin briefly, then sleep on a
 * futex and use no CPU.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct pool;

/* i: the item, 0 .. n - 1; thread: 0 .. pool_n_threads - 1 (scratch index) */
typedef void (*pool_fn)(void *arg, size_t i, int thread);

/* n_threads >= 1, the caller included. */
int	 pool_new(struct pool **out, int n_threads, struct cause *cause)
	    BM_MUST_CHECK;
void	 pool_free(struct pool **pool);
int	 pool_n_threads(const struct pool *pool);
/* Every run adds to *beats, which shows from outside that work goes on. */
void	 pool_set_beats(struct pool *pool, _Atomic uint64_t *beats);
/* Calls fn for every i below n and returns when all are done. */
void	 pool_run(struct pool *pool, size_t n, pool_fn fn, void *arg);

#endif

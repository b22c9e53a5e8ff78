/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_PREFIX_H
#define BM_WORKER_PREFIX_H

/*
 * What runs take from each other.  Full pages of KV are owned in common; of a
 * page in which texts part, the beginning is copied.  The last token of a run
 * is always computed, for its logits.
 *
 * A run whose next tokens an active one is about to compute is behind it and
 * has no rows, and the other one stops where they part, so that both go on at
 * once.  Nothing is recorded of that: it is seen anew in every step, so a run
 * whose leader was cancelled or lost its pages goes on by itself.
 */

#include <stdbool.h>

#include "model/kv.h"
#include "worker/run.h"

/* Take all that is there for r, an active run with its pages reserved. */
void	 prefix_take(struct kv_pool *kv, const struct run_list *active,
	    struct run *r);
bool	 prefix_is_behind(const struct kv_pool *kv,
	    const struct run_list *active, const struct run *r);
/* How many tokens r must hold for nobody to be behind it; 0 when nobody is. */
size_t	 prefix_n_awaited(const struct kv_pool *kv,
	    const struct run_list *active, const struct run *r);

#endif

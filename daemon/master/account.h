/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_ACCOUNT_H
#define BM_MASTER_ACCOUNT_H

/*
 * What memory is meant for, and whether more of it may be.  Pure.  Workers of
 * a variant share its weights, which count once; everything else counts for
 * each of them, and in full from the start: a KV cache is touched little by
 * little, but nobody can be told later that it does not fit.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct account_cost {
	bool		 is_known;	/* a worker has told it */
	uint64_t	 weights_bytes;	/* once for all workers */
	uint64_t	 own_bytes;	/* weights each has for itself */
	uint64_t	 kv_bytes;	/* of each; prefixes are kept in it */
	uint64_t	 scratch_bytes;	/* of each */
};

struct account {
	uint64_t	 limit_bytes;
	uint64_t	 committed_bytes;
};

/*
 * What workers may have in all.  configured: 0 sets no limit; granted: by the
 * machine and its control groups; free_bytes: of that, not in use now; ours:
 * in use by workers.  So what others use is not ours to give.  A little of
 * what is granted is kept back for the rest of us.
 */
uint64_t account_limit(uint64_t configured, uint64_t granted,
	    uint64_t free_bytes, uint64_t ours);
/* Without the weights that are shared. */
uint64_t account_worker_bytes(const struct account_cost *c);
uint64_t account_left(const struct account *a);
/* n_more workers beside n_now. */
uint64_t account_need(const struct account_cost *c, size_t n_now,
	    size_t n_more);
/* How many more fit; at most `most`. */
size_t	 account_room(const struct account *a, const struct account_cost *c,
	    size_t n_now, size_t most);

/* A model that nobody uses now and that may be unloaded. */
struct account_idle {
	void		*model;
	uint64_t	 used_ns;	/* when it was used last */
	uint64_t	 bytes;		/* that its end gives back */
};
/* Sorts v, least recently used first, and tells how many from the first on
 * must go to give back `bytes`; n + 1 when all of them do not suffice. */
size_t	 account_evict(struct account_idle *v, size_t n, uint64_t bytes);
/* 0, or BM_ENOMEM and the sum. */
int	 account_check(const struct account *a, const char *model,
	    const struct account_cost *c, size_t n_now, size_t n_more,
	    struct cause *cause) BM_MUST_CHECK;

#endif

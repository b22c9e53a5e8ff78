/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_CEILING_H
#define BM_KERNELS_CEILING_H

/*
 * What the machine can do at best, for judging what the kernels reach: loops
 * of nothing but the instructions that products are made of, on registers
 * only, and of reading memory.  Each runs on all threads of a pool at once.
 */

#include <stddef.h>

#include "base/err.h"
#include "kernels/pool.h"

struct ceiling {
	double	 read_gb_s;		/* 10^9 bytes a second */
	double	 fma_gflops;		/* a multiply-add counts two; 0: no */
	double	 maddubs_paddw_gops;	/* loops for this CPU */
	double	 maddubs_maddwd_gops;	/* maddubs + maddwd + paddd */
};

typedef void (*ceiling_loop_fn)(size_t n_steps);

/* The loops of a level, and the multiply-adds of one step of each. */
struct ceiling_loops {
	void		(*read)(const void *p, size_t bytes);
	ceiling_loop_fn	 fma, maddubs_paddw, maddubs_maddwd;
	double		 fma_macs, maddubs_paddw_macs, maddubs_maddwd_macs;
};

/*
 * The best of `runs` runs of half a millisecond for each loop; reading is
 * measured once over read_bytes, which is more than the caches hold, in parts
 * whose median counts.
 */
int	 ceiling_measure(struct pool *pool, size_t read_bytes, int runs,
	    struct ceiling *out, struct cause *cause) BM_MUST_CHECK;

#endif

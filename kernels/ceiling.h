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
	/* a multiply-add counts two; 0: the level in force has no loop */
	double	 fma_gflops;
	double	 int8_gops;		/* by the level's best instructions */
	double	 maddubs_paddw_gops;
	double	 maddubs_maddwd_gops;	/* maddubs + maddwd + paddd */
};

typedef void (*ceiling_loop_fn)(size_t n_steps);

/* A loop and the multiply-adds of one step. */
struct ceiling_loop {
	ceiling_loop_fn	 run;		/* NULL: there is none */
	double		 macs;
};

/* The loops of a level and those below it, a part of its table. */
struct ceiling_loops {
	void			(*read)(const void *p, size_t bytes);
	struct ceiling_loop	 fma;
	struct ceiling_loop	 int8;	/* products of bytes, in whatever way
					   the level does them best */
	struct ceiling_loop	 maddubs_paddw, maddubs_maddwd;
};

/*
 * By the loops of the level in force: the best of `runs` runs of half a
 * millisecond for each loop; reading is measured once over read_bytes, which is
 * more than the caches hold, in parts whose median counts.
 */
int	 ceiling_measure(struct pool *pool, size_t read_bytes, int runs,
	    struct ceiling *out, struct cause *cause) BM_MUST_CHECK;

#endif

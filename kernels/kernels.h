/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_KERNELS_H
#define BM_KERNELS_KERNELS_H

/*
 * The table of kernels.  kernels.def lists each kernel once; `ref` fills every
 * entry and is the specification; a faster level overlays the entries it has
 * (dispatch.c), chosen at run time by what the CPU *and* the system grant.
 *
 * Contract for all kernels: pointers need only the alignment of their element
 * type unless said otherwise; inputs and outputs do not overlap unless said
 * otherwise; nothing is read or written beyond the n elements named.
 *
 * One arithmetic per output: a kernel's result depends only on the operands of
 * that output, in an order fixed per level.  It never depends on how many rows
 * or columns are computed together, nor on the thread count.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kernels/ceiling.h"
#include "kernels/types.h"

/*
 * Activations in 8 bits.  A row of n floats becomes n / 32 blocks of act_q8 or
 * n / 256 blocks of act_q8k; quants are clamped to -127..127.
 */
struct act_q8 {			/* 32 values */
	float	 d;		/* x = d * q */
	int32_t	 sum;		/* of q */
	int16_t	 start[2];	/* -8 times the sums of q[i] with i % 4 in
				 * 0..1 and in 2..3 */
	float	 dsum;		/* d * sum */
	int8_t	 q[32];
};

struct act_q8k {		/* 256 values */
	float	 d;
	int16_t	 sum[16];	/* of q, per 16 */
	int16_t	 sum32[8];	/* per 32 */
	int16_t	 pair[16][2];	/* sums of q[i] per 16, i % 4 as above */
	int8_t	 q[256];
};

struct act_q16 {		/* act_q8 with its quants widened */
	float	 d;
	float	 dsum;
	int16_t	 q[32];
};

struct act_sm8 {		/* act_q8 and its quants' magnitudes */
	struct act_q8	 a;
	uint8_t		 mag[32];
};

/*
 * 32 quants with magnitudes and signs apart, their quads in such an order that
 * products of neighbours, 2 i and 2 i + 1, can be added: whatever values of
 * IQ4_XS q[0] and q[1] of both are multiplied with, the sum fits 16 bits, and
 * so it does with q[2] and q[3].  at[i] says which quad is there, from bit 10
 * on; bit 6 + j is set if its quant j is negative: an index of 64 bytes each
 * (x86/panel_iq4_many_avx2.c).
 */
struct act_pairs {
	uint8_t	 mag[32];
	uint16_t at[8];
};

struct act_sm8k {		/* the same of act_q8k, and in pairs */
	struct act_q8k	 a;
	uint8_t		 mag[8][32];
	uint8_t		 apart[8];	/* 1: no pair must be added */
	struct act_pairs pairs[8];
};

/* sum of w[i] * x[i]; n a multiple of the type's block_n.  act is float,
 * act_q8 or act_q8k as types.def says. */
typedef float (*kern_dot_fn)(const void *w, const void *act, size_t n);
/* blocks -> floats, exactly as the format defines them */
typedef void (*kern_unpack_fn)(const void *w, float *out, size_t n);
/*
 * Panels of packed weights (pack.h) times columns of activations, which lie
 * act_stride bytes apart in the form pack_act() names:
 * out[c * out_stride + o] for the 16 * n_panels rows o.  Every level gives the
 * bits of ref, whatever n_panels and n_cols are.
 */
typedef void (*kern_panel_fn)(const void *w, size_t n_panels, size_t n_in,
    const void *act, size_t act_stride, size_t n_cols, float *out,
    size_t out_stride);

struct attend_tile;		/* attend.h */

struct kern_table {
	kern_dot_fn	 dot[TYPE_LIMIT];
	kern_unpack_fn	 unpack[TYPE_LIMIT];
	kern_panel_fn	 panel[TYPE_LIMIT];
	/* Panels take activations as ACT_Q8 where they would want them widened
	 * to ACT_Q16, having products of bytes; the results are the same. */
	bool		 no_q16;
	/* The same for ACT_SM8 and ACT_SM8K: the quants alone will do. */
	bool		 no_sm;
	struct ceiling_loops ceiling;
#define K(name, ret, args, what) ret (*name) args;
#include "kernels/kernels.def"
#undef K
};

/* The table in force; kern_init must have been called. */
extern const struct kern_table *kern;

/*
 * Choose the level: the best the machine has, or the one named by the
 * environment variable BIGMODEL_CPU ("ref", "avx2"...: dispatch.c).  A level
 * the machine lacks is an error.
 */
int		 kern_init(struct cause *cause) BM_MUST_CHECK;
/* As kern_init, for a level by name (tests). */
int		 kern_init_level(const char *level, struct cause *cause)
		    BM_MUST_CHECK;
/* "ref", "avx2"... of the table in force. */
const char	*kern_level(void);
/* The levels there are, ascending, whether or not this machine has them; NULL
 * past the end. */
const char	*kern_level_name(size_t i);
/* The level an entry of the table in force comes from, for `show kernels`:
 * i counts over all entries, name gets the kernel's; NULL past the end. */
const char	*kern_describe(size_t i, const char **name);

#endif

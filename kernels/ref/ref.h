/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_REF_REF_H
#define BM_KERNELS_REF_REF_H

/*
 * The reference level: the readable specification of every kernel.  Sums over a
 * row are in double and rounded once, so that what a faster level may differ by
 * is that level's own rounding.  Panels are in float, in the order that every
 * level keeps (panel.c).
 */

#include "kernels/kernels.h"

/*
 * A block of any quantised type, taken apart.  With b = i / 16,
 *	x[i] = d * scale[b] * q[i] - dmin * min[b]
 * computed left to right in float.  Types without sub-blocks have scale 1;
 * types with sub-blocks of 32 repeat each scale twice.
 */
struct ref_block {
	float	 d, dmin;
	int16_t	 scale[16];
	int16_t	 min[16];
	int8_t	 q[256];
};

typedef void (*ref_block_fn)(const uint8_t *bytes, struct ref_block *out);

/* The function that takes a block of that type apart, NULL for F32, F16 and
 * BF16, which have none. */
ref_block_fn	 ref_block_of(enum tensor_type t);
/* Sum over the sub-blocks of 16 of the first n elements:
 * scale * sum(q a). */
int32_t		 ref_products(const struct ref_block *b, const int8_t *a,
		    int n);
/* The values of the 4-bit code that IQ4_NL and IQ4_XS share. */
extern const int8_t ref_iq4_values[16];
/*
 * The orders of quads an act_pairs may have, the first for want of a better
 * one.  The next seven have every quad beside every other; the rest are those
 * of all 105 that help most often after them.
 */
#define REF_PAIR_ORDERS	16
extern const int32_t ref_pair_orders[REF_PAIR_ORDERS][8];
/*
 * Four quants, of magnitudes that sum to m, themselves to s, make of values
 * from -127 to 113 at most REF_PAIR_MAGNITUDE m + REF_PAIR_SUM |s|.
 */
#define REF_PAIR_MAGNITUDE	((127 + 113) / 2)
#define REF_PAIR_SUM		((127 - 113) / 2)
/* Twice the values of E2M1, for MXFP4. */
extern const int8_t ref_mxfp4_values[16];

/* The 8 six-bit scales and mins that Q4_K and Q5_K pack into 12 bytes. */
void		 ref_scales_k4(const uint8_t *packed, uint8_t *scale,
		    uint8_t *min);
/* The 16 six-bit scales of Q3_K, 32 subtracted. */
void		 ref_scales_q3(const uint8_t *packed, int8_t *scale);
/* The 8 six-bit scales of IQ4_XS, 32 subtracted. */
void		 ref_scales_iq4(uint16_t high, const uint8_t *low,
		    int8_t *scale);

/* Fill every entry of t. */
void		 ref_table(struct kern_table *t);
void		 ref_table_dot(struct kern_table *t);
void		 ref_table_unpack(struct kern_table *t);
void		 ref_table_quant(struct kern_table *t);
void		 ref_table_panel(struct kern_table *t);
void		 ref_table_attend(struct kern_table *t);
void		 ref_table_vec(struct kern_table *t);

#endif

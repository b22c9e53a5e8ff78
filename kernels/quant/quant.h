/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_QUANT_QUANT_H
#define BM_KERNELS_QUANT_QUANT_H

/* What the files of this folder share: a function per type that makes one
 * block, and the half-precision scales that it stores. */

#include <stdbool.h>
#include <stdint.h>

#include "kernels/half.h"

/* The values of one block. */
struct quant_in {
	const float	*x;
	const float	*importance;	/* of its columns, or NULL */
	float		 row_mean_x2;	/* of the whole row; 0 without them */
};

/* False when a scale of the block overflows half precision. */
typedef bool (*quant_block_fn)(const struct quant_in *in, uint8_t *out);

bool	 quant_q4_0(const struct quant_in *in, uint8_t *out);
bool	 quant_q4_1(const struct quant_in *in, uint8_t *out);
bool	 quant_q5_0(const struct quant_in *in, uint8_t *out);
bool	 quant_q5_1(const struct quant_in *in, uint8_t *out);
bool	 quant_q8_0(const struct quant_in *in, uint8_t *out);
bool	 quant_mxfp4(const struct quant_in *in, uint8_t *out);
bool	 quant_q2_k(const struct quant_in *in, uint8_t *out);
bool	 quant_q3_k(const struct quant_in *in, uint8_t *out);
bool	 quant_q4_k(const struct quant_in *in, uint8_t *out);
bool	 quant_q5_k(const struct quant_in *in, uint8_t *out);
bool	 quant_q6_k(const struct quant_in *in, uint8_t *out);
bool	 quant_iq4_nl(const struct quant_in *in, uint8_t *out);
bool	 quant_iq4_xs(const struct quant_in *in, uint8_t *out);

/* Below this a block counts as zero, and is in half precision anyway. */
#define QUANT_TINY	1e-15f

static inline void
put_u16(uint8_t *to, uint16_t v)
{
	to[0] = (uint8_t)v;
	to[1] = (uint8_t)(v >> 8);
}

/* Store d in half precision; false when it is not finite there. */
static inline bool
put_f16(uint8_t *to, float d)
{
	uint16_t h = f16_from_f32(d);

	put_u16(to, h);
	return (h & 0x7c00) != 0x7c00;
}

static inline float
get_f16(const uint8_t *from)
{
	return f16_to_f32(load_u16(from));
}

/* 1 / d, or 0 where there is no such float: what d scales is then 0 in half
 * precision too. */
static inline float
inverse_or_0(float d)
{
	return d > 0x1p-126f || d < -0x1p-126f ? 1.0f / d : 0;
}

/* Round to nearest, ties to even; |x| below 2^22. */
static inline float
round_even(float x)
{
	return x + 12582912.0f - 12582912.0f;
}

static inline float
clampf(float x, float low, float high)
{
	x = x > low ? x : low;
	return x < high ? x : high;
}

#endif

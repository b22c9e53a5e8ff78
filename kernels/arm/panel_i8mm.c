/* SPDX-License-Identifier: MIT */
/*
 * Panels with smmla, which multiplies an octet of two rows with one of two
 * columns: a sum register is [row][column], 2 by 2, and registers 4p..4p+3 are
 * the 8 rows of columns 2p and 2p + 1.  An odd column is taken twice.
 */
#include "config.h"

#include "kernels/arm/arm.h"

#include "kernels/arm/unpack_arm.h"

#define N_SUMS(n)	(4 * (((n) + 1) / 2))

/* Two quads of 4 rows make 4 octets: [row][8], 64 bytes for 8 rows. */
ALWAYS_INLINE void
put_octet(struct chunk *c, size_t quad, size_t g, int8x16_t first,
    int8x16_t second)
{
	int32x4_t a = vreinterpretq_s32_s8(first);
	int32x4_t b = vreinterpretq_s32_s8(second);
	int8_t *to = c->q[g / 2][quad] + g % 2 * 32;

	vst1q_s8(to, vreinterpretq_s8_s32(vzip1q_s32(a, b)));
	vst1q_s8(to + 16, vreinterpretq_s8_s32(vzip2q_s32(a, b)));
}

/* 16 elements of 8 rows times those of two columns. */
ALWAYS_INLINE void
step_pair(const int8_t *q, int8x16_t x, int8x16_t y, int32x4_t part[4])
{
	int64x2_t a = vreinterpretq_s64_s8(x), b = vreinterpretq_s64_s8(y);
	int8x16_t first = vreinterpretq_s8_s64(vzip1q_s64(a, b));
	int8x16_t second = vreinterpretq_s8_s64(vzip2q_s64(a, b));

#define ROWS(i)								\
	part[i] = vmmlaq_s32(vmmlaq_s32(part[i], vld1q_s8(q + 16 * (i)), \
	    first), vld1q_s8(q + 64 + 16 * (i)), second)
	ROWS(0);
	ROWS(1);
	ROWS(2);
	ROWS(3);
#undef ROWS
}

ALWAYS_INLINE void
step(const int n, const bool is_small, const int8_t *q, const int8x16_t *x,
    int32x4_t *part)
{
	step_pair(q, x[0], x[1], part);
	if (n > 2)
		step_pair(q, x[2], x[3], part + 4);
}

ALWAYS_INLINE void
spread(int32x4_t low, int32x4_t high, int32x4_t scale[4])
{
	scale[0] = vzip1q_s32(low, low);
	scale[1] = vzip2q_s32(low, low);
	scale[2] = vzip1q_s32(high, high);
	scale[3] = vzip2q_s32(high, high);
}

/* [column][half of the rows] of a pair of columns. */
ALWAYS_INLINE void
settle_pair(int32x4_t sum[4])
{
	int32x4_t low = vuzp2q_s32(sum[0], sum[1]);
	int32x4_t high = vuzp2q_s32(sum[2], sum[3]);

	sum[0] = vuzp1q_s32(sum[0], sum[1]);
	sum[1] = vuzp1q_s32(sum[2], sum[3]);
	sum[2] = low;
	sum[3] = high;
}

ALWAYS_INLINE void
settle(const int n, int32x4_t *sum)
{
	settle_pair(sum);
	if (n > 2)
		settle_pair(sum + 4);
}

#define LEVEL(name)	i8mm_##name
#include "kernels/arm/panel_arm.h"

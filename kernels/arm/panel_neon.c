/* SPDX-License-Identifier: MIT */
/*
 * Panels for the baseline, which multiplies bytes to words and adds pairs.
 * The words of rows 0 and 1 and of rows 2 and 3 are summed apart, then pairs
 * of neighbours: [row][2], which the last step adds to the 32 bits of 4 rows.
 * A word holds two products of any bytes, activations being within +-127, and
 * eight when quants are within +-32: 8 * 32 * 127 < 2^15.
 */
#include "config.h"

#include "kernels/arm/arm.h"

#include "kernels/arm/unpack_arm.h"

/* Lane k of x in all lanes. */
#define COPIES(x, k) \
	vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(x), k))

/* acc + the products of 4 rows' quad w with x, whose lane k belongs to it. */
#define ADD_ANY(w, k) do {						\
	int8x16_t v = w, copies = COPIES(x, k);				\
									\
	acc = vpadalq_s16(acc, vpaddq_s16(				\
	    vmull_s8(vget_low_s8(v), vget_low_s8(copies)),		\
	    vmull_high_s8(v, copies)));					\
} while (0)

#define ADD_SMALL(w, k) do {						\
	int8x16_t v = w, copies = COPIES(x, k);				\
									\
	low = vmlal_s8(low, vget_low_s8(v), vget_low_s8(copies));	\
	high = vmlal_high_s8(high, v, copies);				\
} while (0)

/* acc + 4 quads of 4 rows, 32 bytes apart, times x */
ALWAYS_INLINE int32x4_t
dot_16(int32x4_t acc, const bool is_small, const int8_t *q, int8x16_t x)
{
	int16x8_t low = vdupq_n_s16(0), high = low;

	if (!is_small) {
		ADD_ANY(vld1q_s8(q), 0);
		ADD_ANY(vld1q_s8(q + 32), 1);
		ADD_ANY(vld1q_s8(q + 64), 2);
		ADD_ANY(vld1q_s8(q + 96), 3);
		return acc;
	}
	ADD_SMALL(vld1q_s8(q), 0);
	ADD_SMALL(vld1q_s8(q + 32), 1);
	ADD_SMALL(vld1q_s8(q + 64), 2);
	ADD_SMALL(vld1q_s8(q + 96), 3);
	return vpadalq_s16(acc, vpaddq_s16(low, high));
}

#define LEVEL(name)	neon_##name
#include "kernels/arm/step_dot.h"
#include "kernels/arm/panel_arm.h"

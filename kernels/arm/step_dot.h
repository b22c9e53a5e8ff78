/* SPDX-License-Identifier: MIT */
/*
 * For panel_arm.h, what levels have in common whose chunks hold quads as
 * they are packed, [row][4], and whose sums are [column][half of 8 rows]: the
 * level's own is dot_16().
 */

#define N_SUMS(n)	(2 * (n))

ALWAYS_INLINE void
put_octet(struct chunk *c, size_t quad, size_t g, int8x16_t first,
    int8x16_t second)
{
	vst1q_s8(c->q[g / 2][quad] + g % 2 * 16, first);
	vst1q_s8(c->q[g / 2][quad + 1] + g % 2 * 16, second);
}

ALWAYS_INLINE void
step(const int n, const bool is_small, const int8_t *q, const int8x16_t *x,
    int32x4_t *part)
{
	part[0] = dot_16(part[0], is_small, q, x[0]);
	part[1] = dot_16(part[1], is_small, q + 16, x[0]);
	if (n > 1) {
		part[2] = dot_16(part[2], is_small, q, x[1]);
		part[3] = dot_16(part[3], is_small, q + 16, x[1]);
	}
	if (n > 2) {
		part[4] = dot_16(part[4], is_small, q, x[2]);
		part[5] = dot_16(part[5], is_small, q + 16, x[2]);
	}
	if (n > 3) {
		part[6] = dot_16(part[6], is_small, q, x[3]);
		part[7] = dot_16(part[7], is_small, q + 16, x[3]);
	}
}

ALWAYS_INLINE void
spread(int32x4_t low, int32x4_t high, int32x4_t scale[4])
{
	scale[0] = scale[2] = low;
	scale[1] = scale[3] = high;
}

/* They lie as they should. */
ALWAYS_INLINE void
settle(const int n, int32x4_t *sum)
{
}

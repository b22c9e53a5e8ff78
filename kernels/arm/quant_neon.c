/* SPDX-License-Identifier: MIT */
/*
 * Activations to 8 bits, the same bits as ref.  The largest
 * magnitude is found on the bit patterns, where infinities and NaN are larger
 * than every number.  |x| <= max makes |x * (127 / max)| round to 127 at most,
 * so the narrowing never saturates.
 */
#include "config.h"

#include "kernels/arm/arm.h"

#include <math.h>

#include "kernels/arm/common_neon.h"
#include "kernels/half.h"

static uint32_t
max_bits(const float *x, size_t n)
{
	uint32x4_t max = vdupq_n_u32(0);
	size_t i;

	for (i = 0; i < n; i += 4)
		max = vmaxq_u32(max, vreinterpretq_u32_f32(vabsq_f32(
		    vld1q_f32(x + i))));
	return vmaxvq_u32(max);
}

/* Rounds half to even. */
ALWAYS_INLINE int16x4_t
round_4(const float *x, float inverse)
{
	return vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x), inverse)));
}

ALWAYS_INLINE int8x16_t
round_16(const float *x, float inverse)
{
	int16x8_t low = vcombine_s16(round_4(x, inverse),
	    round_4(x + 4, inverse));
	int16x8_t high = vcombine_s16(round_4(x + 8, inverse),
	    round_4(x + 12, inverse));

	return vcombine_s8(vmovn_s16(low), vmovn_s16(high));
}

/* Quantise n values; returns d. */
static float
quantize(const float *x, int8_t *q, size_t n)
{
	uint32_t bits = max_bits(x, n);
	float max = f32_from_bits(bits);
	size_t i;

	if (bits >= 0x7f800000 || max < 0x1p-100f) {
		memset(q, 0, n);
		return bits >= 0x7f800000 ? NAN : 0;
	}
	for (i = 0; i < n; i += 16)
		vst1q_s8(q + i, round_16(x + i, 127.0f / max));
	return max / 127.0f;
}

ALWAYS_INLINE int16_t
sum_16(const int8_t *q)
{
	return vaddlvq_s8(vld1q_s8(q));
}

/* Four sums of quants, i and i + 1 mod 4 of them added: what two of the same
 * parity add up to are the pair sums of kernels.h. */
ALWAYS_INLINE int16x4_t
pairs_16(const int8_t *q)
{
	int16x8_t p = vpaddlq_s8(vld1q_s8(q));

	return vadd_s16(vget_low_s16(p), vget_high_s16(p));
}

ALWAYS_INLINE void
store_pair(int16x4_t p, int16_t *pair)
{
	p = vadd_s16(p, vext_s16(p, p, 2));
	pair[0] = vget_lane_s16(p, 0);
	pair[1] = vget_lane_s16(p, 1);
}

static void
quantize_q8(const float *x, struct act_q8 *out, size_t n)
{
	for (; n > 0; n -= 32, x += 32, out++) {
		out->d = quantize(x, out->q, 32);
		out->sum = sum_16(out->q) + sum_16(out->q + 16);
		out->dsum = out->d * (float)out->sum;
		store_pair(vmul_n_s16(vadd_s16(pairs_16(out->q),
		    pairs_16(out->q + 16)), -8), out->start);
	}
}

static void
quantize_q16(const float *x, struct act_q16 *out, size_t n)
{
	int8_t q[32];
	size_t i;

	for (; n > 0; n -= 32, x += 32, out++) {
		out->d = quantize(x, q, 32);
		out->dsum = out->d * (float)(sum_16(q) + sum_16(q + 16));
		for (i = 0; i < 32; i += 8)
			vst1q_s16(out->q + i, vmovl_s8(vld1_s8(q + i)));
	}
}

static void
quantize_q8k(const float *x, struct act_q8k *out, size_t n)
{
	size_t i;

	for (; n > 0; n -= 256, x += 256, out++) {
		out->d = quantize(x, out->q, 256);
		for (i = 0; i < 16; i++) {
			out->sum[i] = sum_16(out->q + 16 * i);
			store_pair(pairs_16(out->q + 16 * i), out->pair[i]);
		}
		for (i = 0; i < 8; i++)
			out->sum32[i] = (int16_t)(out->sum[2 * i] +
			    out->sum[2 * i + 1]);
	}
}

void
neon_overlay_quant(struct kern_table *t)
{
	t->quantize_q8 = quantize_q8;
	t->quantize_q8k = quantize_q8k;
	t->quantize_q16 = quantize_q16;
}

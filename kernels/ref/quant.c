/* SPDX-License-Identifier: MIT */
/*
 * Activations to 8 bits: d = max|x| / 127 and q = x * (127 / max|x|) rounded
 * half to even, all in float, so that every level gives the same bits.  A
 * block whose largest value is below 2^-100 counts as zero (its inverse would
 * overflow); a block with an infinity or a NaN gets d = NaN, so that the fault
 * shows in the result instead of a plausible number.
 */
#include "config.h"

#include "kernels/ref/ref.h"

#include <math.h>

#include "kernels/half.h"

/* Quantise n values; returns d. */
static float
quantize(const float *x, int8_t *q, size_t n)
{
	uint32_t max_bits = 0, bits;
	float max, inverse;
	size_t i;

	for (i = 0; i < n; i++) {
		bits = f32_bits(x[i]) & 0x7fffffff;
		if (bits > max_bits)
			max_bits = bits;
	}
	max = f32_from_bits(max_bits);
	if (!(max >= 0x1p-100f) || max_bits >= 0x7f800000) {
		memset(q, 0, n);
		return max_bits >= 0x7f800000 ? NAN : 0;
	}
	inverse = 127.0f / max;
	for (i = 0; i < n; i++)
		q[i] = (int8_t)fmaxf(fminf(rintf(x[i] * inverse), 127), -127);
	return max / 127.0f;
}

static int
sum_of(const int8_t *q, int n)
{
	int i, sum = 0;

	for (i = 0; i < n; i++)
		sum += q[i];
	return sum;
}

static void
pairs_of(const int8_t *q, int n, int16_t *pair)
{
	int i;

	pair[0] = pair[1] = 0;
	for (i = 0; i < n; i++)
		pair[i / 2 % 2] = (int16_t)(pair[i / 2 % 2] + q[i]);
}

static void
quantize_q8(const float *x, struct act_q8 *out, size_t n)
{
	for (; n > 0; n -= 32) {
		out->d = quantize(x, out->q, 32);
		out->sum = sum_of(out->q, 32);
		pairs_of(out->q, 32, out->pair);
		out->dsum = out->d * (float)out->sum;
		x += 32;
		out++;
	}
}

static void
quantize_q16(const float *x, struct act_q16 *out, size_t n)
{
	int8_t q[32];
	int i;

	for (; n > 0; n -= 32) {
		out->d = quantize(x, q, 32);
		out->dsum = out->d * (float)sum_of(q, 32);
		for (i = 0; i < 32; i++)
			out->q[i] = q[i];
		x += 32;
		out++;
	}
}

static void
quantize_q8k(const float *x, struct act_q8k *out, size_t n)
{
	int s;

	for (; n > 0; n -= 256) {
		out->d = quantize(x, out->q, 256);
		for (s = 0; s < 16; s++)
			out->sum[s] = (int16_t)sum_of(out->q + 16 * s, 16);
		for (s = 0; s < 8; s++)
			out->sum32[s] = (int16_t)sum_of(out->q + 32 * s, 32);
		for (s = 0; s < 16; s++)
			pairs_of(out->q + 16 * s, 16, out->pair[s]);
		x += 256;
		out++;
	}
}

static void
magnitudes_and_signs(const int8_t *q, struct act_sm *out)
{
	int i;

	memset(out->signs, 0, sizeof(out->signs));
	for (i = 0; i < 32; i++) {
		out->mag[i] = (uint8_t)(q[i] < 0 ? -q[i] : q[i]);
		if (q[i] < 0)
			out->signs[i / 4] |= (uint16_t)(64 << i % 4);
	}
}

static void
quantize_sm8(const float *x, struct act_sm8 *out, size_t n)
{
	for (; n > 0; n -= 32, x += 32, out++) {
		quantize_q8(x, &out->a, 32);
		magnitudes_and_signs(out->a.q, out->sm);
	}
}

static void
quantize_sm8k(const float *x, struct act_sm8k *out, size_t n)
{
	int s;

	for (; n > 0; n -= 256, x += 256, out++) {
		quantize_q8k(x, &out->a, 256);
		for (s = 0; s < 8; s++)
			magnitudes_and_signs(out->a.q + 32 * s, &out->sm[s]);
	}
}

static void
f32_to_f16(const float *x, uint16_t *out, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = f16_from_f32(x[i]);
}

void
ref_table_quant(struct kern_table *t)
{
	t->quantize_q8 = quantize_q8;
	t->quantize_q8k = quantize_q8k;
	t->quantize_q16 = quantize_q16;
	t->quantize_sm8 = quantize_sm8;
	t->quantize_sm8k = quantize_sm8k;
	t->f32_to_f16 = f32_to_f16;
}

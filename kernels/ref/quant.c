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
#include <stdlib.h>

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

/* The sums of q[i] with i % 4 in 0..1 and in 2..3, so many times. */
static void
pairs_of(const int8_t *q, int n, int times, int16_t *pair)
{
	int i;

	pair[0] = pair[1] = 0;
	for (i = 0; i < n; i++)
		pair[i / 2 % 2] = (int16_t)(pair[i / 2 % 2] + times * q[i]);
}

static void
quantize_q8(const float *x, struct act_q8 *out, size_t n)
{
	for (; n > 0; n -= 32) {
		out->d = quantize(x, out->q, 32);
		out->sum = sum_of(out->q, 32);
		pairs_of(out->q, 32, -8, out->start);
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
			pairs_of(out->q + 16 * s, 16, 1, out->pair[s]);
		x += 256;
		out++;
	}
}

static void
magnitudes(const int8_t *q, uint8_t *mag)
{
	int i;

	for (i = 0; i < 32; i++)
		mag[i] = (uint8_t)(q[i] < 0 ? -q[i] : q[i]);
}

static void
quantize_sm8(const float *x, struct act_sm8 *out, size_t n)
{
	for (; n > 0; n -= 32, x += 32, out++) {
		quantize_q8(x, &out->a, 32);
		magnitudes(out->a.q, out->mag);
	}
}

const int32_t ref_pair_orders[REF_PAIR_ORDERS][8] = {
	{ 0, 1, 2, 3, 4, 5, 6, 7 },
	{ 0, 1, 2, 3, 4, 5, 6, 7 },
	{ 0, 2, 1, 3, 4, 6, 5, 7 },
	{ 0, 3, 1, 2, 4, 7, 5, 6 },
	{ 0, 4, 1, 5, 2, 6, 3, 7 },
	{ 0, 5, 1, 4, 2, 7, 3, 6 },
	{ 0, 6, 1, 7, 2, 4, 3, 5 },
	{ 0, 7, 1, 6, 2, 5, 3, 4 },
	{ 0, 7, 1, 2, 3, 5, 4, 6 },
	{ 0, 6, 1, 3, 2, 5, 4, 7 },
	{ 0, 3, 1, 6, 2, 4, 5, 7 },
	{ 0, 1, 2, 7, 3, 4, 5, 6 },
	{ 0, 2, 1, 4, 3, 5, 6, 7 },
	{ 0, 6, 1, 2, 3, 7, 4, 5 },
	{ 0, 5, 1, 7, 2, 6, 3, 4 },
	{ 0, 1, 2, 5, 3, 7, 4, 6 },
};

/* Of two quads, each of which has two quants here. */
static int
can_be_added(const int8_t *a, const int8_t *b)
{
	int magnitude = abs(a[0]) + abs(a[1]) + abs(b[0]) + abs(b[1]);
	int sum = a[0] + a[1] + b[0] + b[1];

	return REF_PAIR_MAGNITUDE * magnitude + REF_PAIR_SUM * abs(sum) <=
	    INT16_MAX;
}

/* The first order of pairs which all can be added, or 0. */
static int
order_of(const int8_t *q)
{
	const int32_t *order;
	int x, i;

	for (x = 1; x < REF_PAIR_ORDERS; x++) {
		order = ref_pair_orders[x];
		for (i = 0; i < 8; i += 2) {
			const int8_t *a = q + 4 * order[i];
			const int8_t *b = q + 4 * order[i + 1];

			if (!can_be_added(a, b) ||
			    !can_be_added(a + 2, b + 2))
				break;
		}
		if (i == 8)
			return x;
	}
	return 0;
}

static void
put_pairs(const int8_t *q, const uint8_t *mag, int x, struct act_pairs *out)
{
	int i, j, k;

	for (i = 0; i < 8; i++) {
		k = ref_pair_orders[x][i];
		memcpy(out->mag + 4 * i, mag + 4 * k, 4);
		out->at[i] = (uint16_t)(k << 10);
		for (j = 0; j < 4; j++)
			if (q[4 * k + j] < 0)
				out->at[i] |= (uint16_t)(64 << j);
	}
}

static void
quantize_sm8k(const float *x, struct act_sm8k *out, size_t n)
{
	int s, order;

	for (; n > 0; n -= 256, x += 256, out++) {
		quantize_q8k(x, &out->a, 256);
		for (s = 0; s < 8; s++) {
			const int8_t *q = out->a.q + 32 * s;

			magnitudes(q, out->mag[s]);
			order = order_of(q);
			out->apart[s] = order == 0;
			put_pairs(q, out->mag[s], order, &out->pairs[s]);
		}
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

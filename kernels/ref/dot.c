/* SPDX-License-Identifier: MIT */
/*
 * Products of weights and activations.  Within a block the arithmetic is
 * integer and exact; the blocks' contributions are summed in double, in order,
 * and rounded to float once.  The largest integer, 16 sub-blocks of Q6_K at
 * their extremes, is 16 * 128 * 16 * 32 * 127 < 2^28.
 */
#include "config.h"

#include "kernels/ref/ref.h"

#include "kernels/half.h"

static double
block_result(const struct ref_block *b, float act_d, int32_t products,
    int32_t mins)
{
	double r = (double)b->d * act_d * products;

	if (mins != 0)
		r -= (double)b->dmin * act_d * mins;
	return r;
}

static float
dot_q8(enum tensor_type t, const void *w, const void *act, size_t n)
{
	const struct act_q8 *a = act;
	const uint8_t *bytes = w;
	ref_block_fn take_apart = ref_block_of(t);
	size_t block_bytes = type_info(t)->block_bytes;
	struct ref_block b;
	double total = 0;

	for (; n > 0; n -= 32) {
		take_apart(bytes, &b);
		total += block_result(&b, a->d, ref_products(&b, a->q, 32),
		    b.min[0] * a->sum);
		bytes += block_bytes;
		a++;
	}
	return (float)total;
}

static float
dot_q8k(enum tensor_type t, const void *w, const void *act, size_t n)
{
	const struct act_q8k *a = act;
	const uint8_t *bytes = w;
	ref_block_fn take_apart = ref_block_of(t);
	size_t block_bytes = type_info(t)->block_bytes;
	struct ref_block b;
	double total = 0;
	int32_t mins;
	int s;

	for (; n > 0; n -= 256) {
		take_apart(bytes, &b);
		mins = 0;
		for (s = 0; s < 16; s++)
			mins += b.min[s] * a->sum[s];
		total += block_result(&b, a->d, ref_products(&b, a->q, 256),
		    mins);
		bytes += block_bytes;
		a++;
	}
	return (float)total;
}

#define DOT(name, loop) \
static float								\
dot_##name(const void *w, const void *act, size_t n)			\
{									\
	return loop(TYPE_##name, w, act, n);				\
}
DOT(Q4_0, dot_q8)
DOT(Q4_1, dot_q8)
DOT(Q5_0, dot_q8)
DOT(Q5_1, dot_q8)
DOT(Q8_0, dot_q8)
DOT(IQ4_NL, dot_q8)
DOT(MXFP4, dot_q8)
DOT(Q2_K, dot_q8k)
DOT(Q3_K, dot_q8k)
DOT(Q4_K, dot_q8k)
DOT(Q5_K, dot_q8k)
DOT(Q6_K, dot_q8k)
DOT(IQ4_XS, dot_q8k)

static float
dot_F32(const void *w, const void *act, size_t n)
{
	const float *a = w, *x = act;
	double total = 0;
	size_t i;

	for (i = 0; i < n; i++)
		total += (double)a[i] * x[i];
	return (float)total;
}

static float
dot_F16(const void *w, const void *act, size_t n)
{
	const uint16_t *a = w;
	const float *x = act;
	double total = 0;
	size_t i;

	for (i = 0; i < n; i++)
		total += (double)f16_to_f32(a[i]) * x[i];
	return (float)total;
}

static float
dot_BF16(const void *w, const void *act, size_t n)
{
	const uint16_t *a = w;
	const float *x = act;
	double total = 0;
	size_t i;

	for (i = 0; i < n; i++)
		total += (double)bf16_to_f32(a[i]) * x[i];
	return (float)total;
}

static float
dot_f32(const float *a, const float *b, size_t n)
{
	return dot_F32(a, b, n);
}

void
ref_table_dot(struct kern_table *t)
{
	t->dot[TYPE_F32] = dot_F32;
	t->dot[TYPE_F16] = dot_F16;
	t->dot[TYPE_BF16] = dot_BF16;
	t->dot[TYPE_Q4_0] = dot_Q4_0;
	t->dot[TYPE_Q4_1] = dot_Q4_1;
	t->dot[TYPE_Q5_0] = dot_Q5_0;
	t->dot[TYPE_Q5_1] = dot_Q5_1;
	t->dot[TYPE_Q8_0] = dot_Q8_0;
	t->dot[TYPE_Q2_K] = dot_Q2_K;
	t->dot[TYPE_Q3_K] = dot_Q3_K;
	t->dot[TYPE_Q4_K] = dot_Q4_K;
	t->dot[TYPE_Q5_K] = dot_Q5_K;
	t->dot[TYPE_Q6_K] = dot_Q6_K;
	t->dot[TYPE_IQ4_NL] = dot_IQ4_NL;
	t->dot[TYPE_IQ4_XS] = dot_IQ4_XS;
	t->dot[TYPE_MXFP4] = dot_MXFP4;
	t->dot_f32 = dot_f32;
}

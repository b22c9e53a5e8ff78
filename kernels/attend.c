/* SPDX-License-Identifier: MIT */
/*
 * What of attention is the same for all levels: the layout of a page, and
 * putting together what was computed over chunks of keys.
 */
#include "config.h"

#include "kernels/attend.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/half.h"
#include "kernels/kernels.h"

#define PIECE	128		/* elements converted at a time */
#define ALIGN	64

static size_t
n_blocks(size_t head_dim)
{
	return (head_dim + ATTEND_BLOCK - 1) / ATTEND_BLOCK;
}

size_t
attend_dims(size_t head_dim)
{
	return (head_dim + ATTEND_DIMS - 1) / ATTEND_DIMS * ATTEND_DIMS;
}

/* Of a page of n elements a key, a scale for each 32 of head_dim. */
static size_t
part_bytes(enum attend_form form, size_t n, size_t head_dim)
{
	size_t bytes = ATTEND_PAGE * (form == ATTEND_F16 ?
	    n * sizeof(uint16_t) : n + n_blocks(head_dim) * sizeof(uint16_t));

	return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

size_t
attend_key_bytes(enum attend_form form, size_t head_dim)
{
	return part_bytes(form, head_dim, head_dim);
}

size_t
attend_head_bytes(enum attend_form form, size_t head_dim)
{
	return attend_key_bytes(form, head_dim) +
	    part_bytes(form, attend_dims(head_dim), head_dim);
}

static void
store_f16(const float *k, const float *v, size_t head_dim, uint16_t *keys,
    uint16_t *values, size_t at)
{
	uint16_t half[PIECE];
	size_t n;

	for (size_t i = 0; i < head_dim; i += n) {
		n = MEM_MIN(head_dim - i, (size_t)PIECE);
		kern->f32_to_f16(k + i, half, n);
		for (size_t j = 0; j < n; j++)
			keys[(i + j) * ATTEND_PAGE + at] = half[j];
	}
	kern->f32_to_f16(v, values + at * attend_dims(head_dim), head_dim);
}

/* A block of n values: quants step bytes apart, its scale. */
static void
store_block(const float *x, size_t n, int8_t *q, size_t step, uint16_t *scale)
{
	float padded[ATTEND_BLOCK] = { 0 };
	struct act_q8 block;

	memcpy(padded, x, n * sizeof(*x));
	kern->quantize_q8(padded, &block, ATTEND_BLOCK);
	for (size_t i = 0; i < n; i++)
		q[i * step] = block.q[i];
	*scale = f16_from_f32(block.d);
}

static void
store_q8_0(const float *k, const float *v, size_t head_dim, int8_t *keys,
    int8_t *values, size_t at)
{
	size_t dims = attend_dims(head_dim), n;
	uint16_t *key_scales = (void *)(keys + head_dim * ATTEND_PAGE);
	uint16_t *value_scales = (void *)(values + dims * ATTEND_PAGE);

	for (size_t i = 0; i < head_dim; i += n) {
		size_t scale = i / ATTEND_BLOCK * ATTEND_PAGE + at;

		n = MEM_MIN(head_dim - i, (size_t)ATTEND_BLOCK);
		store_block(k + i, n, keys + i * ATTEND_PAGE + at,
		    ATTEND_PAGE, &key_scales[scale]);
		store_block(v + i, n, values + at * dims + i, 1,
		    &value_scales[scale]);
	}
}

void
attend_store(enum attend_form form, const float *k, const float *v,
    size_t head_dim, uint8_t *head, size_t at)
{
	void *keys = head, *values = head + attend_key_bytes(form, head_dim);

	if (form == ATTEND_F16)
		store_f16(k, v, head_dim, keys, values, at);
	else
		store_q8_0(k, v, head_dim, keys, values, at);
}

void
attend_tile_run(enum attend_form form, struct attend_tile *t)
{
	if (form == ATTEND_F16)
		kern->attend_f16(t);
	else
		kern->attend_q8_0(t);
}

/* 2^(max - new), where nothing at all counts nothing.  Of two weights one is
 * 1, for which no power need be computed. */
static float
weight_of(float max, float new)
{
	if (max == -INFINITY)
		return 0;
	return max == new ? 1 : exp2f(max - new);
}

void
attend_merge(float *acc, struct attend_sum *sum, const float *acc_later,
    const struct attend_sum *later, size_t n_dims)
{
	float max = fmaxf(sum->max, later->max);
	float a = weight_of(sum->max, max), b = weight_of(later->max, max);

	kern->blend(acc, a, acc_later, b, n_dims);
	sum->sum = sum->sum * a + later->sum * b;
	sum->max = max;
}

void
attend_finish(const float *acc, const struct attend_sum *sum, float *out,
    size_t head_dim)
{
	float divisor = sum->sum == 0 ? INFINITY : sum->sum;

	for (size_t i = 0; i < head_dim; i++)
		out[i] = acc[i] / divisor;
}

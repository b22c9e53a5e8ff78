/* SPDX-License-Identifier: MIT */
/*
 * The layouts of quantised blocks, each said once: a function per type takes
 * the bytes of one block apart into integers and scales (struct ref_block).
 * Unpacking and products in ref are built on these, and the faster levels are
 * tested against them.
 */
#include "config.h"

#include "kernels/ref/ref.h"

#include "kernels/half.h"

const int8_t ref_iq4_values[16] = {
	-127, -104, -83, -65, -49, -35, -22, -10,
	1, 13, 25, 38, 53, 69, 89, 113
};

const int8_t ref_mxfp4_values[16] = {
	0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12
};

/* The first half of the block is in the low nibbles. */
static void
nibbles_32(const uint8_t *qs, int8_t *q)
{
	int j;

	for (j = 0; j < 16; j++) {
		q[j] = qs[j] & 15;
		q[j + 16] = qs[j] >> 4;
	}
}

/* As nibbles_32, with bit 4 of element i in bit i of high. */
static void
five_bits_32(const uint8_t *qs, uint32_t high, int8_t *q)
{
	int i;

	nibbles_32(qs, q);
	for (i = 0; i < 32; i++)
		q[i] |= (int8_t)((high >> i & 1) << 4);
}

static void
offset(int8_t *q, int n, int by)
{
	int i;

	for (i = 0; i < n; i++)
		q[i] = (int8_t)(q[i] + by);
}

/* A block of 32 has one scale and at most one minimum. */
static void
one_scale(struct ref_block *out, float d, float dmin)
{
	out->d = d;
	out->dmin = dmin;
	out->scale[0] = out->scale[1] = 1;
	out->min[0] = out->min[1] = dmin != 0;
}

static void
block_q4_0(const uint8_t *b, struct ref_block *out)
{
	one_scale(out, f16_to_f32(load_u16(b)), 0);
	nibbles_32(b + 2, out->q);
	offset(out->q, 32, -8);
}

static void
block_q4_1(const uint8_t *b, struct ref_block *out)
{
	one_scale(out, f16_to_f32(load_u16(b)), -f16_to_f32(load_u16(b + 2)));
	nibbles_32(b + 4, out->q);
}

static void
block_q5_0(const uint8_t *b, struct ref_block *out)
{
	one_scale(out, f16_to_f32(load_u16(b)), 0);
	five_bits_32(b + 6, load_u32(b + 2), out->q);
	offset(out->q, 32, -16);
}

static void
block_q5_1(const uint8_t *b, struct ref_block *out)
{
	one_scale(out, f16_to_f32(load_u16(b)), -f16_to_f32(load_u16(b + 2)));
	five_bits_32(b + 8, load_u32(b + 4), out->q);
}

static void
block_q8_0(const uint8_t *b, struct ref_block *out)
{
	one_scale(out, f16_to_f32(load_u16(b)), 0);
	memcpy(out->q, b + 2, 32);
}

static void
through_table(int8_t *q, int n, const int8_t *table)
{
	int i;

	for (i = 0; i < n; i++)
		q[i] = table[q[i]];
}

static void
block_iq4_nl(const uint8_t *b, struct ref_block *out)
{
	one_scale(out, f16_to_f32(load_u16(b)), 0);
	nibbles_32(b + 2, out->q);
	through_table(out->q, 32, ref_iq4_values);
}

static void
block_mxfp4(const uint8_t *b, struct ref_block *out)
{
	one_scale(out, e8m0_half_to_f32(b[0]), 0);
	nibbles_32(b + 1, out->q);
	through_table(out->q, 32, ref_mxfp4_values);
}

static void
block_q2_k(const uint8_t *b, struct ref_block *out)
{
	const uint8_t *qs = b + 16;
	int i;

	out->d = f16_to_f32(load_u16(b + 80));
	out->dmin = f16_to_f32(load_u16(b + 82));
	for (i = 0; i < 16; i++) {
		out->scale[i] = b[i] & 15;
		out->min[i] = b[i] >> 4;
	}
	for (i = 0; i < 256; i++)
		out->q[i] = qs[i / 128 * 32 + i % 32] >> 2 * (i / 32 % 4) & 3;
}

void
ref_scales_q3(const uint8_t *packed, int8_t *scale)
{
	int i, low, high;

	for (i = 0; i < 16; i++) {
		low = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4;
		high = packed[8 + i % 4] >> 2 * (i / 4) & 3;
		scale[i] = (int8_t)((low | high << 4) - 32);
	}
}

static void
block_q3_k(const uint8_t *b, struct ref_block *out)
{
	const uint8_t *hmask = b, *qs = b + 32;
	int8_t scale[16];
	int i, low, high;

	ref_scales_q3(b + 96, scale);
	out->d = f16_to_f32(load_u16(b + 108));
	out->dmin = 0;
	for (i = 0; i < 16; i++) {
		out->scale[i] = scale[i];
		out->min[i] = 0;
	}
	for (i = 0; i < 256; i++) {
		low = qs[i / 128 * 32 + i % 32] >> 2 * (i / 32 % 4) & 3;
		high = hmask[i % 32] >> i / 32 & 1;
		out->q[i] = (int8_t)(low + 4 * high - 4);
	}
}

void
ref_scales_k4(const uint8_t *packed, uint8_t *scale, uint8_t *min)
{
	const uint8_t *p = packed;
	int s;

	for (s = 0; s < 4; s++) {
		scale[s] = p[s] & 63;
		min[s] = p[s + 4] & 63;
		scale[s + 4] = (uint8_t)((p[s + 8] & 15) | p[s] >> 6 << 4);
		min[s + 4] = (uint8_t)(p[s + 8] >> 4 | p[s + 4] >> 6 << 4);
	}
}

/* What Q4_K and Q5_K have in common: d, dmin, scales, and nibbles at qs. */
static void
block_k4(const uint8_t *b, const uint8_t *qs, struct ref_block *out)
{
	uint8_t scale[8], min[8];
	int i;

	out->d = f16_to_f32(load_u16(b));
	out->dmin = f16_to_f32(load_u16(b + 2));
	ref_scales_k4(b + 4, scale, min);
	for (i = 0; i < 16; i++) {
		out->scale[i] = scale[i / 2];
		out->min[i] = min[i / 2];
	}
	for (i = 0; i < 256; i++)
		out->q[i] = qs[i / 64 * 32 + i % 32] >> 4 * (i / 32 % 2) & 15;
}

static void
block_q4_k(const uint8_t *b, struct ref_block *out)
{
	block_k4(b, b + 16, out);
}

static void
block_q5_k(const uint8_t *b, struct ref_block *out)
{
	const uint8_t *qh = b + 16;
	int i;

	block_k4(b, b + 48, out);
	for (i = 0; i < 256; i++)
		out->q[i] |= (int8_t)((qh[i % 32] >> i / 32 & 1) << 4);
}

static void
block_q6_k(const uint8_t *b, struct ref_block *out)
{
	const uint8_t *ql = b, *qh = b + 128;
	int i, half, quarter, low, high;

	out->d = f16_to_f32(load_u16(b + 208));
	out->dmin = 0;
	for (i = 0; i < 16; i++) {
		out->scale[i] = (int8_t)b[192 + i];
		out->min[i] = 0;
	}
	for (i = 0; i < 256; i++) {
		half = i / 128;
		quarter = i / 32 % 4;
		low = ql[64 * half + i % 64] >> (quarter >= 2 ? 4 : 0) & 15;
		high = qh[32 * half + i % 32] >> 2 * quarter & 3;
		out->q[i] = (int8_t)((low | high << 4) - 32);
	}
}

void
ref_scales_iq4(uint16_t high, const uint8_t *low, int8_t *scale)
{
	int i;

	for (i = 0; i < 8; i++)
		scale[i] = (int8_t)(((low[i / 2] >> 4 * (i & 1) & 15) |
		    (high >> 2 * i & 3) << 4) - 32);
}

static void
block_iq4_xs(const uint8_t *b, struct ref_block *out)
{
	int8_t scale[8];
	int i;

	out->d = f16_to_f32(load_u16(b));
	out->dmin = 0;
	ref_scales_iq4(load_u16(b + 2), b + 4, scale);
	for (i = 0; i < 16; i++) {
		out->scale[i] = scale[i / 2];
		out->min[i] = 0;
	}
	for (i = 0; i < 8; i++)
		nibbles_32(b + 8 + 16 * i, out->q + 32 * i);
	through_table(out->q, 256, ref_iq4_values);
}

int32_t
ref_products(const struct ref_block *b, const int8_t *a, int n)
{
	int32_t total = 0, part;
	int i, s;

	for (s = 0; s < n / 16; s++) {
		part = 0;
		for (i = 16 * s; i < 16 * s + 16; i++)
			part += b->q[i] * a[i];
		total += b->scale[s] * part;
	}
	return total;
}

ref_block_fn
ref_block_of(enum tensor_type t)
{
	static const ref_block_fn fn[TYPE_LIMIT] = {
		[TYPE_Q4_0] = block_q4_0,
		[TYPE_Q4_1] = block_q4_1,
		[TYPE_Q5_0] = block_q5_0,
		[TYPE_Q5_1] = block_q5_1,
		[TYPE_Q8_0] = block_q8_0,
		[TYPE_Q2_K] = block_q2_k,
		[TYPE_Q3_K] = block_q3_k,
		[TYPE_Q4_K] = block_q4_k,
		[TYPE_Q5_K] = block_q5_k,
		[TYPE_Q6_K] = block_q6_k,
		[TYPE_IQ4_NL] = block_iq4_nl,
		[TYPE_IQ4_XS] = block_iq4_xs,
		[TYPE_MXFP4] = block_mxfp4,
	};

	return fn[t];
}

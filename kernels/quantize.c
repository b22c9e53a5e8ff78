/* SPDX-License-Identifier: MIT */
/*
 * Rows of floats to rows of blocks: the table of types, and the check that no
 * value is one a block can't hold.  A scale that overflows would turn a whole
 * block into infinities, so such a row is refused instead.
 */
#include "config.h"

#include "kernels/quantize.h"

#include <string.h>

#include "base/err.h"
#include "kernels/half.h"
#include "kernels/quant/quant.h"
#include "kernels/quant/search.h"

/* As bits: infinity, with all NaNs above; and 2^32, which is beyond what any
 * block with half-precision scales holds and below what makes the searches'
 * sums overflow. */
#define INFINITE	0x7f800000
#define HUGE_32		0x4f800000

static const quant_block_fn blocks[TYPE_LIMIT] = {
	[TYPE_Q4_0] = quant_q4_0,
	[TYPE_Q4_1] = quant_q4_1,
	[TYPE_Q5_0] = quant_q5_0,
	[TYPE_Q5_1] = quant_q5_1,
	[TYPE_Q8_0] = quant_q8_0,
	[TYPE_Q2_K] = quant_q2_k,
	[TYPE_Q3_K] = quant_q3_k,
	[TYPE_Q4_K] = quant_q4_k,
	[TYPE_Q5_K] = quant_q5_k,
	[TYPE_Q6_K] = quant_q6_k,
	[TYPE_IQ4_NL] = quant_iq4_nl,
	[TYPE_IQ4_XS] = quant_iq4_xs,
	[TYPE_MXFP4] = quant_mxfp4,
};

bool
quantize_fits(enum tensor_type t, size_t n)
{
	return n > 0 && n % type_info(t)->block_n == 0;
}

/* No value whose bits, without the sign, are limit or more.  The loop has no
 * exit so that it is vectorised. */
static bool
are_below(const float *x, size_t n, uint32_t limit)
{
	int bad = 0;
	size_t i;

	for (i = 0; i < n; i++)
		bad |= (f32_bits(x[i]) & 0x7fffffff) >= limit;
	return !bad;
}

static bool
to_f16(const float *x, uint8_t *out, size_t n)
{
	bool fits = true;
	size_t i;

	for (i = 0; i < n; i++)
		fits &= put_f16(out + 2 * i, x[i]);
	return fits;
}

/* Rounded to nearest even; the largest floats round to infinity. */
static bool
to_bf16(const float *x, uint8_t *out, size_t n)
{
	bool fits = true;
	uint32_t bits;
	size_t i;

	for (i = 0; i < n; i++) {
		bits = f32_bits(x[i]);
		bits += 0x7fff + (bits >> 16 & 1);
		fits &= (bits & 0x7f800000) != 0x7f800000;
		put_u16(out + 2 * i, (uint16_t)(bits >> 16));
	}
	return fits;
}

static bool
to_blocks(enum tensor_type t, const float *x, const float *importance,
    uint8_t *out, size_t n)
{
	const struct type_info *info = type_info(t);
	struct quant_in in = { .x = x, .importance = importance };
	size_t i;

	if (importance != NULL)
		in.row_mean_x2 = quant_mean_x2(x, n);
	for (i = 0; i < n; i += info->block_n) {
		if (!blocks[t](&in, out))
			return false;
		out += info->block_bytes;
		in.x += info->block_n;
		if (importance != NULL)
			in.importance += info->block_n;
	}
	return true;
}

int
quantize_row(enum tensor_type t, const float *x, const float *importance,
    void *out, size_t n)
{
	bool is_float = t == TYPE_F32 || t == TYPE_F16 || t == TYPE_BF16;
	bool fits;

	if (!are_below(x, n, is_float || t == TYPE_MXFP4 ? INFINITE : HUGE_32))
		return BM_ELIMIT;
	switch (t) {
	case TYPE_F32:
		memcpy(out, x, n * sizeof(*x));
		return 0;
	case TYPE_F16:
		fits = to_f16(x, out, n);
		break;
	case TYPE_BF16:
		fits = to_bf16(x, out, n);
		break;
	default:
		fits = to_blocks(t, x, importance, out, n);
	}
	return fits ? 0 : BM_ELIMIT;
}

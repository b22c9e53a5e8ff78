/* SPDX-License-Identifier: MIT */
/*
 * Types with blocks of 32 and no search: the scale comes from the largest
 * value.  With column weights Q4 and Q5 get a search as well.  Quants are made
 * with the scale before it is rounded to half precision.
 */
#include "config.h"

#include <math.h>
#include <stddef.h>

#include "kernels/quant/quant.h"
#include "kernels/quant/search.h"
#include "kernels/ref/ref.h"

/* The first half of the block goes into the low nibbles, bit 4 of element i
 * into bit i of the result. */
static uint32_t
put_nibbles(const uint8_t *q, uint8_t *qs)
{
	uint32_t high = 0;
	int i;

	for (i = 0; i < 16; i++)
		qs[i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
	for (i = 0; i < 32; i++)
		high |= (uint32_t)(q[i] >> 4) << i;
	return high;
}

static void
put_u32(uint8_t *to, uint32_t v)
{
	put_u16(to, (uint16_t)v);
	put_u16(to + 2, (uint16_t)(v >> 16));
}

/* How much an error of each element matters, given its column's weight. */
static void
weigh(const struct quant_in *in, lanes *w)
{
	float v;
	int i;

	for (i = 0; i < 32; i++) {
		v = in->importance[i] * sqrtf(in->row_mean_x2 +
		    in->x[i] * in->x[i]);
		w[i] = lanes_all(v);
	}
}

/* ---- scale alone: Q4_0, Q5_0 ---- */

static float
symmetric_plain(const float *x, float q_max, uint8_t *q)
{
	float d = quant_largest(x, 32) / -q_max, inverse = inverse_or_0(d);
	int i, v, most = 2 * (int)q_max - 1;

	for (i = 0; i < 32; i++) {
		v = (int)(x[i] * inverse + (q_max + 0.5f));
		q[i] = (uint8_t)(v < most ? v : most);
	}
	return d;
}

static float
symmetric_weighted(const struct quant_in *in, float q_max, uint8_t *q)
{
	lanes x[32], w[32], found[32], scale;
	int i;

	for (i = 0; i < 32; i++)
		x[i] = lanes_all(in->x[i]);
	weigh(in, w);
	scale = search_symmetric(x, w, 32, q_max, found);
	for (i = 0; i < 32; i++)
		q[i] = (uint8_t)(found[i][0] + q_max);
	return scale[0];
}

static float
symmetric(const struct quant_in *in, float q_max, uint8_t *q)
{
	return in->importance != NULL ? symmetric_weighted(in, q_max, q) :
	    symmetric_plain(in->x, q_max, q);
}

bool
quant_q4_0(const struct quant_in *in, uint8_t *out)
{
	uint8_t q[32];
	float d = symmetric(in, 8, q);

	(void)put_nibbles(q, out + 2);
	return put_f16(out, d);
}

bool
quant_q5_0(const struct quant_in *in, uint8_t *out)
{
	uint8_t q[32];
	float d = symmetric(in, 16, q);

	put_u32(out + 2, put_nibbles(q, out + 6));
	return put_f16(out, d);
}

/* ---- scale and minimum: Q4_1, Q5_1 ---- */

static float
affine_plain(const float *x, float q_max, uint8_t *q, float *out_min)
{
	float min = x[0], max = x[0], d, inverse;
	int i, v, most = (int)q_max;

	for (i = 1; i < 32; i++) {
		min = x[i] < min ? x[i] : min;
		max = x[i] > max ? x[i] : max;
	}
	d = (max - min) / q_max;
	inverse = inverse_or_0(d);
	for (i = 0; i < 32; i++) {
		v = (int)((x[i] - min) * inverse + 0.5f);
		q[i] = (uint8_t)(v < most ? v : most);
	}
	*out_min = min;
	return d;
}

static float
affine_weighted(const struct quant_in *in, float q_max, uint8_t *q,
    float *out_min)
{
	static const struct search_steps steps = { -0.9f, 0.05f, 36, 0 };
	lanes x[32], w[32], found[32], scale, min;
	int i;

	for (i = 0; i < 32; i++)
		x[i] = lanes_all(in->x[i]);
	weigh(in, w);
	scale = search_affine(x, w, 32, q_max, &steps, found, &min);
	for (i = 0; i < 32; i++)
		q[i] = (uint8_t)found[i][0];
	*out_min = -min[0];
	return scale[0];
}

static float
affine(const struct quant_in *in, float q_max, uint8_t *q, float *min)
{
	return in->importance != NULL ? affine_weighted(in, q_max, q, min) :
	    affine_plain(in->x, q_max, q, min);
}

bool
quant_q4_1(const struct quant_in *in, uint8_t *out)
{
	uint8_t q[32];
	float min, d = affine(in, 15, q, &min);

	(void)put_nibbles(q, out + 4);
	return put_f16(out, d) && put_f16(out + 2, min);
}

bool
quant_q5_1(const struct quant_in *in, uint8_t *out)
{
	uint8_t q[32];
	float min, d = affine(in, 31, q, &min);

	put_u32(out + 4, put_nibbles(q, out + 8));
	return put_f16(out, d) && put_f16(out + 2, min);
}

/* ---- the others ---- */

bool
quant_q8_0(const struct quant_in *in, uint8_t *out)
{
	float d = fabsf(quant_largest(in->x, 32)) / 127;
	float inverse = inverse_or_0(d), v, rest;
	int i, q;

	/* half away from zero; the difference is exact */
	for (i = 0; i < 32; i++) {
		v = in->x[i] * inverse;
		q = (int)v;
		rest = v - (float)q;
		q += (rest >= 0.5f) - (rest <= -0.5f);
		out[2 + i] = (uint8_t)q;
	}
	return put_f16(out, d);
}

/* The code whose value is nearest, the lower on ties. */
static uint8_t
nearest_mxfp4(float x, float d)
{
	float least = fabsf(ref_mxfp4_values[0] * d - x), e;
	uint8_t best = 0, i;

	for (i = 1; i < 16; i++) {
		e = fabsf(ref_mxfp4_values[i] * d - x);
		if (e < least) {
			least = e;
			best = i;
		}
	}
	return best;
}

bool
quant_mxfp4(const struct quant_in *in, uint8_t *out)
{
	float max = fabsf(quant_largest(in->x, 32)), d;
	uint8_t q[32];
	int i, e = 0;

	/* ilogb is the floor of the binary logarithm, exactly */
	if (max > 0)
		e = ilogbf(max) - 2 + 127;
	e = e < 0 ? 0 : e;
	d = e8m0_half_to_f32((uint8_t)e);
	for (i = 0; i < 32; i++)
		q[i] = nearest_mxfp4(in->x[i], d);
	out[0] = (uint8_t)e;
	(void)put_nibbles(q, out + 1);
	return true;
}

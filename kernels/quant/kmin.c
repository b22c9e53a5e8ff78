/* SPDX-License-Identifier: MIT */
/*
 * K types with a scale and a minimum for each sub-block: Q2_K, Q4_K, Q5_K.
 * The search gives both per sub-block; they are quantised themselves, with one
 * scale each for the block of 256, and then every element is quantised anew
 * with what a reader will compute from the stored scales.
 */
#include "config.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "kernels/quant/quant.h"
#include "kernels/quant/search.h"

#define BLOCK_N	256

/* What differs between the three. */
struct form {
	int	 n_sub;		/* sub-blocks */
	int	 sub_n;		/* their elements */
	float	 q_max;
	float	 scale_max;	/* of quantised scales and minima */
	struct search_steps steps;
};

static const struct form form_q2 = { 16, 16, 3, 15, { -0.5f, 0.1f, 15, 1 } };
static const struct form form_q4 = { 8, 32, 15, 63, { -1.0f, 0.1f, 20, 0 } };
static const struct form form_q5 = { 8, 32, 31, 63, { -0.5f, 0.1f, 15, 0 } };
/* with column weights */
static const struct search_steps weighted_steps = { -0.9f, 0.05f, 36, 0 };

struct kmin {
	float	 q[BLOCK_N];
	float	 scale[16], min[16];	/* quantised in the end */
	float	 weight[16];		/* sums over the sub-blocks */
	uint8_t	 d[2], dmin[2];		/* in half precision */
};

/* Weights of one lane group without importance. */
static void
weigh_plain(const struct form *f, const lanes *x, lanes *w)
{
	lanes sum = lanes_all(0), mean = sum;
	int i, k;

	if (!f->steps.absolute) {
		for (i = 0; i < f->sub_n; i++)
			sum += x[i] * x[i];
		for (k = 0; k < N_LANES; k++)
			mean[k] = sqrtf(sum[k] / (float)f->sub_n);
	}
	for (i = 0; i < f->sub_n; i++)
		w[i] = mean + lanes_abs(x[i]);
}

static void
weigh_by(const struct form *f, const lanes *x, const float *importance,
    float sigma2, lanes *w)
{
	int i, k;

	lanes_load(w, importance, f->sub_n);
	for (i = 0; i < f->sub_n; i++)
		for (k = 0; k < N_LANES; k++)
			w[i][k] *= sqrtf(sigma2 + x[i][k] * x[i][k]);
}

/* Scales and minima of all sub-blocks, four at a time. */
static void
search(const struct form *f, const struct quant_in *in, struct kmin *b)
{
	lanes x[SEARCH_MAX_N], w[SEARCH_MAX_N], q[SEARCH_MAX_N], scale, min;
	float sigma2 = in->importance == NULL ? 0 :
	    quant_mean_x2(in->x, BLOCK_N);
	int first, i, k, at;

	if (f->sub_n == 32)
		sigma2 *= 2;
	for (first = 0; first < f->n_sub; first += N_LANES) {
		at = first * f->sub_n;
		lanes_load(x, in->x + at, f->sub_n);
		if (in->importance != NULL)
			weigh_by(f, x, in->importance + at, sigma2, w);
		else
			weigh_plain(f, x, w);
		scale = search_affine(x, w, f->sub_n, f->q_max,
		    in->importance != NULL ? &weighted_steps : &f->steps, q,
		    &min);
		for (k = 0; k < N_LANES; k++) {
			b->scale[first + k] = scale[k];
			b->min[first + k] = min[k];
			b->weight[first + k] = 0;
			for (i = 0; i < f->sub_n; i++) {
				b->q[at + k * f->sub_n + i] = q[i][k];
				b->weight[first + k] += w[i][k];
			}
		}
	}
}

/* v becomes its quants, 0 .. scale_max, and their scale is stored; false when
 * that overflows.  weight: of each sub-block, or NULL. */
static bool
quantize_scales(const struct form *f, float *v, const float *weight,
    uint8_t *stored)
{
	float max = 0, inverse, q[16];
	int i;

	if (weight != NULL) {
		max = search_positive(v, weight, f->n_sub, f->scale_max, q);
		memcpy(v, q, (size_t)f->n_sub * sizeof(*q));
		return put_f16(stored, max);
	}
	for (i = 0; i < f->n_sub; i++)
		max = v[i] > max ? v[i] : max;
	inverse = max > 0x1p-110f ? f->scale_max / max : 0;
	for (i = 0; i < f->n_sub; i++)
		v[i] = clampf(round_even(inverse * v[i]), 0, f->scale_max);
	return put_f16(stored, max / f->scale_max);
}

/* All elements again, with the scales as they will be read. */
static void
requantize(const struct form *f, const float *x, struct kmin *b)
{
	float d_block = get_f16(b->d), min_block = get_f16(b->dmin), d, m;
	int s, i;

	for (s = 0; s < f->n_sub; s++) {
		d = d_block * b->scale[s];
		if (d == 0)
			continue;
		m = min_block * b->min[s];
		for (i = s * f->sub_n; i < (s + 1) * f->sub_n; i++)
			b->q[i] = clampf(round_even((x[i] + m) / d), 0,
			    f->q_max);
	}
}

static bool
quantize(const struct form *f, const struct quant_in *in, struct kmin *b)
{
	const float *weight = in->importance != NULL ? b->weight : NULL;

	search(f, in, b);
	if (!quantize_scales(f, b->scale, weight, b->d) ||
	    !quantize_scales(f, b->min, weight, b->dmin))
		return false;
	requantize(f, in->x, b);
	return true;
}

bool
quant_q2_k(const struct quant_in *in, uint8_t *out)
{
	struct kmin b;
	uint8_t *qs = out + 16;
	int i, j, h;

	if (!quantize(&form_q2, in, &b))
		return false;
	for (i = 0; i < 16; i++)
		out[i] = (uint8_t)((int)b.scale[i] | (int)b.min[i] << 4);
	memset(qs, 0, 64);
	for (h = 0; h < 2; h++)
		for (j = 0; j < 4; j++)
			for (i = 0; i < 32; i++)
				qs[32 * h + i] |= (uint8_t)((int)
				    b.q[128 * h + 32 * j + i] << 2 * j);
	memcpy(out + 80, b.d, 2);
	memcpy(out + 82, b.dmin, 2);
	return true;
}

/* The 8 scales and minima of six bits in 12 bytes. */
static void
put_scales(const struct kmin *b, uint8_t *to)
{
	int s, scale, min;

	memset(to, 0, 12);
	for (s = 0; s < 8; s++) {
		scale = (int)b->scale[s];
		min = (int)b->min[s];
		if (s < 4) {
			to[s] |= (uint8_t)scale;
			to[s + 4] |= (uint8_t)min;
			continue;
		}
		to[s + 4] = (uint8_t)((scale & 15) | (min & 15) << 4);
		to[s - 4] |= (uint8_t)((scale >> 4) << 6);
		to[s] |= (uint8_t)((min >> 4) << 6);
	}
}

static void
put_low_nibbles(const struct kmin *b, uint8_t *qs)
{
	int p, i;

	for (p = 0; p < 4; p++)
		for (i = 0; i < 32; i++)
			qs[32 * p + i] = (uint8_t)(
			    ((int)b->q[64 * p + i] & 15) |
			    ((int)b->q[64 * p + 32 + i] & 15) << 4);
}

bool
quant_q4_k(const struct quant_in *in, uint8_t *out)
{
	struct kmin b;

	if (!quantize(&form_q4, in, &b))
		return false;
	memcpy(out, b.d, 2);
	memcpy(out + 2, b.dmin, 2);
	put_scales(&b, out + 4);
	put_low_nibbles(&b, out + 16);
	return true;
}

bool
quant_q5_k(const struct quant_in *in, uint8_t *out)
{
	struct kmin b;
	uint8_t *high = out + 16;
	int s, i;

	if (!quantize(&form_q5, in, &b))
		return false;
	memcpy(out, b.d, 2);
	memcpy(out + 2, b.dmin, 2);
	put_scales(&b, out + 4);
	memset(high, 0, 32);
	for (s = 0; s < 8; s++)
		for (i = 0; i < 32; i++)
			high[i] |= (uint8_t)(((int)b.q[32 * s + i] >> 4) << s);
	put_low_nibbles(&b, out + 48);
	return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * K types with a signed scale for each 16 elements and no minimum: Q3_K, Q6_K.
 * The scale that is largest in size becomes the most negative quantised one,
 * so the scale of the block has the opposite sign.
 */
#include "config.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "kernels/quant/quant.h"
#include "kernels/quant/search.h"

#define BLOCK_N	256
#define N_SUB	16
#define SUB_N	16

struct ksym {
	float	 q[BLOCK_N];	/* -q_max .. q_max - 1 */
	float	 scale[N_SUB];	/* quantised in the end */
	float	 weight[N_SUB];	/* sums over the sub-blocks */
	uint8_t	 d[2];		/* in half precision */
};

enum weighing { BY_X2, BY_IMPORTANCE, BY_IMPORTANCE_AND_X };

static void
weigh(enum weighing how, const float *importance, float sigma2,
    const lanes *x, lanes *w)
{
	int i, k;

	lanes_load(w, importance, SUB_N);
	for (i = 0; how == BY_IMPORTANCE_AND_X && i < SUB_N; i++)
		for (k = 0; k < N_LANES; k++)
			w[i][k] *= sqrtf(sigma2 + x[i][k] * x[i][k]);
}

/* Scales of the 16 sub-blocks, four at a time. */
static void
search(const struct quant_in *in, enum weighing how, float q_max,
    bool by_descent, struct ksym *b)
{
	lanes x[SUB_N], w[SUB_N], q[SUB_N], scale;
	float sigma2 = how != BY_IMPORTANCE_AND_X ? 0 :
	    2 * quant_mean_x2(in->x, BLOCK_N);
	int first, i, k;

	memset(w, 0, sizeof(w));
	for (first = 0; first < N_SUB; first += N_LANES) {
		lanes_load(x, in->x + first * SUB_N, SUB_N);
		if (how != BY_X2)
			weigh(how, in->importance + first * SUB_N, sigma2, x,
			    w);
		scale = by_descent ? search_descent(x, SUB_N, q_max, q) :
		    search_symmetric(x, how != BY_X2 ? w : NULL, SUB_N, q_max,
		    q);
		for (k = 0; k < N_LANES; k++) {
			b->scale[first + k] = scale[k];
			b->weight[first + k] = 0;
			for (i = 0; i < SUB_N; i++) {
				b->q[(first + k) * SUB_N + i] = q[i][k];
				b->weight[first + k] += w[i][k];
			}
		}
	}
}

/* Scales to -limit .. limit - 1 and the block's scale stored.  False when that
 * one overflows; a block of zeros is all zeros. */
static bool
quantize_scales(struct ksym *b, float limit, float low)
{
	float max = quant_largest(b->scale, N_SUB), inverse;
	int i;

	if (fabsf(max) < QUANT_TINY) {
		memset(b->scale, 0, sizeof(b->scale));
		put_u16(b->d, 0);
		return true;
	}
	inverse = -limit / max;
	for (i = 0; i < N_SUB; i++)
		b->scale[i] = clampf(round_even(inverse * b->scale[i]), low,
		    limit - 1);
	return put_f16(b->d, 1 / inverse);
}

/* All elements again, with the scales as they will be read. */
static void
requantize(const float *x, float q_max, struct ksym *b)
{
	float d_block = get_f16(b->d), d;
	int s, i;

	for (s = 0; s < N_SUB; s++) {
		d = d_block * b->scale[s];
		if (d == 0)
			continue;
		for (i = s * SUB_N; i < (s + 1) * SUB_N; i++)
			b->q[i] = clampf(round_even(x[i] / d), -q_max,
			    q_max - 1);
	}
}

bool
quant_q6_k(const struct quant_in *in, uint8_t *out)
{
	struct ksym b;
	uint8_t *ql = out, *qh = out + 128;
	int h, i, q[4], j;

	search(in, in->importance != NULL ? BY_IMPORTANCE : BY_X2, 32, false,
	    &b);
	if (!quantize_scales(&b, 128, -128))
		return false;
	if (load_u16(b.d) == 0 && quant_largest(b.scale, N_SUB) == 0) {
		memset(out, 0, 210);
		return true;
	}
	requantize(in->x, 32, &b);
	for (h = 0; h < 2; h++)
		for (i = 0; i < 32; i++) {
			for (j = 0; j < 4; j++)
				q[j] = (int)b.q[128 * h + 32 * j + i] + 32;
			ql[64 * h + i] = (uint8_t)((q[0] & 15) |
			    (q[2] & 15) << 4);
			ql[64 * h + 32 + i] = (uint8_t)((q[1] & 15) |
			    (q[3] & 15) << 4);
			qh[32 * h + i] = (uint8_t)(q[0] >> 4 |
			    q[1] >> 4 << 2 | q[2] >> 4 << 4 | q[3] >> 4 << 6);
		}
	for (i = 0; i < N_SUB; i++)
		out[192 + i] = (uint8_t)(int8_t)b.scale[i];
	memcpy(out + 208, b.d, 2);
	return true;
}

/* With column weights the scales are fitted as the elements are. */
static bool
fit_scales(struct ksym *b)
{
	lanes x[N_SUB], w[N_SUB], q[N_SUB], d;
	int i;

	for (i = 0; i < N_SUB; i++) {
		x[i] = lanes_all(b->scale[i]);
		w[i] = lanes_all(b->weight[i]);
	}
	d = search_symmetric(x, w, N_SUB, 32, q);
	for (i = 0; i < N_SUB; i++)
		b->scale[i] = d[0] == 0 ? 0 : q[i][0];
	return put_f16(b->d, d[0]);
}

/* The 16 scales of six bits, 32 added, in 12 bytes. */
static void
put_scales_q3(const struct ksym *b, uint8_t *to)
{
	int s, v;

	memset(to, 0, 12);
	for (s = 0; s < N_SUB; s++) {
		v = (int)b->scale[s] + 32;
		to[s % 8] |= (uint8_t)((v & 15) << (s < 8 ? 0 : 4));
		to[8 + s % 4] |= (uint8_t)(v >> 4 << 2 * (s / 4));
	}
}

bool
quant_q3_k(const struct quant_in *in, uint8_t *out)
{
	struct ksym b;
	uint8_t *high = out, *qs = out + 32;
	int e, i, q;

	if (in->importance != NULL)
		search(in, BY_IMPORTANCE_AND_X, 4, false, &b);
	else
		search(in, BY_X2, 4, true, &b);
	if (in->importance != NULL ? !fit_scales(&b) :
	    !quantize_scales(&b, 32, -32))
		return false;
	requantize(in->x, 4, &b);
	memset(out, 0, 96);
	for (e = 0; e < BLOCK_N; e++) {
		q = (int)b.q[e] + 4;
		i = e % 32;
		high[i] |= (uint8_t)(q >> 2 << e / 32);
		qs[e / 128 * 32 + i] |= (uint8_t)((q & 3) << e / 32 % 4 * 2);
	}
	put_scales_q3(&b, out + 96);
	memcpy(out + 108, b.d, 2);
	return true;
}

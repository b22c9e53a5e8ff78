/* SPDX-License-Identifier: MIT */
/*
 * Types whose quants are indices into a table of 16 uneven steps: IQ4_NL with
 * a scale in half precision for 32 elements, IQ4_XS with eight scales of six
 * bits in a block of 256.
 */
#include "config.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "kernels/quant/quant.h"
#include "kernels/ref/ref.h"

#define SUB_N		32
#define N_TRIES		7	/* scales to either side of the first */
/* Twice the table's ends, and the room between. */
#define LOW2		(2 * -127)
#define HIGH2		(2 * 113)

/*
 * The index of the value nearest to v; the higher one on ties.  All midpoints
 * between neighbours of the table are multiples of a half, so the whole number
 * below 2 v decides.
 */
#define FROM(twice) (twice) - LOW2
static const uint8_t nearest[HIGH2 - LOW2 + 1] = {
	[FROM(-231) ... FROM(-188)] = 1, [FROM(-187) ... FROM(-149)] = 2,
	[FROM(-148) ... FROM(-115)] = 3, [FROM(-114) ... FROM(-85)] = 4,
	[FROM(-84) ... FROM(-58)] = 5, [FROM(-57) ... FROM(-33)] = 6,
	[FROM(-32) ... FROM(-10)] = 7, [FROM(-9) ... FROM(13)] = 8,
	[FROM(14) ... FROM(37)] = 9, [FROM(38) ... FROM(62)] = 10,
	[FROM(63) ... FROM(90)] = 11, [FROM(91) ... FROM(121)] = 12,
	[FROM(122) ... FROM(157)] = 13, [FROM(158) ... FROM(201)] = 14,
	[FROM(202) ... FROM(HIGH2)] = 15
};

static inline uint8_t
index_of(float v)
{
	float twice = clampf(2 * v, LOW2, HIGH2);
	int whole = (int)twice;

	whole -= (float)whole > twice;
	return nearest[whole - LOW2];
}

struct fit {
	float	 qx, qq;	/* weighted sums of q x and q q */
};

static struct fit
fit_with(const float *x, const float *w, float inverse)
{
	struct fit f = { 0 };
	float q, wq;
	int i;

	for (i = 0; i < SUB_N; i++) {
		q = ref_iq4_values[index_of(inverse * x[i])];
		wq = w[i] * q;
		f.qx += wq * x[i];
		f.qq += wq * q;
	}
	return f;
}

/* The scale of 32 elements; 0 when all are. */
static float
search(const float *x, const float *w)
{
	float size = 0, max = 0, d, best;
	struct fit f;
	int i;

	for (i = 0; i < SUB_N; i++)
		if (fabsf(x[i]) > size) {
			size = fabsf(x[i]);
			max = x[i];
		}
	if (size < QUANT_TINY)
		return 0;
	f = fit_with(x, w, 1 / (-max / ref_iq4_values[0]));
	d = f.qx / f.qq;
	best = d * f.qx;
	for (i = -N_TRIES; i <= N_TRIES; i++) {
		f = fit_with(x, w, (float)(i + ref_iq4_values[0]) / max);
		if (f.qq > 0 && f.qx * f.qx > best * f.qq) {
			d = f.qx / f.qq;
			best = d * f.qx;
		}
	}
	return isfinite(d) ? d : 0;
}

/* sigma2 counts only with column weights. */
static float
search_sub(const struct quant_in *in, int at, float sigma2)
{
	const float *x = in->x + at;
	float w[SUB_N];
	int i;

	for (i = 0; i < SUB_N; i++)
		w[i] = in->importance == NULL ? x[i] * x[i] :
		    in->importance[at + i] * sqrtf(sigma2 + x[i] * x[i]);
	return search(x, w);
}

static float
mean_x2(const float *x, int n)
{
	float sum = 0;
	int i;

	for (i = 0; i < n; i++)
		sum += x[i] * x[i];
	return sum / (float)n;
}

static void
put_quants(const float *x, float d, uint8_t *qs)
{
	float inverse = inverse_or_0(d);
	int i;

	for (i = 0; i < 16; i++)
		qs[i] = (uint8_t)(index_of(inverse * x[i]) |
		    index_of(inverse * x[i + 16]) << 4);
}

bool
quant_iq4_nl(const struct quant_in *in, uint8_t *out)
{
	float d = search_sub(in, 0, 2 * mean_x2(in->x, SUB_N));

	put_quants(in->x, d, out + 2);
	return put_f16(out, d);
}

bool
quant_iq4_xs(const struct quant_in *in, uint8_t *out)
{
	float scale[8], sigma2 = 2 * mean_x2(in->x, 256), size = 0, max = 0;
	float d, inverse, q;
	int s, v;

	for (s = 0; s < 8; s++) {
		scale[s] = search_sub(in, SUB_N * s, sigma2);
		if (fabsf(scale[s]) > size) {
			size = fabsf(scale[s]);
			max = scale[s];
		}
	}
	d = -max / 32;
	inverse = inverse_or_0(d);
	memset(out + 2, 0, 6);
	for (s = 0; s < 8; s++) {
		q = clampf(round_even(inverse * scale[s]), -32, 31);
		put_quants(in->x + SUB_N * s, d * q, out + 8 + 16 * s);
		v = (int)q + 32;
		out[4 + s / 2] |= (uint8_t)((v & 15) << 4 * (s % 2));
		out[2 + s / 4] |= (uint8_t)(v >> 4 << s % 4 * 2);
	}
	return put_f16(out, d);
}

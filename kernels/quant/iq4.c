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
#include "kernels/quant/search.h"
#include "kernels/ref/ref.h"

#define SUB_N		32
#define N_TRIES		7	/* scales to either side of the first */
#define N_GROUPS	((2 * N_TRIES + 2) / N_LANES)
/* Twice the table's ends, and the room between. */
#define LOW2		(2 * -127)
#define HIGH2		(2 * 113)

/*
 * The index of the value nearest to v; the higher one on ties.  All midpoints
 * between neighbours of the table are multiples of a half, so the whole number
 * below 2 v decides.
 */
#define STEPS \
	S(LOW2, -232, 0, -127) S(-231, -188, 1, -104) S(-187, -149, 2, -83) \
	S(-148, -115, 3, -65) S(-114, -85, 4, -49) S(-84, -58, 5, -35) \
	S(-57, -33, 6, -22) S(-32, -10, 7, -10) S(-9, 13, 8, 1) \
	S(14, 37, 9, 13) S(38, 62, 10, 25) S(63, 90, 11, 38) \
	S(91, 121, 12, 53) S(122, 157, 13, 69) S(158, 201, 14, 89) \
	S(202, HIGH2, 15, 113)
static const uint8_t nearest[HIGH2 - LOW2 + 1] = {
#define S(from, to, index, value) [(from) - LOW2 ... (to) - LOW2] = index,
	STEPS
#undef S
};
/* The same, as values. */
static const float nearest_value[HIGH2 - LOW2 + 1] = {
#define S(from, to, index, value) [(from) - LOW2 ... (to) - LOW2] = value,
	STEPS
#undef S
};

static inline uint8_t
index_of(float v)
{
	float twice = clampf(2 * v, LOW2, HIGH2);
	int whole = (int)twice;

	whole -= (float)whole > twice;
	return nearest[whole - LOW2];
}

/* Weighted sums of q x and q q. */
struct fit {
	lanes	 qx, qq;
};

/* The values nearest to v, as above. */
static inline lanes
value_of(lanes v)
{
	lanes twice = lanes_clamp(v + v, lanes_all(LOW2), lanes_all(HIGH2));
	lane_mask whole = __builtin_convertvector(twice, lane_mask);

	whole += __builtin_convertvector(whole, lanes) > twice;
	whole -= LOW2;
	return (lanes){ nearest_value[whole[0]], nearest_value[whole[1]],
	    nearest_value[whole[2]], nearest_value[whole[3]] };
}

/* Four scales at once for the same elements. */
static struct fit
fit_with(const float *x, const float *w, lanes inverse)
{
	struct fit f = { lanes_all(0), lanes_all(0) };
	lanes q, wq;
	int i;

	for (i = 0; i < SUB_N; i++) {
		q = value_of(inverse * x[i]);
		wq = w[i] * q;
		f.qx += wq * x[i];
		f.qq += wq * q;
	}
	return f;
}

/* The inverse scales to try: the obvious one, then those around it. */
static void
inverses(float max, lanes *to)
{
	int i;

	to[0][0] = 1 / (-max / ref_iq4_values[0]);
	for (i = -N_TRIES; i <= N_TRIES; i++)
		to[(i + N_TRIES + 1) / N_LANES][(i + N_TRIES + 1) % N_LANES] =
		    (float)(i + ref_iq4_values[0]) / max;
}

/* The scale of 32 elements; 0 when all are. */
static float
search(const float *x, const float *w)
{
	float max = quant_largest(x, SUB_N), d = 0, best = 0, qx, qq;
	lanes inverse[N_GROUPS];
	struct fit f;
	int g, k;

	if (fabsf(max) < QUANT_TINY)
		return 0;
	inverses(max, inverse);
	for (g = 0; g < N_GROUPS; g++) {
		f = fit_with(x, w, inverse[g]);
		for (k = 0; k < N_LANES; k++) {
			qx = f.qx[k];
			qq = f.qq[k];
			/* best starts at 0: the first counts if it can */
			if (qq > 0 && qx * qx > best * qq) {
				d = qx / qq;
				best = d * qx;
			}
		}
	}
	return d;
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
	float d = search_sub(in, 0, 2 * quant_mean_x2(in->x, SUB_N));

	put_quants(in->x, d, out + 2);
	return put_f16(out, d);
}

bool
quant_iq4_xs(const struct quant_in *in, uint8_t *out)
{
	float scale[8], sigma2 = 2 * quant_mean_x2(in->x, 256), d, inverse, q;
	int s, v;

	for (s = 0; s < 8; s++)
		scale[s] = search_sub(in, SUB_N * s, sigma2);
	d = -quant_largest(scale, 8) / 32;
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

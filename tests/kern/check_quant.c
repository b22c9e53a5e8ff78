/* SPDX-License-Identifier: MIT */
/*
 * Quantisation of activations and conversion to halves: every level gives the
 * same bits as ref, and ref is right by definition-independent properties.
 */
#include "config.h"

#include "check.h"

#include <math.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/matmul.h"
#include "kernels/ref/ref.h"

#define MAX_N 2048
#define N_HOSTILE 6

/* Put an infinity, a NaN, a signalling NaN, the largest number, the smallest
 * denormal or values halfway between two quants somewhere. */
static void
make_hostile(struct rng *r, float *x, size_t n, int kind)
{
	static const uint32_t bits[] = {
		0x7f800000, 0xffc00001, 0x7f800001, 0x7f7fffff, 1
	};
	size_t i;

	if (n == 0)
		return;
	if (kind < 5) {
		x[rng_u64(r) % n] = f32_from_bits(bits[kind]);
		return;
	}
	for (i = 0; i < n; i++)
		x[i] = (float)((int)(rng_u64(r) % 254) - 127) + 0.5f;
	for (i = 0; i < n; i += 32)
		x[i] = 127;
}

/* NAN if it is nowhere. */
static double
paired_quant(const struct act_pairs *p, size_t i)
{
	size_t k;

	for (k = 0; k < 8; k++)
		if ((size_t)p->at[k] >> 10 == i / 4)
			return p->at[k] >> (6 + i % 4) & 1 ?
			    -(double)p->mag[4 * k + i % 4] :
			    (double)p->mag[4 * k + i % 4];
	return NAN;
}

/* What two quants of neighbours make of the worst values fits 16 bits. */
static bool
can_be_added(const struct act_pairs *p, size_t place)
{
	double least = 0, most = 0;
	size_t i;

	for (i = 0; i < 4; i++) {
		size_t k = place / 4 + i / 2, j = place % 4 + i % 2;
		double q = paired_quant(p, 4 * (p->at[k] >> 10) + j);
		double low = q * ref_iq4_values[0];
		double high = q * ref_iq4_values[15];

		least += fmin(low, high);
		most += fmax(low, high);
	}
	return least >= INT16_MIN && most <= INT16_MAX;
}

static bool
pairs_fit(const struct act_sm8k *a, size_t s)
{
	size_t i;

	if (a->apart[s])
		return true;
	for (i = 0; i < 32; i += 8)
		if (!can_be_added(&a->pairs[s], i) ||
		    !can_be_added(&a->pairs[s], i + 2))
			return false;
	return true;
}

/* The quant, if what else the form has of it agrees; or else NAN. */
static double
sm8k_quant(const struct act_sm8k *a, size_t i)
{
	size_t s = i / 32;
	double q = paired_quant(&a->pairs[s], i % 32);

	return q == a->a.q[i] && fabs(q) == a->mag[s][i % 32] &&
	    pairs_fit(a, s) ? q : NAN;
}

/* Of ref, where d is a number: no value is off by more than half a step. */
static bool
half_a_step(struct check *c, enum act_form form, const float *x,
    const void *act, size_t n)
{
	const struct act_q8 *q8 = act;
	const struct act_q8k *q8k = act;
	const struct act_q16 *q16 = act;
	const struct act_sm8 *sm8 = act;
	const struct act_sm8k *sm8k = act;
	double d = 0, q = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		switch (form) {
		case ACT_Q8:
			d = q8[i / 32].d;
			q = q8[i / 32].q[i % 32];
			break;
		case ACT_Q8K:
			d = q8k[i / 256].d;
			q = q8k[i / 256].q[i % 256];
			break;
		case ACT_Q16:
			d = q16[i / 32].d;
			q = q16[i / 32].q[i % 32];
			break;
		case ACT_SM8:
			d = sm8[i / 32].a.d;
			q = sm8[i / 32].a.q[i % 32];
			if (fabs(q) != sm8[i / 32].mag[i % 32])
				return fail(c, "a wrong magnitude");
			break;
		case ACT_SM8K:
			d = sm8k[i / 256].a.d;
			q = sm8k_quant(&sm8k[i / 256], i % 256);
			break;
		case ACT_F32:
			break;
		}
		if (isnan(d))
			continue;
		if (!(fabs(q) <= 127))
			return fail(c, "quant %g", q);
		if (fabs(x[i] - d * q) > d * 0.50002 + 0x1p-100)
			return fail(c, "%g became %g", (double)x[i], d * q);
	}
	return true;
}

static void
quantize(const struct kern_table *t, enum act_form form, const float *x,
    void *out, size_t n)
{
	switch (form) {
	case ACT_Q8:
		t->quantize_q8(x, out, n);
		break;
	case ACT_Q8K:
		t->quantize_q8k(x, out, n);
		break;
	case ACT_Q16:
		t->quantize_q16(x, out, n);
		break;
	case ACT_SM8:
		t->quantize_sm8(x, out, n);
		break;
	case ACT_SM8K:
		t->quantize_sm8k(x, out, n);
		break;
	case ACT_F32:
		break;
	}
}

static bool
try_quantize(struct check *c, enum act_form form, size_t n, enum shape shape,
    int hostile)
{
	static _Alignas(8) char want[MAX_N / 256 * sizeof(struct act_sm8k)];
	struct rng r = rng_of(c, n, (uint64_t)shape * 16 + (uint64_t)hostile);
	enum place place = (enum place)(rng_u64(&r) % PLACE_LIMIT);
	size_t bytes = act_row_bytes(form, n);
	float *x = area_get(AREA_X, place, n * sizeof(*x), 4);
	void *got = area_get(AREA_OUT, place, bytes, 4);

	try_input(c, "n %zu, %s, hostile value %d", n, shape_name(shape),
	    hostile);
	fill_floats(&r, shape, x, n);
	if (hostile < N_HOSTILE)
		make_hostile(&r, x, n, hostile);
	quantize(c->ref, form, x, want, n);
	quantize(c->now, form, x, got, n);
	if (memcmp(got, want, bytes) != 0)
		return fail(c, "bits differ from ref");
	return half_a_step(c, form, x, got, n) && areas_whole(c);
}

static bool
check_quantize(struct check *c, enum act_form form)
{
	size_t block = form == ACT_Q8K || form == ACT_SM8K ? 256 : 32, n;
	int shape, hostile;

	for (n = 0; n <= MAX_N; n += n < 8 * block ? block : 7 * block)
		for (shape = 0; shape < SHAPE_LIMIT; shape++)
			for (hostile = 0; hostile <= N_HOSTILE; hostile++)
				if (!try_quantize(c, form, n, shape, hostile))
					return false;
	return true;
}

bool
check_quantize_q8(struct check *c)
{
	return check_quantize(c, ACT_Q8);
}

bool
check_quantize_q16(struct check *c)
{
	return check_quantize(c, ACT_Q16);
}

bool
check_quantize_q8k(struct check *c)
{
	return check_quantize(c, ACT_Q8K);
}

bool
check_quantize_sm8(struct check *c)
{
	return check_quantize(c, ACT_SM8);
}

bool
check_quantize_sm8k(struct check *c)
{
	return check_quantize(c, ACT_SM8K);
}

/* Between neighbouring halves: the midpoint goes to the even one, the floats
 * beside it to the nearer one. */
static bool
halves_round(struct check *c)
{
	uint32_t h;
	uint16_t got[4];
	float x[4];

	for (h = 0; h < 0x7bff; h++) {
		double mid = ((double)f16_to_f32((uint16_t)h) +
		    f16_to_f32((uint16_t)(h + 1))) / 2;

		try_input(c, "between halves %04x and %04x", h, h + 1);
		x[0] = f16_to_f32((uint16_t)h);
		x[1] = nextafterf((float)mid, 0);
		x[2] = (float)mid;
		x[3] = nextafterf((float)mid, INFINITY);
		c->now->f32_to_f16(x, got, 4);
		if (got[0] != h || got[1] != h || got[2] != h + (h & 1) ||
		    got[3] != h + 1)
			return fail(c, "got %04x %04x %04x %04x", got[0],
			    got[1], got[2], got[3]);
	}
	x[0] = 65519.996f;
	x[1] = 65520;
	x[2] = -INFINITY;
	x[3] = -0x1p-26f;
	try_input(c, "limits of halves");
	c->now->f32_to_f16(x, got, 4);
	if (got[0] != 0x7bff || got[1] != 0x7c00 || got[2] != 0xfc00 ||
	    got[3] != 0x8000)
		return fail(c, "got %04x %04x %04x %04x", got[0], got[1],
		    got[2], got[3]);
	return true;
}

bool
check_f32_to_f16(struct check *c)
{
	uint16_t want[MAX_N], *got;
	size_t i, k, n;
	float *x;

	for (k = 0; k < n_odd_lengths * 16; k++) {
		struct rng r = rng_of(c, k, 16);
		enum place place = (enum place)(k % PLACE_LIMIT);

		n = odd_lengths[k / 16];
		try_input(c, "n %zu, random bits, round %zu", n, k % 16);
		x = area_get(AREA_X, place, n * sizeof(*x), 4);
		got = area_get(AREA_OUT, place, n * sizeof(*got), 2);
		for (i = 0; i < n; i++)
			x[i] = f32_from_bits((uint32_t)rng_u64(&r));
		/* halves' exponents are rare among random bits */
		for (i = 0; i < n; i += 2)
			x[i] = ldexpf(rng_float(&r),
			    (int)(rng_u64(&r) % 48) - 28);
		c->ref->f32_to_f16(x, want, n);
		c->now->f32_to_f16(x, got, n);
		if (memcmp(got, want, n * sizeof(*got)) != 0)
			return fail(c, "bits differ from ref");
		if (!areas_whole(c))
			return false;
	}
	return halves_round(c);
}

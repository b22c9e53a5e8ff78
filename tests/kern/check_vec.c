/* SPDX-License-Identifier: MIT */
/*
 * Row kernels against double precision.  Each tolerance is said where it is
 * used, in units of 2^-24 of the result (half an ulp).
 */
#include "config.h"

#include "check.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/half.h"

#define MAX_N	1024
#define HALF_ULP 0x1p-24

/* got may differ from want by half_ulps of want and by tiny.  Where want is
 * beyond float, got must be infinite as well. */
static bool
is_close(struct check *c, size_t i, float got, double want, double half_ulps,
    double tiny)
{
	if (!isfinite((float)want))
		return !isfinite(got) ? true :
		    fail(c, "element %zu: got %.9g, want %g", i, (double)got,
		    want);
	if (fabs(got - want) <= half_ulps * HALF_ULP * fabs(want) + tiny)
		return true;
	return fail(c, "element %zu: got %.9g, want %.9g", i, (double)got,
	    want);
}

struct input {
	size_t		 n;
	enum shape	 shape;
	enum place	 place;
	struct rng	 rng;
};

/* Call fn for every length, shape and place. */
static bool
for_inputs(struct check *c, bool (*fn)(struct check *, struct input *))
{
	struct input in;
	size_t i;
	int s, p;

	for (i = 0; i < n_odd_lengths; i++)
		for (s = 0; s < SHAPE_LIMIT; s++)
			for (p = 0; p < PLACE_LIMIT; p++) {
				in.n = odd_lengths[i];
				in.shape = (enum shape)s;
				in.place = (enum place)p;
				in.rng = rng_of(c, in.n, (uint64_t)(s * 8 + p));
				try_input(c, "n %zu, %s, place %d", in.n,
				    shape_name(in.shape), p);
				if (!fn(c, &in) || !areas_whole(c))
					return false;
			}
	return true;
}

static float *
floats(struct input *in, int area)
{
	float *x = area_get(area, in->place, in->n * sizeof(*x), 4);

	fill_floats(&in->rng, in->shape, x, in->n);
	return x;
}

static bool
try_add(struct check *c, struct input *in)
{
	float *x = floats(in, AREA_X), *y = floats(in, AREA_OUT);
	float want[MAX_N];
	size_t i;

	for (i = 0; i < in->n; i++)
		want[i] = y[i] + x[i];
	c->now->add(x, y, in->n);
	if (memcmp(y, want, in->n * sizeof(*y)) != 0)
		return fail(c, "bits differ from float addition");
	return true;
}

bool
check_add(struct check *c)
{
	return for_inputs(c, try_add);
}

static bool
try_blend(struct check *c, struct input *in)
{
	float *x = floats(in, AREA_X), *y = floats(in, AREA_OUT);
	float want[MAX_N], a = 0.7f, b = 1.1f;

	for (size_t i = 0; i < in->n; i++) {
		float ay = a * y[i], bx = b * x[i];

		want[i] = ay + bx;
	}
	c->now->blend(y, a, x, b, in->n);
	if (memcmp(y, want, in->n * sizeof(*y)) != 0)
		return fail(c, "bits differ from float products, added");
	return true;
}

bool
check_blend(struct check *c)
{
	return for_inputs(c, try_blend);
}

static double
rms_scale(const float *x, size_t n, float eps)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += (double)x[i] * x[i];
	return 1 / sqrt(sum / (double)n + eps);
}

/* Three roundings: of the scale and of two products. */
static bool
try_rms_norm(struct check *c, struct input *in)
{
	float *x = floats(in, AREA_X), w[MAX_N], in_place[MAX_N];
	float *out = area_get(AREA_OUT, in->place, in->n * sizeof(*out), 4);
	float eps = 1e-6f;
	double scale;
	size_t i;

	/* squares beyond float */
	for (i = 0; in->shape == SHAPE_LARGE && i < in->n; i++)
		x[i] *= 1e8f;
	scale = rms_scale(x, in->n, eps);
	fill_floats(&in->rng, SHAPE_RANDOM, w, in->n);
	memcpy(in_place, x, in->n * sizeof(*x));
	c->now->rms_norm(x, w, out, in->n, eps);
	for (i = 0; i < in->n; i++)
		if (!is_close(c, i, out[i], x[i] * scale * w[i], 4, 0x1p-148))
			return false;
	c->now->rms_norm(in_place, w, in_place, in->n, eps);
	if (memcmp(in_place, out, in->n * sizeof(*out)) != 0)
		return fail(c, "in place differs");
	return true;
}

bool
check_rms_norm(struct check *c)
{
	return for_inputs(c, try_rms_norm);
}

/* The difference to the maximum is rounded to float before it is raised, which
 * counts as many times as it is large; 8 for the rest. */
static bool
softmax_is_right(struct check *c, const float *x, const float *got, size_t n)
{
	double sum = 0, total = 0, far;
	float max = -INFINITY;
	size_t i;

	for (i = 0; i < n; i++)
		max = fmaxf(max, x[i]);
	for (i = 0; i < n; i++)
		sum += exp((double)x[i] - max);
	for (i = 0; i < n; i++) {
		far = (double)max - x[i];
		if (!is_close(c, i, got[i], exp(-far) / sum,
		    8 + (far < 200 ? far : 200), 0x1p-126))
			return false;
		total += got[i];
	}
	if (n > 0 && fabs(total - 1) > 1e-5)
		return fail(c, "sums to %.9g", total);
	return true;
}

static bool
try_softmax(struct check *c, struct input *in)
{
	float *x = floats(in, AREA_X), before[MAX_N];
	size_t i;

	/* large, but so that differences of neighbours stay of interest */
	if (in->shape == SHAPE_RANDOM || in->shape == SHAPE_ONE_OUTLIER)
		for (i = 0; i < in->n; i++)
			x[i] *= 40;
	/* masked positions, though never all */
	if (in->shape == SHAPE_ALTERNATING)
		for (i = 1; i < in->n; i += 3)
			x[i] = -INFINITY;
	memcpy(before, x, in->n * sizeof(*x));
	c->now->softmax(x, in->n);
	return softmax_is_right(c, before, x, in->n);
}

/* Of n elements, all `most`, but for a NaN and a number if mixed is set. */
static bool
softmax_of_nothing(struct check *c, size_t n, float most, bool mixed)
{
	float x[40];
	size_t i;

	try_input(c, "n %zu, all %g%s", n, (double)most,
	    mixed ? " but NaN and 1" : "");
	for (i = 0; i < n; i++)
		x[i] = most;
	if (mixed) {
		x[(n - 1) / 2] = NAN;
		x[n - 1] = 1;
	}
	c->now->softmax(x, n);
	for (i = 0; i < n; i++)
		if (mixed || isnan(most) ? !isnan(x[i]) : x[i] != 0)
			return fail(c, "element %zu is %g", i, (double)x[i]);
	return true;
}

bool
check_softmax(struct check *c)
{
	size_t n;

	if (!for_inputs(c, try_softmax))
		return false;
	for (n = 2; n <= 40; n++)
		if (!softmax_of_nothing(c, n, -INFINITY, false) ||
		    !softmax_of_nothing(c, n, -INFINITY, true) ||
		    !softmax_of_nothing(c, n, NAN, false))
			return false;
	return true;
}

/* Half ulps: the exponential 4, and one each for sum, quotient, product.
 * Below -88 the exponential overflows and the result is zero. */
static bool
try_silu_mul(struct check *c, struct input *in)
{
	float *gate = floats(in, AREA_X), up[MAX_N], in_place[MAX_N];
	float *out = area_get(AREA_OUT, in->place, in->n * sizeof(*out), 4);
	double g, want;
	size_t i;

	if (in->shape == SHAPE_RANDOM)
		for (i = 0; i < in->n; i++)
			gate[i] *= 120;
	fill_floats(&in->rng, SHAPE_RANDOM, up, in->n);
	memcpy(in_place, gate, in->n * sizeof(*gate));
	c->now->silu_mul(gate, up, out, in->n);
	for (i = 0; i < in->n; i++) {
		g = gate[i];
		want = g / (1 + exp(-g)) * up[i];
		if (!is_close(c, i, out[i], want, 12, 1e-36))
			return false;
	}
	c->now->silu_mul(in_place, up, in_place, in->n);
	if (memcmp(in_place, out, in->n * sizeof(*out)) != 0)
		return fail(c, "in place differs");
	if (in->n == 0)
		return true;
	i = rng_u64(&in->rng) % in->n;
	in_place[i] = NAN;
	c->now->silu_mul(in_place, up, in_place, in->n);
	if (!isnan(in_place[i]))
		return fail(c, "NaN became %g", (double)in_place[i]);
	return true;
}

bool
check_silu_mul(struct check *c)
{
	return for_inputs(c, try_silu_mul);
}

static size_t
first_largest(const float *x, size_t n)
{
	size_t i, best = 0;

	while (best < n && isnan(x[best]))
		best++;
	for (i = best + 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	return best < n ? best : 0;
}

static bool
try_argmax(struct check *c, struct input *in)
{
	static const float rare[] = { NAN, INFINITY, -INFINITY, FLT_MAX };
	float *x = floats(in, AREA_X);
	size_t i, k, got, want;

	for (k = 0; k < 12 && in->n > 0; k++) {
		got = c->now->argmax(x, in->n);
		want = first_largest(x, in->n);
		if (got != want)
			return fail(c, "round %zu: got %zu, want %zu", k, got,
			    want);
		/* make a tie, then put something rare somewhere */
		x[rng_u64(&in->rng) % in->n] = x[want];
		i = rng_u64(&in->rng) % in->n;
		if (k >= 4)
			x[i] = rare[rng_u64(&in->rng) % 4];
		if (k == 10)
			for (i = 0; i < in->n; i++)
				x[i] = i % 2 == 0 ? NAN : -INFINITY;
	}
	return true;
}

bool
check_argmax(struct check *c)
{
	return for_inputs(c, try_argmax);
}

/* SPDX-License-Identifier: MIT */
/*
 * Elementwise kernels and reductions over one row (kernels.def), for a level
 * with vectors of floats (vf.h).  What is left of a row after the whole
 * vectors goes through the same operations, padded, where plain C would
 * give other bits.  Levels of the same VF_LANES give the same bits.
 */

#include <math.h>

#include "kernels/vf.h"

/*
 * e^x to about an ulp.  x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts
 * of which the first has so few bits that n times it is exact (Cody and Waite,
 * Software Manual for the Elementary Functions), and e^r by its series up to
 * r^7.  Beyond the bounds of x is infinity or 0.  NaN stays NaN, being the
 * second operand of min and max.
 */
VF_HERE vf
exp_of(vf x)
{
	vf n, r, p;

	x = vf_max(vf_set1(-104), vf_min(vf_set1(89), x));
	n = vf_round(vf_mul(x, vf_set1(0x1.715476p+0f)));
	r = vf_fma(n, vf_set1(-0x1.62e4p-1f), x);
	r = vf_fma(n, vf_set1(-0x1.7f7d1cp-20f), r);
	p = vf_set1(1.0f / 5040);
	p = vf_fma(p, r, vf_set1(1.0f / 720));
	p = vf_fma(p, r, vf_set1(1.0f / 120));
	p = vf_fma(p, r, vf_set1(1.0f / 24));
	p = vf_fma(p, r, vf_set1(1.0f / 6));
	p = vf_fma(p, r, vf_set1(0.5f));
	p = vf_fma(p, r, vf_set1(1));
	p = vf_fma(p, r, vf_set1(1));
	return vf_times_exp2(p, n);
}

static void
add(const float *x, float *y, size_t n)
{
	size_t i;

	for (i = 0; i + VF_LANES <= n; i += VF_LANES)
		vf_store(y + i, vf_add(vf_load(y + i), vf_load(x + i)));
	for (; i < n; i++)
		y[i] += x[i];
}

static void
blend(float *y, float a, const float *x, float b, size_t n)
{
	const vf va = vf_set1(a), vb = vf_set1(b);
	size_t i;

	for (i = 0; i + VF_LANES <= n; i += VF_LANES)
		vf_store(y + i, vf_add(vf_mul(va, vf_load(y + i)),
		    vf_mul(vb, vf_load(x + i))));
	for (; i < n; i++)
		y[i] = a * y[i] + b * x[i];
}

/* Squares are summed in double, for a row may hold 1e20. */
static double
sum_of_squares(const float *x, size_t n)
{
	vd low = vd_zero(), high = vd_zero();
	double sum;
	size_t i;

	for (i = 0; i + VF_LANES <= n; i += VF_LANES) {
		vd a = vd_load(x + i), b = vd_load(x + i + VF_LANES / 2);

		low = vd_fma(a, a, low);
		high = vd_fma(b, b, high);
	}
	sum = vd_total(vd_add(low, high));
	for (; i < n; i++)
		sum += (double)x[i] * x[i];
	return sum;
}

static void
rms_norm(const float *x, const float *w, float *out, size_t n, float eps)
{
	float scale = (float)(1.0 / sqrt(sum_of_squares(x, n) / (double)n +
	    eps));
	const vf s = vf_set1(scale);
	size_t i;

	for (i = 0; i + VF_LANES <= n; i += VF_LANES)
		vf_store(out + i, vf_mul(vf_mul(vf_load(x + i), s),
		    vf_load(w + i)));
	for (; i < n; i++)
		out[i] = x[i] * scale * w[i];
}

/* The largest that is a number; -infinity when there is none. */
static float
largest(const float *x, size_t n)
{
	vf m = vf_set1(-INFINITY);
	float max;
	size_t i;

	for (i = 0; i + VF_LANES <= n; i += VF_LANES)
		m = vf_max(vf_load(x + i), m);
	max = vf_largest(m);
	for (; i < n; i++)
		if (x[i] > max)
			max = x[i];
	return max;
}

VF_HERE vd
add_wide(vd sum, vf v)
{
	return vd_add(vd_add(sum, vd_low(v)), vd_high(v));
}

/* e^(x - max) of whole vectors, and their sum.  A function of its own, so that
 * the constants of the loop find registers. */
static __attribute__((noinline)) vd
exp_all(float *x, size_t n, float max)
{
	const vf m = vf_set1(max);
	vd sum = vd_zero();

	for (size_t i = 0; i < n; i += VF_LANES) {
		vf v = exp_of(vf_sub(vf_load(x + i), m));

		vf_store(x + i, v);
		sum = add_wide(sum, v);
	}
	return sum;
}

static void
softmax(float *x, size_t n)
{
	float max = largest(x, n), scale;
	size_t i = n - n % VF_LANES;
	vd sum;
	vf v;

	if (max == -INFINITY) {
		/* Nothing to share out; NaN must not look like that. */
		for (i = 0; i < n; i++)
			x[i] = isnan(x[i]) ? x[i] : 0;
		return;
	}
	sum = exp_all(x, i, max);
	if (i < n) {
		v = exp_of(vf_sub(vf_load_n(x + i, n - i), vf_set1(max)));
		vf_store_n(x + i, v, n - i);
		sum = add_wide(sum, vf_load_n(x + i, n - i));
	}
	scale = (float)(1 / vd_total(sum));
	for (i = 0; i + VF_LANES <= n; i += VF_LANES)
		vf_store(x + i, vf_mul(vf_load(x + i), vf_set1(scale)));
	for (; i < n; i++)
		x[i] *= scale;
}

static void
f32_to_f16(const float *x, uint16_t *out, size_t n)
{
	uint16_t part[VF_LANES];
	size_t i;

	for (i = 0; i + VF_LANES <= n; i += VF_LANES)
		vf_store_f16(out + i, vf_load(x + i));
	if (i == n)
		return;
	vf_store_f16(part, vf_load_n(x + i, n - i));
	memcpy(out + i, part, (n - i) * sizeof(*out));
}

VF_HERE vf
silu(vf g)
{
	return vf_div(g, vf_add(vf_set1(1), exp_of(vf_neg(g))));
}

static void
silu_mul(const float *gate, const float *up, float *out, size_t n)
{
	size_t i;

	for (i = 0; i + VF_LANES <= n; i += VF_LANES)
		vf_store(out + i, vf_mul(silu(vf_load(gate + i)),
		    vf_load(up + i)));
	if (i < n)
		vf_store_n(out + i, vf_mul(silu(vf_load_n(gate + i, n - i)),
		    vf_load_n(up + i, n - i)), n - i);
}

static size_t
argmax(const float *x, size_t n)
{
	float max = largest(x, n);
	const vf m = vf_set1(max);
	size_t i = 0;

	while (i + VF_LANES <= n && !vf_any_equal(m, vf_load(x + i)))
		i += VF_LANES;
	for (; i < n; i++)
		if (x[i] == max)
			return i;
	return 0;
}

static void
overlay_vec(struct kern_table *t)
{
	t->f32_to_f16 = f32_to_f16;
	t->add = add;
	t->blend = blend;
	t->rms_norm = rms_norm;
	t->softmax = softmax;
	t->silu_mul = silu_mul;
	t->argmax = argmax;
}

/* SPDX-License-Identifier: MIT */
/*
 * Elementwise kernels and reductions over one row.  What is left of a row
 * after the whole fours goes through the same instructions, padded.
 */
#include "config.h"

#include "kernels/arm/arm.h"

#include <math.h>

#include "kernels/arm/common_neon.h"

/*
 * e^x to about an ulp.  x = n ln 2 + r with |r| <= ln 2 / 2 and ln 2 in two
 * parts, a polynomial of degree 7 for e^r, and 2^n in two factors so that n
 * may be 128 and results may be denormal.  NaN stays NaN through min and max.
 */
ALWAYS_INLINE float32x4_t
exp_f32(float32x4_t x)
{
	float32x4_t n, r, p;
	int32x4_t k, k0, bias = vdupq_n_s32(127);

	x = vmaxq_f32(vdupq_n_f32(-104), vminq_f32(vdupq_n_f32(89), x));
	n = vrndnq_f32(vmulq_n_f32(x, 0x1.715476p+0f));
	r = vfmsq_f32(x, n, vdupq_n_f32(0x1.62e4p-1f));
	r = vfmsq_f32(r, n, vdupq_n_f32(0x1.7f7d1cp-20f));
	p = vdupq_n_f32(1.0f / 5040);
	p = vfmaq_f32(vdupq_n_f32(1.0f / 720), p, r);
	p = vfmaq_f32(vdupq_n_f32(1.0f / 120), p, r);
	p = vfmaq_f32(vdupq_n_f32(1.0f / 24), p, r);
	p = vfmaq_f32(vdupq_n_f32(1.0f / 6), p, r);
	p = vfmaq_f32(vdupq_n_f32(0.5f), p, r);
	p = vfmaq_f32(vdupq_n_f32(1), p, r);
	p = vfmaq_f32(vdupq_n_f32(1), p, r);
	k = vcvtq_s32_f32(n);
	k0 = vshrq_n_s32(k, 1);
	p = vmulq_f32(p, vreinterpretq_f32_s32(vshlq_n_s32(
	    vaddq_s32(k0, bias), 23)));
	return vmulq_f32(p, vreinterpretq_f32_s32(vshlq_n_s32(
	    vaddq_s32(vsubq_s32(k, k0), bias), 23)));
}

static void
add(const float *x, float *y, size_t n)
{
	size_t i;

	for (i = 0; i + 4 <= n; i += 4)
		vst1q_f32(y + i, vaddq_f32(vld1q_f32(y + i),
		    vld1q_f32(x + i)));
	for (; i < n; i++)
		y[i] += x[i];
}

static void
blend(float *y, float a, const float *x, float b, size_t n)
{
	size_t i;

	for (i = 0; i + 4 <= n; i += 4)
		vst1q_f32(y + i, vaddq_f32(vmulq_n_f32(vld1q_f32(y + i), a),
		    vmulq_n_f32(vld1q_f32(x + i), b)));
	for (; i < n; i++)
		y[i] = a * y[i] + b * x[i];
}

/* s + the four of v, widened */
ALWAYS_INLINE void
add_wide(float64x2_t s[2], float32x4_t v)
{
	s[0] = vaddq_f64(s[0], vcvt_f64_f32(vget_low_f32(v)));
	s[1] = vaddq_f64(s[1], vcvt_high_f64_f32(v));
}

/* Squares are summed in double, for a row may hold 1e20. */
static double
sum_of_squares(const float *x, size_t n)
{
	float64x2_t s0 = vdupq_n_f64(0), s1 = s0, a, b;
	float32x4_t v;
	double sum;
	size_t i;

	for (i = 0; i + 4 <= n; i += 4) {
		v = vld1q_f32(x + i);
		a = vcvt_f64_f32(vget_low_f32(v));
		b = vcvt_high_f64_f32(v);
		s0 = vfmaq_f64(s0, a, a);
		s1 = vfmaq_f64(s1, b, b);
	}
	sum = vaddvq_f64(vaddq_f64(s0, s1));
	for (; i < n; i++)
		sum += (double)x[i] * x[i];
	return sum;
}

static void
rms_norm(const float *x, const float *w, float *out, size_t n, float eps)
{
	float scale = (float)(1.0 / sqrt(sum_of_squares(x, n) / (double)n +
	    eps));
	size_t i;

	for (i = 0; i + 4 <= n; i += 4)
		vst1q_f32(out + i, vmulq_f32(vmulq_n_f32(vld1q_f32(x + i),
		    scale), vld1q_f32(w + i)));
	for (; i < n; i++)
		out[i] = x[i] * scale * w[i];
}

/* The largest that is a number; -infinity when there is none. */
static float
largest(const float *x, size_t n)
{
	float32x4_t m = vdupq_n_f32(-INFINITY), v;
	float max;
	size_t i;

	/* a comparison, which no NaN passes */
	for (i = 0; i + 4 <= n; i += 4) {
		v = vld1q_f32(x + i);
		m = vbslq_f32(vcgtq_f32(v, m), v, m);
	}
	max = vmaxvq_f32(m);
	for (; i < n; i++)
		if (x[i] > max)
			max = x[i];
	return max;
}

static void
softmax(float *x, size_t n)
{
	float64x2_t sum[2] = { vdupq_n_f64(0), vdupq_n_f64(0) };
	float max = largest(x, n), scale;
	float32x4_t m = vdupq_n_f32(max), v;
	size_t i;

	if (max == -INFINITY) {
		/* Nothing to share out; NaN must not look like that. */
		for (i = 0; i < n; i++)
			x[i] = isnan(x[i]) ? x[i] : 0;
		return;
	}
	for (i = 0; i + 4 <= n; i += 4) {
		v = exp_f32(vsubq_f32(vld1q_f32(x + i), m));
		vst1q_f32(x + i, v);
		add_wide(sum, v);
	}
	if (i < n) {
		v = exp_f32(vsubq_f32(load_tail_f32(x + i, n - i), m));
		store_tail_f32(x + i, v, n - i);
		add_wide(sum, load_tail_f32(x + i, n - i));
	}
	scale = (float)(1 / vaddvq_f64(vaddq_f64(sum[0], sum[1])));
	for (i = 0; i + 4 <= n; i += 4)
		vst1q_f32(x + i, vmulq_n_f32(vld1q_f32(x + i), scale));
	for (; i < n; i++)
		x[i] *= scale;
}

ALWAYS_INLINE float32x4_t
silu(float32x4_t g)
{
	return vdivq_f32(g, vaddq_f32(vdupq_n_f32(1), exp_f32(vnegq_f32(g))));
}

static void
silu_mul(const float *gate, const float *up, float *out, size_t n)
{
	size_t i;

	for (i = 0; i + 4 <= n; i += 4)
		vst1q_f32(out + i, vmulq_f32(silu(vld1q_f32(gate + i)),
		    vld1q_f32(up + i)));
	if (i < n)
		store_tail_f32(out + i, vmulq_f32(
		    silu(load_tail_f32(gate + i, n - i)),
		    load_tail_f32(up + i, n - i)), n - i);
}

static size_t
argmax(const float *x, size_t n)
{
	float max = largest(x, n);
	float32x4_t m = vdupq_n_f32(max);
	size_t i;

	for (i = 0; i + 4 <= n; i += 4)
		if (vmaxvq_u32(vceqq_f32(m, vld1q_f32(x + i))) != 0)
			break;
	for (; i < n; i++)
		if (x[i] == max)
			return i;
	return 0;
}

void
neon_overlay_vec(struct kern_table *t)
{
	t->add = add;
	t->blend = blend;
	t->rms_norm = rms_norm;
	t->softmax = softmax;
	t->silu_mul = silu_mul;
	t->argmax = argmax;
}

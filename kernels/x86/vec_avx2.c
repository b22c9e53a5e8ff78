/* SPDX-License-Identifier: MIT */
/*
 * Elementwise kernels and reductions over one row.  What is left of a row
 * after the whole eights goes through the same instructions, padded.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include <math.h>

#include "kernels/x86/common_avx2.h"

/*
 * e^x to about an ulp.  x = n ln 2 + r with |r| <= ln 2 / 2 and ln 2 in two
 * parts, a polynomial of degree 7 for e^r, and 2^n in two factors so that n
 * may be 128 and results may be denormal.  NaN stays NaN: the constant is the
 * first operand of min and max, which return their second when in doubt.
 */
static inline __m256
exp_f32(__m256 x)
{
	const __m256 low = _mm256_set1_ps(-104.0f);
	const __m256 high = _mm256_set1_ps(89.0f);
	__m256 n, r, p;
	__m256i k, k0, bias = _mm256_set1_epi32(127);

	x = _mm256_max_ps(low, _mm256_min_ps(high, x));
	n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(0x1.715476p+0f)),
	    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62e4p-1f), x);
	r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.7f7d1cp-20f), r);
	p = _mm256_set1_ps(1.0f / 5040);
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 720));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 120));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 24));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 6));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
	p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
	k = _mm256_cvtps_epi32(n);
	k0 = _mm256_srai_epi32(k, 1);
	p = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(
	    _mm256_add_epi32(k0, bias), 23)));
	return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(
	    _mm256_add_epi32(_mm256_sub_epi32(k, k0), bias), 23)));
}

static void
add(const float *x, float *y, size_t n)
{
	size_t i;

	for (i = 0; i + 8 <= n; i += 8)
		_mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i),
		    _mm256_loadu_ps(x + i)));
	for (; i < n; i++)
		y[i] += x[i];
}

static void
blend(float *y, float a, const float *x, float b, size_t n)
{
	const __m256 va = _mm256_set1_ps(a), vb = _mm256_set1_ps(b);
	size_t i;

	for (i = 0; i + 8 <= n; i += 8)
		_mm256_storeu_ps(y + i, _mm256_add_ps(
		    _mm256_mul_ps(va, _mm256_loadu_ps(y + i)),
		    _mm256_mul_ps(vb, _mm256_loadu_ps(x + i))));
	for (; i < n; i++)
		y[i] = a * y[i] + b * x[i];
}

static inline double
sum_f64(__m256d v)
{
	__m128d s = _mm_add_pd(_mm256_castpd256_pd128(v),
	    _mm256_extractf128_pd(v, 1));

	return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

/* Squares are summed in double, for a row may hold 1e20. */
static double
sum_of_squares(const float *x, size_t n)
{
	__m256d s0 = _mm256_setzero_pd(), s1 = s0, a, b;
	double sum;
	size_t i;

	for (i = 0; i + 8 <= n; i += 8) {
		a = _mm256_cvtps_pd(_mm_loadu_ps(x + i));
		b = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 4));
		s0 = _mm256_fmadd_pd(a, a, s0);
		s1 = _mm256_fmadd_pd(b, b, s1);
	}
	sum = sum_f64(_mm256_add_pd(s0, s1));
	for (; i < n; i++)
		sum += (double)x[i] * x[i];
	return sum;
}

static void
rms_norm(const float *x, const float *w, float *out, size_t n, float eps)
{
	float scale = (float)(1.0 / sqrt(sum_of_squares(x, n) / (double)n +
	    eps));
	__m256 s = _mm256_set1_ps(scale);
	size_t i;

	for (i = 0; i + 8 <= n; i += 8)
		_mm256_storeu_ps(out + i, _mm256_mul_ps(_mm256_mul_ps(
		    _mm256_loadu_ps(x + i), s), _mm256_loadu_ps(w + i)));
	for (; i < n; i++)
		out[i] = x[i] * scale * w[i];
}

/* The largest that is a number; -infinity when there is none. */
static float
largest(const float *x, size_t n)
{
	__m256 m = _mm256_set1_ps(-INFINITY);
	float part[8], max = -INFINITY;
	size_t i, j;

	/* the second operand wins over a NaN in the first */
	for (i = 0; i + 8 <= n; i += 8)
		m = _mm256_max_ps(_mm256_loadu_ps(x + i), m);
	_mm256_storeu_ps(part, m);
	for (j = 0; j < 8; j++)
		if (part[j] > max)
			max = part[j];
	for (; i < n; i++)
		if (x[i] > max)
			max = x[i];
	return max;
}

static __m256d
add_wide(__m256d sum, __m256 v)
{
	sum = _mm256_add_pd(sum, _mm256_cvtps_pd(_mm256_castps256_ps128(v)));
	return _mm256_add_pd(sum, _mm256_cvtps_pd(_mm256_extractf128_ps(v,
	    1)));
}

static void
softmax(float *x, size_t n)
{
	float max = largest(x, n);
	__m256 m = _mm256_set1_ps(max), v;
	__m256d sum = _mm256_setzero_pd();
	float scale;
	size_t i;

	if (max == -INFINITY) {
		/* Nothing to share out; NaN must not look like that. */
		for (i = 0; i < n; i++)
			x[i] = isnan(x[i]) ? x[i] : 0;
		return;
	}
	for (i = 0; i + 8 <= n; i += 8) {
		v = exp_f32(_mm256_sub_ps(_mm256_loadu_ps(x + i), m));
		_mm256_storeu_ps(x + i, v);
		sum = add_wide(sum, v);
	}
	if (i < n) {
		v = exp_f32(_mm256_sub_ps(load_tail_f32(x + i, n - i), m));
		store_tail_f32(x + i, v, n - i);
		sum = add_wide(sum, load_tail_f32(x + i, n - i));
	}
	scale = (float)(1 / sum_f64(sum));
	for (i = 0; i + 8 <= n; i += 8)
		_mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_loadu_ps(x + i),
		    _mm256_set1_ps(scale)));
	for (; i < n; i++)
		x[i] *= scale;
}

static inline __m256
silu(__m256 g)
{
	__m256 one = _mm256_set1_ps(1);
	__m256 e = exp_f32(_mm256_xor_ps(g, _mm256_set1_ps(-0.0f)));

	return _mm256_div_ps(g, _mm256_add_ps(one, e));
}

static void
silu_mul(const float *gate, const float *up, float *out, size_t n)
{
	size_t i;

	for (i = 0; i + 8 <= n; i += 8)
		_mm256_storeu_ps(out + i, _mm256_mul_ps(
		    silu(_mm256_loadu_ps(gate + i)),
		    _mm256_loadu_ps(up + i)));
	if (i < n)
		store_tail_f32(out + i, _mm256_mul_ps(
		    silu(load_tail_f32(gate + i, n - i)),
		    load_tail_f32(up + i, n - i)), n - i);
}

static size_t
argmax(const float *x, size_t n)
{
	float max = largest(x, n);
	__m256 m = _mm256_set1_ps(max);
	unsigned hits;
	size_t i;

	for (i = 0; i + 8 <= n; i += 8) {
		hits = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(m,
		    _mm256_loadu_ps(x + i), _CMP_EQ_OQ));
		if (hits != 0)
			return i + (size_t)__builtin_ctz(hits);
	}
	for (; i < n; i++)
		if (x[i] == max)
			return i;
	return 0;
}

void
avx2_overlay_vec(struct kern_table *t)
{
	t->add = add;
	t->blend = blend;
	t->rms_norm = rms_norm;
	t->softmax = softmax;
	t->silu_mul = silu_mul;
	t->argmax = argmax;
}

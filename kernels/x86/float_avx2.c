/* SPDX-License-Identifier: MIT */
/*
 * Products of F32, F16 and BF16 weights with float activations: four
 * accumulators of eight lanes, element i in accumulator i / 8 % 4 for the
 * whole 32s, then the first accumulator for what is left.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/x86/common_avx2.h"

#define DOT(name, elem, load, load_tail) \
static float								\
name(const elem *a, const float *x, size_t n)				\
{									\
	__m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;	\
	size_t i;							\
									\
	for (i = 0; i + 32 <= n; i += 32) {				\
		s0 = _mm256_fmadd_ps(load(a + i),			\
		    _mm256_loadu_ps(x + i), s0);			\
		s1 = _mm256_fmadd_ps(load(a + i + 8),			\
		    _mm256_loadu_ps(x + i + 8), s1);			\
		s2 = _mm256_fmadd_ps(load(a + i + 16),			\
		    _mm256_loadu_ps(x + i + 16), s2);			\
		s3 = _mm256_fmadd_ps(load(a + i + 24),			\
		    _mm256_loadu_ps(x + i + 24), s3);			\
	}								\
	for (; i + 8 <= n; i += 8)					\
		s0 = _mm256_fmadd_ps(load(a + i),			\
		    _mm256_loadu_ps(x + i), s0);			\
	if (i < n)							\
		s1 = _mm256_fmadd_ps(load_tail(a + i, n - i),		\
		    load_tail_f32(x + i, n - i), s1);			\
	return sum_f32(sum_4(s0, s1, s2, s3));				\
}

DOT(dot_f32, float, _mm256_loadu_ps, load_tail_f32)
DOT(dot_f16, uint16_t, load_f16, load_tail_f16)
DOT(dot_bf16, uint16_t, load_bf16, load_tail_bf16)

static float
dot_F32(const void *w, const void *act, size_t n)
{
	return dot_f32(w, act, n);
}

static float
dot_F16(const void *w, const void *act, size_t n)
{
	return dot_f16(w, act, n);
}

static float
dot_BF16(const void *w, const void *act, size_t n)
{
	return dot_bf16(w, act, n);
}

void
avx2_overlay_float(struct kern_table *t)
{
	t->dot_f32 = dot_f32;
	t->dot[TYPE_F32] = dot_F32;
	t->dot[TYPE_F16] = dot_F16;
	t->dot[TYPE_BF16] = dot_BF16;
}

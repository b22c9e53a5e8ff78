/* SPDX-License-Identifier: MIT */
/*
 * Products of F32, F16 and BF16 weights with float activations: four
 * accumulators of four lanes, element i in accumulator i / 4 % 4 for the
 * whole 16s, then the first accumulator for whole fours and the second for
 * what is left.
 */
#include "config.h"

#include "kernels/arm/arm.h"

#include "kernels/arm/common_neon.h"

#define DOT(name, elem, load) \
static float								\
name(const elem *a, const float *x, size_t n)				\
{									\
	float32x4_t s0 = vdupq_n_f32(0), s1 = s0, s2 = s0, s3 = s0;	\
	elem part[4] = { 0 };						\
	size_t i;							\
									\
	for (i = 0; i + 16 <= n; i += 16) {				\
		s0 = vfmaq_f32(s0, load(a + i), load_f32(x + i));	\
		s1 = vfmaq_f32(s1, load(a + i + 4), load_f32(x + i + 4)); \
		s2 = vfmaq_f32(s2, load(a + i + 8), load_f32(x + i + 8)); \
		s3 = vfmaq_f32(s3, load(a + i + 12), load_f32(x + i + 12)); \
	}								\
	for (; i + 4 <= n; i += 4)					\
		s0 = vfmaq_f32(s0, load(a + i), load_f32(x + i));	\
	if (i < n) {							\
		memcpy(part, a + i, (n - i) * sizeof(*a));		\
		s1 = vfmaq_f32(s1, load(part),				\
		    load_tail_f32(x + i, n - i));			\
	}								\
	return sum_f32(vaddq_f32(vaddq_f32(s0, s1),			\
	    vaddq_f32(s2, s3)));					\
}

DOT(dot_f32, float, load_f32)
DOT(dot_f16, uint16_t, load_f16)
DOT(dot_bf16, uint16_t, load_bf16)

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
neon_overlay_float(struct kern_table *t)
{
	t->dot_f32 = dot_f32;
	t->dot[TYPE_F32] = dot_F32;
	t->dot[TYPE_F16] = dot_F16;
	t->dot[TYPE_BF16] = dot_BF16;
}

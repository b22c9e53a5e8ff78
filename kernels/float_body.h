/* SPDX-License-Identifier: MIT */
/*
 * Products of F32, F16 and BF16 weights with float activations, for a level
 * with vectors of floats (vf.h): four sums, vector i of the row in sum i % 4
 * for the whole fours, then in the first one, and in the second one what is
 * left, padded.  Levels of the same VF_LANES give the same bits.
 */

#include <string.h>

#include "kernels/vf.h"

VF_HERE size_t
size_as(const enum tensor_type type)
{
	return type == TYPE_F32 ? sizeof(float) : sizeof(uint16_t);
}

VF_HERE vf
load_as(const enum tensor_type type, const void *p)
{
	return type == TYPE_F32 ? vf_load(p) :
	    type == TYPE_F16 ? vf_load_f16(p) : vf_load_bf16(p);
}

/* The first n < VF_LANES, zeros behind. */
VF_HERE vf
load_n_as(const enum tensor_type type, const void *p, size_t n)
{
	float part[VF_LANES] = { 0 };

	memcpy(part, p, n * size_as(type));
	return load_as(type, part);
}

VF_HERE float
dot(const enum tensor_type type, const void *w, const float *x, size_t n)
{
	const size_t step = VF_LANES * size_as(type);
	const uint8_t *a = w;
	vf s0 = vf_set1(0), s1 = s0, s2 = s0, s3 = s0;

	for (; n >= 4 * VF_LANES; n -= 4 * VF_LANES) {
		s0 = vf_fma(load_as(type, a), vf_load(x), s0);
		s1 = vf_fma(load_as(type, a + step),
		    vf_load(x + VF_LANES), s1);
		s2 = vf_fma(load_as(type, a + 2 * step),
		    vf_load(x + 2 * VF_LANES), s2);
		s3 = vf_fma(load_as(type, a + 3 * step),
		    vf_load(x + 3 * VF_LANES), s3);
		a += 4 * step;
		x += 4 * VF_LANES;
	}
	for (; n >= VF_LANES; n -= VF_LANES) {
		s0 = vf_fma(load_as(type, a), vf_load(x), s0);
		a += step;
		x += VF_LANES;
	}
	if (n > 0)
		s1 = vf_fma(load_n_as(type, a, n), vf_load_n(x, n), s1);
	return vf_total(vf_add(vf_add(s0, s1), vf_add(s2, s3)));
}

static float
dot_f32(const float *a, const float *b, size_t n)
{
	return dot(TYPE_F32, a, b, n);
}

static float
dot_F32(const void *w, const void *act, size_t n)
{
	return dot_f32(w, act, n);
}

static float
dot_F16(const void *w, const void *act, size_t n)
{
	return dot(TYPE_F16, w, act, n);
}

static float
dot_BF16(const void *w, const void *act, size_t n)
{
	return dot(TYPE_BF16, w, act, n);
}

static void
overlay_float(struct kern_table *t)
{
	t->dot_f32 = dot_f32;
	t->dot[TYPE_F32] = dot_F32;
	t->dot[TYPE_F16] = dot_F16;
	t->dot[TYPE_BF16] = dot_BF16;
}

/* SPDX-License-Identifier: MIT */
/* Attention with vectors of 16 floats, of which there are 32 registers. */
#include "config.h"

#include "kernels/x86/avx512.h"

#include "kernels/x86/vf_avx512.h"

typedef __m256 vs;

VF_HERE vs vs_load(const float *p) { return _mm256_loadu_ps(p); }
VF_HERE void vs_store(float *p, vs v) { _mm256_storeu_ps(p, v); }
VF_HERE float vs_total(vs v) { return sum_f32(v); }

VF_HERE vs
vs_scale(vs a, float b)
{
	return _mm256_mul_ps(a, _mm256_set1_ps(b));
}

VF_HERE vs
vs_add(vs a, vf b)
{
	a = _mm256_add_ps(a, _mm512_castps512_ps256(b));
	return _mm256_add_ps(a, _mm512_extractf32x8_ps(b, 1));
}

/* One broadcast for all products: left to itself, the compiler makes it anew
 * in each of them, and loads are what there is too much of. */
VF_HERE void
vf_fma2(const float *a, vf p0, vf p1, vf *s0, vf *s1)
{
	vf x;

	__asm__("vbroadcastss %3, %2\n\t"
	    "vfmadd231ps %2, %4, %0\n\t"
	    "vfmadd231ps %2, %5, %1"
	    : "+v" (*s0), "+v" (*s1), "=&v" (x)
	    : "m" (*a), "v" (p0), "v" (p1));
}

VF_HERE void
vf_fma3(const float *a, vf p0, vf p1, vf p2, vf *s0, vf *s1, vf *s2)
{
	vf_fma2(a, p0, p1, s0, s1);
	*s2 = vf_fma(vf_set1(*a), p2, *s2);
}

/*
 * As in attend_avx2.c, but the power of two has an instruction: x = n + f with
 * |f| <= 1/2, and below -126 there is 0, which a mask says; NaN is not below.
 */
VF_HERE vf
vf_exp2(vf x)
{
	const vf shift = _mm512_set1_ps(0x1.8p23f);
	__mmask16 is_small = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-126),
	    _CMP_LT_OQ);
	vf n = _mm512_sub_ps(_mm512_add_ps(x, shift), shift);
	vf f = _mm512_sub_ps(x, n), p;

	p = _mm512_set1_ps(0x1.5bba16p-10f);
	p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.3cea8ap-7f));
	p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.c6b752p-5f));
	p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.ebf9bcp-3f));
	p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.62e42ap-1f));
	p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1));
	p = _mm512_scalef_ps(p, n);
	return _mm512_mask_blend_ps(is_small, p, _mm512_setzero_ps());
}

#include "kernels/attend_body.h"

static void
attend_f16(struct attend_tile *t)
{
	attend(ATTEND_F16, t);
}

static void
attend_q8_0(struct attend_tile *t)
{
	attend(ATTEND_Q8_0, t);
}

void
avx512_overlay_attend(struct kern_table *t)
{
	t->attend_f16 = attend_f16;
	t->attend_q8_0 = attend_q8_0;
}

/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_VF_AVX512_H
#define BM_KERNELS_X86_VF_AVX512_H

/* The operations of kernels/vf.h on 16 floats, a register of 32. */

#include <stdbool.h>

#include "kernels/x86/common_avx2.h"

typedef __m512 vf;
#define VF_LANES	16
#define VF_REGISTERS	32
#define VF_HERE		static inline __attribute__((always_inline))

VF_HERE vf vf_set1(float a) { return _mm512_set1_ps(a); }
VF_HERE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
VF_HERE void vf_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
VF_HERE vf vf_neg(vf a) { return _mm512_xor_ps(a, vf_set1(-0.0f)); }
VF_HERE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
VF_HERE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
VF_HERE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
VF_HERE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
VF_HERE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
VF_HERE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
VF_HERE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
VF_HERE vf vf_times_exp2(vf a, vf n) { return _mm512_scalef_ps(a, n); }
VF_HERE float vf_first(vf v) { return _mm512_cvtss_f32(v); }

VF_HERE vf
vf_round(vf v)
{
	return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT |
	    _MM_FROUND_NO_EXC);
}

VF_HERE float
vf_total(vf v)
{
	return sum_f32(_mm256_add_ps(_mm512_castps512_ps256(v),
	    _mm512_extractf32x8_ps(v, 1)));
}

VF_HERE bool
vf_any_equal(vf a, vf b)
{
	return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ) != 0;
}

VF_HERE vf
vf_load_f16(const uint16_t *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

VF_HERE vf
vf_load_bf16(const uint16_t *p)
{
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(
	    _mm256_loadu_si256((const __m256i *)p)), 16));
}

VF_HERE vf
vf_load_i8(const int8_t *p)
{
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(
	    _mm_loadu_si128((const __m128i *)p)));
}

VF_HERE void
vf_store_f16(uint16_t *p, vf v)
{
	_mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(v,
	    _MM_FROUND_TO_NEAREST_INT));
}

VF_HERE float
vf_largest(vf v)
{
	v = _mm512_max_ps(v, _mm512_shuffle_f32x4(v, v, 0x4e));
	v = _mm512_max_ps(v, _mm512_shuffle_f32x4(v, v, 0xb1));
	v = _mm512_max_ps(v, _mm512_permute_ps(v, 0x4e));
	return vf_first(_mm512_max_ps(v, _mm512_permute_ps(v, 0xb1)));
}

typedef __m512d vd;

VF_HERE vd vd_zero(void) { return _mm512_setzero_pd(); }
VF_HERE vd vd_add(vd a, vd b) { return _mm512_add_pd(a, b); }
VF_HERE vd vd_fma(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }

VF_HERE vd
vd_load(const float *p)
{
	return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}

VF_HERE vd
vd_low(vf v)
{
	return _mm512_cvtps_pd(_mm512_castps512_ps256(v));
}

VF_HERE vd
vd_high(vf v)
{
	return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
}

/* ((0+4) + (2+6)) + ((1+5) + (3+7)) */
VF_HERE double
vd_total(vd v)
{
	__m256d s = _mm256_add_pd(_mm512_castpd512_pd256(v),
	    _mm512_extractf64x4_pd(v, 1));
	__m128d t = _mm_add_pd(_mm256_castpd256_pd128(s),
	    _mm256_extractf128_pd(s, 1));

	return _mm_cvtsd_f64(_mm_add_sd(t, _mm_unpackhi_pd(t, t)));
}

#endif

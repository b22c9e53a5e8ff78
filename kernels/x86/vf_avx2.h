/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_VF_AVX2_H
#define BM_KERNELS_X86_VF_AVX2_H

/* The operations of kernels/vf.h on 8 floats, a register. */

#include <stdbool.h>

#include "kernels/x86/common_avx2.h"

typedef __m256 vf;
#define VF_LANES	8
#define VF_REGISTERS	16
#define VF_HERE		static inline __attribute__((always_inline))

VF_HERE vf vf_set1(float a) { return _mm256_set1_ps(a); }
VF_HERE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
VF_HERE void vf_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
VF_HERE vf vf_neg(vf a) { return _mm256_xor_ps(a, vf_set1(-0.0f)); }
VF_HERE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
VF_HERE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
VF_HERE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
VF_HERE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
VF_HERE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
VF_HERE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
VF_HERE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
VF_HERE float vf_first(vf v) { return _mm256_cvtss_f32(v); }
VF_HERE float vf_total(vf v) { return sum_f32(v); }
VF_HERE vf vf_load_f16(const uint16_t *p) { return load_f16(p); }
VF_HERE vf vf_load_bf16(const uint16_t *p) { return load_bf16(p); }

VF_HERE vf
vf_round(vf v)
{
	return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT |
	    _MM_FROUND_NO_EXC);
}

/* 2^n in two factors, for it may be beyond the normal numbers. */
VF_HERE vf
vf_times_exp2(vf a, vf n)
{
	const __m256i bias = _mm256_set1_epi32(127);
	__m256i k = _mm256_cvtps_epi32(n), k0 = _mm256_srai_epi32(k, 1);

	a = _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(
	    _mm256_add_epi32(k0, bias), 23)));
	return _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(
	    _mm256_add_epi32(_mm256_sub_epi32(k, k0), bias), 23)));
}

VF_HERE bool
vf_any_equal(vf a, vf b)
{
	return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)) != 0;
}

VF_HERE vf
vf_load_i8(const int8_t *p)
{
	return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(
	    _mm_loadl_epi64((const __m128i *)(const void *)p)));
}

VF_HERE void
vf_store_f16(uint16_t *p, vf v)
{
	_mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(v,
	    _MM_FROUND_TO_NEAREST_INT));
}

VF_HERE float
vf_largest(vf v)
{
	__m128 m = _mm_max_ps(_mm256_castps256_ps128(v),
	    _mm256_extractf128_ps(v, 1));

	m = _mm_max_ps(m, _mm_movehl_ps(m, m));
	return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

typedef __m256d vd;

VF_HERE vd vd_zero(void) { return _mm256_setzero_pd(); }
VF_HERE vd vd_add(vd a, vd b) { return _mm256_add_pd(a, b); }
VF_HERE vd vd_fma(vd a, vd b, vd c) { return _mm256_fmadd_pd(a, b, c); }

VF_HERE vd
vd_load(const float *p)
{
	return _mm256_cvtps_pd(_mm_loadu_ps(p));
}

VF_HERE vd
vd_low(vf v)
{
	return _mm256_cvtps_pd(_mm256_castps256_ps128(v));
}

VF_HERE vd
vd_high(vf v)
{
	return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
}

/* (0+2) + (1+3) */
VF_HERE double
vd_total(vd v)
{
	__m128d s = _mm_add_pd(_mm256_castpd256_pd128(v),
	    _mm256_extractf128_pd(v, 1));

	return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

#endif

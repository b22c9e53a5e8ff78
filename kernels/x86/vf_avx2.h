/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_VF_AVX2_H
#define BM_KERNELS_X86_VF_AVX2_H

/* The operations of kernels/vf.h on 8 floats, a register. */

#include "kernels/x86/common_avx2.h"

typedef __m256 vf;
#define VF_LANES	8
#define VF_REGISTERS	16
#define VF_HERE		static inline __attribute__((always_inline))

VF_HERE vf vf_set1(float a) { return _mm256_set1_ps(a); }
VF_HERE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
VF_HERE void vf_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
VF_HERE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
VF_HERE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
VF_HERE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
VF_HERE float vf_first(vf v) { return _mm256_cvtss_f32(v); }
VF_HERE vf vf_load_f16(const uint16_t *p) { return load_f16(p); }

VF_HERE vf
vf_load_i8(const int8_t *p)
{
	return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(
	    _mm_loadl_epi64((const __m128i *)(const void *)p)));
}

VF_HERE float
vf_largest(vf v)
{
	__m128 m = _mm_max_ps(_mm256_castps256_ps128(v),
	    _mm256_extractf128_ps(v, 1));

	m = _mm_max_ps(m, _mm_movehl_ps(m, m));
	return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

#endif

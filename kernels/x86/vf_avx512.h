/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_VF_AVX512_H
#define BM_KERNELS_X86_VF_AVX512_H

/* The operations of kernels/vf.h on 16 floats, a register of 32. */

#include "kernels/x86/common_avx2.h"

typedef __m512 vf;
#define VF_LANES	16
#define VF_REGISTERS	32
#define VF_HERE		static inline __attribute__((always_inline))

VF_HERE vf vf_set1(float a) { return _mm512_set1_ps(a); }
VF_HERE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
VF_HERE void vf_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
VF_HERE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
VF_HERE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
VF_HERE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
VF_HERE float vf_first(vf v) { return _mm512_cvtss_f32(v); }

VF_HERE vf
vf_load_f16(const uint16_t *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

VF_HERE vf
vf_load_i8(const int8_t *p)
{
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(
	    _mm_loadu_si128((const __m128i *)p)));
}

VF_HERE float
vf_largest(vf v)
{
	v = _mm512_max_ps(v, _mm512_shuffle_f32x4(v, v, 0x4e));
	v = _mm512_max_ps(v, _mm512_shuffle_f32x4(v, v, 0xb1));
	v = _mm512_max_ps(v, _mm512_permute_ps(v, 0x4e));
	return vf_first(_mm512_max_ps(v, _mm512_permute_ps(v, 0xb1)));
}

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_COMMON_AVX2_H
#define BM_KERNELS_X86_COMMON_AVX2_H

/* What the files of AVX2 and of levels above share.  Reductions have one fixed
 * order. */

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ((0+4) + (2+6)) + ((1+5) + (3+7)) */
static inline float
sum_f32(__m256 v)
{
	__m128 s = _mm_add_ps(_mm256_castps256_ps128(v),
	    _mm256_extractf128_ps(v, 1));

	s = _mm_add_ps(s, _mm_movehl_ps(s, s));
	s = _mm_add_ss(s, _mm_movehdup_ps(s));
	return _mm_cvtss_f32(s);
}

static inline __m256
load_f16(const uint16_t *x)
{
	return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)x));
}

static inline __m256
load_bf16(const uint16_t *x)
{
	__m128i h = _mm_loadu_si128((const __m128i *)x);

	return _mm256_castsi256_ps(_mm256_slli_epi32(
	    _mm256_cvtepu16_epi32(h), 16));
}

/* One half-precision scale. */
static inline float
scale_f16(const void *p)
{
	uint16_t h;

	memcpy(&h, p, sizeof(h));
	return _cvtsh_ss(h);
}

static inline __m256i
load_32(const void *p)
{
	return _mm256_loadu_si256((const __m256i *)p);
}

static inline __m128i
load_16(const void *p)
{
	return _mm_loadu_si128((const __m128i *)p);
}

/* 16 bytes: their low nibbles, then their high ones. */
static inline __m256i
load_nibbles(const uint8_t *qs)
{
	__m128i b = load_16(qs);

	return _mm256_and_si256(_mm256_set1_epi8(15),
	    _mm256_set_m128i(_mm_srli_epi16(b, 4), b));
}

/*
 * Pairwise sums of products of 32 bytes, 16 bits each.  u is unsigned and a
 * within -127 .. 127; exact while u <= 128, for 2 * 128 * 127 < 2^15.
 */
static inline __m256i
products_u8(__m256i u, __m256i a)
{
	return _mm256_maddubs_epi16(u, a);
}

/* As products_u8, for signed w: |w| times a with the sign of w.  -128 is fine
 * as a weight (its magnitude is 128 unsigned) but not as an activation. */
static inline __m256i
products_i8(__m256i w, __m256i a)
{
	return _mm256_maddubs_epi16(_mm256_abs_epi8(w),
	    _mm256_sign_epi8(a, w));
}

#endif

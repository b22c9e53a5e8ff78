/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_ROWS_AVXVNNI_H
#define BM_KERNELS_X86_ROWS_AVXVNNI_H

/*
 * The 16 rows of a panel in two registers of 256 bits; rows_avx512.h tells
 * what each of these does.
 */

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define ROWS_TILE_COLS	4	/* columns whose sums fit the registers */

typedef struct { __m256i lo, hi; } rows_i;
typedef struct { __m256 lo, hi; } rows_f;

#define ROWS_OP static inline __attribute__((always_inline))

/* fn(both halves of v), of w too */
#define EACH_HALF(fn, v)	{ fn((v).lo), fn((v).hi) }
#define EACH_HALF_2(fn, v, w)	{ fn((v).lo, (w).lo), fn((v).hi, (w).hi) }
#define EACH_HALF_N(fn, v, n)	{ fn((v).lo, n), fn((v).hi, n) }

ROWS_OP rows_i
rows_load(const void *p)
{
	const __m256i *from = p;

	return (rows_i){ _mm256_loadu_si256(from),
	    _mm256_loadu_si256(from + 1) };
}

ROWS_OP void
rows_store(void *p, rows_i v)
{
	__m256i *to = p;

	_mm256_storeu_si256(to, v.lo);
	_mm256_storeu_si256(to + 1, v.hi);
}

ROWS_OP rows_i
rows_zero(void)
{
	return (rows_i){ _mm256_setzero_si256(), _mm256_setzero_si256() };
}

ROWS_OP rows_i
rows_set_bytes(int8_t v)
{
	return (rows_i){ _mm256_set1_epi8(v), _mm256_set1_epi8(v) };
}

ROWS_OP rows_i
rows_set_words(int16_t v)
{
	return (rows_i){ _mm256_set1_epi16(v), _mm256_set1_epi16(v) };
}

ROWS_OP rows_i
rows_set_quarters(__m128i v)
{
	return (rows_i){ _mm256_broadcastsi128_si256(v),
	    _mm256_broadcastsi128_si256(v) };
}

ROWS_OP rows_i
rows_and(rows_i a, rows_i b)
{
	return (rows_i)EACH_HALF_2(_mm256_and_si256, a, b);
}

ROWS_OP rows_i
rows_or(rows_i a, rows_i b)
{
	return (rows_i)EACH_HALF_2(_mm256_or_si256, a, b);
}

ROWS_OP rows_i
rows_xor(rows_i a, rows_i b)
{
	return (rows_i)EACH_HALF_2(_mm256_xor_si256, a, b);
}

ROWS_OP rows_i
rows_add_bytes(rows_i a, rows_i b)
{
	return (rows_i)EACH_HALF_2(_mm256_add_epi8, a, b);
}

ROWS_OP rows_i
rows_equal_bytes(rows_i a, rows_i b)
{
	return (rows_i)EACH_HALF_2(_mm256_cmpeq_epi8, a, b);
}

ROWS_OP rows_i
rows_add(rows_i a, rows_i b)
{
	return (rows_i)EACH_HALF_2(_mm256_add_epi32, a, b);
}

ROWS_OP rows_i
rows_sub_words(rows_i a, rows_i b)
{
	return (rows_i)EACH_HALF_2(_mm256_sub_epi16, a, b);
}

ROWS_OP rows_i
rows_shift_right(rows_i v, int n)
{
	return (rows_i)EACH_HALF_N(_mm256_srli_epi16, v, n);
}

ROWS_OP rows_i
rows_shift_left(rows_i v, int n)
{
	return (rows_i)EACH_HALF_N(_mm256_slli_epi16, v, n);
}

ROWS_OP rows_i
rows_load_words(const void *p)
{
	const __m128i *from = p;

	return (rows_i){ _mm256_cvtepu16_epi32(_mm_loadu_si128(from)),
	    _mm256_cvtepu16_epi32(_mm_loadu_si128(from + 1)) };
}

ROWS_OP rows_i
rows_shift_signed(rows_i v, int n)
{
	return (rows_i)EACH_HALF_N(_mm256_srai_epi16, v, n);
}

ROWS_OP rows_i
rows_shuffle(rows_i v, rows_i pick)
{
	return (rows_i)EACH_HALF_2(_mm256_shuffle_epi8, v, pick);
}

#define ROWS_BROADCAST(to, base, step, times, offset)			\
	__asm__("vpbroadcastd %c3(%1,%2," #times "), %0"		\
	    : "=x" (to) : "r" (base), "r" (step), "i" (offset))

#define ROWS_MAC_U8(sum, w, base, step, times, offset) do {		\
	__m256i rows_x;							\
									\
	ROWS_BROADCAST(rows_x, base, step, times, offset);		\
	(sum).lo = _mm256_dpbusd_avx_epi32((sum).lo, (w).lo, rows_x);	\
	(sum).hi = _mm256_dpbusd_avx_epi32((sum).hi, (w).hi, rows_x);	\
} while (0)

#define ROWS_MAC_I16(sum, w, base, step, times, offset) do {		\
	__m256i rows_x;							\
									\
	ROWS_BROADCAST(rows_x, base, step, times, offset);		\
	(sum).lo = _mm256_dpwssd_avx_epi32((sum).lo, (w).lo, rows_x);	\
	(sum).hi = _mm256_dpwssd_avx_epi32((sum).hi, (w).hi, rows_x);	\
} while (0)

#define ROWS_SET_F(to, base, step, times, offset) do {			\
	__m256 rows_x;							\
									\
	ROWS_BROADCAST(rows_x, base, step, times, offset);		\
	(to).lo = (to).hi = rows_x;					\
} while (0)

ROWS_OP __m256i
rows_broadcast(const void *p)
{
	int32_t v;

	memcpy(&v, p, sizeof(v));
	return _mm256_set1_epi32(v);
}

ROWS_OP rows_i
rows_mac_u8(rows_i sum, rows_i w, const void *a)
{
	__m256i x = rows_broadcast(a);

	return (rows_i){ _mm256_dpbusd_avx_epi32(sum.lo, w.lo, x),
	    _mm256_dpbusd_avx_epi32(sum.hi, w.hi, x) };
}

ROWS_OP rows_i
rows_mac_words(rows_i sum, rows_i w, rows_i a)
{
	return (rows_i){ _mm256_dpwssd_avx_epi32(sum.lo, w.lo, a.lo),
	    _mm256_dpwssd_avx_epi32(sum.hi, w.hi, a.hi) };
}

ROWS_OP rows_i
rows_mac_i16(rows_i sum, rows_i w, const void *a)
{
	__m256i x = rows_broadcast(a);

	return rows_mac_words(sum, w, (rows_i){ x, x });
}

ROWS_OP rows_f
rows_load_f(const float *p)
{
	return (rows_f){ _mm256_loadu_ps(p), _mm256_loadu_ps(p + 8) };
}

ROWS_OP void
rows_store_f(float *p, rows_f v)
{
	_mm256_storeu_ps(p, v.lo);
	_mm256_storeu_ps(p + 8, v.hi);
}

ROWS_OP rows_f
rows_join_f(__m256 lo, __m256 hi)
{
	return (rows_f){ lo, hi };
}

ROWS_OP rows_f
rows_load_halves(const void *p)
{
	const __m128i *from = p;

	return (rows_f){ _mm256_cvtph_ps(_mm_loadu_si128(from)),
	    _mm256_cvtph_ps(_mm_loadu_si128(from + 1)) };
}

ROWS_OP rows_f
rows_to_float(rows_i v)
{
	return (rows_f)EACH_HALF(_mm256_cvtepi32_ps, v);
}

ROWS_OP rows_f
rows_set_f(const float *p)
{
	__m256 v = _mm256_broadcast_ss(p);

	return (rows_f){ v, v };
}

ROWS_OP rows_f
rows_mul(rows_f a, rows_f b)
{
	return (rows_f)EACH_HALF_2(_mm256_mul_ps, a, b);
}

ROWS_OP rows_f
rows_fma(rows_f a, rows_f b, rows_f c)
{
	return (rows_f){ _mm256_fmadd_ps(a.lo, b.lo, c.lo),
	    _mm256_fmadd_ps(a.hi, b.hi, c.hi) };
}

ROWS_OP rows_f
rows_fnma(rows_f a, rows_f b, rows_f c)
{
	return (rows_f){ _mm256_fnmadd_ps(a.lo, b.lo, c.lo),
	    _mm256_fnmadd_ps(a.hi, b.hi, c.hi) };
}

#undef EACH_HALF
#undef EACH_HALF_2
#undef EACH_HALF_N

#endif

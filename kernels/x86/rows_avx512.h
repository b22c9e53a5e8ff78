/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_ROWS_AVX512_H
#define BM_KERNELS_X86_ROWS_AVX512_H

/*
 * The 16 rows of a panel in one register of 512 bits: what the templates for
 * levels with products of bytes (panel_vnni.h) are written in.  One lane of 32
 * bits is one row's; rows_avxvnni.h is the same in two registers.
 */

#include <immintrin.h>
#include <stdint.h>

#define ROWS_TILE_COLS	12	/* columns whose sums fit the registers */

typedef __m512i rows_i;
typedef __m512 rows_f;

#define ROWS_OP static inline __attribute__((always_inline))

ROWS_OP rows_i
rows_load(const void *p)
{
	return _mm512_loadu_si512(p);
}

ROWS_OP void
rows_store(void *p, rows_i v)
{
	_mm512_storeu_si512(p, v);
}

ROWS_OP rows_i
rows_zero(void)
{
	return _mm512_setzero_si512();
}

ROWS_OP rows_i
rows_set_bytes(int8_t v)
{
	return _mm512_set1_epi8(v);
}

ROWS_OP rows_i
rows_set_words(int16_t v)
{
	return _mm512_set1_epi16(v);
}

/* The same 16 bytes for every four rows. */
ROWS_OP rows_i
rows_set_quarters(__m128i v)
{
	return _mm512_broadcast_i32x4(v);
}

ROWS_OP rows_i
rows_and(rows_i a, rows_i b)
{
	return _mm512_and_si512(a, b);
}

ROWS_OP rows_i
rows_or(rows_i a, rows_i b)
{
	return _mm512_or_si512(a, b);
}

ROWS_OP rows_i
rows_xor(rows_i a, rows_i b)
{
	return _mm512_xor_si512(a, b);
}

ROWS_OP rows_i
rows_add_bytes(rows_i a, rows_i b)
{
	return _mm512_add_epi8(a, b);
}

/* All ones where bytes are equal. */
ROWS_OP rows_i
rows_equal_bytes(rows_i a, rows_i b)
{
	return _mm512_movm_epi8(_mm512_cmpeq_epi8_mask(a, b));
}

ROWS_OP rows_i
rows_add(rows_i a, rows_i b)
{
	return _mm512_add_epi32(a, b);
}

ROWS_OP rows_i
rows_sub_words(rows_i a, rows_i b)
{
	return _mm512_sub_epi16(a, b);
}

/* Within every 16 bits. */
ROWS_OP rows_i
rows_shift_right(rows_i v, int n)
{
	return _mm512_srli_epi16(v, (unsigned)n);
}

ROWS_OP rows_i
rows_shift_left(rows_i v, int n)
{
	return _mm512_slli_epi16(v, (unsigned)n);
}

/* 16 words, each in the low half of its row's. */
ROWS_OP rows_i
rows_load_words(const void *p)
{
	return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
}

/* With sign. */
ROWS_OP rows_i
rows_shift_signed(rows_i v, int n)
{
	return _mm512_srai_epi16(v, (unsigned)n);
}

/* Bytes of v by the low four bits of `pick`, 0 where its sign is set, within
 * every four rows. */
ROWS_OP rows_i
rows_shuffle(rows_i v, rows_i pick)
{
	return _mm512_shuffle_epi8(v, pick);
}

/*
 * Of a column's activations, at base + step * times + offset, which the same
 * for all rows; base is a number, times 1, 2, 4 or 8, and offset a constant.
 * The compiler is told neither the sum nor that memory is read: it would keep
 * dozens of addresses, on the stack; and none of its stores go there.
 *
 * sum += w[0..3] a[0..3] of each row, w unsigned, the bytes a signed
 */
#define ROWS_MAC_U8(sum, w, base, step, times, offset)			\
	__asm__("vpdpbusd %c4(%2,%3," #times ")%{1to16%}, %1, %0"	\
	    : "+v" (sum) : "v" (w), "r" (base), "r" (step), "i" (offset))

/* sum += w[0] a[0] + w[1] a[1] of each row, in words */
#define ROWS_MAC_I16(sum, w, base, step, times, offset)		\
	__asm__("vpdpwssd %c4(%2,%3," #times ")%{1to16%}, %1, %0"	\
	    : "+v" (sum) : "v" (w), "r" (base), "r" (step), "i" (offset))

/* to = a float */
#define ROWS_SET_F(to, base, step, times, offset)			\
	__asm__("vbroadcastss %c3(%1,%2," #times "), %0"		\
	    : "=v" (to) : "r" (base), "r" (step), "i" (offset))

/* The same with an address. */
ROWS_OP rows_i
rows_mac_u8(rows_i sum, rows_i w, const void *a)
{
	__asm__("vpdpbusd %2%{1to16%}, %1, %0"
	    : "+v" (sum) : "v" (w), "m" (*(const int32_t *)a));
	return sum;
}

ROWS_OP rows_i
rows_mac_i16(rows_i sum, rows_i w, const void *a)
{
	__asm__("vpdpwssd %2%{1to16%}, %1, %0"
	    : "+v" (sum) : "v" (w), "m" (*(const int32_t *)a));
	return sum;
}

/* sum + w[0] a[0] + w[1] a[1] of each row, in words */
ROWS_OP rows_i
rows_mac_words(rows_i sum, rows_i w, rows_i a)
{
	return _mm512_dpwssd_epi32(sum, w, a);
}

ROWS_OP rows_f
rows_load_f(const float *p)
{
	return _mm512_loadu_ps(p);
}

ROWS_OP void
rows_store_f(float *p, rows_f v)
{
	_mm512_storeu_ps(p, v);
}

ROWS_OP rows_f
rows_zero_f(void)
{
	return _mm512_setzero_ps();
}

ROWS_OP rows_f
rows_add_f(rows_f a, rows_f b)
{
	return _mm512_add_ps(a, b);
}

/* The first 8 rows and the others. */
ROWS_OP rows_f
rows_join_f(__m256 lo, __m256 hi)
{
	return _mm512_insertf32x8(_mm512_castps256_ps512(lo), hi, 1);
}

/* 16 bfloat16. */
ROWS_OP rows_f
rows_load_bf16(const void *p)
{
	__m256i h = _mm256_loadu_si256((const __m256i *)p);

	return _mm512_castsi512_ps(_mm512_slli_epi32(
	    _mm512_cvtepu16_epi32(h), 16));
}

/* 16 halves. */
ROWS_OP rows_f
rows_load_halves(const void *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

ROWS_OP rows_f
rows_to_float(rows_i v)
{
	return _mm512_cvtepi32_ps(v);
}

/* The float at p for all rows. */
ROWS_OP rows_f
rows_set_f(const float *p)
{
	return _mm512_set1_ps(*p);
}

ROWS_OP rows_f
rows_mul(rows_f a, rows_f b)
{
	return _mm512_mul_ps(a, b);
}

/* a b + c */
ROWS_OP rows_f
rows_fma(rows_f a, rows_f b, rows_f c)
{
	return _mm512_fmadd_ps(a, b, c);
}

/* c - a b */
ROWS_OP rows_f
rows_fnma(rows_f a, rows_f b, rows_f c)
{
	return _mm512_fnmadd_ps(a, b, c);
}

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_PANEL_IQ4_AVX2_H
#define BM_KERNELS_X86_PANEL_IQ4_AVX2_H

/*
 * What the panels of IQ4_NL and IQ4_XS share.  Both look 4 bits up in a table
 * of values of 8 bits and a sign, so a sum of two products fills 16 bits and
 * each must be widened at once, by the multiplication with its scale (IQ4_NL:
 * one).  maddubs wants one unsigned operand: the magnitudes of the
 * activations, whose signs go to the values.
 */

#include "kernels/ref/ref.h"
#include "kernels/x86/panel_avx2.h"

#define IQ4_NL_BYTES	288	/* of a block column */
#define IQ4_XS_BYTES	2176

ALWAYS_INLINE __m256i
iq4_values(void)
{
	return _mm256_broadcastsi128_si256(load_16(ref_iq4_values));
}

/* The values of 32 codes, and of the 32 in the high nibbles. */
ALWAYS_INLINE __m256i
low_values(__m256i table, __m256i v)
{
	return _mm256_shuffle_epi8(table, _mm256_and_si256(v,
	    _mm256_set1_epi8(15)));
}

ALWAYS_INLINE __m256i
high_values(__m256i table, __m256i v)
{
	return low_values(table, _mm256_srli_epi16(v, 4));
}

/* 4 scales less 32, in the bytes of 8 rows, to words [row][twice the same]:
 * scale i to out[2 * i]. */
ALWAYS_INLINE void
spread_scales_xs(__m256i v, int16_t (*out)[32], size_t row)
{
	const __m256i pick = _mm256_broadcastsi128_si256(_mm_setr_epi8(
	    0, -1, 0, -1, 4, -1, 4, -1, 8, -1, 8, -1, 12, -1, 12, -1));
	const __m256i less = _mm256_set1_epi16(32);
	size_t i;

	for (i = 0; i < 4; i++) {
		store_32(out[2 * i] + 2 * row, _mm256_sub_epi16(
		    _mm256_shuffle_epi8(v, pick), less));
		v = _mm256_srli_epi32(v, 8);
	}
}

/* The scales of IQ4_XS at p, [16 rows][4] low nibbles and [16 rows] words with
 * two high bits each, of 8 rows. */
ALWAYS_INLINE void
unpack_scales_xs(const uint8_t *p, int16_t (*out)[32], size_t row)
{
	const __m256i low4 = _mm256_set1_epi8(15);
	const __m256i even = _mm256_set1_epi32(0x00300030);
	const __m256i odd = _mm256_set1_epi32(0x30003000);
	/* both bytes of a row's word, twice: sub-blocks 0..3 and 4..7 */
	const __m256i twice = _mm256_broadcastsi128_si256(_mm_setr_epi8(
	    0, 0, 1, 1, 4, 4, 5, 5, 8, 8, 9, 9, 12, 12, 13, 13));
	__m256i low = load_32(p + 4 * row), high, bits;

	high = _mm256_shuffle_epi8(_mm256_cvtepu16_epi32(load_16(p + 64 +
	    2 * row)), twice);
	/* byte i is of sub-block 2 i: bits 0, 4 of one byte, 0, 4 of the
	 * other */
	bits = _mm256_or_si256(
	    _mm256_and_si256(_mm256_slli_epi16(high, 4), even),
	    _mm256_and_si256(high, odd));
	spread_scales_xs(_mm256_or_si256(_mm256_and_si256(low, low4), bits),
	    out, row);
	bits = _mm256_or_si256(
	    _mm256_and_si256(_mm256_slli_epi16(high, 2), even),
	    _mm256_and_si256(_mm256_srli_epi16(high, 2), odd));
	spread_scales_xs(_mm256_or_si256(_mm256_and_si256(
	    _mm256_srli_epi16(low, 4), low4), bits), out + 1, row);
}

/* The kernel for many columns (panel_iq4_many_avx2.c), worth it from so many
 * on. */
#define IQ4_MANY_COLS 48

void	 avx2_panel_iq4_xs_many(const uint8_t *w, size_t n_panels,
	    size_t n_in, const char *act, size_t act_stride, size_t n_cols,
	    float *out, size_t out_stride);

#endif

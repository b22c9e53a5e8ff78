/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_PANEL_TILE_AVX2_H
#define BM_KERNELS_X86_PANEL_TILE_AVX2_H

/*
 * A tile: 16 rows times 1 to 4 columns, two registers of sums a column, named
 * so that they stay registers.  A unit is 4 bytes of 16 rows, two registers:
 * 4 quants in bytes, times 4 of the activations, or 2 quants in words, times 2.
 *
 * A type says how to get at its units by a function that takes them from the
 * packed bytes of a block column.  The first tile of columns multiplies them
 * on the way; if there are more tiles it leaves them for these, unpacked, in
 * the near cache.
 */

#include "kernels/each.h"
#include "kernels/x86/panel_avx2.h"

/* Where a tile finds its block columns. */
enum source {
	PACKED,		/* as they lie in memory */
	UNPACKING,	/* likewise, and leaves them unpacked */
	UNPACKED
};

struct tile {
	__m256i	 lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3;
};

ALWAYS_INLINE __m256i
tile_mac(const bool words, const bool first, __m256i acc, __m256i w, __m256i a)
{
	if (words)
		return first ? _mm256_madd_epi16(w, a) : mac_i16(acc, w, a);
	return first ? _mm256_maddubs_epi16(w, a) : mac_u8(acc, w, a);
}

/* Add one unit's products with the activations at x, stride apart; or, as the
 * first of sums that nothing else starts, set them to it. */
ALWAYS_INLINE void
tile_unit(const int n, const enum source from, const bool words,
    const bool first, struct tile *t, __m256i w0, __m256i w1, uint8_t *to,
    const char *x, size_t stride)
{
	if (from == UNPACKING) {
		store_32(to, w0);
		store_32(to + 32, w1);
	}
#define COLUMN(i) do {							\
	__m256i a = broadcast_32(x + (i) * stride);			\
									\
	t->lo##i = tile_mac(words, first, t->lo##i, w0, a);		\
	t->hi##i = tile_mac(words, first, t->hi##i, w1, a);		\
} while (0)
	EACH_OF_4(n, COLUMN);
#undef COLUMN
}

/*
 * Start the sums of quants from which an offset is yet to be subtracted: so
 * many times what the activations that a lane will see have at `start`.
 */
ALWAYS_INLINE void
tile_start(const int n, const int times, struct tile *t, const char *start,
    size_t stride)
{
#define COLUMN(i) do {							\
	__m256i v = broadcast_32(start + (i) * stride);			\
									\
	t->lo##i = t->hi##i = times == 1 ? v :				\
	    _mm256_mullo_epi16(v, _mm256_set1_epi16((int16_t)times));	\
} while (0)
	EACH_OF_4(n, COLUMN);
#undef COLUMN
}

#endif

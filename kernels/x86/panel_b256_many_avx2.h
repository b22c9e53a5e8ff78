/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_PANEL_B256_MANY_AVX2_H
#define BM_KERNELS_X86_PANEL_B256_MANY_AVX2_H

/*
 * Panels of types with blocks of 256 times many columns: block columns are
 * unpacked, then every tile of columns passes over them.  Sums of 32 bits
 * are touched once a chain and floats once a block; both live in memory, so
 * that the registers hold the 16-bit sums of a tile.
 */

#include "kernels/x86/panel_b256_avx2.h"

#define QUAD_COLUMN(a, lo, hi) do {					\
	__m256i x = broadcast_32((a)->q + 4 * k);			\
									\
	if (k == quad && s.offset == 0) { /* nothing else starts it */	\
		lo = _mm256_maddubs_epi16(w0, x);			\
		hi = _mm256_maddubs_epi16(w1, x);			\
	} else {							\
		lo = mac_u8(lo, w0, x);					\
		hi = mac_u8(hi, w1, x);					\
	}								\
} while (0)

#define QUAD(step) do {							\
	size_t k = quad + step;						\
	__m256i w0 = load_32(b->q[k]), w1 = load_32(b->q[k] + 32);	\
									\
	QUAD_COLUMN(a0, lo0, hi0);					\
	if (n > 1)							\
		QUAD_COLUMN(a1, lo1, hi1);				\
	if (n > 2)							\
		QUAD_COLUMN(a2, lo2, hi2);				\
	if (n > 3)							\
		QUAD_COLUMN(a3, lo3, hi3);				\
} while (0)

#define START(i) \
	lo##i = hi##i = s.offset == 0 ? _mm256_setzero_si256() :	\
	    _mm256_mullo_epi16(broadcast_32(a##i->pair[sub]),		\
	    _mm256_set1_epi16((int16_t)-s.offset))

/*
 * Sums of 32 bits: with 4 columns all are in memory, with 3 all but two in
 * registers.
 */
#define SUM(i)	(*((i) < (n == 4 ? 0 : 4) ? &held[i] : &sum[i]))

/* One by one: of a loop the compiler would make a call. */
#define CLEAR(i)							\
	SUM(2 * i) = SUM(2 * i + 1) = _mm256_setzero_si256()

/* Scale the 16-bit sums and add them to those of 32 bits. */
#define WIDEN(i) do {							\
	SUM(2 * i) = _mm256_add_epi32(SUM(2 * i),			\
	    _mm256_madd_epi16(lo##i, s0));				\
	SUM(2 * i + 1) = _mm256_add_epi32(SUM(2 * i + 1),		\
	    _mm256_madd_epi16(hi##i, s1));				\
} while (0)

/* The chains of one block: SUM(2 * column + half of the rows). */
ALWAYS_INLINE void
chains_many(const int n, const struct shape_b256 s, const struct block_b256 *b,
    const uint8_t *next, const struct act_q8k *a0, const struct act_q8k *a1,
    const struct act_q8k *a2, const struct act_q8k *a3, __m256i *held,
    __m256i *sum)
{
	const size_t share = s.block_bytes * s.chain_units / 64;
	size_t quad, sub;

	for (quad = sub = 0; quad < 64; quad += s.chain_units, sub++) {
		__m256i lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3, s0, s1;

		/* the chain's share of weights to come, but what was asked
		 * for when the last were unpacked */
		prefetch(next + UNPACK_AHEAD, share - UNPACK_AHEAD);
		next += share;
		START(0);
		if (n > 1)
			START(1);
		if (n > 2)
			START(2);
		if (n > 3)
			START(3);
		QUAD(0);
		QUAD(1);
		QUAD(2);
		QUAD(3);
		if (s.chain_units == 8) {
			QUAD(4);
			QUAD(5);
			QUAD(6);
			QUAD(7);
		}
		s0 = load_32(b->scales.scale[sub]);
		s1 = load_32(b->scales.scale[sub] + 16);
		WIDEN(0);
		if (n > 1)
			WIDEN(1);
		if (n > 2)
			WIDEN(2);
		if (n > 3)
			WIDEN(3);
	}
}

#define FINISH(i) do {							\
	finish_b256(s, &b->scales, 0, a##i, SUM(2 * i),	\
	    out + i * out_stride);					\
	finish_b256(s, &b->scales, 8, a##i, SUM(2 * i + 1),	\
	    out + i * out_stride + 8);					\
} while (0)

/* n columns (a constant, 1..4) times n_blocks block columns. */
ALWAYS_INLINE void
tile_many(const int n, const struct shape_b256 s, const struct block_b256 *b,
    size_t n_blocks, const uint8_t *next, const char *act, size_t act_stride,
    float *out, size_t out_stride)
{
	const struct act_q8k *a0 = (const void *)act;
	const struct act_q8k *a1 = (const void *)(act + act_stride);
	const struct act_q8k *a2 = (const void *)(act + 2 * act_stride);
	const struct act_q8k *a3 = (const void *)(act + 3 * act_stride);
	__m256i held[2 * TILE_COLS], sums[2 * TILE_COLS];
	__m256i *sum = not_in_frame(sums);
	size_t i;

	for (i = 0; i < n_blocks; i++, b++) {
		CLEAR(0);
		if (n > 1)
			CLEAR(1);
		if (n > 2)
			CLEAR(2);
		if (n > 3)
			CLEAR(3);
		chains_many(n, s, b, next, a0, a1, a2, a3, held, sum);
		next += s.block_bytes;
		FINISH(0);
		if (n > 1)
			FINISH(1);
		if (n > 2)
			FINISH(2);
		if (n > 3)
			FINISH(3);
		a0++;
		a1++;
		a2++;
		a3++;
	}
}

#undef QUAD_COLUMN
#undef QUAD
#undef START
#undef SUM
#undef CLEAR
#undef WIDEN
#undef FINISH

#define WALK(name)	name##_many
#define WALK_SHAPE	struct shape_b256
#define WALK_BLOCK	struct block_b256
#define WALK_ACT	struct act_q8k
#define WALK_BLOCK_N	256
#include "kernels/x86/panel_walk_avx2.h"

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_PANEL_B256_AVX2_H
#define BM_KERNELS_X86_PANEL_B256_AVX2_H

/*
 * Panels of types with blocks of 256.  The integer scale of a sub-block is
 * applied by the maddwd that widens its 16-bit sums; sums of 32 bits are
 * touched once a chain and floats once a block, so that the registers hold the
 * 16-bit sums of a tile.  Here is what a type says of itself, how a block
 * column is taken apart for tiles of columns (panel_b256_many_avx2.h), and the
 * product with one or two columns, straight from the packed bytes.
 * Everything is inlined into one function a type, its shape known.
 */

#include "kernels/x86/panel_tile_avx2.h"

/* Blocks that are unpacked at once: more would leave memory idle for as long
 * as tiles pass over them. */
#define CHUNK_BLOCKS	1
/* Bytes of weights, of each chain's share, that are asked for by who unpacks;
 * the rest by the first tile. */
#define UNPACK_AHEAD	64

/* The scales of a block column, unpacked. */
struct scales_b256 {
	int16_t	 scale[16][32];	/* [chain][row][twice the same] */
	int16_t	 min[4][32];	/* [sub-block pair][row][sub-block] */
	float	 d[16];
	float	 dmin[16];
};

struct block_b256 {
	struct scales_b256	 scales;
	uint8_t			 q[64][64];
};

/*
 * A chain is the units, 4 quads or 8, that one 16-bit sum takes.  A block is
 * `spans` times span_chains of them: the spans lie alike and are a loop, the
 * chains of one differ in how they lie.
 */
struct shape_b256 {
	size_t	 block_bytes;	/* of a block column */
	size_t	 chain_units;
	size_t	 spans;
	size_t	 span_chains;	/* at most 8 */
	int	 offset;	/* of the quants */
	bool	 has_mins;
	/* which of the block's chains chain i of a span is */
	size_t	 (*chain)(size_t span, size_t i);
	/* 8 rows of unit k of that chain, of the block column at w; at: 0 or,
	 * for rows 8 to 15, 32 */
	__m256i	 (*unit)(const uint8_t *w, size_t span, size_t i, size_t k,
		    size_t at);
	void	 (*scales)(const uint8_t *w, struct scales_b256 *to);
};

#define EACH_UNIT(s, DO) do {						\
	DO(0);								\
	DO(1);								\
	DO(2);								\
	DO(3);								\
	if ((s).chain_units > 4) {					\
		DO(4);							\
		DO(5);							\
		DO(6);							\
		DO(7);							\
	}								\
} while (0)

#define EACH_CHAIN(s, DO) do {						\
	DO(0);								\
	if ((s).span_chains > 1)					\
		DO(1);							\
	if ((s).span_chains > 2) {					\
		DO(2);							\
		DO(3);							\
	}								\
	if ((s).span_chains > 4) {					\
		DO(4);							\
		DO(5);							\
		DO(6);							\
		DO(7);							\
	}								\
} while (0)

/* Take a block column apart, asking for some of what comes some blocks later,
 * so that memory is not idle meanwhile. */
ALWAYS_INLINE void
unpack_b256(const struct shape_b256 s, const uint8_t *w, struct block_b256 *b)
{
	const uint8_t *later = w + CHUNK_BLOCKS * s.block_bytes + FEW_AHEAD;
	const size_t share = s.block_bytes * s.chain_units / 64;
	size_t span;

	s.scales(w, &b->scales);
	for (span = 0; span < s.spans; span++) {
#define UNIT(k) do {							\
	store_32(to[k], s.unit(w, span, i, (k), 0));			\
	store_32(to[k] + 32, s.unit(w, span, i, (k), 32));		\
} while (0)
#define CHAIN(c) do {							\
	const size_t i = (c);						\
	uint8_t (*to)[64] = b->q + s.chain_units * s.chain(span, i);	\
									\
	EACH_UNIT(s, UNIT);						\
	prefetch(later + s.chain(span, i) * share, UNPACK_AHEAD);	\
} while (0)
		EACH_CHAIN(s, CHAIN);
#undef CHAIN
#undef UNIT
	}
}

ALWAYS_INLINE __m256i
mins_b256(const struct scales_b256 *b, size_t row, const struct act_q8k *a)
{
	__m256i sum;

	sum = _mm256_madd_epi16(load_32(b->min[0] + 2 * row),
	    broadcast_32(a->sum32));
	sum = mac_i16(sum, load_32(b->min[1] + 2 * row),
	    broadcast_32(a->sum32 + 2));
	sum = mac_i16(sum, load_32(b->min[2] + 2 * row),
	    broadcast_32(a->sum32 + 4));
	return mac_i16(sum, load_32(b->min[3] + 2 * row),
	    broadcast_32(a->sum32 + 6));
}

/* Add one block to 8 outputs. */
ALWAYS_INLINE void
finish_b256(const struct shape_b256 s, const struct scales_b256 *b, size_t row,
    const struct act_q8k *a, __m256i sum, float *out)
{
	__m256 act_d = _mm256_broadcast_ss(&a->d);
	__m256 acc = _mm256_loadu_ps(out);

	acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum),
	    _mm256_mul_ps(_mm256_load_ps(b->d + row), act_d), acc);
	if (s.has_mins)
		acc = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(mins_b256(b, row,
		    a)), _mm256_mul_ps(_mm256_load_ps(b->dmin + row), act_d),
		    acc);
	_mm256_storeu_ps(out, acc);
}

/* ---- one or two columns ---- */

/* Chain i of a span of n columns, a constant. */
ALWAYS_INLINE void
chain_few(const int n, const struct shape_b256 s, size_t span, size_t i,
    const uint8_t *w, const struct scales_b256 *b, const char *act,
    size_t act_stride, struct tile *sums)
{
	const size_t chain = s.chain(span, i);
	const char *x = act + offsetof(struct act_q8k, q) +
	    4 * s.chain_units * chain;
	struct tile t;
	__m256i s0, s1;

	if (s.offset != 0)
		tile_start(n, -s.offset, &t, act +
		    offsetof(struct act_q8k, pair) + 4 * chain, act_stride);
#define UNIT(k) do {							\
	__m256i w0 = s.unit(w, span, i, (k), 0);			\
	__m256i w1 = s.unit(w, span, i, (k), 32);			\
									\
	tile_unit(n, PACKED, false, (k) == 0 && s.offset == 0, &t, w0,	\
	    w1, NULL, x + 4 * (k), act_stride);				\
} while (0)
	EACH_UNIT(s, UNIT);
#undef UNIT
	/* what the next chain loads again is not kept in registers */
	__asm__ volatile("" : : : "memory");
	s0 = load_32(b->scale[chain]);
	s1 = load_32(b->scale[chain] + 16);
	sums->lo0 = mac_i16(sums->lo0, t.lo0, s0);
	sums->hi0 = mac_i16(sums->hi0, t.hi0, s1);
	if (n > 1) {
		sums->lo1 = mac_i16(sums->lo1, t.lo1, s0);
		sums->hi1 = mac_i16(sums->hi1, t.hi1, s1);
	}
}

/* One block column; asks for the lines at *ahead that come a block later. */
ALWAYS_INLINE void
block_few(const int n, const struct shape_b256 s, const uint8_t *w,
    struct scales_b256 *b, struct ahead *ahead, const char *act,
    size_t act_stride, float *out, size_t out_stride)
{
	const __m256i zero = _mm256_setzero_si256();
	struct tile sums = { .lo0 = zero, .hi0 = zero, .lo1 = zero,
	    .hi1 = zero };
	const void *second = act + act_stride;
	const size_t share = s.block_bytes * s.chain_units / 64;
	const size_t lines = (share + 63) / 64;
	size_t span;

	s.scales(w, b);
	ahead->end += s.block_bytes;
	for (span = 0; span < s.spans; span++) {
#define CHAIN(i) do {							\
	ahead_lines(ahead, lines);					\
	chain_few(n, s, span, (i), w, b, act, act_stride, &sums);	\
} while (0)
		EACH_CHAIN(s, CHAIN);
#undef CHAIN
	}
	finish_b256(s, b, 0, (const void *)act, sums.lo0, out);
	finish_b256(s, b, 8, (const void *)act, sums.hi0, out + 8);
	if (n > 1) {
		out += out_stride;
		finish_b256(s, b, 0, second, sums.lo1, out);
		finish_b256(s, b, 8, second, sums.hi1, out + 8);
	}
}

/* All panels times n columns, a constant. */
ALWAYS_INLINE void
panels_few(const int n, const struct shape_b256 s, const uint8_t *w,
    size_t n_panels, size_t n_in, const char *act, size_t act_stride,
    float *out, size_t out_stride)
{
	struct scales_b256 scales, *b = not_in_frame(&scales);
	struct ahead ahead = ahead_of(w);
	size_t i;

	for (; n_panels > 0; n_panels--, out += PANEL_ROWS) {
		clear_panel(out, out_stride, (size_t)n);
		for (i = 0; i < n_in / 256; i++) {
			block_few(n, s, w, b, &ahead, act + i *
			    sizeof(struct act_q8k), act_stride, out,
			    out_stride);
			w += s.block_bytes;
		}
	}
}

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_PANEL_B256_AVX2_H
#define BM_KERNELS_X86_PANEL_B256_AVX2_H

/*
 * Panels of types with blocks of 256 times few columns.  The integer scale of
 * a sub-block is applied by the maddwd that widens its 16-bit sums; sums of 32
 * bits are touched once a chain and floats once a block, so that the registers
 * hold the 16-bit sums of a tile.  Everything here is inlined into one
 * function a type, its shape known.
 */

#include "kernels/x86/panel_tile_avx2.h"

/* Blocks that are unpacked at once. */
#define CHUNK_B256	2

/* The scales of a block column, unpacked, and room for sums. */
struct scales_b256 {
	int16_t	 scale[16][32];	/* [chain][row][twice the same] */
	int16_t	 min[4][32];	/* [sub-block pair][row][sub-block] */
	float	 d[16];
	float	 dmin[16];
	__m256i	 sum[2 * TILE_COLS];
};

struct block_b256 {
	struct scales_b256	 scales;
	uint8_t			 q[64][64];
};

struct shape_b256 {
	size_t	 block_bytes;	/* of a block column */
	int	 chain_units;	/* quads a 16-bit sum can take: 4 or 8 */
	int	 span_chains;	/* how many differ in how their quads lie */
	int	 offset;	/* of the quants */
	bool	 has_mins;
	/* 8 rows of unit u of a span of the block column at w; at: 0 or,
	 * for rows 8 to 15, 32 */
	__m256i	 (*unit)(const uint8_t *w, size_t span, size_t u, size_t at);
	void	 (*scales)(const uint8_t *w, struct scales_b256 *to);
};

/* Columns whose sums of 32 bits find registers beside the sums of 16 bits. */
ALWAYS_INLINE int
sums_in_registers(const int n, const enum source from)
{
	if (n <= 2)
		return n;
	return from == UNPACKED ? 1 : 0;
}

/* Scale the 16-bit sums of a chain and add them to those of 32 bits. */
ALWAYS_INLINE void
widen_b256(const int n, const enum source from, const struct tile *t,
    struct tile *sums, struct scales_b256 *b, size_t chain)
{
	__m256i s0, s1;

	/* else sums are loaded too soon, into registers there are not */
	__asm__ volatile("" : : : "memory");
	s0 = load_32(b->scale[chain]);
	s1 = load_32(b->scale[chain] + 16);
#define COLUMN(i) do {							\
	if ((i) < sums_in_registers(n, from)) {				\
		sums->lo##i = mac_i16(sums->lo##i, t->lo##i, s0);	\
		sums->hi##i = mac_i16(sums->hi##i, t->hi##i, s1);	\
	} else {							\
		b->sum[2 * (i)] = _mm256_add_epi32(b->sum[2 * (i)],	\
		    _mm256_madd_epi16(t->lo##i, s0));			\
		b->sum[2 * (i) + 1] = _mm256_add_epi32(			\
		    b->sum[2 * (i) + 1], _mm256_madd_epi16(t->hi##i,	\
		    s1));						\
	}								\
} while (0)
	EACH_COLUMN(n, COLUMN);
#undef COLUMN
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

ALWAYS_INLINE void
tile_finish_b256(const int n, const enum source from,
    const struct shape_b256 s, const struct tile *sums,
    const struct scales_b256 *b, const char *act, size_t act_stride,
    float *out, size_t out_stride)
{
#define COLUMN(i) do {							\
	const void *a = act + (i) * act_stride;				\
	float *to = out + (i) * out_stride;				\
									\
	finish_b256(s, b, 0, a, (i) < sums_in_registers(n, from) ?	\
	    sums->lo##i : b->sum[2 * (i)], to);				\
	finish_b256(s, b, 8, a, (i) < sums_in_registers(n, from) ?	\
	    sums->hi##i : b->sum[2 * (i) + 1], to + 8);			\
} while (0)
	EACH_COLUMN(n, COLUMN);
#undef COLUMN
}

/* Chain i of a span. */
ALWAYS_INLINE void
chain_b256(const int n, const enum source from, const struct shape_b256 s,
    size_t span, size_t i, const uint8_t *w, struct block_b256 *to,
    struct tile *sums, const char *act, size_t act_stride)
{
	const int units = s.chain_units;
	const size_t chains = from == UNPACKED ? 1 : (size_t)s.span_chains;
	const size_t chain = span * chains + i;
	const size_t first = chain * (size_t)units;	/* of all units */
	const char *x = act + offsetof(struct act_q8k, q) + 4 * first;
	struct tile t;

	if (from != UNPACKED)
		prefetch_ahead(w + chain * s.block_bytes * (size_t)units /
		    64, s.block_bytes * (size_t)units / 64);
	tile_start(n, s.offset, &t, act + offsetof(struct act_q8k, pair) +
	    4 * chain, act_stride);
#define UNIT(k) do {							\
	size_t u = i * (size_t)units + (k);				\
	__m256i w0 = from == UNPACKED ? load_32(to->q[first + (k)]) :	\
	    s.unit(w, span, u, 0);					\
	__m256i w1 = from == UNPACKED ? load_32(to->q[first + (k)] + 32) : \
	    s.unit(w, span, u, 32);					\
									\
	tile_unit(n, from, false, &t, w0, w1, to->q[first + (k)],	\
	    x + 4 * (k), act_stride);					\
} while (0)
	UNIT(0);
	UNIT(1);
	UNIT(2);
	UNIT(3);
	if (units == 8) {
		UNIT(4);
		UNIT(5);
		UNIT(6);
		UNIT(7);
	}
#undef UNIT
	widen_b256(n, from, &t, sums, &to->scales, chain);
}

/* n columns (a constant, 1..4) times one block column. */
ALWAYS_INLINE void
block_of_tile_b256(const int n, const enum source from,
    const struct shape_b256 s, const uint8_t *w, struct block_b256 *to,
    const char *act, size_t act_stride, float *out, size_t out_stride)
{
	const size_t chains = from == UNPACKED ? 1 : (size_t)s.span_chains;
	const size_t spans = 64 / (chains * (size_t)s.chain_units);
	const __m256i zero = _mm256_setzero_si256();
	struct tile sums = { zero, zero, zero, zero, zero, zero, zero, zero };
	size_t i;

	if (from != UNPACKED)
		s.scales(w, &to->scales);
	if (sums_in_registers(n, from) < n)
		memset(to->scales.sum, 0, sizeof(to->scales.sum));
	for (i = 0; i < spans; i++) {
#define CHAIN(k) do {							\
	if (chains > (k))						\
		chain_b256(n, from, s, i, k, w, to, &sums, act,		\
		    act_stride);					\
} while (0)
		CHAIN(0);
		CHAIN(1);
		CHAIN(2);
		CHAIN(3);
		CHAIN(4);
		CHAIN(5);
		CHAIN(6);
		CHAIN(7);
		CHAIN(8);
		CHAIN(9);
		CHAIN(10);
		CHAIN(11);
		CHAIN(12);
		CHAIN(13);
		CHAIN(14);
		CHAIN(15);
#undef CHAIN
	}
	tile_finish_b256(n, from, s, &sums, &to->scales, act, act_stride,
	    out, out_stride);
}

ALWAYS_INLINE void
tile_b256(const int n, const enum source from, const struct shape_b256 s,
    const uint8_t *w, uint8_t *chunk, size_t n_blocks, const char *act,
    size_t act_stride, float *out, size_t out_stride)
{
	struct block_b256 *to = (void *)chunk;

	for (; n_blocks > 0; n_blocks--) {
		block_of_tile_b256(n, from, s, w, to, act, act_stride, out,
		    out_stride);
		w += s.block_bytes;
		if (from != PACKED)
			to++;
		act += sizeof(struct act_q8k);
	}
}

#define WALK(name)		name##_b256
#define WALK_SHAPE		struct shape_b256
#define WALK_BLOCK_N		256
#define WALK_CHUNK		CHUNK_B256
#define WALK_CHUNK_BYTES	(CHUNK_B256 * sizeof(struct block_b256))
#define WALK_ACT_BYTES(s)	sizeof(struct act_q8k)
#include "kernels/x86/panel_walk_packed_avx2.h"

#endif

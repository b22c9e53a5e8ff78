/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_PANEL_B32_AVX2_H
#define BM_KERNELS_X86_PANEL_B32_AVX2_H

/*
 * Panels of types with blocks of 32: the sums of a block are widened, scaled
 * and added to the outputs, which live in memory between blocks.  Everything
 * here is inlined into one function a type, its shape known.
 */

#include "kernels/x86/panel_tile_avx2.h"

/* Blocks that are unpacked at once. */
#define CHUNK_B32	16

/* What a type needs besides its units. */
struct shape_b32 {
	size_t	 block_bytes;	/* of a block column */
	size_t	 scales_at;	/* in it: 16 halves, then 16 mins if any */
	bool	 e8m0;		/* scales are exponents of 8 bits instead */
	bool	 has_min;	/* x = d q + m */
	int	 offset;	/* subtracted from the quants; 0, 8 or 16 */
	bool	 add_back;	/* only to keep sums small: undone after */
	bool	 words;		/* units of words; activations are act_q16 */
	/* 8 rows of unit u of the block column at w; at: 0 or, for rows 8 to
	 * 15, 32 */
	__m256i	 (*unit)(const uint8_t *w, size_t u, size_t at);
};

#define UNITS_B32(s)	((s).words ? 16 : 8)

/* A block column of 16 rows, unpacked: units, scales, mins. */
#define UNPACKED_BYTES(s) (64 * (UNITS_B32(s) + 2))

/* Scales or, 16 later, mins of 8 rows. */
ALWAYS_INLINE __m256
scales_b32(const struct shape_b32 s, const enum source from, const uint8_t *w,
    uint8_t *to, size_t row)
{
	const size_t at = 64 * UNITS_B32(s) + 4 * row;
	__m256 d;

	if (from == UNPACKED)
		return _mm256_load_ps((const void *)(to + at));
	d = s.e8m0 ? scales_e8m0(w + s.scales_at + row) :
	    load_f16((const void *)(w + s.scales_at + 2 * row));
	if (from == UNPACKING)
		_mm256_store_ps((void *)(to + at), d);
	return d;
}

/* out += d * act_d * (sum + back), + m * dsum */
ALWAYS_INLINE void
finish_b32(const struct shape_b32 s, __m256i sum, __m256 d, __m256 m,
    const struct act_q8 *a, float *out)
{
	__m256 acc = _mm256_loadu_ps(out);

	if (!s.words)
		sum = _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
	if (s.add_back)
		sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(
		    broadcast_32(&a->sum), _mm256_set1_epi32(s.offset)));
	acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum),
	    _mm256_mul_ps(d, _mm256_broadcast_ss(&a->d)), acc);
	if (s.has_min)
		acc = _mm256_fmadd_ps(m, _mm256_broadcast_ss(&a->dsum), acc);
	_mm256_storeu_ps(out, acc);
}

/* The sums of a tile to the outputs. */
ALWAYS_INLINE void
tile_finish_b32(const int n, const enum source from,
    const struct shape_b32 s, const uint8_t *w, uint8_t *to,
    struct tile *t, const char *act,
    size_t act_stride, float *out, size_t out_stride)
{
	__m256 d0 = scales_b32(s, from, w, to, 0), m0 = d0;
	__m256 d1 = scales_b32(s, from, w, to, 8), m1 = d1;

	if (s.has_min) {
		m0 = scales_b32(s, from, w, to, 16);
		m1 = scales_b32(s, from, w, to, 24);
	}
#define COLUMN(i) do {							\
	const void *a = act + (i) * act_stride;				\
	float *sums = out + (i) * out_stride;				\
									\
	finish_b32(s, t->lo##i, d0, m0, a, sums);			\
	finish_b32(s, t->hi##i, d1, m1, a, sums + 8);			\
} while (0)
	EACH_OF_4(n, COLUMN);
#undef COLUMN
}

/* n columns (a constant, 1..4) times n_blocks block columns.  If they are not
 * the only ones, each asks for `share` bytes of later weights. */
ALWAYS_INLINE void
tile_b32(const int n, const enum source from, const struct shape_b32 s,
    const uint8_t *w, uint8_t *to, size_t n_blocks, const char *act,
    size_t act_stride, float *out, size_t out_stride,
    struct ahead *ahead, size_t share)
{
	struct tile t;

	for (; n_blocks > 0; n_blocks--) {
		const char *x = act + (s.words ? offsetof(struct act_q16, q) :
		    offsetof(struct act_q8, q));

		if (from == UNPACKED)
			prefetch_columns(act, act_stride, n);
		if (from == PACKED)
			prefetch_ahead(w, s.block_bytes);
		else
			ahead_bytes(ahead, share);
		if (s.offset != 0)
			tile_start(n, s.offset / 8, &t, act +
			    offsetof(struct act_q8, start), act_stride);
#define UNIT(u) tile_unit(n, from, s.words, (u) == 0 && s.offset == 0, &t, \
		    from == UNPACKED ? load_32(to + 64 * (u)) :		\
		    s.unit(w, u, 0),					\
		    from == UNPACKED ? load_32(to + 64 * (u) + 32) :	\
		    s.unit(w, u, 32), to + 64 * (u), x + 4 * (u), act_stride)
		UNIT(0);
		UNIT(1);
		UNIT(2);
		UNIT(3);
		UNIT(4);
		UNIT(5);
		UNIT(6);
		UNIT(7);
		if (s.words) {
			UNIT(8);
			UNIT(9);
			UNIT(10);
			UNIT(11);
			UNIT(12);
			UNIT(13);
			UNIT(14);
			UNIT(15);
		}
#undef UNIT
		tile_finish_b32(n, from, s, w, to, &t, act, act_stride, out,
		    out_stride);
		w += s.block_bytes;
		if (from != PACKED)
			to += UNPACKED_BYTES(s);
		act += s.words ? sizeof(struct act_q16) :
		    sizeof(struct act_q8);
	}
}

#define WALK(name)		name##_b32
#define WALK_SHAPE		struct shape_b32
#define WALK_BLOCK_N		32
#define WALK_CHUNK		CHUNK_B32
#define WALK_CHUNK_BYTES	(CHUNK_B32 * 64 * 18)
#define WALK_ACT_BYTES(s) \
	((s).words ? sizeof(struct act_q16) : sizeof(struct act_q8))
#include "kernels/x86/panel_walk_packed_avx2.h"

#endif

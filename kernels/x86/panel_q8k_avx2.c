/* SPDX-License-Identifier: MIT */
/*
 * Panels of types with blocks of 256.  The integer scale of a sub-block is
 * applied by the maddwd that widens its 16-bit sums; sums of 32 bits and
 * floats are touched once a sub-block and once a block, and live in memory, so
 * that the registers hold the 16-bit sums of a tile.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/x86/panel_avx2.h"

#define CHUNK_BLOCKS	2

/* A block column of 16 rows, unpacked. */
struct block_k {
	uint8_t	 q[64][64];
	int16_t	 scale[16][32];	/* [sub-block][row][twice the same] */
	int16_t	 min[4][32];	/* [sub-block pair][row][sub-block] */
	float	 d[16];
	float	 dmin[16];
};

/* How a type's chains run. */
struct shape_k {
	int	 sub_quads;	/* quads of a sub-block: 4 or 8 */
	int	 offset;	/* of the quants */
	bool	 has_mins;
	size_t	 block_bytes;	/* of a block column */
};

#define QUAD_COLUMN(a, lo, hi) do {					\
	__m256i x = broadcast_32((a)->q + 4 * k);			\
									\
	lo = mac_u8(lo, w0, x);						\
	hi = mac_u8(hi, w1, x);						\
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

/* Scale the 16-bit sums and add them to those of 32 bits. */
#define WIDEN(i) do {							\
	sum[2 * i] = _mm256_add_epi32(sum[2 * i],			\
	    _mm256_madd_epi16(lo##i, s0));				\
	sum[2 * i + 1] = _mm256_add_epi32(sum[2 * i + 1],		\
	    _mm256_madd_epi16(hi##i, s1));				\
} while (0)

/* The sub-blocks of one block: sum[2 * column + half of the rows]. */
ALWAYS_INLINE void
sub_blocks(const int n, const struct shape_k s, const struct block_k *b,
    const uint8_t *next, const struct act_q8k *a0, const struct act_q8k *a1,
    const struct act_q8k *a2, const struct act_q8k *a3, __m256i *sum)
{
	size_t quad, sub;

	for (quad = sub = 0; quad < 64; quad += (size_t)s.sub_quads, sub++) {
		__m256i lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3, s0, s1;

		/* the next weights, a share with each sub-block */
		prefetch(next, s.block_bytes * (size_t)s.sub_quads / 64);
		next += s.block_bytes * (size_t)s.sub_quads / 64;
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
		if (s.sub_quads == 8) {
			QUAD(4);
			QUAD(5);
			QUAD(6);
			QUAD(7);
		}
		s0 = load_32(b->scale[sub]);
		s1 = load_32(b->scale[sub] + 16);
		WIDEN(0);
		if (n > 1)
			WIDEN(1);
		if (n > 2)
			WIDEN(2);
		if (n > 3)
			WIDEN(3);
	}
}

/* Add one block to 8 outputs. */
ALWAYS_INLINE void
finish_k(const struct shape_k s, const struct block_k *b, size_t row,
    const struct act_q8k *a, __m256i sum, float *out)
{
	__m256 act_d = _mm256_broadcast_ss(&a->d);
	__m256 acc = _mm256_loadu_ps(out);
	__m256i mins = _mm256_setzero_si256();
	size_t p;

	acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum),
	    _mm256_mul_ps(_mm256_load_ps(b->d + row), act_d), acc);
	if (s.has_mins) {
		for (p = 0; p < 4; p++)
			mins = _mm256_add_epi32(mins, _mm256_madd_epi16(
			    load_32(b->min[p] + 2 * row),
			    broadcast_32(a->sum32 + 2 * p)));
		acc = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(mins),
		    _mm256_mul_ps(_mm256_load_ps(b->dmin + row), act_d), acc);
	}
	_mm256_storeu_ps(out, acc);
}

#define FINISH(i) do {							\
	finish_k(s, b, 0, a##i, sum[2 * i], out + i * out_stride);	\
	finish_k(s, b, 8, a##i, sum[2 * i + 1],			\
	    out + i * out_stride + 8);					\
} while (0)

/* n columns (a constant, 1..4) times n_blocks block columns. */
ALWAYS_INLINE void
tile_k(const int n, const struct shape_k s, const struct block_k *b,
    size_t n_blocks, const uint8_t *next, const char *act, size_t act_stride,
    float *out, size_t out_stride)
{
	const struct act_q8k *a0 = (const void *)act;
	const struct act_q8k *a1 = (const void *)(act + act_stride);
	const struct act_q8k *a2 = (const void *)(act + 2 * act_stride);
	const struct act_q8k *a3 = (const void *)(act + 3 * act_stride);
	__m256i sum[2 * TILE_COLS];
	size_t i;

	for (i = 0; i < n_blocks; i++, b++) {
		memset(sum, 0, sizeof(sum));
		sub_blocks(n, s, b, next, a0, a1, a2, a3, sum);
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

#define WALK(name)	name##_k
#define WALK_SHAPE	struct shape_k
#define WALK_BLOCK	struct block_k
#define WALK_ACT	struct act_q8k
#define WALK_BLOCK_N	256
#include "kernels/x86/panel_walk_avx2.h"

/* ---- unpacking ---- */

/* Bytes [8 rows][4 sub-blocks] to words: sub-block i of every row twice, in
 * `times` places one after another. */
ALWAYS_INLINE void
spread_scales(__m256i v, const int times, int16_t (*out)[32], size_t row)
{
	const __m256i pick = _mm256_broadcastsi128_si256(_mm_setr_epi8(
	    0, -1, 0, -1, 4, -1, 4, -1, 8, -1, 8, -1, 12, -1, 12, -1));
	int i;

	for (i = 0; i < 4; i++) {
		__m256i scale = _mm256_shuffle_epi8(v, pick);

		store_32(out[times * i] + 2 * row, scale);
		if (times == 2)
			store_32(out[times * i + 1] + 2 * row, scale);
		v = _mm256_srli_epi32(v, 8);
	}
}

/* The mins, sub-blocks 0 and 1 side by side, then 2 and 3. */
ALWAYS_INLINE void
spread_mins(__m256i v, int16_t (*out)[32], size_t row)
{
	const __m256i pick = _mm256_broadcastsi128_si256(_mm_setr_epi8(
	    0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1));

	store_32(out[0] + 2 * row, _mm256_shuffle_epi8(v, pick));
	store_32(out[1] + 2 * row, _mm256_shuffle_epi8(
	    _mm256_srli_epi32(v, 16), pick));
}

/* The packed scales of Q4_K and Q5_K: [12 / 4][16 rows][4], for 8 rows. */
ALWAYS_INLINE void
unpack_scales_k4(const uint8_t *p, const int times, struct block_k *b,
    size_t row)
{
	const __m256i low6 = _mm256_set1_epi8(63), low4 = _mm256_set1_epi8(15);
	const __m256i bits45 = _mm256_set1_epi8(0x30);
	__m256i x = load_32(p + 4 * row), y = load_32(p + 64 + 4 * row);
	__m256i z = load_32(p + 128 + 4 * row);

	spread_scales(_mm256_and_si256(x, low6), times, b->scale, row);
	spread_mins(_mm256_and_si256(y, low6), b->min, row);
	spread_scales(_mm256_or_si256(_mm256_and_si256(z, low4),
	    _mm256_and_si256(_mm256_srli_epi16(x, 2), bits45)), times,
	    b->scale + 4 * times, row);
	spread_mins(_mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(z, 4),
	    low4), _mm256_and_si256(_mm256_srli_epi16(y, 2), bits45)),
	    b->min + 2, row);
}

ALWAYS_INLINE void
unpack_q4_k_many(const uint8_t *w, struct block_k *b)
{
	size_t p, k;

	for (p = 0; p < 4; p++)
		for (k = 0; k < 8; k++, w += 64)
			split_nibbles(w, b->q[16 * p + k],
			    b->q[16 * p + 8 + k]);
	unpack_scales_k4(w, 1, b, 0);
	unpack_scales_k4(w, 1, b, 8);
	store_scales(w + 192, b->d);
	store_scales(w + 224, b->dmin);
}

/* Bit 4 of sub-block s is bit s of the byte at the same place in the block. */
ALWAYS_INLINE void
unpack_q5_k(const uint8_t *w, struct block_k *b)
{
	const __m256i low4 = _mm256_set1_epi8(15), bit4 = _mm256_set1_epi8(16);
	const uint8_t *high = w + 2048;
	size_t k, at;
	int p;

	for (k = 0; k < 8; k++)
		for (at = 0; at < 64; at += 32) {
			__m256i h = load_32(high + 64 * k + at);

			for (p = 0; p < 4; p++) {
				__m256i v = load_32(w + (size_t)512 * p +
				    64 * k + at);

				store_32(b->q[16 * p + k] + at,
				    _mm256_or_si256(_mm256_and_si256(v, low4),
				    _mm256_and_si256(_mm256_slli_epi16(h, 4),
				    bit4)));
				store_32(b->q[16 * p + 8 + k] + at,
				    _mm256_or_si256(_mm256_and_si256(
				    _mm256_srli_epi16(v, 4), low4),
				    _mm256_and_si256(_mm256_slli_epi16(h, 3),
				    bit4)));
				h = _mm256_srli_epi16(h, 2);
			}
		}
	w += 2560;
	unpack_scales_k4(w, 2, b, 0);
	unpack_scales_k4(w, 2, b, 8);
	store_scales(w + 192, b->d);
	store_scales(w + 224, b->dmin);
}

/* 32 bytes each of two low quads and of their high bits: one quad of every
 * quarter of 128 elements. */
ALWAYS_INLINE void
join_q6(__m256i l0, __m256i l1, __m256i h, uint8_t (*q)[64], size_t at)
{
	const __m256i low4 = _mm256_set1_epi8(15);
	const __m256i bits45 = _mm256_set1_epi8(0x30);

	store_32(q[0] + at, _mm256_or_si256(_mm256_and_si256(l0, low4),
	    _mm256_and_si256(_mm256_slli_epi16(h, 4), bits45)));
	store_32(q[8] + at, _mm256_or_si256(_mm256_and_si256(l1, low4),
	    _mm256_and_si256(_mm256_slli_epi16(h, 2), bits45)));
	store_32(q[16] + at, _mm256_or_si256(_mm256_and_si256(
	    _mm256_srli_epi16(l0, 4), low4), _mm256_and_si256(h, bits45)));
	store_32(q[24] + at, _mm256_or_si256(_mm256_and_si256(
	    _mm256_srli_epi16(l1, 4), low4),
	    _mm256_and_si256(_mm256_srli_epi16(h, 2), bits45)));
}

/* As spread_scales, with sign. */
ALWAYS_INLINE void
spread_signed(__m256i v, int16_t (*out)[32], size_t row)
{
	const __m256i pick = _mm256_broadcastsi128_si256(_mm_setr_epi8(
	    -1, 0, -1, 0, -1, 4, -1, 4, -1, 8, -1, 8, -1, 12, -1, 12));
	int i;

	for (i = 0; i < 4; i++) {
		store_32(out[i] + 2 * row, _mm256_srai_epi16(
		    _mm256_shuffle_epi8(v, pick), 8));
		v = _mm256_srli_epi32(v, 8);
	}
}

ALWAYS_INLINE void
unpack_q6_k(const uint8_t *w, struct block_k *b)
{
	const uint8_t *low = w, *high = w + 2048, *scale = w + 3072;
	size_t half, k, at;

	for (half = 0; half < 2; half++, low += 1024, high += 512)
		for (k = 0; k < 8; k++)
			for (at = 0; at < 64; at += 32)
				join_q6(load_32(low + 64 * k + at),
				    load_32(low + 64 * (k + 8) + at),
				    load_32(high + 64 * k + at),
				    &b->q[32 * half + k], at);
	for (k = 0; k < 4; k++) {
		spread_signed(load_32(scale + 64 * k), b->scale + 4 * k, 0);
		spread_signed(load_32(scale + 64 * k + 32), b->scale + 4 * k,
		    8);
	}
	store_scales(w + 3328, b->d);
}

#define PANEL_KERNEL(name, ...)						\
static void								\
panel_##name(const void *w, size_t n_panels, size_t n_in,		\
    const void *act, size_t act_stride, size_t n_cols, float *out,	\
    size_t out_stride)							\
{									\
	const struct shape_k s = { __VA_ARGS__ };			\
									\
	panels_k(s, unpack_##name, w, n_panels, n_in, act, act_stride,	\
	    n_cols, out, out_stride);					\
}
PANEL_KERNEL(q4_k_many, 8, 0, true, 2304)
PANEL_KERNEL(q5_k, 4, 0, true, 2816)	/* 31 * 127 * 8 < 2^15 */
PANEL_KERNEL(q6_k, 4, 32, false, 3360)
#undef PANEL_KERNEL

/*
 * One column of Q4_K, where decoding spends its time: only the scales are
 * unpacked, quants go straight from memory to products.
 */
static void
panel_q4_k_one(const uint8_t *w, size_t n_panels, size_t n_in,
    const struct act_q8k *act, float *out)
{
	const struct shape_k s = { 8, 0, true, 2304 };
	const __m256i low4 = _mm256_set1_epi8(15);
	const struct act_q8k *a, *end = act + n_in / 256;
	_Alignas(64) struct block_k b;
	size_t k, p;

	for (; n_panels > 0; n_panels--, out += PANEL_ROWS) {
		memset(out, 0, PANEL_ROWS * sizeof(*out));
		for (a = act; a < end; a++, w += s.block_bytes) {
			__m256i sum0 = _mm256_setzero_si256(), sum1 = sum0;
			const int8_t *q = a->q;
			const uint8_t *quants = w;

			unpack_scales_k4(w + 2048, 1, &b, 0);
			unpack_scales_k4(w + 2048, 1, &b, 8);
			store_scales(w + 2048 + 192, b.d);
			store_scales(w + 2048 + 224, b.dmin);
			prefetch_ahead(w + 2048, 256);
			for (p = 0; p < 4; p++, quants += 512, q += 64) {
				__m256i lo0 = _mm256_setzero_si256();
				__m256i lo1 = lo0, hi0 = lo0, hi1 = lo0;

				prefetch_ahead(quants, 512);
				for (k = 0; k < 8; k++) {
					__m256i w0 = load_32(quants + 64 * k);
					__m256i w1 = load_32(quants + 64 * k +
					    32);
					__m256i x = broadcast_32(q + 4 * k);

					lo0 = mac_u8(lo0, _mm256_and_si256(w0,
					    low4), x);
					lo1 = mac_u8(lo1, _mm256_and_si256(w1,
					    low4), x);
					x = broadcast_32(q + 32 + 4 * k);
					w0 = _mm256_srli_epi16(w0, 4);
					w1 = _mm256_srli_epi16(w1, 4);
					hi0 = mac_u8(hi0, _mm256_and_si256(w0,
					    low4), x);
					hi1 = mac_u8(hi1, _mm256_and_si256(w1,
					    low4), x);
				}
				sum0 = mac_i16(sum0, lo0,
				    load_32(b.scale[2 * p]));
				sum1 = mac_i16(sum1, lo1,
				    load_32(b.scale[2 * p] + 16));
				sum0 = mac_i16(sum0, hi0,
				    load_32(b.scale[2 * p + 1]));
				sum1 = mac_i16(sum1, hi1,
				    load_32(b.scale[2 * p + 1] + 16));
			}
			finish_k(s, &b, 0, a, sum0, out);
			finish_k(s, &b, 8, a, sum1, out + 8);
		}
	}
}

static void
panel_q4_k(const void *w, size_t n_panels, size_t n_in, const void *act,
    size_t act_stride, size_t n_cols, float *out, size_t out_stride)
{
	if (n_cols == 1)
		panel_q4_k_one(w, n_panels, n_in, act, out);
	else
		panel_q4_k_many(w, n_panels, n_in, act, act_stride, n_cols,
		    out, out_stride);
}

void
avx2_overlay_panel_q8k(struct kern_table *t)
{
	t->panel[TYPE_Q4_K] = panel_q4_k;
	t->panel[TYPE_Q5_K] = panel_q5_k;
	t->panel[TYPE_Q6_K] = panel_q6_k;
}

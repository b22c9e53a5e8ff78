/* SPDX-License-Identifier: MIT */
/*
 * Panels of Q2_K and Q3_K, whose sub-blocks are of 16: 4 quads.  Sums of 2 or
 * 3 bits fit 16 bits easily, so a chain begins with its first products, not
 * with zero, and Q3_K's offset of 4 is taken off at the end like a minimum:
 * sum((q - 4) a) = sum(q a) - 4 sum(a), scaled.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/each.h"
#include "kernels/x86/panel_avx2.h"

#define CHUNK_BLOCKS	2

/* A block column of 16 rows, unpacked. */
struct block {
	uint8_t	 q[64][64];
	int16_t	 scale[16][32];	/* [sub-block][row][twice the same] */
	int16_t	 min[8][32];	/* [pair of sub-blocks][row][sub-block] */
	float	 d[16];
	float	 dmin[16];
};

struct shape {
	bool	 is_q3;		/* min is 4 scale and takes d, not dmin */
	size_t	 block_bytes;	/* of a block column */
};

#define EACH_COLUMN(DO)	EACH_OF_4(n, DO)

#define BEGIN(i) do {							\
	__m256i x = broadcast_32(a##i->q + 16 * sub);			\
									\
	lo##i = _mm256_maddubs_epi16(w0, x);				\
	hi##i = _mm256_maddubs_epi16(w1, x);				\
} while (0)

#define ADD(i) do {							\
	__m256i x = broadcast_32(a##i->q + 16 * sub + 4 * k);		\
									\
	lo##i = mac_u8(lo##i, w0, x);					\
	hi##i = mac_u8(hi##i, w1, x);					\
} while (0)

#define WIDEN(i) do {							\
	sum[2 * i] = _mm256_add_epi32(sum[2 * i],			\
	    _mm256_madd_epi16(lo##i, s0));				\
	sum[2 * i + 1] = _mm256_add_epi32(sum[2 * i + 1],		\
	    _mm256_madd_epi16(hi##i, s1));				\
} while (0)

/* The sub-blocks of one block: sum[2 * column + half of the rows]. */
ALWAYS_INLINE void
sub_blocks(const int n, const struct block *b, const uint8_t *next,
    size_t block_bytes, const struct act_q8k *a0, const struct act_q8k *a1,
    const struct act_q8k *a2, const struct act_q8k *a3, __m256i *sum)
{
	size_t sub, k;

	for (sub = 0; sub < 16; sub++) {
		__m256i lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3, s0, s1;
		const uint8_t (*q)[64] = &b->q[4 * sub];
		__m256i w0 = load_32(q[0]), w1 = load_32(q[0] + 32);

		prefetch(next, block_bytes / 16);
		next += block_bytes / 16;
		EACH_COLUMN(BEGIN);
		for (k = 1; k < 4; k++) {
			w0 = load_32(q[k]);
			w1 = load_32(q[k] + 32);
			EACH_COLUMN(ADD);
		}
		s0 = load_32(b->scale[sub]);
		s1 = load_32(b->scale[sub] + 16);
		EACH_COLUMN(WIDEN);
	}
}

/* Add one block to 8 outputs. */
ALWAYS_INLINE void
finish(const struct shape s, const struct block *b, size_t row,
    const struct act_q8k *a, __m256i sum, float *out)
{
	__m256 act_d = _mm256_broadcast_ss(&a->d);
	__m256 d = _mm256_mul_ps(_mm256_load_ps(b->d + row), act_d);
	__m256 acc = _mm256_loadu_ps(out);
	__m256i mins = _mm256_setzero_si256();
	size_t p;

	for (p = 0; p < 8; p++)
		mins = _mm256_add_epi32(mins, _mm256_madd_epi16(
		    load_32(b->min[p] + 2 * row),
		    broadcast_32(a->sum + 2 * p)));
	if (s.is_q3) {
		sum = _mm256_sub_epi32(sum, mins);
		acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), d, acc);
	} else {
		acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), d, acc);
		acc = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(mins),
		    _mm256_mul_ps(_mm256_load_ps(b->dmin + row), act_d), acc);
	}
	_mm256_storeu_ps(out, acc);
}

#define FINISH(i) do {							\
	finish(s, b, 0, a##i, sum[2 * i], out + i * out_stride);	\
	finish(s, b, 8, a##i, sum[2 * i + 1], out + i * out_stride + 8); \
	a##i++;								\
} while (0)

/* n columns (a constant, 1..4) times n_blocks block columns. */
ALWAYS_INLINE void
tile_q23(const int n, const struct shape s, const struct block *b,
    size_t n_blocks, const uint8_t *next, const char *act, size_t act_stride,
    float *out, size_t out_stride)
{
	const struct act_q8k *a0 = (const void *)act;
	const struct act_q8k *a1 = (const void *)(act + act_stride);
	const struct act_q8k *a2 = (const void *)(act + 2 * act_stride);
	const struct act_q8k *a3 = (const void *)(act + 3 * act_stride);
	__m256i sum[2 * TILE_COLS];
	size_t i;

	for (i = 0; i < n_blocks; i++, b++, next += s.block_bytes) {
		memset(sum, 0, sizeof(sum));
		sub_blocks(n, b, next, s.block_bytes, a0, a1, a2, a3, sum);
		EACH_COLUMN(FINISH);
	}
}

#define WALK(name)	name##_q23
#define WALK_SHAPE	struct shape
#define WALK_BLOCK	struct block
#define WALK_ACT	struct act_q8k
#define WALK_BLOCK_N	256
#include "kernels/x86/panel_walk_avx2.h"

/* ---- unpacking ---- */

/* 4 sub-blocks' bytes of 8 rows, [row][4], to words: i of every row twice. */
ALWAYS_INLINE void
spread_scales(__m256i v, int16_t (*out)[32], size_t row)
{
	const __m256i pick = _mm256_broadcastsi128_si256(_mm_setr_epi8(
	    -1, 0, -1, 0, -1, 4, -1, 4, -1, 8, -1, 8, -1, 12, -1, 12));
	size_t i;

	for (i = 0; i < 4; i++) {
		store_32(out[i] + 2 * row, _mm256_srai_epi16(
		    _mm256_shuffle_epi8(v, pick), 8));
		v = _mm256_srli_epi32(v, 8);
	}
}

/* The same bytes times `times`, 0 and 1 side by side, then 2 and 3. */
ALWAYS_INLINE void
spread_mins(__m256i v, const int times, int16_t (*out)[32], size_t row)
{
	const __m256i low = _mm256_broadcastsi128_si256(_mm_setr_epi8(
	    -1, 0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13));
	__m256i first = _mm256_shuffle_epi8(v, low);
	__m256i second = _mm256_shuffle_epi8(_mm256_srli_epi32(v, 16), low);

	store_32(out[0] + 2 * row, _mm256_slli_epi16(_mm256_srai_epi16(first,
	    8), times == 4 ? 2 : 0));
	store_32(out[1] + 2 * row, _mm256_slli_epi16(_mm256_srai_epi16(second,
	    8), times == 4 ? 2 : 0));
}

/* Quarter j of 128 elements has bits 2 j and 2 j + 1 of a byte. */
ALWAYS_INLINE __m256i
two_bits(__m256i v, int j)
{
	return _mm256_and_si256(_mm256_srli_epi16(v, 2 * j),
	    _mm256_set1_epi8(3));
}

ALWAYS_INLINE void
unpack_q2_k(const uint8_t *w, struct block *b)
{
	const __m256i low4 = _mm256_set1_epi8(15);
	const uint8_t *scale = w + 1024;
	size_t half, k, at, i;

	for (half = 0; half < 2; half++)
		for (k = 0; k < 8; k++)
			for (at = 0; at < 64; at += 32, w += 32) {
				__m256i v = load_32(w);
				uint8_t (*q)[64] = &b->q[32 * half + k];

				store_32(q[0] + at, two_bits(v, 0));
				store_32(q[8] + at, two_bits(v, 1));
				store_32(q[16] + at, two_bits(v, 2));
				store_32(q[24] + at, two_bits(v, 3));
			}
	for (i = 0; i < 4; i++)
		for (at = 0; at < 16; at += 8, scale += 32) {
			__m256i v = load_32(scale);

			spread_scales(_mm256_and_si256(v, low4),
			    b->scale + 4 * i, at);
			spread_mins(_mm256_and_si256(_mm256_srli_epi16(v, 4),
			    low4), 1, b->min + 2 * i, at);
		}
	store_scales(w + 256, b->d);
	store_scales(w + 288, b->dmin);
}

/* The scales of Q3_K at p, [12 / 4][16 rows][4], of 8 rows. */
ALWAYS_INLINE void
unpack_scales_q3(const uint8_t *p, struct block *b, size_t row)
{
	const __m256i low4 = _mm256_set1_epi8(15), less = _mm256_set1_epi8(32);
	const __m256i bits45 = _mm256_set1_epi8(0x30);
	__m256i x = load_32(p + 4 * row), y = load_32(p + 64 + 4 * row);
	__m256i z = load_32(p + 128 + 4 * row), v[4];
	size_t i;

	v[0] = _mm256_or_si256(_mm256_and_si256(x, low4),
	    _mm256_and_si256(_mm256_slli_epi16(z, 4), bits45));
	v[1] = _mm256_or_si256(_mm256_and_si256(y, low4),
	    _mm256_and_si256(_mm256_slli_epi16(z, 2), bits45));
	v[2] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(x, 4),
	    low4), _mm256_and_si256(z, bits45));
	v[3] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(y, 4),
	    low4), _mm256_and_si256(_mm256_srli_epi16(z, 2), bits45));
	for (i = 0; i < 4; i++) {
		v[i] = _mm256_sub_epi8(v[i], less);
		spread_scales(v[i], b->scale + 4 * i, row);
		spread_mins(v[i], 4, b->min + 2 * i, row);
	}
}

/* Bit 2 of sub-block pair i is bit i of the byte at the same place. */
ALWAYS_INLINE void
unpack_q3_k(const uint8_t *w, struct block *b)
{
	const __m256i bit2 = _mm256_set1_epi8(4);
	const uint8_t *high = w + 1024;
	size_t k, at;

	for (k = 0; k < 8; k++)
		for (at = 0; at < 64; at += 32) {
			__m256i h = load_32(high + 64 * k + at);
			__m256i v0 = load_32(w + 64 * k + at);
			__m256i v1 = load_32(w + 512 + 64 * k + at);
			uint8_t (*q)[64] = &b->q[k];

#define PUT(i, v, shifted)						\
	store_32(q[8 * (i)] + at, _mm256_or_si256(two_bits(v, (i) % 4),	\
	    _mm256_and_si256(shifted, bit2)))
			PUT(0, v0, _mm256_slli_epi16(h, 2));
			PUT(1, v0, _mm256_slli_epi16(h, 1));
			PUT(2, v0, h);
			PUT(3, v0, _mm256_srli_epi16(h, 1));
			PUT(4, v1, _mm256_srli_epi16(h, 2));
			PUT(5, v1, _mm256_srli_epi16(h, 3));
			PUT(6, v1, _mm256_srli_epi16(h, 4));
			PUT(7, v1, _mm256_srli_epi16(h, 5));
#undef PUT
		}
	unpack_scales_q3(w + 1536, b, 0);
	unpack_scales_q3(w + 1536, b, 8);
	store_scales(w + 1728, b->d);
}

#define PANEL_KERNEL(name, ...)						\
static void								\
panel_##name(const void *w, size_t n_panels, size_t n_in,		\
    const void *act, size_t act_stride, size_t n_cols, float *out,	\
    size_t out_stride)							\
{									\
	const struct shape s = { __VA_ARGS__ };				\
									\
	panels_q23(s, unpack_##name, w, n_panels, n_in, act,		\
	    act_stride, n_cols, out, out_stride);			\
}
PANEL_KERNEL(q2_k, false, 1344)
PANEL_KERNEL(q3_k, true, 1760)
#undef PANEL_KERNEL

void
avx2_overlay_panel_q23k(struct kern_table *t)
{
	t->panel[TYPE_Q2_K] = panel_q2_k;
	t->panel[TYPE_Q3_K] = panel_q3_k;
}

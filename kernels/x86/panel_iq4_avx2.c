/* SPDX-License-Identifier: MIT */
/*
 * Panels of IQ4_NL and IQ4_XS times one column, which go straight from memory
 * to products, and times a few, for which the codes are looked up once.  The
 * values get the activations' signs where they meet them.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/x86/panel_iq4_avx2.h"

/* acc + scale * (mag . v with the signs of a) */
ALWAYS_INLINE __m256i
mac_signed(__m256i acc, __m256i mag, __m256i v, __m256i a, __m256i scale)
{
	__m256i product;

	__asm__("vpsignb %4, %3, %1\n\tvpmaddubsw %1, %2, %1\n\t"
	    "vpmaddwd %5, %1, %1\n\tvpaddd %1, %0, %0"
	    : "+x" (acc), "=&x" (product)
	    : "x" (mag), "x" (v), "x" (a), "x" (scale));
	return acc;
}

/* ---- a few columns ---- */

/* Block columns of 16 rows with their codes looked up. */
struct block_nl {
	int8_t	 q[8][64];
	float	 d[16];
};

struct block_xs {
	int8_t	 q[64][64];
	int16_t	 scale[8][32];	/* [sub-block][row][twice the same] */
	float	 d[16];
};

struct shape {
	size_t	 block_bytes;	/* of a block column */
};

/* The values of 32 elements: 4 units of 16 rows. */
ALWAYS_INLINE void
look_up_32(const uint8_t *w, int8_t (*q)[64])
{
	const __m256i table = iq4_values();
	size_t k, at;

	for (k = 0; k < 4; k++)
		for (at = 0; at < 64; at += 32) {
			__m256i v = load_32(w + 64 * k + at);

			store_32(q[k] + at, low_values(table, v));
			store_32(q[k + 4] + at, high_values(table, v));
		}
}

ALWAYS_INLINE void
unpack_nl(const uint8_t *w, struct block_nl *b)
{
	look_up_32(w, b->q);
	store_scales(w + 256, b->d);
}

ALWAYS_INLINE void
unpack_xs(const uint8_t *w, struct block_xs *b)
{
	size_t i;

	for (i = 0; i < 8; i++)
		look_up_32(w + 256 * i, b->q + 8 * i);
	unpack_scales_xs(w + 2048, b->scale, 0);
	unpack_scales_xs(w + 2048, b->scale, 8);
	store_scales(w + 2144, b->d);
}

/* Quads are stepped over by what adds their products: w0 and w1 hold one. */
#define QUAD_COLUMN(i) do {						\
	__m256i mag = broadcast_32(mag##i + 4 * k);			\
	__m256i x = broadcast_32(q##i + 4 * k);				\
									\
	lo##i = mac_signed(lo##i, mag, w0, x, s0);			\
	hi##i = mac_signed(hi##i, mag, w1, x, s1);			\
} while (0)

/* 8 quads of 64 bytes at w times those of n columns. */
#define QUADS(w)							\
	for (k = 0; k < 8; k++) {					\
		__m256i w0 = load_32((w)[k]), w1 = load_32((w)[k] + 32); \
									\
		QUAD_COLUMN(0);						\
		if (n > 1)						\
			QUAD_COLUMN(1);					\
		if (n > 2)						\
			QUAD_COLUMN(2);					\
		if (n > 3)						\
			QUAD_COLUMN(3);					\
	}

#define FINISH(i) do {							\
	__m256 act_d = _mm256_broadcast_ss(&a##i->a.d);			\
									\
	finish_32(lo##i, d0, act_d, out + i * out_stride);		\
	finish_32(hi##i, d1, act_d, out + i * out_stride + 8);		\
	a##i++;								\
} while (0)

#define FINISH_ALL do {							\
	__m256 d0 = _mm256_load_ps(b->d), d1 = _mm256_load_ps(b->d + 8); \
									\
	FINISH(0);							\
	if (n > 1)							\
		FINISH(1);						\
	if (n > 2)							\
		FINISH(2);						\
	if (n > 3)							\
		FINISH(3);						\
} while (0)

/* The quants of 32 elements of column i, and as magnitudes and signs. */
#define COLUMN(i, s)							\
	const int8_t *q##i = a##i->a.q + 32 * (s);			\
	const uint8_t *mag##i = (const uint8_t *)a##i->mag + 32 * (s)

/* n columns (a constant, 1..4) times n_blocks block columns. */
ALWAYS_INLINE void
tile_nl(const int n, const struct shape shape, const struct block_nl *b,
    size_t n_blocks, const uint8_t *next, const char *act, size_t act_stride,
    float *out, size_t out_stride)
{
	const struct act_sm8 *a0 = (const void *)act;
	const struct act_sm8 *a1 = (const void *)(act + act_stride);
	const struct act_sm8 *a2 = (const void *)(act + 2 * act_stride);
	const struct act_sm8 *a3 = (const void *)(act + 3 * act_stride);
	const __m256i s0 = _mm256_set1_epi16(1), s1 = s0;
	size_t i, k;

	for (i = 0; i < n_blocks; i++, b++, next += shape.block_bytes) {
		__m256i lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3;
		COLUMN(0, 0);
		COLUMN(1, 0);
		COLUMN(2, 0);
		COLUMN(3, 0);

		prefetch(next, shape.block_bytes);
		lo0 = hi0 = _mm256_setzero_si256();
		lo1 = hi1 = lo2 = hi2 = lo3 = hi3 = lo0;
		QUADS(b->q);
		FINISH_ALL;
	}
}

ALWAYS_INLINE void
tile_xs(const int n, const struct shape shape, const struct block_xs *b,
    size_t n_blocks, const uint8_t *next, const char *act, size_t act_stride,
    float *out, size_t out_stride)
{
	const struct act_sm8k *a0 = (const void *)act;
	const struct act_sm8k *a1 = (const void *)(act + act_stride);
	const struct act_sm8k *a2 = (const void *)(act + 2 * act_stride);
	const struct act_sm8k *a3 = (const void *)(act + 3 * act_stride);
	size_t i, k, s;

	for (i = 0; i < n_blocks; i++, b++) {
		__m256i lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3;

		lo0 = hi0 = _mm256_setzero_si256();
		lo1 = hi1 = lo2 = hi2 = lo3 = hi3 = lo0;
		for (s = 0; s < 8; s++) {
			__m256i s0 = load_32(b->scale[s]);
			__m256i s1 = load_32(b->scale[s] + 16);
			COLUMN(0, s);
			COLUMN(1, s);
			COLUMN(2, s);
			COLUMN(3, s);

			prefetch(next, shape.block_bytes / 8);
			next += shape.block_bytes / 8;
			QUADS(b->q + 8 * s);
		}
		FINISH_ALL;
	}
}

#define CHUNK_BLOCKS	8
#define WALK(name)	name##_nl
#define WALK_SHAPE	struct shape
#define WALK_BLOCK	struct block_nl
#define WALK_ACT	struct act_sm8
#define WALK_BLOCK_N	32
#include "kernels/x86/panel_walk_avx2.h"

#undef CHUNK_BLOCKS
#define CHUNK_BLOCKS	1
#define WALK(name)	name##_xs
#define WALK_SHAPE	struct shape
#define WALK_BLOCK	struct block_xs
#define WALK_ACT	struct act_sm8k
#define WALK_BLOCK_N	256
#include "kernels/x86/panel_walk_avx2.h"

/* ---- one column ---- */

/* Sums of a column over the 16 rows of a panel. */
struct sums {
	__m256i	 lo, hi;
};

/* 32 elements: 4 units of 16 rows, low nibbles first. */
ALWAYS_INLINE void
add_32(struct sums *sums, const uint8_t *w, const int8_t *q,
    const uint8_t *act_mag, __m256i s0, __m256i s1)
{
	const __m256i table = iq4_values();
	size_t k;

	for (k = 0; k < 4; k++) {
		__m256i w0 = load_32(w + 64 * k), w1 = load_32(w + 64 * k + 32);
		__m256i mag = broadcast_32(act_mag + 4 * k);
		__m256i x = broadcast_32(q + 4 * k);

		sums->lo = mac_signed(sums->lo, mag, low_values(table, w0), x,
		    s0);
		sums->hi = mac_signed(sums->hi, mag, low_values(table, w1), x,
		    s1);
		mag = broadcast_32(act_mag + 16 + 4 * k);
		x = broadcast_32(q + 16 + 4 * k);
		sums->lo = mac_signed(sums->lo, mag, high_values(table, w0),
		    x, s0);
		sums->hi = mac_signed(sums->hi, mag, high_values(table, w1),
		    x, s1);
	}
}

ALWAYS_INLINE __m256
add_sum(__m256i sum, __m256 d, float act_d, __m256 acc)
{
	return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum),
	    _mm256_mul_ps(d, _mm256_set1_ps(act_d)), acc);
}

static void
one_nl(const uint8_t *w, size_t n_panels, size_t n_in,
    const struct act_sm8 *act, float *out)
{
	const struct act_sm8 *a, *end = act + n_in / 32;
	const __m256i one = _mm256_set1_epi16(1);

	for (; n_panels > 0; n_panels--, out += PANEL_ROWS) {
		__m256 acc0 = _mm256_setzero_ps(), acc1 = acc0;

		for (a = act; a < end; a++, w += IQ4_NL_BYTES) {
			struct sums sums = { _mm256_setzero_si256(),
			    _mm256_setzero_si256() };

			prefetch_ahead(w, IQ4_NL_BYTES);
			add_32(&sums, w, a->a.q, a->mag, one, one);
			acc0 = add_sum(sums.lo, load_f16((const void *)(w +
			    256)), a->a.d, acc0);
			acc1 = add_sum(sums.hi, load_f16((const void *)(w +
			    272)), a->a.d, acc1);
		}
		_mm256_storeu_ps(out, acc0);
		_mm256_storeu_ps(out + 8, acc1);
	}
}

/* One block of 256. */
ALWAYS_INLINE void
add_256(struct sums *sums, const uint8_t *w, const struct act_sm8k *a)
{
	_Alignas(32) int16_t scale[8][32];
	size_t s;

	unpack_scales_xs(w + 2048, scale, 0);
	unpack_scales_xs(w + 2048, scale, 8);
	prefetch_ahead(w + 2048, 128);
	for (s = 0; s < 8; s++, w += 256) {
		prefetch_ahead(w, 256);
		add_32(sums, w, a->a.q + 32 * s, a->mag[s],
		    load_32(scale[s]), load_32(scale[s] + 16));
	}
}

static void
one_xs(const uint8_t *w, size_t n_panels, size_t n_in,
    const struct act_sm8k *act, float *out)
{
	const struct act_sm8k *a, *end = act + n_in / 256;

	for (; n_panels > 0; n_panels--, out += PANEL_ROWS) {
		__m256 acc0 = _mm256_setzero_ps(), acc1 = acc0;

		for (a = act; a < end; a++, w += IQ4_XS_BYTES) {
			struct sums sums = { _mm256_setzero_si256(),
			    _mm256_setzero_si256() };

			add_256(&sums, w, a);
			acc0 = add_sum(sums.lo, load_f16((const void *)(w +
			    2144)), a->a.d, acc0);
			acc1 = add_sum(sums.hi, load_f16((const void *)(w +
			    2160)), a->a.d, acc1);
		}
		_mm256_storeu_ps(out, acc0);
		_mm256_storeu_ps(out + 8, acc1);
	}
}

static void
panel_iq4_nl(const void *w, size_t n_panels, size_t n_in, const void *act,
    size_t act_stride, size_t n_cols, float *out, size_t out_stride)
{
	const struct shape s = { IQ4_NL_BYTES };

	if (n_cols == 1)
		one_nl(w, n_panels, n_in, act, out);
	else
		panels_nl(s, unpack_nl, w, n_panels, n_in, act, act_stride,
		    n_cols, out, out_stride);
}

static void
panel_iq4_xs(const void *w, size_t n_panels, size_t n_in, const void *act,
    size_t act_stride, size_t n_cols, float *out, size_t out_stride)
{
	const struct shape s = { IQ4_XS_BYTES };

	if (n_cols == 1)
		one_xs(w, n_panels, n_in, act, out);
	else if (n_cols < IQ4_MANY_COLS)
		panels_xs(s, unpack_xs, w, n_panels, n_in, act, act_stride,
		    n_cols, out, out_stride);
	else
		avx2_panel_iq4_xs_many(w, n_panels, n_in, act, act_stride,
		    n_cols, out, out_stride);
}

void
avx2_overlay_panel_iq4(struct kern_table *t)
{
	t->panel[TYPE_IQ4_NL] = panel_iq4_nl;
	t->panel[TYPE_IQ4_XS] = panel_iq4_xs;
}

/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_PANEL_AVX2_H
#define BM_KERNELS_X86_PANEL_AVX2_H

/*
 * What the panel kernels share.  A k-quad is 4 elements of 16 rows: 64 bytes
 * [row][4], two registers.  The weights are the unsigned operand of maddubs;
 * the 4 activations of a column are broadcast.
 *
 * Sums stay in 16 bits as long as they are sure to fit: with w in 0..15 and
 * activations within +-127 for 8 quads, since 16 * 15 * 127 < 2^15.  A type
 * whose quants have an offset starts the chain at -offset * (sum of the
 * activations of that lane); additions wrap, so only the *end* of a chain must
 * fit: with w - offset in -32..31 that is 4 quads, in -16..15 8 of them.
 *
 * The compiler would re-associate chains of intrinsics, compute all products
 * first and spill; the asm keeps product and addition together.
 */

#include "kernels/pack.h"
#include "kernels/x86/common_avx2.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Columns of a tile of 16 rows: 8 sums, 2 of weights, 1 of activations. */
#ifndef TILE_COLS
#define TILE_COLS 4
#endif

/* acc + maddubs(w, a) */
ALWAYS_INLINE __m256i
mac_u8(__m256i acc, __m256i w, __m256i a)
{
	__m256i product;

	__asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0"
	    : "+x" (acc), "=&x" (product) : "x" (w), "x" (a));
	return acc;
}

/* acc + maddwd(w, a), 16 bits times 16 bits */
ALWAYS_INLINE __m256i
mac_i16(__m256i acc, __m256i w, __m256i a)
{
	__m256i product;

	__asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"
	    : "+x" (acc), "=&x" (product) : "x" (w), "x" (a));
	return acc;
}

ALWAYS_INLINE __m256i
broadcast_32(const void *p)
{
	int32_t v;

	memcpy(&v, p, sizeof(v));
	return _mm256_set1_epi32(v);
}

ALWAYS_INLINE void
store_32(void *p, __m256i v)
{
	_mm256_store_si256((__m256i *)p, v);
}

/*
 * Operations with constants of which a loop has more than registers: operands
 * in memory.  Left to itself the compiler would keep them all, in the frame.
 */
struct bytes_32 {
	_Alignas(32) uint8_t	 byte[32];
};

#define EACH_LANE(...)	{ { __VA_ARGS__, __VA_ARGS__ } }
#define IN_DWORDS(a, b, c, d)						\
	(a), (b), (c), (d), (a), (b), (c), (d),				\
	(a), (b), (c), (d), (a), (b), (c), (d)

ALWAYS_INLINE __m256i
and_constant(__m256i v, const struct bytes_32 *c)
{
	__asm__("vpand %1, %0, %0" : "+x" (v) : "m" (*c));
	return v;
}

ALWAYS_INLINE __m256i
min_constant(__m256i v, const struct bytes_32 *c)
{
	__asm__("vpminub %1, %0, %0" : "+x" (v) : "m" (*c));
	return v;
}

/* The bytes of v that c picks. */
ALWAYS_INLINE __m256i
pick_constant(__m256i v, const struct bytes_32 *c)
{
	__asm__("vpshufb %1, %0, %0" : "+x" (v) : "m" (*c));
	return v;
}

/* p.  What is worked on through it is in memory for good reason, not for want
 * of registers, which is what the compiler uses fixed places of the frame
 * for: so the two can be told apart in its code. */
ALWAYS_INLINE void *
not_in_frame(void *p)
{
	__asm__("" : "+r" (p));
	return p;
}

/* 16 halves at p to floats. */
ALWAYS_INLINE void
store_scales(const void *p, float *out)
{
	_mm256_store_ps(out, load_f16(p));
	_mm256_store_ps(out + 8, load_f16((const uint16_t *)p + 8));
}

/* 2^(e - 128) of 8 exponents, see e8m0_half_to_f32: e - 1 as an exponent; the
 * two that have none, 0x400000 and 0x200000, are more than it gives them. */
ALWAYS_INLINE __m256
scales_e8m0(const uint8_t *p)
{
	__m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
	__m256i half = _mm256_slli_epi32(e, 22);
	__m256i normal = _mm256_sub_epi32(_mm256_add_epi32(half, half),
	    _mm256_set1_epi32(0x00800000));

	return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_max_epi32(normal,
	    half), _mm256_set1_epi32(0x00200000)));
}

ALWAYS_INLINE void
clear_panel(float *out, size_t out_stride, size_t n_cols)
{
	size_t c;

	for (c = 0; c < n_cols; c++)
		memset(out + c * out_stride, 0, PANEL_ROWS * sizeof(*out));
}

/* out += sum * (d * act_d), for 8 rows */
ALWAYS_INLINE void
finish_32(__m256i sum, __m256 d, __m256 act_d, float *out)
{
	__m256 acc = _mm256_loadu_ps(out);

	acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum),
	    _mm256_mul_ps(d, act_d), acc);
	_mm256_storeu_ps(out, acc);
}

/* Ask for the lines of weights that come n bytes later. */
ALWAYS_INLINE void
prefetch(const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i += 64)
		_mm_prefetch((const char *)p + i, _MM_HINT_T0);
}

/*
 * With one column, how far ahead weights are asked for; hardware stops at page
 * boundaries.  Far, and into the second cache only: the nearest can wait for
 * few lines at a time, and those are what the second has already.
 */
#define WEIGHTS_AHEAD	8192

ALWAYS_INLINE void
prefetch_ahead(const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i += 64)
		_mm_prefetch((const char *)p + WEIGHTS_AHEAD + i, _MM_HINT_T1);
}

/* The same for who goes along the weights: every line is asked for once, some
 * with each share of the work. */
struct ahead {
	const char	*at;	/* not asked for yet */
	const char	*end;	/* of what may be */
};

ALWAYS_INLINE struct ahead
ahead_of(const uint8_t *w)
{
	const char *p = (const char *)w + WEIGHTS_AHEAD;

	return (struct ahead){ p, p };
}

/* The lines that n more bytes begin. */
ALWAYS_INLINE void
ahead_bytes(struct ahead *a, size_t n)
{
	for (a->end += n; a->at < a->end; a->at += 64)
		_mm_prefetch(a->at, _MM_HINT_T1);
}

/* n is a constant. */
ALWAYS_INLINE void
ahead_lines(struct ahead *a, const size_t n)
{
	size_t i;

	if (a->at >= a->end)
		return;
	for (i = 0; i < n; i++)
		_mm_prefetch(a->at + 64 * i, _MM_HINT_T1);
	a->at += 64 * n;
}

/*
 * Columns' activations come from the next cache, a few hundred bytes from each
 * of many rows, too short for the hardware to see coming; so every block asks
 * for the same block of the next tile.
 */
ALWAYS_INLINE void
prefetch_columns(const void *act, size_t act_stride, int n)
{
	const char *p = (const char *)act + (size_t)n * act_stride;
	int i;

	for (i = 0; i < n; i++)
		_mm_prefetch(p + (size_t)i * act_stride, _MM_HINT_T0);
}

/* Columns of which the weights are what is read, and how far ahead of a chunk
 * they are then asked for. */
#define FEW_COLS	16
#define FEW_AHEAD	2048

/*
 * Panels that go over a chunk of elements together before the next chunk, so
 * that many columns' activations of one chunk are read from afar but once.
 * With few columns the weights are what is read, one panel after another.
 */
ALWAYS_INLINE size_t
group_panels(size_t n_panels, size_t n_cols)
{
	return n_cols > FEW_COLS ? n_panels : 1;
}

/*
 * Columns of the next tile when n remain: as even as possible, so that 5 are
 * 3 and 2 instead of 4 and 1.
 */
ALWAYS_INLINE size_t
tile_cols(size_t n, size_t most)
{
	size_t tiles = (n + most - 1) / most;

	return (n + tiles - 1) / tiles;
}

#endif

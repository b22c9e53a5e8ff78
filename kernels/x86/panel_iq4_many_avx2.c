/* SPDX-License-Identifier: MIT */
/*
 * Panels of IQ4_XS times many columns.  Giving values the signs of
 * a column costs as much as multiplying them; but a quad of activations has
 * one of 16 patterns of signs only, so the values are written down 16 times,
 * once with each pattern, and a column picks the copy that has its own.  What
 * remains per register of products is maddubs and half of paddw, maddwd and
 * paddd: two quads whose sums are sure to fit 16 bits are neighbours in a
 * column (struct act_pairs), but for few that have too large quants.  The
 * copies of 128 elements fill a small L1, so columns are gone over twice a
 * block and their sums kept in between.  (IQ4_NL, which turns sums to floats
 * every 32 elements, gains nothing by this.)
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "base/mem.h"
#include "kernels/each.h"
#include "kernels/x86/panel_iq4_avx2.h"

#define PATTERNS	16
#define MOST_COLS	512	/* whose sums are kept */
#define AT_ONCE		4	/* of 8 sub-blocks */

/* The values of a quad of 16 rows, [pattern of signs][row][4]. */
typedef int8_t	 copies[PATTERNS][64];

/* Some of a block column, unpacked. */
struct part {
	copies	 quads[8 * AT_ONCE];
	int16_t	 scale[8][32];	/* of all sub-blocks, [row][twice the same] */
	float	 d[16];
};

/* The 16 rows of a quad with all patterns' signs to the copies. */
ALWAYS_INLINE void
put_copies(__m256i v0, __m256i v1, int8_t (*to)[64])
{
	static const int32_t signs[PATTERNS] = {
		0x01010101, 0x010101ff, 0x0101ff01, 0x0101ffff,
		0x01ff0101, 0x01ff01ff, 0x01ffff01, 0x01ffffff,
		(int32_t)0xff010101, (int32_t)0xff0101ff,
		(int32_t)0xff01ff01, (int32_t)0xff01ffff,
		(int32_t)0xffff0101, (int32_t)0xffff01ff,
		(int32_t)0xffffff01, -1
	};
	size_t i;

	for (i = 0; i < PATTERNS; i++) {
		__m256i sign = _mm256_set1_epi32(signs[i]);

		store_32(to[i], _mm256_sign_epi8(v0, sign));
		store_32(to[i] + 32, _mm256_sign_epi8(v1, sign));
	}
}

/* The quads of 32 elements, from 4 units of 16 rows. */
static void
put_quads(const uint8_t *w, copies *to)
{
	const __m256i table = iq4_values();
	size_t k;

	for (k = 0; k < 4; k++) {
		__m256i v0 = load_32(w + 64 * k);
		__m256i v1 = load_32(w + 64 * k + 32);

		put_copies(low_values(table, v0), low_values(table, v1),
		    to[k]);
		put_copies(high_values(table, v0), high_values(table, v1),
		    to[k + 4]);
	}
}

/* ---- a tile of columns ---- */

/*
 * Half of the rows, the second at 32, of the copies at at0 and at1 that a
 * column picks for two quads: sums += scale * (mag0 . copy + mag1 . copy),
 * added before they are widened.  The addresses are sums in the operands:
 * additions of their own would take the multiplications' ports.
 */
#define MAC_PAIR(sums, half, scale) do {				\
	__m256i product, other;						\
									\
	__asm__("vpmaddubsw " #half "(%7,%4), %3, %1\n\t"		\
	    "vpmaddubsw " #half "(%7,%6), %5, %2\n\t"			\
	    "vpaddw %2, %1, %1\n\tvpmaddwd %8, %1, %1\n\t"		\
	    "vpaddd %1, %0, %0" : "+x" (sums), "=&x" (product),		\
	    "=&x" (other) : "x" (mag0), "r" (at0), "x" (mag1), "r" (at1), \
	    "r" (quads), "x" (scale), "m" (*(const copies (*)[8])quads)); \
} while (0)

/* Likewise, widened before they are added. */
#define MAC_APART(sums, half, scale) do {				\
	__m256i product, other;						\
									\
	__asm__("vpmaddubsw " #half "(%7,%4), %3, %1\n\t"		\
	    "vpmaddubsw " #half "(%7,%6), %5, %2\n\t"			\
	    "vpmaddwd %8, %1, %1\n\tvpmaddwd %8, %2, %2\n\t"		\
	    "vpaddd %1, %0, %0\n\tvpaddd %2, %0, %0" : "+x" (sums),	\
	    "=&x" (product), "=&x" (other) : "x" (mag0), "r" (at0),	\
	    "x" (mag1), "r" (at1), "r" (quads), "x" (scale),		\
	    "m" (*(const copies (*)[8])quads));				\
} while (0)

/* Quads k and k + 1 of column i. */
#define TWO_OF_COLUMN(MAC, k, i) do {					\
	size_t at0 = pairs##i->at[k], at1 = pairs##i->at[(k) + 1];	\
	__m256i mag0 = broadcast_32(pairs##i->mag + 4 * (k));		\
	__m256i mag1 = broadcast_32(pairs##i->mag + 4 * (k) + 4);	\
									\
	MAC(lo##i, 0, s0);						\
	MAC(hi##i, 32, s1);						\
} while (0)

#define EACH_COLUMN(DO)	EACH_OF_4(n, DO)

#define TWO_QUADS(MAC, k) do {						\
	TWO_OF_COLUMN(MAC, k, 0);					\
	if (n > 1)							\
		TWO_OF_COLUMN(MAC, k, 1);				\
	if (n > 2)							\
		TWO_OF_COLUMN(MAC, k, 2);				\
	if (n > 3)							\
		TWO_OF_COLUMN(MAC, k, 3);				\
} while (0)

#define EIGHT_QUADS(MAC) do {						\
	TWO_QUADS(MAC, 0);						\
	TWO_QUADS(MAC, 2);						\
	TWO_QUADS(MAC, 4);						\
	TWO_QUADS(MAC, 6);						\
} while (0)

#define CLEAR(i) lo##i = hi##i = _mm256_setzero_si256()

#define LOAD(i) do {							\
	lo##i = load_32(sums[i]);					\
	hi##i = load_32(sums[i] + 8);					\
} while (0)

#define STORE(i) do {							\
	store_32(sums[i], lo##i);					\
	store_32(sums[i] + 8, hi##i);					\
} while (0)

#define STEP(i) pairs##i++

/* Or else the compiler would load what both ways of a branch do before it. */
#define FORGET(i) __asm__("" : "+r" (pairs##i))

/* A byte a sub-block, of all columns. */
#define APART(i) do {							\
	uint32_t v;							\
									\
	memcpy(&v, a##i->apart + sub, sizeof(v));			\
	apart |= v;							\
} while (0)

#define FINISH(i) do {							\
	__m256 act_d = _mm256_broadcast_ss(&a##i->a.d);			\
									\
	finish_32(lo##i, d0, act_d, out + i * out_stride);		\
	finish_32(hi##i, d1, act_d, out + i * out_stride + 8);		\
} while (0)

#define COLUMN(i)							\
	const struct act_sm8k *a##i = (const void *)(act +		\
	    i * act_stride);						\
	const struct act_pairs *pairs##i = a##i->pairs + sub

/* What AT_ONCE sub-blocks of a column lie in. */
ALWAYS_INLINE void
prefetch_pairs(const char *pairs)
{
	const size_t bytes = AT_ONCE * sizeof(struct act_pairs);

	prefetch((const uint8_t *)pairs, bytes);
	_mm_prefetch(pairs + bytes - 1, _MM_HINT_T0);
}

/* n columns (a constant, 1..4) times the sub-blocks from sub on, of which p
 * holds the copies.  Sums begin with the first sub-block and end with the
 * last. */
ALWAYS_INLINE void
tile(const int n, const struct part *p, size_t sub, const char *act,
    size_t act_stride, int32_t (*sums)[PANEL_ROWS], float *out,
    size_t out_stride)
{
	const copies *quads = p->quads, *end = quads + 8 * AT_ONCE;
	const int16_t (*scale)[32] = &p->scale[sub];
	const char *next;
	uint32_t apart = 0;
	__m256i lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3;
	COLUMN(0);
	COLUMN(1);
	COLUMN(2);
	COLUMN(3);

	next = (const char *)pairs0 + n * act_stride;
	EACH_COLUMN(APART);
	if (sub == 0)
		EACH_COLUMN(CLEAR);
	else
		EACH_COLUMN(LOAD);
	for (; quads < end; quads += 8, scale++, apart >>= 8) {
		__m256i s0 = load_32(*scale), s1 = load_32(*scale + 16);

		/* a column of the next tile with each sub-block: all at once
		 * this tile's own loads would wait behind them */
		prefetch_pairs(next);
		next += act_stride;
		if (__builtin_expect(apart & 1, 0)) {
			EACH_COLUMN(FORGET);
			EIGHT_QUADS(MAC_APART);
		} else {
			EIGHT_QUADS(MAC_PAIR);
		}
		EACH_COLUMN(STEP);
	}
	if (sub + AT_ONCE < 8) {
		EACH_COLUMN(STORE);
	} else {
		__m256 d0 = _mm256_load_ps(p->d);
		__m256 d1 = _mm256_load_ps(p->d + 8);

		EACH_COLUMN(FINISH);
	}
}

/* ---- all columns, all panels ---- */

static void
tiles(const struct part *p, size_t sub, const char *act, size_t act_stride,
    size_t n_cols, int32_t (*sums)[PANEL_ROWS], float *out,
    size_t out_stride)
{
	size_t n;

#define CASE(n)								\
	case n:								\
		tile(n, p, sub, act, act_stride, sums, out, out_stride); \
		break
	for (; n_cols > 0; n_cols -= n) {
		/* while there are many, without a division, for which the
		 * first loads of the tile would wait */
		n = n_cols >= 2 * TILE_COLS ? TILE_COLS :
		    tile_cols(n_cols, TILE_COLS);
		switch (n) {
		CASE(4);
		CASE(3);
		CASE(2);
		CASE(1);
		}
		act += n * act_stride;
		out += n * out_stride;
		sums += n;
	}
#undef CASE
}

/* One block column times a block of each column. */
static void
block(const uint8_t *w, const char *act, size_t act_stride, size_t n_cols,
    int32_t (*sums)[PANEL_ROWS], float *out, size_t out_stride)
{
	_Alignas(64) struct part p;
	size_t sub, i;

	unpack_scales_xs(w + 2048, p.scale, 0);
	unpack_scales_xs(w + 2048, p.scale, 8);
	store_scales(w + 2144, p.d);
	for (sub = 0; sub < 8; sub += AT_ONCE) {
		for (i = 0; i < AT_ONCE; i++, w += 256)
			put_quads(w, p.quads + 8 * i);
		tiles(&p, sub, act, act_stride, n_cols, sums, out,
		    out_stride);
	}
}

/* As many columns as there are sums for: all panels over each block of theirs
 * before the next. */
static void
panels(const uint8_t *w, size_t n_panels, size_t n_blocks, const char *act,
    size_t act_stride, size_t n_cols, float *out, size_t out_stride)
{
	_Alignas(64) int32_t sums[MOST_COLS][PANEL_ROWS];
	size_t i, j;

	for (j = 0; j < n_panels; j++)
		clear_panel(out + j * PANEL_ROWS, out_stride, n_cols);
	for (i = 0; i < n_blocks; i++, act += sizeof(struct act_sm8k))
		for (j = 0; j < n_panels; j++)
			block(w + (j * n_blocks + i) * IQ4_XS_BYTES, act,
			    act_stride, n_cols, sums, out + j * PANEL_ROWS,
			    out_stride);
}

void
avx2_panel_iq4_xs_many(const uint8_t *w, size_t n_panels, size_t n_in,
    const char *act, size_t act_stride, size_t n_cols, float *out,
    size_t out_stride)
{
	size_t n;

	for (; n_cols > 0; n_cols -= n) {
		n = MEM_MIN(n_cols, (size_t)MOST_COLS);
		panels(w, n_panels, n_in / 256, act, act_stride, n, out,
		    out_stride);
		act += n * act_stride;
		out += n * out_stride;
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * Panels of IQ4_NL and IQ4_XS times many columns.  Giving values the signs of
 * a column costs as much as multiplying them; but a quad of activations has
 * one of 16 patterns of signs only, so the values are written down 16 times,
 * once with each pattern, and a column picks the copy that has its own.  What
 * remains per register of products is maddubs, maddwd and paddd.  The copies
 * of 64 elements fill half of a small L1, so IQ4_XS goes over its columns four
 * times a block and keeps their sums in between.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "base/mem.h"
#include "kernels/x86/panel_iq4_avx2.h"

#define PATTERNS	16
#define MOST_COLS	512	/* whose sums are kept */
#define SUBS_AT_ONCE	2	/* sub-blocks of 32 */

/* The values of a quad of 16 rows, [pattern of signs][row][4]. */
typedef int8_t	 copies[PATTERNS][64];

/* Some of a block column, unpacked. */
struct part {
	copies	 quads[8 * SUBS_AT_ONCE];
	int16_t	 scale[8][32];	/* of all sub-blocks, as in block_xs */
	float	 d[16];
};

/* How a type's blocks look. */
struct shape {
	size_t	 block_bytes;	/* of a block column */
	size_t	 n_subs;	/* sub-blocks of a block */
	size_t	 act_bytes;	/* of a column's block, d at its start */
	size_t	 sm_at;		/* of its first struct act_sm */
};

/* One register with all patterns' signs to the copies, at a place of 32. */
ALWAYS_INLINE void
put_copies(__m256i v, int8_t (*to)[64], size_t at)
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

	for (i = 0; i < PATTERNS; i++)
		store_32(to[i] + at, _mm256_sign_epi8(v,
		    _mm256_set1_epi32(signs[i])));
}

/* The quads of 32 elements, from 4 units of 16 rows. */
static void
put_quads(const uint8_t *w, copies *to)
{
	const __m256i table = iq4_values();
	size_t k, at;

	for (k = 0; k < 4; k++)
		for (at = 0; at < 64; at += 32) {
			__m256i v = load_32(w + 64 * k + at);

			put_copies(low_values(table, v), to[k], at);
			put_copies(high_values(table, v), to[k + 4], at);
		}
}

/* ---- a tile of columns ---- */

#define QUAD_COLUMN(k, i) do {						\
	const int8_t *w = &quads[k][0][0] + sm##i->signs[k];		\
	__m256i mag = broadcast_32(sm##i->mag + 4 * (k));		\
									\
	lo##i = mac_scaled(lo##i, mag, (const __m256i *)w, s0);		\
	hi##i = mac_scaled(hi##i, mag, (const __m256i *)w + 1, s1);	\
} while (0)

#define EACH_COLUMN(DO) do {						\
	DO(0);								\
	if (n > 1)							\
		DO(1);							\
	if (n > 2)							\
		DO(2);							\
	if (n > 3)							\
		DO(3);							\
} while (0)

#define QUAD(k) do {							\
	QUAD_COLUMN(k, 0);						\
	if (n > 1)							\
		QUAD_COLUMN(k, 1);					\
	if (n > 2)							\
		QUAD_COLUMN(k, 2);					\
	if (n > 3)							\
		QUAD_COLUMN(k, 3);					\
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

#define STEP(i) sm##i++

#define FINISH(i) do {							\
	__m256 act_d = _mm256_broadcast_ss((const void *)(act +		\
	    i * act_stride));						\
									\
	finish_32(lo##i, d0, act_d, out + i * out_stride);		\
	finish_32(hi##i, d1, act_d, out + i * out_stride + 8);		\
} while (0)

#define COLUMN(i)							\
	const struct act_sm *sm##i = (const struct act_sm *)(const void *) \
	    (act + i * act_stride + s.sm_at) + sub

/* n columns (a constant, 1..4) times the sub-blocks from sub on, of which p
 * holds the copies.  Sums begin with the first sub-block and end with the
 * last. */
ALWAYS_INLINE void
tile(const int n, const struct shape s, const struct part *p, size_t sub,
    const char *act, size_t act_stride, int32_t (*sums)[PANEL_ROWS],
    float *out, size_t out_stride)
{
	__m256 d0 = _mm256_load_ps(p->d), d1 = _mm256_load_ps(p->d + 8);
	const copies *quads = p->quads;
	__m256i lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3;
	size_t end = sub + (s.n_subs > 1 ? SUBS_AT_ONCE : 1);
	COLUMN(0);
	COLUMN(1);
	COLUMN(2);
	COLUMN(3);

	prefetch_columns((const char *)sm0, act_stride, n);
	prefetch_columns((const char *)sm0 + 64, act_stride, n);
	if (sub == 0)
		EACH_COLUMN(CLEAR);
	else
		EACH_COLUMN(LOAD);
	for (; sub < end; sub++, quads += 8) {
		__m256i s0 = load_32(p->scale[sub]);
		__m256i s1 = load_32(p->scale[sub] + 16);

		QUAD(0);
		QUAD(1);
		QUAD(2);
		QUAD(3);
		QUAD(4);
		QUAD(5);
		QUAD(6);
		QUAD(7);
		EACH_COLUMN(STEP);
	}
	if (sub == s.n_subs)
		EACH_COLUMN(FINISH);
	else
		EACH_COLUMN(STORE);
}

/* ---- all columns, all panels ---- */

ALWAYS_INLINE void
tiles(const struct shape s, const struct part *p, size_t sub, const char *act,
    size_t act_stride, size_t n_cols, int32_t (*sums)[PANEL_ROWS],
    float *out, size_t out_stride)
{
	size_t n;

#define CASE(n)								\
	case n:								\
		tile(n, s, p, sub, act, act_stride, sums, out,		\
		    out_stride);					\
		break
	for (; n_cols > 0; n_cols -= n) {
		n = tile_cols(n_cols, TILE_COLS);
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

/* One block column, its quants at w, times a block of each column. */
ALWAYS_INLINE void
block(const struct shape s, struct part *p, const uint8_t *w,
    const char *act, size_t act_stride, size_t n_cols,
    int32_t (*sums)[PANEL_ROWS], float *out, size_t out_stride)
{
	size_t at_once = s.n_subs > 1 ? SUBS_AT_ONCE : 1, sub, i;

	for (sub = 0; sub < s.n_subs; sub += at_once) {
		for (i = 0; i < at_once; i++, w += 256)
			put_quads(w, p->quads + 8 * i);
		tiles(s, p, sub, act, act_stride, n_cols, sums, out,
		    out_stride);
	}
}

/* As many columns as there are sums for, and all panels over each block of
 * theirs before the next. */
ALWAYS_INLINE void
columns(const struct shape s, void (*unpack_scales)(const uint8_t *,
    struct part *), const uint8_t *w, size_t n_panels, size_t n_blocks,
    const char *act, size_t act_stride, size_t n_cols, float *out,
    size_t out_stride)
{
	_Alignas(64) int32_t sums[MOST_COLS][PANEL_ROWS];
	_Alignas(64) struct part p;
	size_t i, j;

	for (j = 0; j < n_panels; j++)
		clear_panel(out + j * PANEL_ROWS, out_stride, n_cols);
	for (i = 0; i < n_blocks; i++, act += s.act_bytes)
		for (j = 0; j < n_panels; j++) {
			const uint8_t *from = w + (j * n_blocks + i) *
			    s.block_bytes;

			unpack_scales(from, &p);
			block(s, &p, from, act, act_stride, n_cols, sums,
			    out + j * PANEL_ROWS, out_stride);
		}
}

static void
unpack_scales_nl(const uint8_t *w, struct part *p)
{
	store_32(p->scale[0], _mm256_set1_epi16(1));
	store_32(p->scale[0] + 16, _mm256_set1_epi16(1));
	store_scales(w + 256, p->d);
}

static void
unpack_all_scales_xs(const uint8_t *w, struct part *p)
{
	unpack_scales_xs(w + 2048, p->scale, 0);
	unpack_scales_xs(w + 2048, p->scale, 8);
	store_scales(w + 2144, p->d);
}

#define PANEL_KERNEL(name, unpack, form, block_n, ...)			\
void									\
avx2_panel_iq4_##name##_many(const uint8_t *w, size_t n_panels,		\
    size_t n_in, const char *act, size_t act_stride, size_t n_cols,	\
    float *out, size_t out_stride)					\
{									\
	const struct shape s = { __VA_ARGS__, sizeof(form),		\
	    offsetof(form, sm) };					\
	size_t n;							\
									\
	for (; n_cols > 0; n_cols -= n) {				\
		n = MEM_MIN(n_cols, (size_t)MOST_COLS);			\
		columns(s, unpack, w, n_panels, n_in / block_n, act,	\
		    act_stride, n, out, out_stride);			\
		act += n * act_stride;					\
		out += n * out_stride;					\
	}								\
}
PANEL_KERNEL(nl, unpack_scales_nl, struct act_sm8, 32, IQ4_NL_BYTES, 1)
PANEL_KERNEL(xs, unpack_all_scales_xs, struct act_sm8k, 256, IQ4_XS_BYTES, 8)
#undef PANEL_KERNEL

/* SPDX-License-Identifier: MIT */
/*
 * A template: panels of types with blocks of 32, by products of bytes.  As in
 * panel_q8_avx2.c quants are unsigned bytes, an offset being taken off where a
 * sum begins.  A tile of columns has block columns unpacked for it; one
 * column, where decoding spends its time, takes quants straight from memory.
 * Included once by a file of each level, after its rows_*.h; it defines
 * overlay_panel_q8().
 */
#include "kernels/each.h"
#include "kernels/x86/panel_vnni.h"

#define CHUNK_BLOCKS	16

/* A block column of 16 rows, unpacked. */
struct block_u8 {
	uint8_t	 q[8][64];
	float	 d[16];
	float	 m[16];		/* of types that have it: x = d q + m */
};

/* How a type lies in memory. */
struct shape_u8 {
	/* quants 4 k .. 4 k + 3 of every row, as unsigned bytes */
	rows_i	 (*quad)(const uint8_t *w, size_t k);
	int	 offset;	/* subtracted from the quants, eights */
	rows_f	 (*scale)(const void *p);
	size_t	 d_at, m_at;	/* where scales are; m_at: 0, or minimums */
	size_t	 block_bytes;	/* of a block column */
};

#define START(i, base, step, times, k) do {				\
	sum##i = rows_zero();						\
	if (s.offset != 0)						\
		ROWS_MAC_I16(sum##i, eights, base, step, times,		\
		    offsetof(struct act_q8, start));			\
} while (0)

#define QUAD_COLUMN(i, base, step, times, k)				\
	ROWS_MAC_U8(sum##i, w, base, step, times,			\
	    offsetof(struct act_q8, q) + 4 * (k))

#define QUAD(k) do {							\
	rows_i w = rows_load(b->q[k]);					\
									\
	COLUMNS(QUAD_COLUMN, k);					\
} while (0)

#define FINISH(i, base, step, times, k) do {				\
	rows_f x;							\
									\
	ROWS_SET_F(x, base, step, times, offsetof(struct act_q8, d));	\
	acc##i = rows_fma(rows_to_float(sum##i), rows_mul(d, x), acc##i); \
	if (s.m_at != 0) {						\
		ROWS_SET_F(x, base, step, times,			\
		    offsetof(struct act_q8, dsum));			\
		acc##i = rows_fma(rows_load_f(b->m), x, acc##i);	\
	}								\
} while (0)

#define LOAD(i, at)	acc##i = rows_load_f(at)
#define STORE(i, at)	rows_store_f(at, acc##i)

/* n columns (a constant) times n_blocks block columns, asking for the weights
 * at next meanwhile. */
ALWAYS_INLINE void
tile_u8(const int n, const struct shape_u8 s, const struct block_u8 *b,
    size_t n_blocks, const uint8_t *next, const char *act, size_t act_stride,
    float *out, size_t out_stride)
{
	const rows_i eights = rows_set_words((int16_t)(s.offset / 8));
	struct columns c = columns_at(act, act_stride);
	rows_f EACH_COLUMN(acc);
	size_t i;

	OUTPUTS(LOAD);
	for (i = 0; i < n_blocks; i++, b++) {
		rows_f d = rows_load_f(b->d);
		rows_i EACH_COLUMN(sum);

		prefetch(next, s.block_bytes);
		next += s.block_bytes;
		COLUMNS(START, 0);
		QUAD(0);
		QUAD(1);
		QUAD(2);
		QUAD(3);
		QUAD(4);
		QUAD(5);
		QUAD(6);
		QUAD(7);
		COLUMNS(FINISH, 0);
		columns_advance(&c, sizeof(struct act_q8));
	}
	OUTPUTS(STORE);
}

#define WALK(name)	name##_u8
#define WALK_SHAPE	struct shape_u8
#define WALK_BLOCK	struct block_u8
#define WALK_ACT	struct act_q8
#define WALK_BLOCK_N	32
#include "kernels/x86/panel_walk_avx2.h"

/* ---- types ---- */

ALWAYS_INLINE rows_i
quad_q4(const uint8_t *w, size_t k)
{
	rows_i v = rows_load(w + 64 * (k % 4));

	return rows_and(k < 4 ? v : rows_shift_right(v, 4),
	    rows_set_bytes(15));
}

/* The fifth bits, 32 of each row, lie behind. */
ALWAYS_INLINE rows_i
quad_q5(const uint8_t *w, size_t k)
{
	const rows_i spread = rows_set_quarters(_mm_setr_epi8(0, 0, 0, 0, 4, 4,
	    4, 4, 8, 8, 8, 8, 12, 12, 12, 12));
	const rows_i mine = rows_set_quarters(_mm_set1_epi32(k % 2 == 0 ?
	    0x08040201 : (int)0x80402010));
	rows_i byte = rows_shuffle(rows_load(w + 256), rows_add_bytes(spread,
	    rows_set_bytes((int8_t)(k / 2))));
	rows_i is_set = rows_equal_bytes(rows_and(byte, mine), mine);

	return rows_or(quad_q4(w, k), rows_and(is_set, rows_set_bytes(16)));
}

/* Values are 16 more than they are. */
ALWAYS_INLINE rows_i
quad_mxfp4(const uint8_t *w, size_t k)
{
	const rows_i values = rows_set_quarters(_mm_setr_epi8(
	    16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4));

	return rows_shuffle(values, quad_q4(w, k));
}

ALWAYS_INLINE rows_i
quad_iq4_nl(const uint8_t *w, size_t k)
{
	return rows_shuffle(iq4_values_unsigned(), quad_q4(w, k));
}

ALWAYS_INLINE rows_i
quad_q8_0(const uint8_t *w, size_t k)
{
	return rows_unsigned(rows_load(w + 64 * k));
}

/* ---- both ways ---- */

ALWAYS_INLINE void
unpack_u8(const struct shape_u8 s, const uint8_t *w, struct block_u8 *b)
{
	/* two quads may have bytes in common */
#define QUADS(k) do {							\
	rows_store(b->q[k], s.quad(w, (k)));				\
	rows_store(b->q[(k) + 4], s.quad(w, (k) + 4));			\
} while (0)
	EACH_OF_4(4, QUADS);
#undef QUADS
	rows_store_f(b->d, s.scale(w + s.d_at));
	if (s.m_at != 0)
		rows_store_f(b->m, s.scale(w + s.m_at));
}

/* The sum over a block of one column.  Its halves have chains of their own. */
ALWAYS_INLINE rows_i
sum_u8(const struct shape_u8 s, const uint8_t *w, const struct act_q8 *a)
{
	rows_i low = rows_zero(), high = rows_zero();

	if (s.offset != 0)
		low = rows_mac_i16(low, rows_set_words((int16_t)(s.offset / 8)),
		    a->start);
#define QUADS(k) do {							\
	low = rows_mac_u8(low, s.quad(w, (k)), a->q + 4 * (k));		\
	high = rows_mac_u8(high, s.quad(w, (k) + 4), a->q + 16 + 4 * (k)); \
} while (0)
	EACH_OF_4(4, QUADS);
#undef QUADS
	return rows_add(low, high);
}

ALWAYS_INLINE void
one_u8(const struct shape_u8 s, const uint8_t *w, size_t n_panels,
    size_t n_in, const struct act_q8 *act, float *out)
{
	const struct act_q8 *a, *end = act + n_in / 32;

	for (; n_panels > 0; n_panels--, out += PANEL_ROWS) {
		rows_f acc = rows_to_float(rows_zero());

		for (a = act; a < end; a++, w += s.block_bytes) {
			rows_f d = s.scale(w + s.d_at);

			prefetch_ahead(w, s.block_bytes);
			acc = rows_fma(rows_to_float(sum_u8(s, w, a)),
			    rows_mul(d, rows_set_f(&a->d)), acc);
			if (s.m_at != 0)
				acc = rows_fma(s.scale(w + s.m_at),
				    rows_set_f(&a->dsum), acc);
		}
		rows_store_f(out, acc);
	}
}

#define PANEL_KERNEL(name, type, ...)					\
static const struct shape_u8 shape_##name = { __VA_ARGS__ };		\
									\
static void								\
unpack_##name(const uint8_t *w, struct block_u8 *b)			\
{									\
	unpack_u8(shape_##name, w, b);					\
}									\
									\
static void								\
panel_##name##_many(const void *w, size_t n_panels, size_t n_in,	\
    const void *act, size_t act_stride, size_t n_cols, float *out,	\
    size_t out_stride)							\
{									\
	panels_u8(shape_##name, unpack_##name, w, n_panels, n_in, act,	\
	    act_stride, n_cols, out, out_stride);			\
}									\
									\
static void								\
panel_##name##_one(const void *w, size_t n_panels, size_t n_in,		\
    const void *act, float *out)					\
{									\
	one_u8(shape_##name, w, n_panels, n_in, act, out);		\
}									\
BY_COLUMNS(panel_##name, type)
PANEL_KERNEL(q4_0, TYPE_Q4_0, quad_q4, 8, rows_load_halves, 256, 0, 288)
PANEL_KERNEL(q4_1, TYPE_Q4_1, quad_q4, 0, rows_load_halves, 256, 288, 320)
PANEL_KERNEL(q5_0, TYPE_Q5_0, quad_q5, 16, rows_load_halves, 320, 0, 352)
PANEL_KERNEL(q5_1, TYPE_Q5_1, quad_q5, 0, rows_load_halves, 320, 352, 384)
PANEL_KERNEL(mxfp4, TYPE_MXFP4, quad_mxfp4, 16, rows_load_e8m0, 256, 0, 272)
PANEL_KERNEL(iq4_nl, TYPE_IQ4_NL, quad_iq4_nl, 128, rows_load_halves, 256, 0,
    288)
PANEL_KERNEL(q8_0, TYPE_Q8_0, quad_q8_0, 128, rows_load_halves, 512, 0, 544)
#undef PANEL_KERNEL

static void
overlay_panel_q8(struct kern_table *t)
{
	t->panel[TYPE_Q4_0] = panel_q4_0;
	t->panel[TYPE_Q4_1] = panel_q4_1;
	t->panel[TYPE_Q5_0] = panel_q5_0;
	t->panel[TYPE_Q5_1] = panel_q5_1;
	t->panel[TYPE_MXFP4] = panel_mxfp4;
	t->panel[TYPE_IQ4_NL] = panel_iq4_nl;
	t->panel[TYPE_Q8_0] = panel_q8_0;
	t->no_q16 = t->no_sm = true;
}

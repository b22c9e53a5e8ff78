/* SPDX-License-Identifier: MIT */
/*
 * A template: panels of types with blocks of 32, by products of bytes.  As in
 * panel_q8_avx2.c block columns are unpacked to unsigned bytes, an offset being
 * taken off where a sum begins.  Included once by a file of each level, after
 * its rows_*.h; it defines overlay_panel_q8().
 */
#include "kernels/x86/panel_vnni.h"

#define CHUNK_BLOCKS	16
/* With one column, how far ahead of the unpacking weights are asked for. */
#define AHEAD_BYTES	2048

/* A block column of 16 rows, unpacked. */
struct block_u8 {
	uint8_t	 q[8][64];
	float	 d[16];
	float	 m[16];		/* of types that have it: x = d q + m */
};

/* What a type needs besides its scales. */
struct shape_u8 {
	int	 offset;	/* subtracted from the quants */
	bool	 has_min;
	size_t	 block_bytes;	/* of a block column */
};

#define START(i, base, step, times, k) do {				\
	sum##i = rows_zero();						\
	if (s.offset != 0)						\
		ROWS_MAC_I16(sum##i, minus_offset, base, step, times,	\
		    offsetof(struct act_q8, pair));			\
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
	if (s.has_min) {						\
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
	const rows_i minus_offset = rows_set_words((int16_t)-s.offset);
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

/* ---- unpacking ---- */

ALWAYS_INLINE void
unpack_nibbles(const uint8_t *w, struct block_u8 *b)
{
	size_t k;

	for (k = 0; k < 4; k++)
		rows_split(w + 64 * k, b->q[k], b->q[k + 4]);
}

ALWAYS_INLINE void
unpack_d(const uint8_t *w, struct block_u8 *b)
{
	rows_store_f(b->d, rows_load_halves(w));
}

ALWAYS_INLINE void
unpack_m(const uint8_t *w, struct block_u8 *b)
{
	rows_store_f(b->m, rows_load_halves(w));
}

ALWAYS_INLINE void
unpack_q4_0_many(const uint8_t *w, struct block_u8 *b)
{
	unpack_nibbles(w, b);
	unpack_d(w + 256, b);
}

ALWAYS_INLINE void
unpack_q4_1(const uint8_t *w, struct block_u8 *b)
{
	unpack_q4_0_many(w, b);
	unpack_m(w + 288, b);
}

/* The fifth bits, 32 of each row, go where unpack_nibbles left room. */
ALWAYS_INLINE void
add_fifth_bits(const uint8_t *bits, struct block_u8 *b)
{
	const rows_i spread = rows_set_quarters(_mm_setr_epi8(0, 0, 0, 0, 4, 4,
	    4, 4, 8, 8, 8, 8, 12, 12, 12, 12));
	const rows_i one = rows_set_quarters(_mm_set1_epi32(0x08040201));
	const rows_i other = rows_set_quarters(_mm_set1_epi32(
	    (int)0x80402010));
	const rows_i bit4 = rows_set_bytes(16);
	rows_i v = rows_load(bits);
	size_t k;

	for (k = 0; k < 8; k++) {
		rows_i mine = k % 2 == 0 ? one : other;
		rows_i byte = rows_shuffle(v, rows_add_bytes(spread,
		    rows_set_bytes((int8_t)(k / 2))));
		rows_i is_set = rows_equal_bytes(rows_and(byte, mine), mine);

		rows_store(b->q[k], rows_or(rows_load(b->q[k]),
		    rows_and(is_set, bit4)));
	}
}

ALWAYS_INLINE void
unpack_q5_0(const uint8_t *w, struct block_u8 *b)
{
	unpack_nibbles(w, b);
	add_fifth_bits(w + 256, b);
	unpack_d(w + 320, b);
}

ALWAYS_INLINE void
unpack_q5_1(const uint8_t *w, struct block_u8 *b)
{
	unpack_q5_0(w, b);
	unpack_m(w + 352, b);
}

/* Values are stored 12 more than they are. */
ALWAYS_INLINE void
unpack_mxfp4(const uint8_t *w, struct block_u8 *b)
{
	const rows_i values = rows_set_quarters(_mm_setr_epi8(
	    12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
	size_t k;

	unpack_nibbles(w, b);
	for (k = 0; k < 8; k++)
		rows_store(b->q[k], rows_shuffle(values,
		    rows_load(b->q[k])));
	_mm256_store_ps(b->d, scales_e8m0(w + 256));
	_mm256_store_ps(b->d + 8, scales_e8m0(w + 264));
}

/* Signed bytes become unsigned, 128 more than they are. */
ALWAYS_INLINE rows_i
unsigned_quad(const uint8_t *w)
{
	return rows_xor(rows_load(w), rows_set_bytes(INT8_MIN));
}

ALWAYS_INLINE void
unpack_q8_0_many(const uint8_t *w, struct block_u8 *b)
{
	size_t k;

	for (k = 0; k < 8; k++)
		rows_store(b->q[k], unsigned_quad(w + 64 * k));
	unpack_d(w + 512, b);
}

#define PANEL_KERNEL(name, ...)						\
static void								\
panel_##name(const void *w, size_t n_panels, size_t n_in,		\
    const void *act, size_t act_stride, size_t n_cols, float *out,	\
    size_t out_stride)							\
{									\
	const struct shape_u8 s = { __VA_ARGS__ };			\
									\
	panels_u8(s, unpack_##name, w, n_panels, n_in, act, act_stride,	\
	    n_cols, out, out_stride);					\
}
PANEL_KERNEL(q4_0_many, 8, false, 288)
PANEL_KERNEL(q4_1, 0, true, 320)
PANEL_KERNEL(q5_0, 16, false, 352)
PANEL_KERNEL(q5_1, 0, true, 384)
PANEL_KERNEL(mxfp4, 12, false, 272)
PANEL_KERNEL(q8_0_many, 128, false, 544)
#undef PANEL_KERNEL

/* ---- one column, where decoding spends its time: quants go straight from
 * memory to products ---- */

/* -offset * sum of the activations */
ALWAYS_INLINE rows_i
start_of(const struct act_q8 *a, const int offset)
{
	return rows_mac_i16(rows_zero(), rows_set_words((int16_t)-offset),
	    a->pair);
}

/* Low and high nibbles have chains of their own. */
ALWAYS_INLINE rows_i
sum_q4_0(const uint8_t *w, const struct act_q8 *a)
{
	const rows_i low4 = rows_set_bytes(15);
	rows_i low = start_of(a, 8), high = rows_zero(), v;
	size_t k;

	for (k = 0; k < 4; k++, w += 64) {
		v = rows_load(w);
		low = rows_mac_u8(low, rows_and(v, low4), a->q + 4 * k);
		v = rows_and(rows_shift_right(v, 4), low4);
		high = rows_mac_u8(high, v, a->q + 16 + 4 * k);
	}
	return rows_add(low, high);
}

ALWAYS_INLINE rows_i
sum_q8_0(const uint8_t *w, const struct act_q8 *a)
{
	rows_i even = start_of(a, 128), odd = rows_zero();
	size_t k;

	for (k = 0; k < 8; k += 2, w += 128) {
		even = rows_mac_u8(even, unsigned_quad(w), a->q + 4 * k);
		odd = rows_mac_u8(odd, unsigned_quad(w + 64),
		    a->q + 4 * k + 4);
	}
	return rows_add(even, odd);
}

/* sum_of(w, a) sums a block column whose scales lie behind quant_bytes. */
ALWAYS_INLINE void
one_column(rows_i (*sum_of)(const uint8_t *, const struct act_q8 *),
    const size_t quant_bytes, const uint8_t *w, size_t n_panels, size_t n_in,
    const struct act_q8 *act, float *out)
{
	const size_t block_bytes = quant_bytes + 2 * PANEL_ROWS;
	const struct act_q8 *a, *end = act + n_in / 32;

	for (; n_panels > 0; n_panels--, out += PANEL_ROWS) {
		rows_f acc = rows_to_float(rows_zero());

		for (a = act; a < end; a++, w += block_bytes) {
			rows_f d = rows_load_halves(w + quant_bytes);

			prefetch(w + AHEAD_BYTES, block_bytes);
			acc = rows_fma(rows_to_float(sum_of(w, a)),
			    rows_mul(d, rows_set_f(&a->d)), acc);
		}
		rows_store_f(out, acc);
	}
}

#define PANEL_KERNEL(name, quant_bytes)					\
static void								\
panel_##name(const void *w, size_t n_panels, size_t n_in,		\
    const void *act, size_t act_stride, size_t n_cols, float *out,	\
    size_t out_stride)							\
{									\
	if (n_cols == 1)						\
		one_column(sum_##name, quant_bytes, w, n_panels, n_in,	\
		    act, out);						\
	else								\
		panel_##name##_many(w, n_panels, n_in, act, act_stride,	\
		    n_cols, out, out_stride);				\
}
PANEL_KERNEL(q4_0, 256)
PANEL_KERNEL(q8_0, 512)
#undef PANEL_KERNEL

MANY_COLUMNS(panel_q4_0, TYPE_Q4_0)
MANY_COLUMNS(panel_q4_1, TYPE_Q4_1)
MANY_COLUMNS(panel_q5_0, TYPE_Q5_0)
MANY_COLUMNS(panel_q5_1, TYPE_Q5_1)
MANY_COLUMNS(panel_mxfp4, TYPE_MXFP4)
MANY_COLUMNS(panel_q8_0, TYPE_Q8_0)

static void
overlay_panel_q8(struct kern_table *t)
{
	t->panel[TYPE_Q4_0] = panel_q4_0_dense;
	t->panel[TYPE_Q4_1] = panel_q4_1_dense;
	t->panel[TYPE_Q5_0] = panel_q5_0_dense;
	t->panel[TYPE_Q5_1] = panel_q5_1_dense;
	t->panel[TYPE_MXFP4] = panel_mxfp4_dense;
	t->panel[TYPE_Q8_0] = panel_q8_0_dense;
	t->no_q16 = true;
}

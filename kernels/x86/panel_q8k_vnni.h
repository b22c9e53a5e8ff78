/* SPDX-License-Identifier: MIT */
/*
 * A template: panels of types with blocks of 256, by products of bytes.  The
 * sum of a sub-block takes up to 20 bits.  To scale it by one product of words
 * it is cut into its low byte and the rest, (s & 255) and (s >> 8), which one
 * shuffle puts into the two words of a lane; the scale is there as (scale,
 * 256 scale).  Mins and offsets are products of words too, with the sums of
 * the activations.  All that is exact, so that the order does not matter.
 *
 * Included once by a file of each level, after its rows_*.h; it defines
 * overlay_panel_q8k().  What it knows of the types is in types_q8k_vnni.h.
 */
#include "kernels/x86/types_q8k_vnni.h"

#define CHUNK_BLOCKS	2

/* A block column of 16 rows, unpacked. */
struct block_k {
	uint8_t		 q[64][64];
	struct scales_k	 scales;
};

/* DO(k) for the quads of a sub-block. */
#define EACH_QUAD(DO) do {						\
	DO(0);								\
	DO(1);								\
	DO(2);								\
	DO(3);								\
	if (s.sub_quads == 8) {						\
		DO(4);							\
		DO(5);							\
		DO(6);							\
		DO(7);							\
	}								\
} while (0)

/* DO(k) for the pairs of sub-blocks, of those of 16 or those of 32. */
#define EACH_PAIR(DO) do {						\
	if (s.sub_quads == 8) {						\
		DO(sum32, 0);						\
		DO(sum32, 1);						\
		DO(sum32, 2);						\
		DO(sum32, 3);						\
	} else {							\
		DO(sum, 0);						\
		DO(sum, 1);						\
		DO(sum, 2);						\
		DO(sum, 3);						\
		DO(sum, 4);						\
		DO(sum, 5);						\
		DO(sum, 6);						\
		DO(sum, 7);						\
	}								\
} while (0)

/* The words (s & 255, s >> 8) of each row's s, which has at most 24 bits. */
ALWAYS_INLINE rows_i
cut_words(void)
{
	return rows_set_quarters(_mm_setr_epi8(0, -1, 1, 2, 4, -1, 5, 6,
	    8, -1, 9, 10, 12, -1, 13, 14));
}

/* acc + a block's sums, those of quants and, where a type has them, mins. */
ALWAYS_INLINE rows_f
add_block(const struct shape_k s, const struct scales_k *b, rows_i sum,
    rows_i mins, rows_f act_d, rows_f acc)
{
	acc = rows_fma(rows_to_float(sum), rows_mul(rows_load_f(b->d), act_d),
	    acc);
	if (s.has_mins)
		acc = rows_fnma(rows_to_float(mins),
		    rows_mul(rows_load_f(b->dmin), act_d), acc);
	return acc;
}

/* ---- tiles of columns ---- */

#define ZERO(i, base, step, times, k)	part##i = rows_zero()
#define CLEAR(i, base, step, times, k)	sum##i = rows_zero()

#define QUAD_COLUMN(i, base, step, times, k)				\
	ROWS_MAC_U8(part##i, w, base, step, times,			\
	    offsetof(struct act_q8k, q) + 4 * (k))

#define QUAD(k) do {							\
	rows_i w = rows_load(quads[k]);					\
									\
	COLUMNS(QUAD_COLUMN, k);					\
} while (0)

#define SCALE(i, base, step, times, k) \
	sum##i = rows_mac_words(sum##i, rows_shuffle(part##i, cut), scale)

/* Offset `at` in a block of a column, whose quants the bases have passed. */
#define PASSED(at)	((long)(at) - 256)

#define PAIR_COLUMN(i, base, step, times, at) do {			\
	if (s.has_mins)							\
		ROWS_MAC_I16(part##i, w, base, step, times, PASSED(at)); \
	else								\
		ROWS_MAC_I16(sum##i, w, base, step, times, PASSED(at));	\
} while (0)

#define PAIR(sums, p) do {						\
	rows_i w = rows_load(b->scales.pair[p]);			\
									\
	COLUMNS(PAIR_COLUMN, offsetof(struct act_q8k, sums) + 4 * (p));	\
} while (0)

#define FINISH(i, base, step, times, k) do {				\
	rows_f x;							\
									\
	ROWS_SET_F(x, base, step, times,				\
	    PASSED(offsetof(struct act_q8k, d)));			\
	acc##i = add_block(s, &b->scales, sum##i, part##i, x, acc##i);	\
} while (0)

#define LOAD(i, at)	acc##i = rows_load_f(at)
#define STORE(i, at)	rows_store_f(at, acc##i)

/* n columns (a constant) times n_blocks block columns. */
ALWAYS_INLINE void
tile_k(const int n, const struct shape_k s, const struct block_k *b,
    size_t n_blocks, const uint8_t *next, const char *act, size_t act_stride,
    float *out, size_t out_stride)
{
	const rows_i cut = cut_words();
	const size_t n_subs = 64 / s.sub_quads;
	struct columns c = columns_at(act, act_stride);
	size_t i, sub;

	for (i = 0; i < n_blocks; i++, b++) {
		const uint8_t (*quads)[64] = b->q;
		rows_i EACH_COLUMN(sum), EACH_COLUMN(part);
		rows_f EACH_COLUMN(acc);

		COLUMNS(CLEAR, 0);
		for (sub = 0; sub < n_subs; sub++) {
			rows_i scale = rows_load(b->scales.scale[sub]);

			/* the next weights, a share with each sub-block */
			prefetch(next, s.block_bytes / n_subs);
			next += s.block_bytes / n_subs;
			COLUMNS(ZERO, 0);
			EACH_QUAD(QUAD);
			COLUMNS(SCALE, 0);
			quads += s.sub_quads;
			columns_advance(&c, 4 * s.sub_quads);
		}
		COLUMNS(ZERO, 0);
		EACH_PAIR(PAIR);
		OUTPUTS(LOAD);
		COLUMNS(FINISH, 0);
		OUTPUTS(STORE);
		columns_advance(&c, sizeof(struct act_q8k) - 256);
	}
}

#define WALK(name)	name##_k
#define WALK_SHAPE	struct shape_k
#define WALK_BLOCK	struct block_k
#define WALK_ACT	struct act_q8k
#define WALK_BLOCK_N	256
#include "kernels/x86/panel_walk_avx2.h"

#undef PAIR

ALWAYS_INLINE void
unpack_k(const struct shape_k s, const uint8_t *w, struct block_k *b)
{
	size_t span;

	s.scales(w, &b->scales);
	for (span = 0; span < s.spans; span++) {
#define QUAD_OF(i) \
	rows_store(b->q[s.sub_quads * s.sub(span, (i)) + at],		\
	    s.quad(w, span, (i), at))
#define QUADS(k) do {							\
	const size_t at = (k);						\
									\
	EACH_OF_4(s.span_subs, QUAD_OF);				\
} while (0)
		EACH_QUAD(QUADS);
#undef QUADS
#undef QUAD_OF
	}
}

/* ---- one column ---- */

/* sum + the quants of a span: up to 4 sub-blocks, which may have bytes in
 * common. */
ALWAYS_INLINE rows_i
add_span(const struct shape_k s, const uint8_t *w, const struct scales_k *b,
    size_t span, const struct act_q8k *a, rows_i sum)
{
	const rows_i cut = cut_words();
	rows_i part0 = rows_zero(), part1 = part0, part2 = part0;
	rows_i part3 = part0;

#define QUAD_OF(i) \
	part##i = rows_mac_u8(part##i, s.quad(w, span, (i), at),	\
	    a->q + 4 * (s.sub_quads * s.sub(span, (i)) + at))
#define QUADS(k) do {							\
	const size_t at = (k);						\
									\
	EACH_OF_4(s.span_subs, QUAD_OF);				\
} while (0)
#define SCALE_OF(i) \
	sum = rows_mac_words(sum, rows_shuffle(part##i, cut),		\
	    rows_load(b->scale[s.sub(span, (i))]))
	EACH_QUAD(QUADS);
	EACH_OF_4(s.span_subs, SCALE_OF);
#undef SCALE_OF
#undef QUADS
#undef QUAD_OF
	return sum;
}

ALWAYS_INLINE rows_f
add_block_one(const struct shape_k s, const uint8_t *w, struct scales_k *b,
    const struct act_q8k *a, rows_f acc)
{
	rows_i sum = rows_zero(), mins = sum;
	const uint8_t *ahead = w;
	size_t span;

	s.scales(w, b);
	for (span = 0; span < s.spans; span++) {
		prefetch_ahead(ahead, s.block_bytes / s.spans);
		ahead += s.block_bytes / s.spans;
		sum = add_span(s, w, b, span, a, sum);
	}
#define PAIR(sums, p) \
	mins = rows_mac_i16(mins, rows_load(b->pair[p]), a->sums + 2 * (p))
	EACH_PAIR(PAIR);
#undef PAIR
	if (!s.has_mins)
		sum = rows_add(sum, mins);
	return add_block(s, b, sum, mins, rows_set_f(&a->d), acc);
}

ALWAYS_INLINE void
one_k(const struct shape_k s, const uint8_t *w, size_t n_panels, size_t n_in,
    const struct act_q8k *act, float *out)
{
	const struct act_q8k *a, *end = act + n_in / 256;
	struct scales_k scales, *b = not_in_frame(&scales);

	for (; n_panels > 0; n_panels--, out += PANEL_ROWS) {
		rows_f acc = rows_to_float(rows_zero());

		for (a = act; a < end; a++, w += s.block_bytes)
			acc = add_block_one(s, w, b, a, acc);
		rows_store_f(out, acc);
	}
}

/* ---- all types ---- */

#define PANEL_KERNEL(name, type)					\
static void								\
unpack_##name(const uint8_t *w, struct block_k *b)			\
{									\
	unpack_k(shape_##name, w, b);					\
}									\
									\
static void								\
panel_##name##_many(const void *w, size_t n_panels, size_t n_in,	\
    const void *act, size_t act_stride, size_t n_cols, float *out,	\
    size_t out_stride)							\
{									\
	panels_k(shape_##name, unpack_##name, w, n_panels, n_in, act,	\
	    act_stride, n_cols, out, out_stride);			\
}									\
									\
static void								\
panel_##name##_one(const void *w, size_t n_panels, size_t n_in,		\
    const void *act, float *out)					\
{									\
	one_k(shape_##name, w, n_panels, n_in, act, out);		\
}									\
BY_COLUMNS(panel_##name, type)
PANEL_KERNEL(q2_k, TYPE_Q2_K)
PANEL_KERNEL(q3_k, TYPE_Q3_K)
PANEL_KERNEL(q4_k, TYPE_Q4_K)
PANEL_KERNEL(q5_k, TYPE_Q5_K)
PANEL_KERNEL(q6_k, TYPE_Q6_K)
PANEL_KERNEL(iq4_xs, TYPE_IQ4_XS)
#undef PANEL_KERNEL

static void
overlay_panel_q8k(struct kern_table *t)
{
	t->panel[TYPE_Q2_K] = panel_q2_k;
	t->panel[TYPE_Q3_K] = panel_q3_k;
	t->panel[TYPE_Q4_K] = panel_q4_k;
	t->panel[TYPE_Q5_K] = panel_q5_k;
	t->panel[TYPE_Q6_K] = panel_q6_k;
	t->panel[TYPE_IQ4_XS] = panel_iq4_xs;
	t->no_sm = true;
}

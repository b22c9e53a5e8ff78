/* SPDX-License-Identifier: MIT */
/*
 * A template: panels of types with blocks of 256, by products of bytes.  The
 * sum of a sub-block takes up to 18 bits.  To scale it by one product of words
 * it is cut into its low byte and the rest, (s & 255) and (s >> 8), which one
 * shuffle puts into the two words of a lane; the scale is there as (scale,
 * 256 scale).  Mins and offsets are products of words too, with the sums of
 * the activations.  All that is exact, so that the order does not matter.
 *
 * Included once by a file of each level, after its rows_*.h; it defines
 * overlay_panel_q8k().
 */
#include "kernels/x86/panel_vnni.h"

#define CHUNK_BLOCKS	2
/* With one column, how far ahead of the unpacking weights are asked for. */
#define AHEAD_BYTES	2048

/* A block column of 16 rows, unpacked. */
struct block_k {
	uint8_t	 q[64][64];
	int16_t	 scale[16][32];	/* [sub-block][row][scale, 256 scale] */
	int16_t	 pair[8][32];	/* [sub-block pair][row][sub-block]: mins, or
				   -offset times scales */
	float	 d[16];
	float	 dmin[16];
};

/* How a type's chains run. */
struct shape_k {
	int	 sub_quads;	/* quads of a sub-block: 4 or 8 */
	bool	 has_mins;	/* else an offset */
	size_t	 block_bytes;	/* of a block column */
};

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

/* The k-th pair of a block's columns, which the bases have passed. */
#define ADD_MINS(i, base, step, times, k)				\
	ROWS_MAC_I16(part##i, w, base, step, times,			\
	    (long)offsetof(struct act_q8k, sum32) - 256 + 4 * (k))
#define ADD_OFFSETS(i, base, step, times, k)				\
	ROWS_MAC_I16(sum##i, w, base, step, times,			\
	    (long)offsetof(struct act_q8k, sum) - 256 + 4 * (k))

#define PAIR(ADD, k) do {						\
	rows_i w = rows_load(b->pair[k]);				\
									\
	COLUMNS(ADD, k);						\
} while (0)

#define FINISH(i, base, step, times, k) do {				\
	rows_f x;							\
									\
	ROWS_SET_F(x, base, step, times,				\
	    (long)offsetof(struct act_q8k, d) - 256);			\
	acc##i = rows_fma(rows_to_float(sum##i), rows_mul(d, x), acc##i); \
	if (s.has_mins)							\
		acc##i = rows_fnma(rows_to_float(part##i),		\
		    rows_mul(dmin, x), acc##i);				\
} while (0)

#define LOAD(i, at)	acc##i = rows_load_f(at)
#define STORE(i, at)	rows_store_f(at, acc##i)

/* The words (s & 255, s >> 8) of each row's s, which has at most 24 bits. */
ALWAYS_INLINE rows_i
cut_words(void)
{
	return rows_set_quarters(_mm_setr_epi8(0, -1, 1, 2, 4, -1, 5, 6,
	    8, -1, 9, 10, 12, -1, 13, 14));
}

/* n columns (a constant) times n_blocks block columns. */
ALWAYS_INLINE void
tile_k(const int n, const struct shape_k s, const struct block_k *b,
    size_t n_blocks, const uint8_t *next, const char *act, size_t act_stride,
    float *out, size_t out_stride)
{
	const rows_i cut = cut_words();
	const size_t n_subs = 64 / (size_t)s.sub_quads;
	struct columns c = columns_at(act, act_stride);
	size_t i, sub;

	for (i = 0; i < n_blocks; i++, b++) {
		const uint8_t (*quads)[64] = b->q;
		rows_i EACH_COLUMN(sum), EACH_COLUMN(part);
		rows_f EACH_COLUMN(acc), d, dmin;

		COLUMNS(CLEAR, 0);
		for (sub = 0; sub < n_subs; sub++) {
			rows_i scale = rows_load(b->scale[sub]);

			/* the next weights, a share with each sub-block */
			prefetch(next, s.block_bytes / n_subs);
			next += s.block_bytes / n_subs;
			COLUMNS(ZERO, 0);
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
			COLUMNS(SCALE, 0);
			quads += s.sub_quads;
			columns_advance(&c, 4 * (size_t)s.sub_quads);
		}
		if (s.has_mins) {
			COLUMNS(ZERO, 0);
			PAIR(ADD_MINS, 0);
			PAIR(ADD_MINS, 1);
			PAIR(ADD_MINS, 2);
			PAIR(ADD_MINS, 3);
		} else {
			PAIR(ADD_OFFSETS, 0);
			PAIR(ADD_OFFSETS, 1);
			PAIR(ADD_OFFSETS, 2);
			PAIR(ADD_OFFSETS, 3);
			PAIR(ADD_OFFSETS, 4);
			PAIR(ADD_OFFSETS, 5);
			PAIR(ADD_OFFSETS, 6);
			PAIR(ADD_OFFSETS, 7);
		}
		d = rows_load_f(b->d);
		dmin = rows_load_f(b->dmin);
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

/* ---- unpacking ---- */

#define Z (-128)	/* a zero, whatever is added for the next sub-blocks */

/* Bytes [row][4 sub-blocks]: the (scale, 256 scale) of four. */
ALWAYS_INLINE void
spread_scales(rows_i v, const bool is_signed, int16_t (*out)[32])
{
	const rows_i low = rows_set_quarters(_mm_set1_epi32(0xffff));
	const rows_i high = rows_set_quarters(_mm_set1_epi32((int)0xffff0000));
	rows_i pick = rows_set_quarters(is_signed ?
	    _mm_setr_epi8(Z, 0, Z, 0, Z, 4, Z, 4, Z, 8, Z, 8, Z, 12, Z, 12) :
	    _mm_setr_epi8(0, Z, Z, 0, 4, Z, Z, 4, 8, Z, Z, 8, 12, Z, Z, 12));
	rows_i both;
	int i;

	for (i = 0; i < 4; i++) {
		both = rows_shuffle(v, pick);
		if (is_signed)
			both = rows_or(rows_and(both, high), rows_and(low,
			    rows_shift_signed(both, 8)));
		rows_store(out[i], both);
		pick = rows_add_bytes(pick, rows_set_bytes(1));
	}
}

/* Mins of sub-blocks 0 and 1 side by side, then of 2 and 3. */
ALWAYS_INLINE void
spread_mins(rows_i v, int16_t (*out)[32])
{
	rows_i pick = rows_set_quarters(_mm_setr_epi8(0, Z, 1, Z, 4, Z, 5, Z,
	    8, Z, 9, Z, 12, Z, 13, Z));

	rows_store(out[0], rows_shuffle(v, pick));
	pick = rows_add_bytes(pick, rows_set_bytes(2));
	rows_store(out[1], rows_shuffle(v, pick));
}

/* As spread_mins, -32 times signed scales. */
ALWAYS_INLINE void
spread_offsets(rows_i v, int16_t (*out)[32])
{
	const rows_i zero = rows_zero();
	rows_i pick = rows_set_quarters(_mm_setr_epi8(Z, 0, Z, 1, Z, 4, Z, 5,
	    Z, 8, Z, 9, Z, 12, Z, 13));

	rows_store(out[0], rows_sub_words(zero,
	    rows_shift_signed(rows_shuffle(v, pick), 3)));
	pick = rows_add_bytes(pick, rows_set_bytes(2));
	rows_store(out[1], rows_sub_words(zero,
	    rows_shift_signed(rows_shuffle(v, pick), 3)));
}

#undef Z

/* The packed scales of Q4_K and Q5_K, [12 / 4][16 rows][4], d and dmin. */
ALWAYS_INLINE void
unpack_scales_k4(const uint8_t *p, struct block_k *b)
{
	const rows_i low6 = rows_set_bytes(63), low4 = rows_set_bytes(15);
	const rows_i bits45 = rows_set_bytes(0x30);
	rows_i x = rows_load(p), y = rows_load(p + 64);
	rows_i z = rows_load(p + 128);

	spread_scales(rows_and(x, low6), false, b->scale);
	spread_mins(rows_and(y, low6), b->pair);
	spread_scales(rows_or(rows_and(z, low4),
	    rows_and(rows_shift_right(x, 2), bits45)), false, b->scale + 4);
	spread_mins(rows_or(rows_and(rows_shift_right(z, 4), low4),
	    rows_and(rows_shift_right(y, 2), bits45)), b->pair + 2);
	rows_store_f(b->d, rows_load_halves(p + 192));
	rows_store_f(b->dmin, rows_load_halves(p + 224));
}

ALWAYS_INLINE void
unpack_q4_k_many(const uint8_t *w, struct block_k *b)
{
	size_t p, k;

	for (p = 0; p < 4; p++)
		for (k = 0; k < 8; k++, w += 64)
			rows_split(w, b->q[16 * p + k], b->q[16 * p + 8 + k]);
	unpack_scales_k4(w, b);
}

/* Bit 4 of sub-block s is bit s of the byte at the same place in the block. */
ALWAYS_INLINE void
unpack_q5_k(const uint8_t *w, struct block_k *b)
{
	const rows_i low4 = rows_set_bytes(15), bit4 = rows_set_bytes(16);
	const uint8_t *high = w + 2048;
	size_t k, p;

	for (k = 0; k < 8; k++) {
		rows_i h = rows_load(high + 64 * k);

		for (p = 0; p < 4; p++) {
			rows_i v = rows_load(w + 512 * p + 64 * k);

			rows_store(b->q[16 * p + k],
			    rows_or(rows_and(v, low4),
			    rows_and(rows_shift_left(h, 4), bit4)));
			rows_store(b->q[16 * p + 8 + k],
			    rows_or(rows_and(rows_shift_right(v, 4), low4),
			    rows_and(rows_shift_left(h, 3), bit4)));
			h = rows_shift_right(h, 2);
		}
	}
	unpack_scales_k4(w + 2560, b);
}

/* Two low quads and their high bits: a quad of every quarter of 128. */
ALWAYS_INLINE void
join_q6(rows_i l0, rows_i l1, rows_i h, uint8_t (*q)[64])
{
	const rows_i low4 = rows_set_bytes(15), bits45 = rows_set_bytes(0x30);

	rows_store(q[0], rows_or(rows_and(l0, low4),
	    rows_and(rows_shift_left(h, 4), bits45)));
	rows_store(q[8], rows_or(rows_and(l1, low4),
	    rows_and(rows_shift_left(h, 2), bits45)));
	rows_store(q[16], rows_or(rows_and(rows_shift_right(l0, 4), low4),
	    rows_and(h, bits45)));
	rows_store(q[24], rows_or(rows_and(rows_shift_right(l1, 4), low4),
	    rows_and(rows_shift_right(h, 2), bits45)));
}

ALWAYS_INLINE void
unpack_q6_k(const uint8_t *w, struct block_k *b)
{
	const uint8_t *low = w, *high = w + 2048, *scale = w + 3072;
	size_t half, k;

	for (half = 0; half < 2; half++, low += 1024, high += 512)
		for (k = 0; k < 8; k++)
			join_q6(rows_load(low + 64 * k),
			    rows_load(low + 64 * (k + 8)),
			    rows_load(high + 64 * k), &b->q[32 * half + k]);
	for (k = 0; k < 4; k++, scale += 64) {
		spread_scales(rows_load(scale), true, b->scale + 4 * k);
		spread_offsets(rows_load(scale), b->pair + 2 * k);
	}
	rows_store_f(b->d, rows_load_halves(scale));
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
PANEL_KERNEL(q4_k_many, 8, true, 2304)
PANEL_KERNEL(q5_k, 8, true, 2816)
PANEL_KERNEL(q6_k, 4, false, 3360)
#undef PANEL_KERNEL

/* Both nibbles of a quarter of a block column times one column. */
ALWAYS_INLINE rows_i
quarter_q4_k(const uint8_t *quants, const int8_t *q,
    const int16_t (*scale)[32], rows_i sum)
{
	const rows_i low4 = rows_set_bytes(15), cut = cut_words();
	rows_i low = rows_zero(), high = rows_zero(), v;
	size_t k;

	for (k = 0; k < 8; k++, quants += 64, q += 4) {
		v = rows_load(quants);
		low = rows_mac_u8(low, rows_and(v, low4), q);
		v = rows_and(rows_shift_right(v, 4), low4);
		high = rows_mac_u8(high, v, q + 32);
	}
	sum = rows_mac_words(sum, rows_shuffle(low, cut),
	    rows_load(scale[0]));
	return rows_mac_words(sum, rows_shuffle(high, cut),
	    rows_load(scale[1]));
}

/*
 * One column of Q4_K, where decoding spends its time: only the scales are
 * unpacked, quants go straight from memory to products.
 */
static void
panel_q4_k_one(const uint8_t *w, size_t n_panels, size_t n_in,
    const struct act_q8k *act, float *out)
{
	const struct act_q8k *a, *end = act + n_in / 256;
	_Alignas(64) struct block_k b;
	size_t p;

	for (; n_panels > 0; n_panels--, out += PANEL_ROWS) {
		rows_f acc = rows_to_float(rows_zero()), act_d;

		for (a = act; a < end; a++, w += 2304) {
			rows_i sum = rows_zero(), mins = rows_zero();

			unpack_scales_k4(w + 2048, &b);
			prefetch(w + 2048 + AHEAD_BYTES, 256);
			for (p = 0; p < 4; p++) {
				prefetch(w + 512 * p + AHEAD_BYTES, 512);
				sum = quarter_q4_k(w + 512 * p, a->q + 64 * p,
				    b.scale + 2 * p, sum);
				mins = rows_mac_i16(mins, rows_load(b.pair[p]),
				    a->sum32 + 2 * p);
			}
			act_d = rows_set_f(&a->d);
			acc = rows_fma(rows_to_float(sum),
			    rows_mul(rows_load_f(b.d), act_d), acc);
			acc = rows_fnma(rows_to_float(mins),
			    rows_mul(rows_load_f(b.dmin), act_d), acc);
		}
		rows_store_f(out, acc);
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

MANY_COLUMNS(panel_q4_k, TYPE_Q4_K)
MANY_COLUMNS(panel_q5_k, TYPE_Q5_K)
MANY_COLUMNS(panel_q6_k, TYPE_Q6_K)

static void
overlay_panel_q8k(struct kern_table *t)
{
	t->panel[TYPE_Q4_K] = panel_q4_k_dense;
	t->panel[TYPE_Q5_K] = panel_q5_k_dense;
	t->panel[TYPE_Q6_K] = panel_q6_k_dense;
}

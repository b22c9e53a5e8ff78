/* SPDX-License-Identifier: MIT */
/*
 * A template: panels of quants for an Arm level, which includes this once,
 * after its products of bytes and with LEVEL(name) for its names.
 *
 * 256 elements of 16 rows are unpacked into the near cache, a signed byte a
 * quant, then tiles of 8 rows and up to 4 columns pass over them with all
 * their sums in registers: those of a sub-block in `part`, those of a block,
 * scaled, in `sum`.  The float sums live in `out` between blocks.  There is no
 * path of its own for one column: what unpacking stores and loads once more
 * is less than memory takes to deliver a weight.
 *
 * A level says
 *	put_octet()	how a chunk holds quants (unpack_arm.h)
 *	N_SUMS(n)	registers of sums for n columns: 8 rows each, or more
 *	step()		their sums of 16 elements more
 *	spread()	scales of 8 rows as the sums lie
 *	settle()	the sums as [column][half of the 8 rows]
 */

#include "kernels/arm/unpack_arm.h"

#define TILE_COLS	4
#define MAX_SUMS	(2 * TILE_COLS)

struct shape {
	enum act_form	 form;		/* ACT_Q8 or ACT_Q8K */
	size_t		 quads;		/* of a block */
	size_t		 sub_quads;	/* that share a scale; or quads */
	size_t		 n_mins;	/* integers a block; 0: has none */
	bool		 has_m;		/* x = d q + m */
	bool		 is_small;	/* quants are within +-32 */
	size_t		 block_bytes;	/* of a block column */
};

/* DO(i) for the sums of n columns. */
#define SUMS(DO) do {							\
	DO(0);								\
	DO(1);								\
	if (N_SUMS(n) > 2) {						\
		DO(2);							\
		DO(3);							\
	}								\
	if (N_SUMS(n) > 4) {						\
		DO(4);							\
		DO(5);							\
	}								\
	if (N_SUMS(n) > 6) {						\
		DO(6);							\
		DO(7);							\
	}								\
} while (0)

/* ---- activations, by their form ---- */

ALWAYS_INLINE size_t
act_bytes(const enum act_form form)
{
	return form == ACT_Q8 ? sizeof(struct act_q8) : sizeof(struct act_q8k);
}

ALWAYS_INLINE float
act_d(const enum act_form form, const void *a)
{
	return form == ACT_Q8 ? ((const struct act_q8 *)a)->d :
	    ((const struct act_q8k *)a)->d;
}

/* 16 quants from element i on. */
ALWAYS_INLINE int8x16_t
x_at(const enum act_form form, const void *a, size_t i)
{
	return vld1q_s8(form == ACT_Q8 ? ((const struct act_q8 *)a)->q + i :
	    ((const struct act_q8k *)a)->q + i);
}

/* ---- one tile ---- */

/* sum = one block of 8 rows times n columns, as the level holds sums. */
ALWAYS_INLINE void
block_sums(const int n, const struct shape s, const struct chunk *c,
    size_t half, size_t first, const char *act, size_t act_stride,
    int32x4_t sum[MAX_SUMS])
{
	const int8_t *q = c->q[half][first];
	int32x4_t part[MAX_SUMS], scale[4];
	int8x16_t x[TILE_COLS];
	size_t quad = 0, end, sub;

#define ZERO_SUM(i)	sum[i] = vdupq_n_s32(0)
#define ZERO_PART(i)	part[i] = vdupq_n_s32(0)
#define SCALE(i)	sum[i] = vmlaq_s32(sum[i], part[i], scale[(i) % 4])
#define KEEP(i)		sum[i] = part[i]
	SUMS(ZERO_SUM);
	for (sub = 0; quad < s.quads; sub++) {
		SUMS(ZERO_PART);
		for (end = quad + s.sub_quads; quad < end; quad += 4) {
			x[0] = x_at(s.form, act, 4 * quad);
			x[1] = x[2] = x[3] = x[0];
			if (n > 1)
				x[1] = x_at(s.form, act + act_stride,
				    4 * quad);
			if (n > 2)
				x[2] = x_at(s.form, act + 2 * act_stride,
				    4 * quad);
			if (n > 3)
				x[3] = x_at(s.form, act + 3 * act_stride,
				    4 * quad);
			step(n, s.is_small, q, x, part);
			q += 4 * 32;
		}
		if (s.sub_quads == s.quads) {
			SUMS(KEEP);
			continue;
		}
		spread(vld1q_s32(c->scale[sub] + 8 * half),
		    vld1q_s32(c->scale[sub] + 8 * half + 4), scale);
		SUMS(SCALE);
	}
#undef ZERO_SUM
#undef ZERO_PART
#undef SCALE
#undef KEEP
}

/* sum(min * sum of activations) of 4 rows */
ALWAYS_INLINE int32x4_t
mins_of(const struct shape s, const struct chunk *c, size_t row,
    const struct act_q8k *a)
{
	const int16_t *sums = s.n_mins == 8 ? a->sum32 : a->sum;
	int32x4_t mins = vdupq_n_s32(0);
	size_t i;

	for (i = 0; i < s.n_mins; i++)
		mins = vmlal_n_s16(mins, vld1_s16(c->min[i] + row), sums[i]);
	return mins;
}

/* Add block i of the chunk to the outputs of 4 rows. */
ALWAYS_INLINE void
finish(const struct shape s, const struct chunk *c, size_t i, size_t row,
    const void *a, int32x4_t sum, float *out)
{
	float d = act_d(s.form, a);
	float32x4_t acc = vld1q_f32(out), m = vld1q_f32(c->m[i] + row);

	acc = vfmaq_f32(acc, vcvtq_f32_s32(sum),
	    vmulq_n_f32(vld1q_f32(c->d[i] + row), d));
	if (s.has_m)
		acc = vfmaq_f32(acc, m,
		    vdupq_n_f32(((const struct act_q8 *)a)->dsum));
	if (s.n_mins > 0)
		acc = vfmsq_f32(acc, vcvtq_f32_s32(mins_of(s, c, row, a)),
		    vmulq_n_f32(m, d));
	vst1q_f32(out, acc);
}

/* 8 rows of the chunk's blocks times n columns, a constant. */
ALWAYS_INLINE void
tile(const int n, const struct shape s, const struct chunk *c, size_t half,
    size_t n_blocks, const char *act, size_t act_stride, float *out,
    size_t out_stride)
{
	int32x4_t sum[MAX_SUMS];
	size_t i;

#define FINISH(j)							\
	finish(s, c, i, 8 * half + (j) % 2 * 4, act + (j) / 2 * act_stride, \
	    sum[j], out + (j) / 2 * out_stride + (j) % 2 * 4)
	for (i = 0; i < n_blocks; i++, act += act_bytes(s.form)) {
		block_sums(n, s, c, half, i * s.quads, act, act_stride, sum);
		settle(n, sum);
		FINISH(0);
		FINISH(1);
		if (n > 1) {
			FINISH(2);
			FINISH(3);
		}
		if (n > 2) {
			FINISH(4);
			FINISH(5);
		}
		if (n > 3) {
			FINISH(6);
			FINISH(7);
		}
	}
#undef FINISH
}

/* ---- over columns, chunks and panels ---- */

ALWAYS_INLINE void
tiles(const struct shape s, const struct chunk *c, size_t n_blocks,
    const char *act, size_t act_stride, size_t n_cols, float *out,
    size_t out_stride)
{
	size_t n, half;

#define CASE(n)								\
	case n:								\
		for (half = 0; half < 2; half++)			\
			tile(n, s, c, half, n_blocks, act, act_stride,	\
			    out + 8 * half, out_stride);		\
		break
	for (; n_cols > 0; n_cols -= n) {
		n = n_cols < TILE_COLS ? n_cols : TILE_COLS;
		switch (n) {
		CASE(4);
		CASE(3);
		CASE(2);
		CASE(1);
		}
		act += n * act_stride;
		out += n * out_stride;
	}
#undef CASE
}

typedef void (*unpack_fn)(const uint8_t *, struct chunk *, size_t);

/* n panels of one after another block column, chunk by chunk. */
ALWAYS_INLINE void
group(const struct shape s, unpack_fn unpack, const uint8_t *w, size_t n,
    size_t n_blocks, const char *act, size_t act_stride, size_t n_cols,
    float *out, size_t out_stride)
{
	_Alignas(64) struct chunk c;
	size_t most = CHUNK_QUADS / s.quads, some, i, j, k;

	for (i = 0; i < n_cols; i++)
		memset(out + i * out_stride, 0,
		    n * PANEL_ROWS * sizeof(*out));
	for (i = 0; i < n_blocks; i += some) {
		some = n_blocks - i < most ? n_blocks - i : most;
		for (j = 0; j < n; j++) {
			for (k = 0; k < some; k++)
				unpack(w + (j * n_blocks + i + k) *
				    s.block_bytes, &c, k);
			tiles(s, &c, some, act + i * act_bytes(s.form),
			    act_stride, n_cols, out + j * PANEL_ROWS,
			    out_stride);
		}
	}
}

/* Where columns are many, panels go over a chunk of them in turn; where they
 * are few, weights are what is read, one panel after another. */
ALWAYS_INLINE void
panels(const struct shape s, unpack_fn unpack, const uint8_t *w,
    size_t n_panels, size_t n_in, const char *act, size_t act_stride,
    size_t n_cols, float *out, size_t out_stride)
{
	size_t n_blocks = n_in / 4 / s.quads, n;

	for (; n_panels > 0; n_panels -= n) {
		n = n_cols > 16 ? n_panels : 1;
		group(s, unpack, w, n, n_blocks, act, act_stride, n_cols, out,
		    out_stride);
		w += n * n_blocks * s.block_bytes;
		out += n * PANEL_ROWS;
	}
}

#define PANEL_KERNEL(name, ...)						\
static void								\
panel_##name(const void *w, size_t n_panels, size_t n_in,		\
    const void *act, size_t act_stride, size_t n_cols, float *out,	\
    size_t out_stride)							\
{									\
	const struct shape s = { __VA_ARGS__ };				\
									\
	panels(s, unpack_##name, w, n_panels, n_in, act, act_stride,	\
	    n_cols, out, out_stride);					\
}
PANEL_KERNEL(q4_0, ACT_Q8, 8, 8, 0, false, true, 288)
PANEL_KERNEL(q4_1, ACT_Q8, 8, 8, 0, true, true, 320)
PANEL_KERNEL(q5_0, ACT_Q8, 8, 8, 0, false, true, 352)
PANEL_KERNEL(q5_1, ACT_Q8, 8, 8, 0, true, true, 384)
PANEL_KERNEL(q8_0, ACT_Q8, 8, 8, 0, false, false, 544)
PANEL_KERNEL(iq4_nl, ACT_Q8, 8, 8, 0, false, false, 288)
PANEL_KERNEL(mxfp4, ACT_Q8, 8, 8, 0, false, true, 272)
PANEL_KERNEL(q2_k, ACT_Q8K, 64, 4, 16, false, true, 1344)
PANEL_KERNEL(q3_k, ACT_Q8K, 64, 4, 0, false, true, 1760)
PANEL_KERNEL(q4_k, ACT_Q8K, 64, 8, 8, false, true, 2304)
PANEL_KERNEL(q5_k, ACT_Q8K, 64, 8, 8, false, true, 2816)
PANEL_KERNEL(q6_k, ACT_Q8K, 64, 4, 0, false, true, 3360)
PANEL_KERNEL(iq4_xs, ACT_Q8K, 64, 8, 0, false, false, 2176)
#undef PANEL_KERNEL

void
LEVEL(overlay_panel)(struct kern_table *t)
{
	t->panel[TYPE_Q4_0] = panel_q4_0;
	t->panel[TYPE_Q4_1] = panel_q4_1;
	t->panel[TYPE_Q5_0] = panel_q5_0;
	t->panel[TYPE_Q5_1] = panel_q5_1;
	t->panel[TYPE_MXFP4] = panel_mxfp4;
	t->panel[TYPE_Q8_0] = panel_q8_0;
	t->panel[TYPE_Q2_K] = panel_q2_k;
	t->panel[TYPE_Q3_K] = panel_q3_k;
	t->panel[TYPE_Q4_K] = panel_q4_k;
	t->panel[TYPE_Q5_K] = panel_q5_k;
	t->panel[TYPE_Q6_K] = panel_q6_k;
	t->panel[TYPE_IQ4_NL] = panel_iq4_nl;
	t->panel[TYPE_IQ4_XS] = panel_iq4_xs;
}

/* SPDX-License-Identifier: MIT */
/*
 * Panels of packed weights times columns, the specification.  One output is a
 * chain of fused multiply-adds over its blocks in ascending order, starting
 * from zero:
 *
 *	blocks of 32	acc = fma(sum(q a), d act.d, acc)
 *			acc = fma(-dmin, act.d sum(a), acc)	if it has mins
 *	blocks of 256	acc = fma(sum(scale sum(q a)), d act.d, acc)
 *			acc = fma(-sum(min sum(a)), dmin act.d, acc)  same
 *	floats		acc = acc + s, where for every chain of elements
 *			(pack.h; shorter at the end) s = fma(w, x, s), element
 *			by element, from 0
 *
 * where sums are exact integers converted to float once.  Every level gives
 * exactly these bits: integer sums may be taken in any order, the rest not.
 */
#include "config.h"

#include "kernels/ref/ref.h"

#include <math.h>

#include "kernels/half.h"
#include "kernels/pack.h"

static bool
has_mins(enum tensor_type t)
{
	return t == TYPE_Q4_1 || t == TYPE_Q5_1 || t == TYPE_Q2_K ||
	    t == TYPE_Q4_K || t == TYPE_Q5_K;
}

static float
add_q8(enum tensor_type t, const struct ref_block *b, const struct act_q8 *a,
    float acc)
{
	acc = fmaf((float)ref_products(b, a->q, 32), b->d * a->d, acc);
	if (has_mins(t))
		acc = fmaf(-b->dmin, a->dsum, acc);
	return acc;
}

static float
add_q16(const struct ref_block *b, const struct act_q16 *a, float acc)
{
	int8_t q[32];
	int i;

	for (i = 0; i < 32; i++)
		q[i] = (int8_t)a->q[i];
	return fmaf((float)ref_products(b, q, 32), b->d * a->d, acc);
}

static float
add_q8k(enum tensor_type t, const struct ref_block *b,
    const struct act_q8k *a, float acc)
{
	int32_t mins = 0;
	int s;

	acc = fmaf((float)ref_products(b, a->q, 256), b->d * a->d, acc);
	if (!has_mins(t))
		return acc;
	for (s = 0; s < 16; s++)
		mins += b->min[s] * a->sum[s];
	return fmaf(-(float)mins, b->dmin * a->d, acc);
}

/* Block i of a column, in any form. */
static float
add_block(enum tensor_type t, const struct ref_block *b, enum act_form form,
    const void *act, size_t i, float acc)
{
	switch (form) {
	case ACT_Q8:
		return add_q8(t, b, (const struct act_q8 *)act + i, acc);
	case ACT_Q8K:
		return add_q8k(t, b, (const struct act_q8k *)act + i, acc);
	case ACT_Q16:
		return add_q16(b, (const struct act_q16 *)act + i, acc);
	case ACT_SM8:
		return add_q8(t, b, &((const struct act_sm8 *)act)[i].a, acc);
	case ACT_SM8K:
		return add_q8k(t, b, &((const struct act_sm8k *)act)[i].a,
		    acc);
	case ACT_F32:
		break;
	}
	return acc;
}

/* Row `row` of a panel of blocks times one column. */
static float
row_of_blocks(enum tensor_type t, const void *panel, size_t row, size_t n_in,
    enum act_form form, const void *act)
{
	ref_block_fn take_apart = ref_block_of(t);
	size_t i, block_n = type_info(t)->block_n;
	uint8_t bytes[256];
	struct ref_block b;
	float acc = 0;

	for (i = 0; i < n_in / block_n; i++) {
		pack_get_block(t, panel, i, row, bytes);
		take_apart(bytes, &b);
		acc = add_block(t, &b, form, act, i, acc);
	}
	return acc;
}

static float
row_of_floats(enum tensor_type t, const void *panel, size_t row, size_t n_in,
    const float *x)
{
	uint8_t bytes[4];
	float acc = 0, s = 0, w;
	size_t chain = panel_chain(n_in), i;

	for (i = 0; i < n_in; i++) {
		pack_get_block(t, panel, i, row, bytes);
		w = t == TYPE_F32 ? f32_from_bits(load_u32(bytes)) :
		    t == TYPE_F16 ? f16_to_f32(load_u16(bytes)) :
		    bf16_to_f32(load_u16(bytes));
		s = fmaf(w, x[i], s);
		if ((i + 1) % chain == 0 || i + 1 == n_in) {
			acc += s;
			s = 0;
		}
	}
	return acc;
}

static void
panels(enum tensor_type t, const void *w, size_t n_panels, size_t n_in,
    const void *act, size_t act_stride, size_t n_cols, float *out,
    size_t out_stride)
{
	enum act_form form = pack_act(t, n_cols);
	size_t c, o;

	for (c = 0; c < n_cols; c++)
		for (o = 0; o < n_panels * PANEL_ROWS; o++) {
			const void *panel = (const uint8_t *)w +
			    o / PANEL_ROWS * pack_panel_bytes(t, n_in);
			const void *column = (const uint8_t *)act +
			    c * act_stride;

			out[c * out_stride + o] = form == ACT_F32 ?
			    row_of_floats(t, panel, o % PANEL_ROWS, n_in,
			    column) : row_of_blocks(t, panel, o % PANEL_ROWS,
			    n_in, form, column);
		}
}

#define T(sym, id, name, n, bytes, act)					\
static void								\
panel_##sym(const void *w, size_t n_panels, size_t n_in,		\
    const void *x, size_t x_stride, size_t n_cols, float *out,		\
    size_t out_stride)							\
{									\
	panels(sym, w, n_panels, n_in, x, x_stride, n_cols, out,	\
	    out_stride);						\
}
#include "kernels/types.def"
#undef T

void
ref_table_panel(struct kern_table *t)
{
#define T(sym, id, name, n, bytes, act) t->panel[sym] = panel_##sym;
#include "kernels/types.def"
#undef T
}

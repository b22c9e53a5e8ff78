/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_PANEL_VNNI_H
#define BM_KERNELS_X86_PANEL_VNNI_H

/*
 * What the panel templates for levels with products of bytes share; a rows_*.h
 * comes first.  The instruction multiplies four unsigned bytes of weights with
 * four signed ones of activations and adds to 32 bits, so nothing overflows
 * and integer sums need no care at all.
 */

#define TILE_COLS ROWS_TILE_COLS

#include "kernels/ref/ref.h"
#include "kernels/x86/panel_avx2.h"

/*
 * DO(i, base, step, times, k) for the n columns of a tile, n being a constant:
 * column i is at base + step * times.  Five registers address twelve columns.
 */
#define COLUMNS(DO, k) do {						\
	DO(0, c.base0, c.step, 1, k);					\
	if (n > 1)							\
		DO(1, c.base0, c.step, 2, k);				\
	if (n > 2)							\
		DO(2, c.base0, c.step3, 1, k);				\
	if (n > 3)							\
		DO(3, c.base0, c.step, 4, k);				\
	if (n > 4)							\
		DO(4, c.base4, c.step, 1, k);				\
	if (n > 5)							\
		DO(5, c.base4, c.step, 2, k);				\
	if (n > 6)							\
		DO(6, c.base4, c.step3, 1, k);				\
	if (n > 7)							\
		DO(7, c.base4, c.step, 4, k);				\
	if (n > 8)							\
		DO(8, c.base8, c.step, 1, k);				\
	if (n > 9)							\
		DO(9, c.base8, c.step, 2, k);				\
	if (n > 10)							\
		DO(10, c.base8, c.step3, 1, k);				\
	if (n > 11)							\
		DO(11, c.base8, c.step, 4, k);				\
} while (0)

/* Where columns' activations are, for COLUMNS.  Bases are one stride before
 * columns 0, 4 and 8. */
struct columns {
	uintptr_t	 base0, base4, base8;
	size_t		 step, step3;
};

ALWAYS_INLINE struct columns
columns_at(const void *act, size_t stride)
{
	uintptr_t base = (uintptr_t)act - stride;

	return (struct columns){ base, base + 4 * stride, base + 8 * stride,
	    stride, 3 * stride };
}

ALWAYS_INLINE void
columns_advance(struct columns *c, size_t n_bytes)
{
	c->base0 += n_bytes;
	c->base4 += n_bytes;
	c->base8 += n_bytes;
}

/* As COLUMNS, DO(i, to), with outputs. */
#define OUTPUTS(DO) do {						\
	DO(0, out);							\
	if (n > 1)							\
		DO(1, out + 1 * out_stride);				\
	if (n > 2)							\
		DO(2, out + 2 * out_stride);				\
	if (n > 3)							\
		DO(3, out + 3 * out_stride);				\
	if (n > 4)							\
		DO(4, out + 4 * out_stride);				\
	if (n > 5)							\
		DO(5, out + 5 * out_stride);				\
	if (n > 6)							\
		DO(6, out + 6 * out_stride);				\
	if (n > 7)							\
		DO(7, out + 7 * out_stride);				\
	if (n > 8)							\
		DO(8, out + 8 * out_stride);				\
	if (n > 9)							\
		DO(9, out + 9 * out_stride);				\
	if (n > 10)							\
		DO(10, out + 10 * out_stride);				\
	if (n > 11)							\
		DO(11, out + 11 * out_stride);				\
} while (0)

/* A variable of each column. */
#define EACH_COLUMN(x) \
	x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8, x##9, x##10, \
	x##11

#define DENSE_COLS 264	/* 22 tiles of 12: 17 KB of sums */

/*
 * More than a few columns: sums are gathered in a place of their own.  Rows of
 * outputs lie far apart, often by a power of two, so that a tile's would push
 * each other out of the caches.  Columns are taken in even parts.
 */
ALWAYS_INLINE void
dense_columns(kern_panel_fn panel, size_t panel_bytes, const char *w,
    size_t n_panels, size_t n_in, const char *act, size_t act_stride,
    size_t n_cols, float *out, size_t out_stride)
{
	_Alignas(64) float part[DENSE_COLS * PANEL_ROWS];
	size_t n, i, j;

	for (; n_cols > 0; n_cols -= n) {
		n = tile_cols(n_cols, DENSE_COLS);
		for (j = 0; j < n_panels; j++) {
			panel(w + j * panel_bytes, 1, n_in, act, act_stride, n,
			    part, PANEL_ROWS);
			for (i = 0; i < n; i++)
				rows_store_f(out + i * out_stride +
				    j * PANEL_ROWS,
				    rows_load_f(part + i * PANEL_ROWS));
		}
		act += n * act_stride;
		out += n * out_stride;
	}
}

/* The panel kernel `name` of name##_one, for one column, and name##_many. */
#define BY_COLUMNS(name, type)						\
static void								\
name(const void *w, size_t n_panels, size_t n_in, const void *act,	\
    size_t act_stride, size_t n_cols, float *out, size_t out_stride)	\
{									\
	if (n_cols == 1)						\
		name##_one(w, n_panels, n_in, act, out);		\
	else if (n_cols <= FEW_COLS)					\
		name##_many(w, n_panels, n_in, act, act_stride, n_cols,	\
		    out, out_stride);					\
	else								\
		dense_columns(name##_many, pack_panel_bytes(type, n_in), \
		    w, n_panels, n_in, act, act_stride, n_cols, out,	\
		    out_stride);					\
}

/* Signed bytes become unsigned, 128 more than they are. */
ALWAYS_INLINE rows_i
rows_unsigned(rows_i v)
{
	return rows_xor(v, rows_set_bytes(INT8_MIN));
}

/* 16 scales of MXFP4. */
ALWAYS_INLINE rows_f
rows_load_e8m0(const void *p)
{
	return rows_join_f(scales_e8m0(p), scales_e8m0((const uint8_t *)p + 8));
}

/* The values of IQ4_NL and IQ4_XS, for rows_shuffle. */
ALWAYS_INLINE rows_i
iq4_values_unsigned(void)
{
	return rows_unsigned(rows_set_quarters(load_16(ref_iq4_values)));
}

#endif

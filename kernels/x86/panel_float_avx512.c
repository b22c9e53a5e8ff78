/* SPDX-License-Identifier: MIT */
/*
 * Panels of floats and halves: as panel_float_avx2.c, with 12 sums for as many
 * columns, each of 16 rows.
 */
#include "config.h"

#include "kernels/x86/avx512.h"
#include "kernels/x86/rows_avx512.h"

#include "kernels/x86/panel_vnni.h"

#define UNROLL		4
#define AHEAD_BYTES	1024

#define ZERO(i, base, step, times, k)	sum##i = rows_zero_f()

/* sum += w a, as ROWS_MAC_U8 */
#define MAC(i, base, step, times, k)					\
	__asm__("vfmadd231ps %c4(%2,%3," #times ")%{1to16%}, %1, %0"	\
	    : "+v" (sum##i) : "v" (w), "r" (base), "r" (step),		\
	    "i" (4 * (k)))

#define STEP(k) do {							\
	rows_f w = rows_load_f(from + (k) * PANEL_ROWS);		\
									\
	COLUMNS(MAC, k);						\
} while (0)

#define ADD(i, to)	rows_store_f(to, rows_add_f(rows_load_f(to), sum##i))

/* A chain: n columns (a constant) of n_k elements. */
ALWAYS_INLINE void
tile_f32(const int n, const float *from, size_t n_k, const char *act,
    size_t act_stride, float *out, size_t out_stride)
{
	struct columns c = columns_at(act, act_stride);
	rows_f EACH_COLUMN(sum);

	COLUMNS(ZERO, 0);
	for (; n_k >= UNROLL; n_k -= UNROLL) {
		STEP(0);
		STEP(1);
		STEP(2);
		STEP(3);
		from += UNROLL * PANEL_ROWS;
		columns_advance(&c, UNROLL * sizeof(float));
	}
	for (; n_k > 0; n_k--) {
		STEP(0);
		from += PANEL_ROWS;
		columns_advance(&c, sizeof(float));
	}
	OUTPUTS(ADD);
}

static void
tiles_f32(const float *w, size_t n_k, const char *act, size_t act_stride,
    size_t n_cols, float *out, size_t out_stride)
{
	size_t n;

#define CASE(n)								\
	case n:								\
		tile_f32(n, w, n_k, act, act_stride, out, out_stride);	\
		break
	for (; n_cols > 0; n_cols -= n) {
		n = tile_cols(n_cols, TILE_COLS);
		switch (n) {
		CASE(12);
		CASE(11);
		CASE(10);
		CASE(9);
		CASE(8);
		CASE(7);
		CASE(6);
		CASE(5);
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

/* The 16 rows' element at w. */
ALWAYS_INLINE rows_f
load_rows(const int t, const uint8_t *w)
{
	if (t == TYPE_F32)
		return rows_load_f((const float *)(const void *)w);
	if (t == TYPE_F16)
		return rows_load_halves(w);
	return rows_load_bf16(w);
}

#define PANELS 4	/* go over one column together */

/* PANELS panels times one column, or the adder's latency would rule. */
ALWAYS_INLINE void
one_column(const int t, const uint8_t *w0, size_t panel_bytes,
    size_t element_bytes, size_t n_in, const float *x, float *out)
{
	const uint8_t *w1 = w0 + panel_bytes, *w2 = w1 + panel_bytes;
	const uint8_t *w3 = w2 + panel_bytes;
	size_t k = 0, chain = panel_chain(n_in), end;

	clear_panel(out, PANEL_ROWS, PANELS);
	while (k < n_in) {
		rows_f s0 = rows_zero_f(), s1 = s0, s2 = s0, s3 = s0;

		end = n_in - k < chain ? n_in : k + chain;
		for (; k < end; k++) {
			rows_f a = rows_set_f(x + k);

#define PANEL_STEP(i) do {						\
	prefetch(w##i + AHEAD_BYTES, element_bytes);			\
	s##i = rows_fma(load_rows(t, w##i), a, s##i);			\
	w##i += element_bytes;						\
} while (0)
			PANEL_STEP(0);
			PANEL_STEP(1);
			PANEL_STEP(2);
			PANEL_STEP(3);
#undef PANEL_STEP
		}
#define PANEL_ADD(i) \
	rows_store_f(out + i * PANEL_ROWS,				\
	    rows_add_f(rows_load_f(out + i * PANEL_ROWS), s##i))
		PANEL_ADD(0);
		PANEL_ADD(1);
		PANEL_ADD(2);
		PANEL_ADD(3);
#undef PANEL_ADD
	}
}

/* n elements to floats. */
ALWAYS_INLINE void
unpack(const int t, const uint8_t *w, size_t element_bytes, size_t n,
    float *to)
{
	for (; n > 0; n--, w += element_bytes, to += PANEL_ROWS) {
		prefetch(w + AHEAD_BYTES, element_bytes);
		rows_store_f(to, load_rows(t, w));
	}
}

/* One panel, chain by chain. */
ALWAYS_INLINE void
one_panel(const int t, const uint8_t *w, size_t element_bytes, size_t n_in,
    const char *act, size_t act_stride, size_t n_cols, float *out,
    size_t out_stride)
{
	_Alignas(64) float chunk[PANEL_CHAIN * PANEL_ROWS];
	size_t chain = panel_chain(n_in), i, n;

	clear_panel(out, out_stride, n_cols);
	for (i = 0; i < n_in; i += n) {
		n = n_in - i < chain ? n_in - i : chain;
		unpack(t, w + i * element_bytes, element_bytes, n, chunk);
		tiles_f32(chunk, n, act + i * sizeof(float), act_stride,
		    n_cols, out, out_stride);
	}
}

#define PART_COLS	96	/* 8 tiles */
#define PART_PANELS	8
#define PART_STRIDE	(PANEL_CHAIN + 16)	/* floats; no power of two */

/* What many columns are computed in: rows of activations and of outputs often
 * lie a power of two apart and would push each other out of the caches. */
struct part {
	float	 weights[PANEL_CHAIN * PANEL_ROWS];
	float	 act[PART_COLS * PART_STRIDE];
	float	 sum[PART_PANELS][PART_COLS * PANEL_ROWS];
};

/* Up to PART_PANELS panels times up to PART_COLS columns. */
ALWAYS_INLINE void
dense_part(const int t, struct part *p, const uint8_t *w, size_t element_bytes,
    size_t n_panels, size_t n_in, const char *act, size_t act_stride,
    size_t n_cols, float *out, size_t out_stride)
{
	size_t chain = panel_chain(n_in), i, j, c, n;

	for (j = 0; j < n_panels; j++)
		memset(p->sum[j], 0, n_cols * PANEL_ROWS * sizeof(float));
	for (i = 0; i < n_in; i += n) {
		n = n_in - i < chain ? n_in - i : chain;
		for (c = 0; c < n_cols; c++)
			memcpy(p->act + c * PART_STRIDE, act + c * act_stride +
			    i * sizeof(float), n * sizeof(float));
		for (j = 0; j < n_panels; j++) {
			unpack(t, w + (j * n_in + i) * element_bytes,
			    element_bytes, n, p->weights);
			tiles_f32(p->weights, n, (const char *)p->act,
			    PART_STRIDE * sizeof(float), n_cols, p->sum[j],
			    PANEL_ROWS);
		}
	}
	for (c = 0; c < n_cols; c++)
		for (j = 0; j < n_panels; j++)
			rows_store_f(out + c * out_stride + j * PANEL_ROWS,
			    rows_load_f(p->sum[j] + c * PANEL_ROWS));
}

ALWAYS_INLINE void
many_columns(const int t, const uint8_t *w, size_t element_bytes,
    size_t n_panels, size_t n_in, const char *act, size_t act_stride,
    size_t n_cols, float *out, size_t out_stride)
{
	_Alignas(64) struct part p;
	size_t i, j, cols, panels;

	for (i = 0; i < n_cols; i += cols) {
		cols = n_cols - i < PART_COLS ? n_cols - i : PART_COLS;
		for (j = 0; j < n_panels; j += panels) {
			panels = n_panels - j < PART_PANELS ? n_panels - j :
			    PART_PANELS;
			dense_part(t, &p, w + j * n_in * element_bytes,
			    element_bytes, panels, n_in, act + i * act_stride,
			    act_stride, cols, out + i * out_stride +
			    j * PANEL_ROWS, out_stride);
		}
	}
}

#define PANEL_KERNEL(name, type, element_bytes)				\
static void								\
name(const void *w, size_t n_panels, size_t n_in, const void *act,	\
    size_t act_stride, size_t n_cols, float *out, size_t out_stride)	\
{									\
	const size_t bytes = n_in * (element_bytes);			\
	const uint8_t *from = w;					\
									\
	if (n_cols > 16) {						\
		many_columns(type, from, element_bytes, n_panels, n_in,	\
		    act, act_stride, n_cols, out, out_stride);		\
		return;							\
	}								\
	for (; n_cols == 1 && n_panels >= PANELS; n_panels -= PANELS) {	\
		one_column(type, from, bytes, element_bytes, n_in, act,	\
		    out);						\
		from += PANELS * bytes;					\
		out += (size_t)PANELS * PANEL_ROWS;			\
	}								\
	for (; n_panels > 0; n_panels--) {				\
		one_panel(type, from, element_bytes, n_in, act,		\
		    act_stride, n_cols, out, out_stride);		\
		from += bytes;						\
		out += PANEL_ROWS;					\
	}								\
}
PANEL_KERNEL(panel_f32, TYPE_F32, 64)
PANEL_KERNEL(panel_f16, TYPE_F16, 32)
PANEL_KERNEL(panel_bf16, TYPE_BF16, 32)
#undef PANEL_KERNEL

void
avx512_overlay_panel_float(struct kern_table *t)
{
	t->panel[TYPE_F32] = panel_f32;
	t->panel[TYPE_F16] = panel_f16;
	t->panel[TYPE_BF16] = panel_bf16;
}

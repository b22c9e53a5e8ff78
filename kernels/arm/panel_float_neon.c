/* SPDX-License-Identifier: MIT */
/*
 * Panels of floats and halves.  Some elements of 16 rows are converted to
 * floats in the near cache, then tiles of up to 4 columns pass over them: 16
 * sums, 4 registers of weights and, for 4 elements, 4 of activations.
 */
#include "config.h"

#include "kernels/arm/arm.h"

#include "kernels/arm/common_neon.h"
#include "kernels/each.h"
#include "kernels/pack.h"

#define TILE_COLS	4

#define COLUMNS(DO)	EACH_OF_4(n, DO)

#define ZERO(i)								\
	s##i[0] = s##i[1] = s##i[2] = s##i[3] = vdupq_n_f32(0)

/* One element of 16 rows at w, times lane k of each column's x. */
#define ELEMENT(i, k) do {						\
	s##i[0] = vfmaq_laneq_f32(s##i[0], w0, x##i, k);		\
	s##i[1] = vfmaq_laneq_f32(s##i[1], w1, x##i, k);		\
	s##i[2] = vfmaq_laneq_f32(s##i[2], w2, x##i, k);		\
	s##i[3] = vfmaq_laneq_f32(s##i[3], w3, x##i, k);		\
} while (0)

#define ELEMENTS(k) do {						\
	float32x4_t w0 = vld1q_f32(w), w1 = vld1q_f32(w + 4);		\
	float32x4_t w2 = vld1q_f32(w + 8), w3 = vld1q_f32(w + 12);	\
									\
	ELEMENT(0, k);							\
	if (n > 1)							\
		ELEMENT(1, k);						\
	if (n > 2)							\
		ELEMENT(2, k);						\
	if (n > 3)							\
		ELEMENT(3, k);						\
	w += PANEL_ROWS;						\
} while (0)

#define LOAD_4(i)	x##i = vld1q_f32(act + i * act_stride + k)
#define LOAD_1(i)	x##i = vdupq_n_f32(act[i * act_stride + k])

/* out += the 16 sums */
ALWAYS_INLINE void
add_to(float *out, const float32x4_t s[4])
{
	vst1q_f32(out, vaddq_f32(vld1q_f32(out), s[0]));
	vst1q_f32(out + 4, vaddq_f32(vld1q_f32(out + 4), s[1]));
	vst1q_f32(out + 8, vaddq_f32(vld1q_f32(out + 8), s[2]));
	vst1q_f32(out + 12, vaddq_f32(vld1q_f32(out + 12), s[3]));
}

#define ADD(i)	add_to(out + i * out_stride, s##i)

/* A chain: n columns (a constant, 1..4) of n_k elements; strides in floats. */
ALWAYS_INLINE void
tile_f32(const int n, const float *w, size_t n_k, const float *act,
    size_t act_stride, float *out, size_t out_stride)
{
	float32x4_t s0[4], s1[4], s2[4], s3[4], x0, x1, x2, x3;
	size_t k;

	COLUMNS(ZERO);
	for (k = 0; k + 4 <= n_k; k += 4) {
		COLUMNS(LOAD_4);
		ELEMENTS(0);
		ELEMENTS(1);
		ELEMENTS(2);
		ELEMENTS(3);
	}
	for (; k < n_k; k++) {
		COLUMNS(LOAD_1);
		ELEMENTS(0);
	}
	COLUMNS(ADD);
}

static void
tiles_f32(const float *w, size_t n_k, const float *act, size_t act_stride,
    size_t n_cols, float *out, size_t out_stride)
{
	size_t n;

#define CASE(n)								\
	case n:								\
		tile_f32(n, w, n_k, act, act_stride, out, out_stride);	\
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

/* n elements of 16 rows to floats. */
ALWAYS_INLINE void
unpack(const int t, const uint8_t *w, size_t n, float *out)
{
	size_t i;

	n *= PANEL_ROWS;
	for (i = 0; i < n; i += 4)
		vst1q_f32(out + i, t == TYPE_F32 ? load_f32(w + 4 * i) :
		    t == TYPE_F16 ? load_f16(w + 2 * i) :
		    load_bf16(w + 2 * i));
}

/* Chain by chain over a group of panels. */
ALWAYS_INLINE void
group_f32(const int t, const uint8_t *w, size_t element_bytes, size_t n_panels,
    size_t n_in, const float *act, size_t act_stride, size_t n_cols,
    float *out, size_t out_stride)
{
	_Alignas(64) float chunk[PANEL_CHAIN * PANEL_ROWS];
	size_t chain = panel_chain(n_in), i, j, n;

	for (i = 0; i < n_cols; i++)
		memset(out + i * out_stride, 0,
		    n_panels * PANEL_ROWS * sizeof(*out));
	for (i = 0; i < n_in; i += n) {
		n = n_in - i < chain ? n_in - i : chain;
		for (j = 0; j < n_panels; j++) {
			unpack(t, w + (j * n_in + i) * element_bytes, n,
			    chunk);
			tiles_f32(chunk, n, act + i, act_stride, n_cols,
			    out + j * PANEL_ROWS, out_stride);
		}
	}
}

#define PANEL_KERNEL(name, type, element_bytes)				\
static void								\
name(const void *w, size_t n_panels, size_t n_in, const void *act,	\
    size_t act_stride, size_t n_cols, float *out, size_t out_stride)	\
{									\
	size_t n = n_cols > 16 ? n_panels : 1, i;			\
									\
	for (i = 0; i < n_panels; i += n)				\
		group_f32(type, (const uint8_t *)w +			\
		    i * n_in * element_bytes, element_bytes, n, n_in,	\
		    act, act_stride / sizeof(float), n_cols,		\
		    out + i * PANEL_ROWS, out_stride);			\
}
PANEL_KERNEL(panel_f32, TYPE_F32, 64)
PANEL_KERNEL(panel_f16, TYPE_F16, 32)
PANEL_KERNEL(panel_bf16, TYPE_BF16, 32)
#undef PANEL_KERNEL

void
neon_overlay_panel_float(struct kern_table *t)
{
	t->panel[TYPE_F32] = panel_f32;
	t->panel[TYPE_F16] = panel_f16;
	t->panel[TYPE_BF16] = panel_bf16;
}

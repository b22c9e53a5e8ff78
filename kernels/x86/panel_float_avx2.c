/* SPDX-License-Identifier: MIT */
/*
 * Panels of floats and halves.  A chain of elements of 16 rows is converted to
 * 16 KB of floats in the near cache, then tiles of up to 6 columns pass over
 * them: 12 sums, 2 registers of weights and 1 of activations.  With one column
 * the chains of four panels run side by side, or the adder's latency would
 * rule.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/x86/panel_avx2.h"

#define TILE_COLS_F32	6
#define STEPS		16	/* of a loop: a line of activations */
#define AHEAD_BYTES	1024	/* of each of four panels */
#define FAR_BYTES	4096	/* of one, with few columns */
#define FEW_COLS	16	/* with so few, memory had better not wait */
#define LATER_BYTES	128	/* a chunk of halves in 64 tiles */

/*
 * Where column i of a tile is, base being one stride before column 0.  One
 * pointer and three strides do for all: pointers of their own would have to
 * be advanced, by the ports that multiply.
 */
#define PLACE_0		"(%[base],%[step])"
#define PLACE_1		"(%[base],%[step],2)"
#define PLACE_2		"(%[base],%[step3])"
#define PLACE_3		"(%[base],%[step],4)"
#define PLACE_4		"(%[base],%[step5])"
#define PLACE_5		"(%[base],%[step3],2)"
#define PLACES(from)	[base] "r" (from), [step] "r" (step),		\
	[step3] "r" (step3), [step5] "r" (step5)

/* Element `at` of column i times 16 weights.  As intrinsics the products would
 * be put in another order, in which the registers do not suffice. */
#define COLUMN(i, at) do {						\
	__m256 x;							\
									\
	__asm__("vbroadcastss %c[offset]" PLACE_##i ", %[x]\n\t"	\
	    "vfmadd231ps %[x], %[w0], %[lo]\n\t"			\
	    "vfmadd231ps %[x], %[w1], %[hi]"				\
	    : [lo] "+x" (lo##i), [hi] "+x" (hi##i), [x] "=&x" (x)	\
	    : PLACES(base), [offset] "i" (4 * (at)), [w0] "x" (w0),	\
	      [w1] "x" (w1));						\
} while (0)

/* The next tile's line of column i. */
#define ASK(i) do {							\
	if (n > i)							\
		__asm__ volatile("prefetcht0 " PLACE_##i		\
		    : : PLACES(next));					\
} while (0)

#define ASK_OUT(i, unused)						\
	_mm_prefetch((const char *)(out + i * out_stride), _MM_HINT_T0)

/* As intrinsics all would be copies of one, which take their turn with the
 * sums; this is nothing to execute. */
#define ZERO(i, unused)							\
	__asm__ volatile("vxorps %x0, %x0, %x0\n\t"			\
	    "vxorps %x1, %x1, %x1"					\
	    : "=x" (lo##i), "=x" (hi##i))

/* out += v */
ALWAYS_INLINE void
add_to(float *out, __m256 v)
{
	_mm256_storeu_ps(out, _mm256_add_ps(_mm256_loadu_ps(out), v));
}

/* As if added to 0, which tells the two zeros apart. */
ALWAYS_INLINE void
put(float *out, __m256 v)
{
	_mm256_storeu_ps(out, _mm256_add_ps(v, _mm256_setzero_ps()));
}

#define END(i, add_or_put) do {						\
	float *to = out + i * out_stride;				\
									\
	add_or_put(to, lo##i);						\
	add_or_put(to + 8, hi##i);					\
} while (0)

/* DO(i, at) for the n columns. */
#define COLUMNS(DO, at) do {						\
	DO(0, at);							\
	if (n > 1)							\
		DO(1, at);						\
	if (n > 2)							\
		DO(2, at);						\
	if (n > 3)							\
		DO(3, at);						\
	if (n > 4)							\
		DO(4, at);						\
	if (n > 5)							\
		DO(5, at);						\
} while (0)

#define STEP(at) do {							\
	__m256 w0 = _mm256_load_ps(w + (at) * PANEL_ROWS);		\
	__m256 w1 = _mm256_load_ps(w + (at) * PANEL_ROWS + 8);		\
									\
	COLUMNS(COLUMN, at);						\
} while (0)

/* Two steps, and what the next tile will want of column i. */
#define STEPS_ASK(i, at) do {						\
	ASK(i);								\
	STEP(at);							\
	STEP(at + 1);							\
} while (0)

/*
 * A chain: n columns (a constant, 1..6) of n_k elements; strides in floats.
 * The first chain of an output is put there, others are added.  What the next
 * tile will read of its columns, from next_act on, is asked for.
 */
ALWAYS_INLINE void
tile_f32(const int n, const float *w, size_t n_k, const float *act,
    const float *next_act, size_t act_stride, float *out, size_t out_stride,
    bool is_first)
{
	__m256 lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3, lo4, hi4, lo5, hi5;
	size_t step = act_stride * sizeof(*act), step3 = 3 * step;
	size_t step5 = 5 * step;
	uintptr_t base = (uintptr_t)act - step;
	uintptr_t next = (uintptr_t)next_act - step;
	const float *end = w + n_k / STEPS * STEPS * PANEL_ROWS;

	COLUMNS(ASK_OUT, 0);
	COLUMNS(ZERO, 0);
	while (w != end) {
		STEPS_ASK(0, 0);
		STEPS_ASK(1, 2);
		STEPS_ASK(2, 4);
		STEPS_ASK(3, 6);
		STEPS_ASK(4, 8);
		STEPS_ASK(5, 10);
		STEP(12);
		STEP(13);
		STEP(14);
		STEP(15);
		w += STEPS * PANEL_ROWS;
		base += STEPS * sizeof(*act);
		next += STEPS * sizeof(*act);
	}
	for (end = w + n_k % STEPS * PANEL_ROWS; w != end; w += PANEL_ROWS) {
		STEP(0);
		base += sizeof(*act);
	}
	if (is_first)
		COLUMNS(END, put);
	else
		COLUMNS(END, add_to);
}

/* Each in a function of its own, or they would share too few registers. */
#define TILE(n)								\
static __attribute__((noinline)) void					\
tile_f32_##n(const float *w, size_t n_k, const float *act,		\
    const float *next_act, size_t act_stride, float *out,		\
    size_t out_stride, bool is_first)					\
{									\
	tile_f32(n, w, n_k, act, next_act, act_stride, out, out_stride,	\
	    is_first);							\
}
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
#undef TILE

/* All columns; meanwhile the packed weights at `later` are asked for, and in
 * the end the activations at later_act. */
static void
tiles_f32(const float *w, size_t n_k, const uint8_t *later, const float *act,
    const float *later_act, size_t act_stride, size_t n_cols, float *out,
    size_t out_stride, bool is_first)
{
	static void (*const tiles[])(const float *, size_t, const float *,
	    const float *, size_t, float *, size_t, bool) = { NULL,
	    tile_f32_1, tile_f32_2, tile_f32_3, tile_f32_4, tile_f32_5,
	    tile_f32_6 };
	size_t n_tiles = (n_cols + TILE_COLS_F32 - 1) / TILE_COLS_F32, n;
	size_t n_wide = n_cols % n_tiles;	/* by a column */

	for (n = n_cols / n_tiles; n_tiles > 0; n_tiles--) {
		size_t k = n + (n_wide > 0);

		n_wide -= n_wide > 0;
		prefetch(later, LATER_BYTES);
		later += LATER_BYTES;
		tiles[k](w, n_k, act, n_tiles > 1 ? act + k * act_stride :
		    later_act, act_stride, out, out_stride, is_first);
		act += k * act_stride;
		out += k * out_stride;
	}
}

/* The 16 rows' element at w, 8 of them from row `from` on. */
ALWAYS_INLINE __m256
load_rows(const int t, const uint8_t *w, int from)
{
	if (t == TYPE_F32)
		return _mm256_loadu_ps((const float *)(const void *)w + from);
	if (t == TYPE_F16)
		return load_f16((const uint16_t *)(const void *)w + from);
	return load_bf16((const uint16_t *)(const void *)w + from);
}

#define PANEL_STEP(i) do {						\
	prefetch(w##i + AHEAD_BYTES, element_bytes);			\
	lo##i = _mm256_fmadd_ps(load_rows(t, w##i, 0), a, lo##i);	\
	hi##i = _mm256_fmadd_ps(load_rows(t, w##i, 8), a, hi##i);	\
	w##i += element_bytes;						\
} while (0)

#define PANEL_ADD(i) do {						\
	add_to(out + i * PANEL_ROWS, lo##i);				\
	add_to(out + i * PANEL_ROWS + 8, hi##i);			\
} while (0)

/* Four panels times one column. */
ALWAYS_INLINE void
four_panels(const int t, const uint8_t *w0, size_t panel_bytes,
    size_t element_bytes, size_t n_in, const float *x, float *out)
{
	__m256 lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3;
	const uint8_t *w1 = w0 + panel_bytes, *w2 = w1 + panel_bytes;
	const uint8_t *w3 = w2 + panel_bytes;
	const int n = 4;
	size_t k = 0, chain = panel_chain(n_in), end;

	memset(out, 0, sizeof(*out) * n * PANEL_ROWS);
	while (k < n_in) {
		end = n_in - k < chain ? n_in : k + chain;
		ZERO(0, 0);
		ZERO(1, 0);
		ZERO(2, 0);
		ZERO(3, 0);
		for (; k < end; k++) {
			__m256 a = _mm256_broadcast_ss(x + k);

			PANEL_STEP(0);
			PANEL_STEP(1);
			PANEL_STEP(2);
			PANEL_STEP(3);
		}
		PANEL_ADD(0);
		PANEL_ADD(1);
		PANEL_ADD(2);
		PANEL_ADD(3);
	}
}

/* n elements to floats. */
ALWAYS_INLINE void
unpack(const int t, const uint8_t *w, size_t element_bytes, size_t n,
    bool is_few, float *to)
{
	for (; n > 0; n--, w += element_bytes, to += PANEL_ROWS) {
		if (is_few)
			prefetch(w + FAR_BYTES, element_bytes);
		_mm256_store_ps(to, load_rows(t, w, 0));
		_mm256_store_ps(to + 8, load_rows(t, w, 8));
	}
}

/* Chain by chain over a group of panels.  While tiles of one run the next is
 * asked for, which is another panel's and so can't be foreseen. */
ALWAYS_INLINE void
group_f32(const int t, const uint8_t *w, size_t element_bytes, size_t n_panels,
    size_t n_in, const float *act, size_t act_stride, size_t n_cols,
    float *out, size_t out_stride)
{
	_Alignas(64) float chunk[PANEL_CHAIN * PANEL_ROWS];
	size_t chain = panel_chain(n_in), i, j, n;
	const uint8_t *p;

	for (i = 0; i < n_in; i += n)
		for (j = 0, n = n_in - i < chain ? n_in - i : chain;
		    j < n_panels; j++) {
			p = w + (j * n_in + i) * element_bytes;
			unpack(t, p, element_bytes, n, n_cols <= FEW_COLS,
			    chunk);
			p = j + 1 < n_panels ? p + n_in * element_bytes :
			    w + (i + n) * element_bytes;
			tiles_f32(chunk, n, p, act + i, j + 1 < n_panels ?
			    act + i : act + i + n, act_stride, n_cols,
			    out + j * PANEL_ROWS, out_stride, i == 0);
		}
}

ALWAYS_INLINE void
panels(const int t, size_t element_bytes, const uint8_t *w, size_t n_panels,
    size_t n_in, const float *act, size_t act_stride, size_t n_cols,
    float *out, size_t out_stride)
{
	size_t panel_bytes = n_in * element_bytes, group;

	for (; n_cols == 1 && n_panels >= 4; n_panels -= 4) {
		four_panels(t, w, panel_bytes, element_bytes, n_in, act, out);
		w += 4 * panel_bytes;
		out += (size_t)4 * PANEL_ROWS;
	}
	for (; n_panels > 0; n_panels -= group) {
		group = group_panels(n_panels, n_cols);
		group_f32(t, w, element_bytes, group, n_in, act, act_stride,
		    n_cols, out, out_stride);
		w += group * panel_bytes;
		out += group * PANEL_ROWS;
	}
}

#define PANEL_KERNEL(name, type, element_bytes)				\
static void								\
name(const void *w, size_t n_panels, size_t n_in, const void *act,	\
    size_t act_stride, size_t n_cols, float *out, size_t out_stride)	\
{									\
	panels(type, element_bytes, w, n_panels, n_in, act,		\
	    act_stride / sizeof(float), n_cols, out, out_stride);	\
}
PANEL_KERNEL(panel_f32, TYPE_F32, 64)
PANEL_KERNEL(panel_f16, TYPE_F16, 32)
PANEL_KERNEL(panel_bf16, TYPE_BF16, 32)
#undef PANEL_KERNEL

void
avx2_overlay_panel_float(struct kern_table *t)
{
	t->panel[TYPE_F32] = panel_f32;
	t->panel[TYPE_F16] = panel_f16;
	t->panel[TYPE_BF16] = panel_bf16;
}

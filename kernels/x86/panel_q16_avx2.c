/* SPDX-License-Identifier: MIT */
/*
 * Panels of Q8_0.  Products of bytes of 8 bits and a sign would not fit the 16
 * bits of maddubs when two are added, so quants and activations are widened
 * and multiplied as words; with one column it is cheaper to move the weights'
 * signs to the activations than to widen the weights.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/x86/panel_avx2.h"

#define CHUNK_I16	8
#define Q8_0_BYTES	544	/* of a block column */

struct block_i16 {
	int16_t	 q[16][32];	/* [pair of elements][row][2] */
	float	 d[16];
};

#define PAIR_COLUMN(k, a, lo, hi) do {					\
	__m256i x = broadcast_32((a)->q + 2 * (k));			\
									\
	lo = mac_i16(lo, w0, x);					\
	hi = mac_i16(hi, w1, x);					\
} while (0)

#define PAIR(k) do {							\
	__m256i w0 = load_32(b->q[k]), w1 = load_32(b->q[k] + 16);	\
									\
	PAIR_COLUMN(k, a0, lo0, hi0);					\
	if (n > 1)							\
		PAIR_COLUMN(k, a1, lo1, hi1);				\
	if (n > 2)							\
		PAIR_COLUMN(k, a2, lo2, hi2);				\
	if (n > 3)							\
		PAIR_COLUMN(k, a3, lo3, hi3);				\
} while (0)

#define FINISH_I16(i) do {						\
	__m256 act_d = _mm256_broadcast_ss(&a##i->d);			\
	float *to = out + i * out_stride;				\
									\
	finish_32(lo##i, d0, act_d, to);				\
	finish_32(hi##i, d1, act_d, to + 8);				\
} while (0)

ALWAYS_INLINE void
tile_i16(const int n, const struct block_i16 *b, size_t n_blocks,
    const uint8_t *next, const char *act, size_t act_stride, float *out,
    size_t out_stride)
{
	const struct act_q16 *a0 = (const void *)act;
	const struct act_q16 *a1 = (const void *)(act + act_stride);
	const struct act_q16 *a2 = (const void *)(act + 2 * act_stride);
	const struct act_q16 *a3 = (const void *)(act + 3 * act_stride);
	size_t i;

	for (i = 0; i < n_blocks; i++, b++) {
		__m256i lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3;
		__m256 d0 = _mm256_load_ps(b->d), d1 = _mm256_load_ps(b->d + 8);

		prefetch_columns(a0, act_stride, n);
		prefetch(next, Q8_0_BYTES);
		next += Q8_0_BYTES;
		lo0 = hi0 = _mm256_setzero_si256();
		lo1 = hi1 = lo2 = hi2 = lo3 = hi3 = lo0;
		PAIR(0);
		PAIR(1);
		PAIR(2);
		PAIR(3);
		PAIR(4);
		PAIR(5);
		PAIR(6);
		PAIR(7);
		PAIR(8);
		PAIR(9);
		PAIR(10);
		PAIR(11);
		PAIR(12);
		PAIR(13);
		PAIR(14);
		PAIR(15);
		FINISH_I16(0);
		if (n > 1)
			FINISH_I16(1);
		if (n > 2)
			FINISH_I16(2);
		if (n > 3)
			FINISH_I16(3);
		a0++;
		a1++;
		a2++;
		a3++;
	}
}

static void
tiles_i16(const struct block_i16 *b, size_t n_blocks, const uint8_t *next,
    const char *act, size_t act_stride, size_t n_cols, float *out,
    size_t out_stride)
{
	size_t n;

#define CASE(n)								\
	case n:								\
		tile_i16(n, b, n_blocks, next, act, act_stride, out,	\
		    out_stride);					\
		break
	for (; n_cols > 0; n_cols -= n) {
		n = tile_cols(n_cols, TILE_COLS);
		switch (n) {
		CASE(4);
		CASE(3);
		CASE(2);
		CASE(1);
		}
		act += n * act_stride;
		out += n * out_stride;
		next = (const uint8_t *)b;
	}
#undef CASE
}

/* 32 bytes of a quad, [8 rows][4], to words of its two pairs, [8 rows][2]. */
ALWAYS_INLINE void
widen_quad(const uint8_t *w, int16_t *first, int16_t *second)
{
	const __m256i pick0 = _mm256_broadcastsi128_si256(_mm_setr_epi8(
	    -1, 0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13));
	const __m256i pick1 = _mm256_broadcastsi128_si256(_mm_setr_epi8(
	    -1, 2, -1, 3, -1, 6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15));
	__m256i v = load_32(w);

	store_32(first, _mm256_srai_epi16(_mm256_shuffle_epi8(v, pick0), 8));
	store_32(second, _mm256_srai_epi16(_mm256_shuffle_epi8(v, pick1), 8));
}

ALWAYS_INLINE void
unpack_q8_0(const uint8_t *w, struct block_i16 *b)
{
	size_t k;

	for (k = 0; k < 8; k++, w += 64) {
		widen_quad(w, b->q[2 * k], b->q[2 * k + 1]);
		widen_quad(w + 32, b->q[2 * k] + 16, b->q[2 * k + 1] + 16);
	}
	store_scales(w, b->d);
}

static void
group_q8_0(const uint8_t *w, size_t n_panels, size_t n_in,
    const char *act, size_t act_stride, size_t n_cols, float *out,
    size_t out_stride)
{
	_Alignas(64) struct block_i16 chunk[CHUNK_I16];
	size_t n_blocks = n_in / 32, bytes = n_blocks * Q8_0_BYTES, i, j, k, n;
	const uint8_t *p;

	for (j = 0; j < n_panels; j++)
		clear_panel(out + j * PANEL_ROWS, out_stride, n_cols);
	for (i = 0; i < n_blocks; i += n, w += n * Q8_0_BYTES) {
		n = n_blocks - i < CHUNK_I16 ? n_blocks - i : CHUNK_I16;
		for (j = 0; j < n_panels; j++) {
			p = w + j * bytes;
			for (k = 0; k < n; k++, p += Q8_0_BYTES)
				unpack_q8_0(p, &chunk[k]);
			tiles_i16(chunk, n, p, act + i *
			    sizeof(struct act_q16), act_stride, n_cols,
			    out + j * PANEL_ROWS, out_stride);
		}
	}
}

static void
panel_q8_0_many(const uint8_t *w, size_t n_panels, size_t n_in,
    const char *act, size_t act_stride, size_t n_cols, float *out,
    size_t out_stride)
{
	size_t group;

	for (; n_panels > 0; n_panels -= group) {
		group = group_panels(n_panels, n_cols);
		group_q8_0(w, group, n_in, act, act_stride, n_cols, out,
		    out_stride);
		w += group * (n_in / 32) * Q8_0_BYTES;
		out += group * PANEL_ROWS;
	}
}

/* One column: bytes times bytes, the weights' signs moved to the
 * activations. */
static void
panel_q8_0_one(const uint8_t *w, size_t n_panels, size_t n_in,
    const struct act_q8 *act, float *out)
{
	const __m256i ones = _mm256_set1_epi16(1);
	const struct act_q8 *a, *end = act + n_in / 32;
	size_t k;

	for (; n_panels > 0; n_panels--, out += PANEL_ROWS) {
		clear_panel(out, 0, 1);
		for (a = act; a < end; a++, w += Q8_0_BYTES) {
			__m256i lo = _mm256_setzero_si256(), hi = lo;
			__m256 act_d = _mm256_broadcast_ss(&a->d);

			prefetch_ahead(w, Q8_0_BYTES);
			for (k = 0; k < 8; k++) {
				__m256i x = broadcast_32(a->q + 4 * k);

				lo = _mm256_add_epi32(lo, _mm256_madd_epi16(
				    ones, products_i8(load_32(w + 64 * k),
				    x)));
				hi = _mm256_add_epi32(hi, _mm256_madd_epi16(
				    ones, products_i8(load_32(w + 64 * k + 32),
				    x)));
			}
			finish_32(lo, load_f16((const void *)(w + 512)),
			    act_d, out);
			finish_32(hi, load_f16((const void *)(w + 528)),
			    act_d, out + 8);
		}
	}
}

static void
panel_q8_0(const void *w, size_t n_panels, size_t n_in, const void *act,
    size_t act_stride, size_t n_cols, float *out, size_t out_stride)
{
	if (n_cols == 1)
		panel_q8_0_one(w, n_panels, n_in, act, out);
	else
		panel_q8_0_many(w, n_panels, n_in, act, act_stride, n_cols,
		    out, out_stride);
}

void
avx2_overlay_panel_q16(struct kern_table *t)
{
	t->panel[TYPE_Q8_0] = panel_q8_0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Panels of types with blocks of 32: how their units lie in memory.  Quants of
 * up to 5 bits stay bytes.  Those of 8 would not fit the 16 bits of maddubs
 * when two products are added, so they are widened and multiplied as words.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/x86/panel_b32_avx2.h"

/* Low nibbles are quads 0 to 3, high ones 4 to 7; other bits are above. */
ALWAYS_INLINE __m256i
load_nibble(const uint8_t *w, size_t u, size_t at)
{
	__m256i v = load_32(w + 64 * (u % 4) + at);

	return u < 4 ? v : _mm256_srli_epi16(v, 4);
}

ALWAYS_INLINE __m256i
nibbles(const uint8_t *w, size_t u, size_t at)
{
	return _mm256_and_si256(load_nibble(w, u, at), _mm256_set1_epi8(15));
}

/* Byte i of every dword, four times each. */
#define OF_DWORDS(i)							\
	(i), (i), (i), (i), 4 + (i), 4 + (i), 4 + (i), 4 + (i),		\
	8 + (i), 8 + (i), 8 + (i), 8 + (i),				\
	12 + (i), 12 + (i), 12 + (i), 12 + (i)

static const struct bytes_32 byte_of_dwords[4] = {
	EACH_LANE(OF_DWORDS(0)), EACH_LANE(OF_DWORDS(1)),
	EACH_LANE(OF_DWORDS(2)), EACH_LANE(OF_DWORDS(3))
};

/* As nibbles, where there is no register for the mask. */
ALWAYS_INLINE __m256i
nibbles_masked(const uint8_t *w, size_t u, size_t at)
{
	static const struct bytes_32 low4 =
	    EACH_LANE(IN_DWORDS(15, 15, 15, 15));

	return and_constant(load_nibble(w, u, at), &low4);
}

/* Bit i of a row's dword is bit 4 of its element i. */
ALWAYS_INLINE __m256i
quants_5(const uint8_t *w, size_t u, size_t at)
{
	static const struct bytes_32 bit =
	    EACH_LANE(IN_DWORDS(0x10, 0x20, 0x40, 0x80));
	static const struct bytes_32 bit_4 =
	    EACH_LANE(IN_DWORDS(16, 16, 16, 16));
	__m256i v = load_32(w + 256 + at);

	/* the 4 bits high in each byte of the row, then one of them in each;
	 * for keeping the shifted ones, too, registers are wanting */
	if (u % 2 == 0) {
		__asm__("" : "+x" (v) : "i" (u));
		v = _mm256_slli_epi16(v, 4);
	}
	v = pick_constant(v, &byte_of_dwords[u / 2]);
	v = min_constant(and_constant(v, &bit), &bit_4);
	return _mm256_or_si256(nibbles_masked(w, u, at), v);
}

/* Values are 16 more than they are. */
ALWAYS_INLINE __m256i
values_mxfp4(const uint8_t *w, size_t u, size_t at)
{
	return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_setr_epi8(
	    16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4)),
	    nibbles_masked(w, u, at));
}

/* Bytes with a sign to words: every quad is two pairs. */
ALWAYS_INLINE __m256i
pairs_q8_0(const uint8_t *w, size_t u, size_t at)
{
	const char b = (char)(u % 2 * 2), c = (char)(b + 1);

	return _mm256_srai_epi16(_mm256_shuffle_epi8(load_32(w + 64 * (u / 2) +
	    at), _mm256_broadcastsi128_si256(_mm_setr_epi8(-1, b, -1, c,
	    -1, 4 + b, -1, 4 + c, -1, 8 + b, -1, 8 + c, -1, 12 + b, -1,
	    12 + c))), 8);
}

#define PANEL_KERNEL(name, ...)						\
static void								\
panel_##name(const void *w, size_t n_panels, size_t n_in,		\
    const void *act, size_t act_stride, size_t n_cols, float *out,	\
    size_t out_stride)							\
{									\
	const struct shape_b32 s = { __VA_ARGS__ };			\
									\
	panels_b32(s, w, n_panels, n_in, act, act_stride, n_cols, out,	\
	    out_stride);						\
}
PANEL_KERNEL(q4_0, .block_bytes = 288, .scales_at = 256, .offset = 8,
    .unit = nibbles)
PANEL_KERNEL(q4_1, .block_bytes = 320, .scales_at = 256, .has_min = true,
    .unit = nibbles)
PANEL_KERNEL(q5_0, .block_bytes = 352, .scales_at = 320, .offset = 16,
    .unit = quants_5)
PANEL_KERNEL(q5_1, .block_bytes = 384, .scales_at = 320, .offset = 16,
    .add_back = true, .has_min = true, .unit = quants_5)
PANEL_KERNEL(mxfp4, .block_bytes = 272, .scales_at = 256, .e8m0 = true,
    .offset = 16, .unit = values_mxfp4)
PANEL_KERNEL(q8_0_many, .block_bytes = 544, .scales_at = 512, .words = true,
    .unit = pairs_q8_0)
#undef PANEL_KERNEL

/* One column of Q8_0, where widening would cost most: bytes times bytes, the
 * weights' signs moved to the activations. */
static void
panel_q8_0_one(const uint8_t *w, size_t n_panels, size_t n_in,
    const struct act_q8 *act, float *out)
{
	const struct shape_b32 s = { .block_bytes = 544, .words = true };
	const __m256i ones = _mm256_set1_epi16(1);
	const struct act_q8 *a, *end = act + n_in / 32;
	size_t k;

	for (; n_panels > 0; n_panels--, out += PANEL_ROWS) {
		clear_panel(out, 0, 1);
		for (a = act; a < end; a++, w += s.block_bytes) {
			__m256i lo = _mm256_setzero_si256(), hi = lo;
			__m256 d = load_f16((const void *)(w + 512));

			prefetch_ahead(w, s.block_bytes);
			for (k = 0; k < 8; k++) {
				__m256i x = broadcast_32(a->q + 4 * k);

				lo = mac_i16(lo, products_i8(load_32(w +
				    64 * k), x), ones);
				hi = mac_i16(hi, products_i8(load_32(w +
				    64 * k + 32), x), ones);
			}
			finish_b32(s, lo, d, d, a, out);
			d = load_f16((const void *)(w + 528));
			finish_b32(s, hi, d, d, a, out + 8);
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
avx2_overlay_panel_q8(struct kern_table *t)
{
	t->panel[TYPE_Q4_0] = panel_q4_0;
	t->panel[TYPE_Q4_1] = panel_q4_1;
	t->panel[TYPE_Q5_0] = panel_q5_0;
	t->panel[TYPE_Q5_1] = panel_q5_1;
	t->panel[TYPE_Q8_0] = panel_q8_0;
	t->panel[TYPE_MXFP4] = panel_mxfp4;
}

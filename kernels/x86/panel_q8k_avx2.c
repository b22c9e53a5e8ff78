/* SPDX-License-Identifier: MIT */
/*
 * Panels of types with blocks of 256: how their units and scales lie in memory.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/x86/panel_b256_avx2.h"
#include "kernels/x86/panel_b256_many_avx2.h"

/* ---- scales ---- */

/* Bytes [8 rows][4 sub-blocks] to words: sub-block i of every row twice, in
 * `times` places one after another. */
ALWAYS_INLINE void
spread_scales(__m256i v, const int times, int16_t (*out)[32], size_t row)
{
	const __m256i pick = _mm256_broadcastsi128_si256(_mm_setr_epi8(
	    0, -1, 0, -1, 4, -1, 4, -1, 8, -1, 8, -1, 12, -1, 12, -1));
	int i;

	for (i = 0; i < 4; i++) {
		__m256i scale = _mm256_shuffle_epi8(v, pick);

		store_32(out[times * i] + 2 * row, scale);
		if (times == 2)
			store_32(out[times * i + 1] + 2 * row, scale);
		v = _mm256_srli_epi32(v, 8);
	}
}

/* The mins, sub-blocks 0 and 1 side by side, then 2 and 3. */
ALWAYS_INLINE void
spread_mins(__m256i v, int16_t (*out)[32], size_t row)
{
	const __m256i pick = _mm256_broadcastsi128_si256(_mm_setr_epi8(
	    0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1));

	store_32(out[0] + 2 * row, _mm256_shuffle_epi8(v, pick));
	store_32(out[1] + 2 * row, _mm256_shuffle_epi8(
	    _mm256_srli_epi32(v, 16), pick));
}

/* The packed scales of Q4_K and Q5_K: [12 / 4][16 rows][4], for 8 rows. */
ALWAYS_INLINE void
scales_k4(const uint8_t *p, const int times, struct scales_b256 *b,
    size_t row)
{
	const __m256i low6 = _mm256_set1_epi8(63), low4 = _mm256_set1_epi8(15);
	const __m256i bits45 = _mm256_set1_epi8(0x30);
	__m256i x = load_32(p + 4 * row), y = load_32(p + 64 + 4 * row);
	__m256i z = load_32(p + 128 + 4 * row);

	spread_scales(_mm256_and_si256(x, low6), times, b->scale, row);
	spread_mins(_mm256_and_si256(y, low6), b->min, row);
	spread_scales(_mm256_or_si256(_mm256_and_si256(z, low4),
	    _mm256_and_si256(_mm256_srli_epi16(x, 2), bits45)), times,
	    b->scale + 4 * times, row);
	spread_mins(_mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(z, 4),
	    low4), _mm256_and_si256(_mm256_srli_epi16(y, 2), bits45)),
	    b->min + 2, row);
}

ALWAYS_INLINE void
scales_q4_k(const uint8_t *w, struct scales_b256 *to)
{
	scales_k4(w + 2048, 1, to, 0);
	scales_k4(w + 2048, 1, to, 8);
	store_scales(w + 2240, to->d);
	store_scales(w + 2272, to->dmin);
}

ALWAYS_INLINE void
scales_q5_k(const uint8_t *w, struct scales_b256 *to)
{
	scales_k4(w + 2560, 2, to, 0);
	scales_k4(w + 2560, 2, to, 8);
	store_scales(w + 2752, to->d);
	store_scales(w + 2784, to->dmin);
}

/* As spread_scales, with sign. */
ALWAYS_INLINE void
spread_signed(__m256i v, int16_t (*out)[32], size_t row)
{
	const __m256i pick = _mm256_broadcastsi128_si256(_mm_setr_epi8(
	    -1, 0, -1, 0, -1, 4, -1, 4, -1, 8, -1, 8, -1, 12, -1, 12));
	int i;

	for (i = 0; i < 4; i++) {
		store_32(out[i] + 2 * row, _mm256_srai_epi16(
		    _mm256_shuffle_epi8(v, pick), 8));
		v = _mm256_srli_epi32(v, 8);
	}
}

ALWAYS_INLINE void
scales_q6_k(const uint8_t *w, struct scales_b256 *to)
{
	const uint8_t *scale = w + 3072;
	size_t k;

	for (k = 0; k < 4; k++) {
		spread_signed(load_32(scale + 64 * k), to->scale + 4 * k, 0);
		spread_signed(load_32(scale + 64 * k + 32), to->scale + 4 * k,
		    8);
	}
	store_scales(w + 3328, to->d);
}

/* ---- units ---- */

ALWAYS_INLINE __m256i
low_nibbles(const uint8_t *p)
{
	return _mm256_and_si256(load_32(p), _mm256_set1_epi8(15));
}

ALWAYS_INLINE __m256i
high_nibbles(const uint8_t *p)
{
	return _mm256_and_si256(_mm256_srli_epi16(load_32(p), 4),
	    _mm256_set1_epi8(15));
}

/* Span p: of 64 elements the low nibbles of 8 quads, then the high ones. */
ALWAYS_INLINE size_t
chain_q4_k(size_t span, size_t i)
{
	return 2 * span + i;
}

ALWAYS_INLINE __m256i
unit_q4_k(const uint8_t *w, size_t span, size_t i, size_t k, size_t at)
{
	const uint8_t *p = w + 512 * span + 64 * k + at;

	return i == 0 ? low_nibbles(p) : high_nibbles(p);
}

/* A span has half of each of the 8 sub-blocks: the nibbles as in Q4_K; bit 4
 * of sub-block s is bit s of the byte at the same place in the high bits. */
ALWAYS_INLINE size_t
chain_q5_k(size_t span, size_t i)
{
	return 2 * i + span;
}

ALWAYS_INLINE __m256i
unit_q5_k(const uint8_t *w, size_t span, size_t i, size_t k, size_t at)
{
	static const struct bytes_32 bit_4 =
	    EACH_LANE(IN_DWORDS(16, 16, 16, 16));
	const uint8_t *p = w + 256 * span + 64 * k + at;
	__m256i high = load_32(p + 2048);

	p += 512 * (i / 2);
	if (i < 4)
		high = _mm256_slli_epi16(high, i < 4 ? 4 - (int)i : 0);
	else if (i > 4)
		high = _mm256_srli_epi16(high, i > 4 ? (int)i - 4 : 0);
	return _mm256_or_si256(i % 2 == 0 ? low_nibbles(p) : high_nibbles(p),
	    and_constant(high, &bit_4));
}

/* A span is a chain, three quads alone and one in what they leave free. */
ALWAYS_INLINE size_t
chain_q6_k(size_t span, size_t i)
{
	return span;
}

ALWAYS_INLINE __m256i
unit_q6_k(const uint8_t *w, size_t span, size_t i, size_t k, size_t at)
{
	const uint8_t *p = w + 192 * span + at;
	const __m256i above = _mm256_set1_epi8((char)0xc0);
	__m256i v;

	if (k < 3)
		return _mm256_and_si256(load_32(p + 64 * k),
		    _mm256_set1_epi8(63));
	/* loads again, instead of keeping the others' bytes in registers */
	__asm__("" : "+r" (p));
	v = _mm256_srli_epi16(_mm256_and_si256(load_32(p + 128), above), 2);
	v = _mm256_or_si256(v, _mm256_and_si256(load_32(p + 64), above));
	v = _mm256_srli_epi16(v, 2);
	v = _mm256_or_si256(v, _mm256_and_si256(load_32(p), above));
	return _mm256_srli_epi16(v, 2);
}

#define PANEL_KERNEL(name, ...)						\
static const struct shape_b256 shape_##name = {				\
    .chain = chain_##name, .unit = unit_##name,				\
    .scales = scales_##name, __VA_ARGS__ };				\
									\
static void								\
unpack_##name(const uint8_t *w, struct block_b256 *b)			\
{									\
	unpack_b256(shape_##name, w, b);				\
}									\
									\
static void								\
panel_##name(const void *w, size_t n_panels, size_t n_in,		\
    const void *act, size_t act_stride, size_t n_cols, float *out,	\
    size_t out_stride)							\
{									\
	if (n_cols == 1)						\
		panels_few(1, shape_##name, w, n_panels, n_in, act,	\
		    act_stride, out, out_stride);			\
	else if (n_cols == 2)						\
		panels_few(2, shape_##name, w, n_panels, n_in, act,	\
		    act_stride, out, out_stride);			\
	else								\
		panels_many(shape_##name, unpack_##name, w, n_panels,	\
		    n_in, act, act_stride, n_cols, out, out_stride);	\
}
PANEL_KERNEL(q4_k, .block_bytes = 2304, .chain_units = 8, .spans = 4,
    .span_chains = 2, .has_mins = true)
PANEL_KERNEL(q5_k, .block_bytes = 2816, .chain_units = 4, .spans = 2,
    .span_chains = 8, .has_mins = true)
PANEL_KERNEL(q6_k, .block_bytes = 3360, .chain_units = 4, .spans = 16,
    .span_chains = 1, .offset = 32)
#undef PANEL_KERNEL

void
avx2_overlay_panel_q8k(struct kern_table *t)
{
	t->panel[TYPE_Q4_K] = panel_q4_k;
	t->panel[TYPE_Q5_K] = panel_q5_k;
	t->panel[TYPE_Q6_K] = panel_q6_k;
}

/* SPDX-License-Identifier: MIT */
/*
 * Products of types with blocks of 32 and activations in blocks of 32.  A
 * block's weights are brought to signed bytes; 32 products are summed exactly
 * into 8 lanes of 32 bits, converted, scaled by d of both sides and added to a
 * float accumulator, of which even and odd blocks have one each.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/half.h"
#include "kernels/ref/ref.h"
#include "kernels/x86/common_avx2.h"

/* Bit i of bits as byte i: 16 or 0. */
static inline __m256i
bits_to_16(uint32_t bits)
{
	const __m256i spread = _mm256_setr_epi8(
	    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,
	    2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
	const __m256i mask = _mm256_set1_epi64x(0x8040201008040201);
	__m256i v = _mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), spread);

	v = _mm256_cmpeq_epi8(_mm256_and_si256(v, mask), mask);
	return _mm256_and_si256(v, _mm256_set1_epi8(16));
}

static inline __m256i
lookup(const int8_t *table, __m256i index)
{
	return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(
	    load_16(table)), index);
}

static inline __m256i
weights_q4_0(const uint8_t *b)
{
	return _mm256_sub_epi8(load_nibbles(b + 2), _mm256_set1_epi8(8));
}

static inline __m256i
weights_q4_1(const uint8_t *b)
{
	return load_nibbles(b + 4);
}

static inline __m256i
weights_q5_0(const uint8_t *b)
{
	__m256i q = _mm256_or_si256(load_nibbles(b + 6),
	    bits_to_16(load_u32(b + 2)));

	return _mm256_sub_epi8(q, _mm256_set1_epi8(16));
}

static inline __m256i
weights_q5_1(const uint8_t *b)
{
	return _mm256_or_si256(load_nibbles(b + 8),
	    bits_to_16(load_u32(b + 4)));
}

static inline __m256i
weights_q8_0(const uint8_t *b)
{
	return load_32(b + 2);
}

static inline __m256i
weights_iq4_nl(const uint8_t *b)
{
	return lookup(ref_iq4_values, load_nibbles(b + 2));
}

static inline __m256i
weights_mxfp4(const uint8_t *b)
{
	return lookup(ref_mxfp4_values, load_nibbles(b + 1));
}

static inline float
scale_e8m0(const uint8_t *b)
{
	return e8m0_half_to_f32(*b);
}

static inline __m256
add_block(__m256 sum, float d, __m256i pairs)
{
	__m256i lanes = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));

	return _mm256_fmadd_ps(_mm256_set1_ps(d), _mm256_cvtepi32_ps(lanes),
	    sum);
}

/* x = d q */
#define DOT(name, block_bytes, weights, scale) \
static float								\
name(const void *w, const void *act, size_t n)				\
{									\
	const struct act_q8 *a = act;					\
	const uint8_t *b = w, *b1;					\
	__m256 even = _mm256_setzero_ps(), odd = even;			\
									\
	for (; n >= 64; n -= 64) {					\
		b1 = b + (block_bytes);					\
		even = add_block(even, scale(b) * a[0].d,		\
		    products_i8(weights(b), load_32(a[0].q)));		\
		odd = add_block(odd, scale(b1) * a[1].d,		\
		    products_i8(weights(b1), load_32(a[1].q)));		\
		b += 2 * (block_bytes);					\
		a += 2;							\
	}								\
	if (n > 0)							\
		even = add_block(even, scale(b) * a->d,			\
		    products_i8(weights(b), load_32(a->q)));		\
	return sum_f32(_mm256_add_ps(even, odd));			\
}

/* x = d q + m, q unsigned: the minima meet the sums of the activations, two
 * float sums that go the same way over the blocks. */
#define DOT_MIN(name, block_bytes, weights) \
static float								\
name(const void *w, const void *act, size_t n)				\
{									\
	const struct act_q8 *a = act;					\
	const uint8_t *b = w, *b1;					\
	__m256 even = _mm256_setzero_ps(), odd = even;			\
	float mins = 0;							\
									\
	for (; n >= 64; n -= 64) {					\
		b1 = b + (block_bytes);					\
		even = add_block(even, scale_f16(b) * a[0].d,		\
		    products_u8(weights(b), load_32(a[0].q)));		\
		mins += scale_f16(b + 2) * a[0].d * (float)a[0].sum;	\
		odd = add_block(odd, scale_f16(b1) * a[1].d,		\
		    products_u8(weights(b1), load_32(a[1].q)));		\
		mins += scale_f16(b1 + 2) * a[1].d * (float)a[1].sum;	\
		b += 2 * (block_bytes);					\
		a += 2;							\
	}								\
	if (n > 0) {							\
		even = add_block(even, scale_f16(b) * a->d,		\
		    products_u8(weights(b), load_32(a->q)));		\
		mins += scale_f16(b + 2) * a->d * (float)a->sum;	\
	}								\
	return sum_f32(_mm256_add_ps(even, odd)) + mins;		\
}

DOT(dot_q4_0, 18, weights_q4_0, scale_f16)
DOT(dot_q5_0, 22, weights_q5_0, scale_f16)
DOT(dot_q8_0, 34, weights_q8_0, scale_f16)
DOT(dot_iq4_nl, 18, weights_iq4_nl, scale_f16)
DOT(dot_mxfp4, 17, weights_mxfp4, scale_e8m0)
DOT_MIN(dot_q4_1, 20, weights_q4_1)
DOT_MIN(dot_q5_1, 24, weights_q5_1)

void
avx2_overlay_q8(struct kern_table *t)
{
	t->dot[TYPE_Q4_0] = dot_q4_0;
	t->dot[TYPE_Q4_1] = dot_q4_1;
	t->dot[TYPE_Q5_0] = dot_q5_0;
	t->dot[TYPE_Q5_1] = dot_q5_1;
	t->dot[TYPE_Q8_0] = dot_q8_0;
	t->dot[TYPE_IQ4_NL] = dot_iq4_nl;
	t->dot[TYPE_MXFP4] = dot_mxfp4;
}

/* SPDX-License-Identifier: MIT */
/*
 * Products of types with blocks of 256 and activations in blocks of 256.  The
 * integer scales of the sub-blocks are applied by the multiplication that
 * widens to 32 bits, so a block costs one conversion; offsets of the weights
 * and minima are taken off through the sums of the activations.  All integer
 * arithmetic is exact: a lane holds at most 8 * 2 * 32768 * 128 < 2^27.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/half.h"
#include "kernels/ref/ref.h"
#include "kernels/x86/common_avx2.h"

/* Byte-wise shifts of a whole register; the caller masks. */
#define SHR(v, n) _mm256_srli_epi16((v), (n))
#define SHL(v, n) _mm256_slli_epi16((v), (n))

static inline __m256i
and8(__m256i v, char mask)
{
	return _mm256_and_si256(v, _mm256_set1_epi8(mask));
}

/* sum += scale * pairs, the scale of each half register being its own:
 * sub-blocks of 16 at index 2k and 2k + 1 of scales. */
static inline __m256i
add_scaled_16(__m256i sum, __m256i pairs, __m128i scales, int k)
{
	__m128i both = _mm_shuffle_epi8(scales, _mm_unpacklo_epi64(
	    _mm_set1_epi8((char)(2 * k)), _mm_set1_epi8((char)(2 * k + 1))));

	return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs,
	    _mm256_cvtepi8_epi16(both)));
}

/* As add_scaled_16, one scale for the 32: 16-bit element k of each half. */
static inline __m256i
add_scaled_32(__m256i sum, __m256i pairs, __m256i scales, int k)
{
	__m256i one = _mm256_shuffle_epi8(scales,
	    _mm256_set1_epi16((short)(0x0100 + 0x0202 * k)));

	return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, one));
}

/* sum += d * lanes */
static inline __m256
add_lanes(__m256 sum, float d, __m256i lanes)
{
	return _mm256_fmadd_ps(_mm256_set1_ps(d), _mm256_cvtepi32_ps(lanes),
	    sum);
}

static inline __m256
sub_lanes(__m256 sum, float d, __m256i lanes)
{
	return _mm256_fnmadd_ps(_mm256_set1_ps(d), _mm256_cvtepi32_ps(lanes),
	    sum);
}

/* The 8 scales and 8 minima of Q4_K and Q5_K, as 16 bytes. */
static inline __m128i
scales_k4(const uint8_t *packed)
{
	uint32_t a = load_u32(packed), b = load_u32(packed + 4);
	uint32_t c = load_u32(packed + 8);

	return _mm_setr_epi32((int)(a & 0x3f3f3f3f),
	    (int)((c & 0x0f0f0f0f) | (a >> 2 & 0x30303030)),
	    (int)(b & 0x3f3f3f3f),
	    (int)((c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030)));
}

/* 8 scales as 16 bits, in both halves. */
static inline __m256i
widen_scales_8(__m128i scales_and_mins)
{
	return _mm256_broadcastsi128_si256(_mm_cvtepu8_epi16(scales_and_mins));
}

/* Sums of 16 activations times the minimum of their sub-block of 32. */
static inline __m256i
mins_k4(__m128i scales_and_mins, const int16_t *sums)
{
	__m128i m = _mm_unpackhi_epi8(scales_and_mins, scales_and_mins);
	__m256i wide = _mm256_cvtepu8_epi16(m);

	return _mm256_madd_epi16(wide, load_32(sums));
}

static float
dot_q4_k(const void *w, const void *act, size_t n)
{
	const struct act_q8k *a = act;
	const uint8_t *b = w;
	__m256 sum = _mm256_setzero_ps();
	int p;

	for (; n > 0; n -= 256, b += 144, a++) {
		__m128i sm = scales_k4(b + 4);
		__m256i scales = widen_scales_8(sm);
		__m256i lanes = _mm256_setzero_si256();

		for (p = 0; p < 4; p++) {
			__m256i q = load_32(b + 16 + 32 * p);

			lanes = add_scaled_32(lanes, products_u8(and8(q, 15),
			    load_32(a->q + 64 * p)), scales, 2 * p);
			lanes = add_scaled_32(lanes, products_u8(
			    and8(SHR(q, 4), 15), load_32(a->q + 64 * p + 32)),
			    scales, 2 * p + 1);
		}
		sum = add_lanes(sum, scale_f16(b) * a->d, lanes);
		sum = sub_lanes(sum, scale_f16(b + 2) * a->d,
		    mins_k4(sm, a->sum));
	}
	return sum_f32(sum);
}

/* 16 where the bit of mask is set in high. */
static inline __m256i
fifth_bit(__m256i high, __m256i mask)
{
	return and8(_mm256_cmpeq_epi8(_mm256_and_si256(high, mask), mask), 16);
}

static float
dot_q5_k(const void *w, const void *act, size_t n)
{
	const struct act_q8k *a = act;
	const uint8_t *b = w;
	__m256 sum = _mm256_setzero_ps();
	int p;

	for (; n > 0; n -= 256, b += 176, a++) {
		__m128i sm = scales_k4(b + 4);
		__m256i scales = widen_scales_8(sm);
		__m256i high = load_32(b + 16), bit = _mm256_set1_epi8(1);
		__m256i lanes = _mm256_setzero_si256();

		for (p = 0; p < 4; p++) {
			__m256i q = load_32(b + 48 + 32 * p), q0, q1;

			q0 = _mm256_or_si256(and8(q, 15),
			    fifth_bit(high, bit));
			bit = _mm256_add_epi8(bit, bit);
			q1 = _mm256_or_si256(and8(SHR(q, 4), 15),
			    fifth_bit(high, bit));
			bit = _mm256_add_epi8(bit, bit);
			lanes = add_scaled_32(lanes, products_u8(q0,
			    load_32(a->q + 64 * p)), scales, 2 * p);
			lanes = add_scaled_32(lanes, products_u8(q1,
			    load_32(a->q + 64 * p + 32)), scales, 2 * p + 1);
		}
		sum = add_lanes(sum, scale_f16(b) * a->d, lanes);
		sum = sub_lanes(sum, scale_f16(b + 2) * a->d,
		    mins_k4(sm, a->sum));
	}
	return sum_f32(sum);
}

/* What an offset of the weights adds: sum over the sub-blocks of 16 of
 * scale * sum of the activations. */
static inline __m256i
scaled_sums(__m128i scales, const int16_t *sums)
{
	return _mm256_madd_epi16(_mm256_cvtepi8_epi16(scales), load_32(sums));
}

/* One half of a block of Q6_K. */
static inline __m256i
half_q6_k(__m256i lanes, const uint8_t *ql, const uint8_t *qh,
    const int8_t *a, __m128i scales, int k)
{
	__m256i l0 = load_32(ql), l1 = load_32(ql + 32), h = load_32(qh);
	__m256i q0, q1, q2, q3;

	q0 = _mm256_or_si256(and8(l0, 15), and8(SHL(h, 4), 0x30));
	q1 = _mm256_or_si256(and8(l1, 15), and8(SHL(h, 2), 0x30));
	q2 = _mm256_or_si256(and8(SHR(l0, 4), 15), and8(h, 0x30));
	q3 = _mm256_or_si256(and8(SHR(l1, 4), 15), and8(SHR(h, 2), 0x30));
	lanes = add_scaled_16(lanes, products_u8(q0, load_32(a)), scales, k);
	lanes = add_scaled_16(lanes, products_u8(q1, load_32(a + 32)), scales,
	    k + 1);
	lanes = add_scaled_16(lanes, products_u8(q2, load_32(a + 64)), scales,
	    k + 2);
	return add_scaled_16(lanes, products_u8(q3, load_32(a + 96)), scales,
	    k + 3);
}

static float
dot_q6_k(const void *w, const void *act, size_t n)
{
	const struct act_q8k *a = act;
	const uint8_t *b = w;
	__m256 sum = _mm256_setzero_ps();

	for (; n > 0; n -= 256, b += 210, a++) {
		__m128i scales = load_16(b + 192);
		__m256i lanes = _mm256_slli_epi32(
		    scaled_sums(scales, a->sum), 5);

		lanes = _mm256_sub_epi32(_mm256_setzero_si256(), lanes);
		lanes = half_q6_k(lanes, b, b + 128, a->q, scales, 0);
		lanes = half_q6_k(lanes, b + 64, b + 160, a->q + 128, scales,
		    4);
		sum = add_lanes(sum, scale_f16(b + 208) * a->d, lanes);
	}
	return sum_f32(sum);
}

static float
dot_q2_k(const void *w, const void *act, size_t n)
{
	const struct act_q8k *a = act;
	const uint8_t *b = w;
	__m256 sum = _mm256_setzero_ps();
	int h, j;

	for (; n > 0; n -= 256, b += 84, a++) {
		__m128i sm = load_16(b), low = _mm_set1_epi8(15);
		__m128i scales = _mm_and_si128(sm, low);
		__m128i mins = _mm_and_si128(_mm_srli_epi16(sm, 4), low);
		__m256i lanes = _mm256_setzero_si256();

		for (h = 0; h < 2; h++) {
			__m256i q = load_32(b + 16 + 32 * h);

			for (j = 0; j < 4; j++) {
				lanes = add_scaled_16(lanes, products_u8(
				    and8(q, 3), load_32(a->q + 128 * h +
				    32 * j)), scales, 4 * h + j);
				q = SHR(q, 2);
			}
		}
		sum = add_lanes(sum, scale_f16(b + 80) * a->d, lanes);
		sum = sub_lanes(sum, scale_f16(b + 82) * a->d,
		    scaled_sums(mins, a->sum));
	}
	return sum_f32(sum);
}

/* The 16 scales of Q3_K, 32 subtracted. */
static inline __m128i
scales_q3(const uint8_t *packed)
{
	uint32_t a = load_u32(packed), b = load_u32(packed + 4);
	uint32_t c = load_u32(packed + 8);
	__m128i s = _mm_setr_epi32(
	    (int)((a & 0x0f0f0f0f) | (c << 4 & 0x30303030)),
	    (int)((b & 0x0f0f0f0f) | (c << 2 & 0x30303030)),
	    (int)((a >> 4 & 0x0f0f0f0f) | (c & 0x30303030)),
	    (int)((b >> 4 & 0x0f0f0f0f) | (c >> 2 & 0x30303030)));

	return _mm_sub_epi8(s, _mm_set1_epi8(32));
}

static float
dot_q3_k(const void *w, const void *act, size_t n)
{
	const struct act_q8k *a = act;
	const uint8_t *b = w;
	__m256 sum = _mm256_setzero_ps();
	int h, j;

	for (; n > 0; n -= 256, b += 110, a++) {
		__m128i scales = scales_q3(b + 96);
		__m256i high = load_32(b), bit = _mm256_set1_epi8(1);
		__m256i lanes = _mm256_sub_epi32(_mm256_setzero_si256(),
		    _mm256_slli_epi32(scaled_sums(scales, a->sum), 2));

		for (h = 0; h < 2; h++) {
			__m256i q = load_32(b + 32 + 32 * h), v;

			for (j = 0; j < 4; j++) {
				v = and8(_mm256_cmpeq_epi8(_mm256_and_si256(
				    high, bit), bit), 4);
				v = _mm256_or_si256(v, and8(q, 3));
				lanes = add_scaled_16(lanes, products_u8(v,
				    load_32(a->q + 128 * h + 32 * j)), scales,
				    4 * h + j);
				q = SHR(q, 2);
				bit = _mm256_add_epi8(bit, bit);
			}
		}
		sum = add_lanes(sum, scale_f16(b + 108) * a->d, lanes);
	}
	return sum_f32(sum);
}

static float
dot_iq4_xs(const void *w, const void *act, size_t n)
{
	const __m256i values = _mm256_broadcastsi128_si256(
	    load_16(ref_iq4_values));
	const struct act_q8k *a = act;
	const uint8_t *b = w;
	__m256 sum = _mm256_setzero_ps();
	unsigned high, scale;
	int i;

	for (; n > 0; n -= 256, b += 136, a++) {
		__m256i lanes = _mm256_setzero_si256(), v;

		high = load_u16(b + 2);
		for (i = 0; i < 8; i++) {
			scale = (b[4 + i / 2] >> 4 * (i & 1) & 15) |
			    (high >> 2 * i & 3) << 4;
			v = _mm256_shuffle_epi8(values,
			    load_nibbles(b + 8 + 16 * i));
			v = products_i8(v, load_32(a->q + 32 * i));
			lanes = _mm256_add_epi32(lanes, _mm256_madd_epi16(v,
			    _mm256_set1_epi16((short)((int)scale - 32))));
		}
		sum = add_lanes(sum, scale_f16(b) * a->d, lanes);
	}
	return sum_f32(sum);
}

void
avx2_overlay_q8k(struct kern_table *t)
{
	t->dot[TYPE_Q2_K] = dot_q2_k;
	t->dot[TYPE_Q3_K] = dot_q3_k;
	t->dot[TYPE_Q4_K] = dot_q4_k;
	t->dot[TYPE_Q5_K] = dot_q5_k;
	t->dot[TYPE_Q6_K] = dot_q6_k;
	t->dot[TYPE_IQ4_XS] = dot_iq4_xs;
}

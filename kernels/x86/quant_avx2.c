/* SPDX-License-Identifier: MIT */
/*
 * Activations to 8 bits, the same bits as ref.  The largest
 * magnitude is found on the bit patterns, where infinities and NaN are larger
 * than every number.  |x| <= max makes |x * (127 / max)| round to 127 at most,
 * so the saturating packs never saturate.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include <math.h>

#include "kernels/half.h"
#include "kernels/ref/ref.h"
#include "kernels/x86/common_avx2.h"

static inline __m256i
max_magnitude(__m256i max, const float *x)
{
	const __m256i mask = _mm256_set1_epi32(0x7fffffff);

	return _mm256_max_epi32(max, _mm256_and_si256(mask, load_32(x)));
}

static uint32_t
max_bits(const float *x, size_t n)
{
	__m256i max = _mm256_setzero_si256();
	__m128i m;
	size_t i;

	for (i = 0; i < n; i += 8)
		max = max_magnitude(max, x + i);
	m = _mm_max_epi32(_mm256_castsi256_si128(max),
	    _mm256_extracti128_si256(max, 1));
	m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
	m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
	return (uint32_t)_mm_cvtsi128_si32(m);
}

static inline __m256i
round_8(const float *x, __m256 inverse)
{
	return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), inverse));
}

/* 32 floats to 32 bytes, in order. */
static inline __m256i
round_32(const float *x, __m256 inverse)
{
	__m256i ab = _mm256_packs_epi32(round_8(x, inverse),
	    round_8(x + 8, inverse));
	__m256i cd = _mm256_packs_epi32(round_8(x + 16, inverse),
	    round_8(x + 24, inverse));

	/* the packs worked on halves: quads are at 0 4 1 5 2 6 3 7 */
	return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(ab, cd),
	    _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* Sums of four neighbours. */
static inline __m256i
sums_4(__m256i q)
{
	return _mm256_madd_epi16(_mm256_set1_epi16(1),
	    _mm256_maddubs_epi16(_mm256_set1_epi8(1), q));
}

static inline int32_t
sum_i32(__m256i v)
{
	__m128i s = _mm_add_epi32(_mm256_castsi256_si128(v),
	    _mm256_extracti128_si256(v, 1));

	s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
	s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
	return _mm_cvtsi128_si32(s);
}

/* The two pair sums (kernels.h) of each 16 bytes, in every dword of its
 * half. */
static inline __m256i
pairs_16(__m256i q)
{
	__m256i p = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);

	p = _mm256_add_epi16(p, _mm256_shuffle_epi32(p, 0x4e));
	return _mm256_add_epi16(p, _mm256_shuffle_epi32(p, 0xb1));
}

static inline __m128i
add_halves(__m256i p)
{
	return _mm_add_epi16(_mm256_castsi256_si128(p),
	    _mm256_extracti128_si256(p, 1));
}

static inline void
store_pair(__m128i p, int16_t *pair)
{
	int32_t both = _mm_cvtsi128_si32(p);

	memcpy(pair, &both, sizeof(both));
}

/* d of a block whose largest magnitude has these bits; 0 or NaN when there is
 * nothing to round. */
static inline int
has_scale(uint32_t bits, float *d)
{
	float max = f32_from_bits(bits);

	if (bits >= 0x7f800000) {
		*d = NAN;
		return 0;
	}
	if (max < 0x1p-100f) {
		*d = 0;
		return 0;
	}
	*d = max / 127.0f;
	return 1;
}

/* 32 values to bytes, in order; *d is theirs. */
static inline __m256i
quantize_32(const float *x, float *d)
{
	uint32_t bits = max_bits(x, 32);

	if (!has_scale(bits, d))
		return _mm256_setzero_si256();
	return round_32(x, _mm256_set1_ps(127.0f / f32_from_bits(bits)));
}

static void
quantize_q8(const float *x, struct act_q8 *out, size_t n)
{
	for (; n > 0; n -= 32, x += 32, out++) {
		__m256i q = quantize_32(x, &out->d);

		_mm256_storeu_si256((__m256i *)out->q, q);
		out->sum = sum_i32(sums_4(q));
		out->dsum = out->d * (float)out->sum;
		store_pair(_mm_mullo_epi16(add_halves(pairs_16(q)),
		    _mm_set1_epi16(-8)), out->start);
	}
}

static void
quantize_q16(const float *x, struct act_q16 *out, size_t n)
{
	for (; n > 0; n -= 32, x += 32, out++) {
		__m256i q = quantize_32(x, &out->d);

		_mm256_storeu_si256((__m256i *)out->q,
		    _mm256_cvtepi8_epi16(_mm256_castsi256_si128(q)));
		_mm256_storeu_si256((__m256i *)(out->q + 16),
		    _mm256_cvtepi8_epi16(_mm256_extracti128_si256(q, 1)));
		out->dsum = out->d * (float)sum_i32(sums_4(q));
	}
}

/* Sums of 16 of four times 32 bytes, as 8 lanes in order. */
static inline __m256i
sums_16(const int8_t *q)
{
	__m256i ab = _mm256_hadd_epi32(sums_4(load_32(q)),
	    sums_4(load_32(q + 32)));
	__m256i cd = _mm256_hadd_epi32(sums_4(load_32(q + 64)),
	    sums_4(load_32(q + 96)));

	return _mm256_permutevar8x32_epi32(_mm256_hadd_epi32(ab, cd),
	    _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

static void
quantize_q8k(const float *x, struct act_q8k *out, size_t n)
{
	size_t i;

	for (; n > 0; n -= 256, x += 256, out++) {
		uint32_t bits = max_bits(x, 256);
		__m256i sums;

		if (!has_scale(bits, &out->d)) {
			memset(out->q, 0, sizeof(out->q));
			memset(out->sum, 0, sizeof(out->sum));
			memset(out->sum32, 0, sizeof(out->sum32));
			memset(out->pair, 0, sizeof(out->pair));
			continue;
		}
		for (i = 0; i < 256; i += 32)
			_mm256_storeu_si256((__m256i *)(out->q + i), round_32(
			    x + i, _mm256_set1_ps(127.0f /
			    f32_from_bits(bits))));
		sums = _mm256_packs_epi32(sums_16(out->q),
		    sums_16(out->q + 128));
		sums = _mm256_permute4x64_epi64(sums, 0xd8);
		_mm256_storeu_si256((__m256i *)out->sum, sums);
		sums = _mm256_madd_epi16(sums, _mm256_set1_epi16(1));
		_mm_storeu_si128((__m128i *)out->sum32, _mm_packs_epi32(
		    _mm256_castsi256_si128(sums),
		    _mm256_extracti128_si256(sums, 1)));
		for (i = 0; i < 8; i++) {
			__m256i p = pairs_16(load_32(out->q + 32 * i));

			store_pair(_mm256_castsi256_si128(p),
			    out->pair[2 * i]);
			store_pair(_mm256_extracti128_si256(p, 1),
			    out->pair[2 * i + 1]);
		}
	}
}

/* Both nibbles of 4 bytes of signs to 8 times 4 bits, at bit 6. */
static inline __m128i
spread_signs(int bits)
{
	const __m128i twice = _mm_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1,
	    2, -1, 2, -1, 3, -1, 3, -1);
	const __m128i shift = _mm_setr_epi16(64, 4, 64, 4, 64, 4, 64, 4);
	__m128i v = _mm_shuffle_epi8(_mm_cvtsi32_si128(bits), twice);

	return _mm_and_si128(_mm_mullo_epi16(v, shift),
	    _mm_set1_epi16(15 << 6));
}

static inline void
magnitudes(const int8_t *q, uint8_t *mag)
{
	_mm256_storeu_si256((__m256i *)mag, _mm256_abs_epi8(load_32(q)));
}

static void
quantize_sm8(const float *x, struct act_sm8 *out, size_t n)
{
	for (; n > 0; n -= 32, x += 32, out++) {
		quantize_q8(x, &out->a, 32);
		magnitudes(out->a.q, out->mag);
	}
}

/* Words of all quads plus those of the quads beside them in an order. */
static inline __m256i
add_neighbours(__m256i v, __m256i order)
{
	v = _mm256_permutevar8x32_epi32(v, order);
	return _mm256_add_epi16(v, _mm256_shuffle_epi32(v, 0xb1));
}

/* The first of ref_pair_orders whose pairs all can be added, or 0. */
static inline int
order_of(__m256i q, __m256i mag)
{
	const __m256i one = _mm256_set1_epi8(1);
	const __m256i times = _mm256_set1_epi16(REF_PAIR_SUM);
	__m256i sums = _mm256_maddubs_epi16(one, q);
	__m256i most = _mm256_mullo_epi16(_mm256_maddubs_epi16(mag, one),
	    _mm256_set1_epi16(REF_PAIR_MAGNITUDE)), order, over;
	int x;

	for (x = 1; x < REF_PAIR_ORDERS; x++) {
		order = load_32(ref_pair_orders[x]);
		over = _mm256_add_epi16(add_neighbours(most, order),
		    _mm256_mullo_epi16(_mm256_abs_epi16(add_neighbours(sums,
		    order)), times));
		over = _mm256_subs_epu16(over, _mm256_set1_epi16(INT16_MAX));
		if (_mm256_testz_si256(over, over))
			return x;
	}
	return 0;
}

static inline void
put_pairs(const int8_t *q, __m256i mag, int x, struct act_pairs *out)
{
	const __m256i order = load_32(ref_pair_orders[x]);
	__m256i at = _mm256_cvtepu16_epi32(spread_signs(
	    _mm256_movemask_epi8(load_32(q))));

	_mm256_storeu_si256((__m256i *)out->mag,
	    _mm256_permutevar8x32_epi32(mag, order));
	at = _mm256_or_si256(_mm256_permutevar8x32_epi32(at, order),
	    _mm256_slli_epi32(order, 10));
	_mm_storeu_si128((__m128i *)out->at, _mm_packus_epi32(
	    _mm256_castsi256_si128(at), _mm256_extracti128_si256(at, 1)));
}

static void
quantize_sm8k(const float *x, struct act_sm8k *out, size_t n)
{
	size_t s;
	int order;

	for (; n > 0; n -= 256, x += 256, out++) {
		quantize_q8k(x, &out->a, 256);
		for (s = 0; s < 8; s++) {
			const int8_t *q = out->a.q + 32 * s;
			__m256i mag;

			magnitudes(q, out->mag[s]);
			mag = load_32(out->mag[s]);
			order = order_of(load_32(q), mag);
			out->apart[s] = order == 0;
			put_pairs(q, mag, order, &out->pairs[s]);
		}
	}
}

void
avx2_overlay_quant(struct kern_table *t)
{
	t->quantize_q8 = quantize_q8;
	t->quantize_q8k = quantize_q8k;
	t->quantize_q16 = quantize_q16;
	t->quantize_sm8 = quantize_sm8;
	t->quantize_sm8k = quantize_sm8k;
}

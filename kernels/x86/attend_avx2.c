/* SPDX-License-Identifier: MIT */
/*
 * Attention with vectors of 8 floats, and the rotation of pairs.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "base/mem.h"
#include "kernels/x86/vf_avx2.h"

typedef __m256 vs;

VF_HERE vs vs_load(const float *p) { return _mm256_loadu_ps(p); }
VF_HERE void vs_store(float *p, vs v) { _mm256_storeu_ps(p, v); }
VF_HERE vs vs_scale(vs a, float b) { return _mm256_mul_ps(a, vf_set1(b)); }
VF_HERE vs vs_add(vs a, vf b) { return _mm256_add_ps(a, b); }
VF_HERE float vs_total(vs v) { return sum_f32(v); }

/* As intrinsics these would be put in an order in which the registers do not
 * suffice. */
VF_HERE void
vf_fma2(const float *a, vf p0, vf p1, vf *s0, vf *s1)
{
	vf x;

	__asm__("vbroadcastss %3, %2\n\t"
	    "vfmadd231ps %2, %4, %0\n\t"
	    "vfmadd231ps %2, %5, %1"
	    : "+x" (*s0), "+x" (*s1), "=&x" (x)
	    : "m" (*a), "x" (p0), "x" (p1));
}

VF_HERE void
vf_fma3(const float *a, vf p0, vf p1, vf p2, vf *s0, vf *s1, vf *s2)
{
	vf x;

	__asm__("vbroadcastss %4, %3\n\t"
	    "vfmadd231ps %3, %5, %0\n\t"
	    "vfmadd231ps %3, %6, %1\n\t"
	    "vfmadd231ps %3, %7, %2"
	    : "+x" (*s0), "+x" (*s1), "+x" (*s2), "=&x" (x)
	    : "m" (*a), "x" (p0), "x" (p1), "x" (p2));
}

/*
 * x = n + f with |f| <= 1/2: adding 3 * 2^22 + 127 leaves n + 127, the exponent
 * of 2^n, in the low bits.  The polynomial is within 1.4 ulp of 2^f, and 1 at
 * 0.  With n = -127 the power of two has no bit set and the result is 0.
 */
VF_HERE vf
vf_exp2(vf x)
{
	const vf shift = _mm256_set1_ps(0x1.8p23f + 127);
	vf t, f, p;

	x = _mm256_max_ps(_mm256_set1_ps(-127), x);
	t = _mm256_add_ps(x, shift);
	f = _mm256_sub_ps(x, _mm256_sub_ps(t, shift));
	p = _mm256_set1_ps(0x1.5bba16p-10f);
	p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.3cea8ap-7f));
	p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.c6b752p-5f));
	p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.ebf9bcp-3f));
	p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.62e42ap-1f));
	p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1));
	return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(
	    _mm256_castps_si256(t), 23)));
}

#include "kernels/attend_body.h"
#include "kernels/x86/attend_q8_avx2.h"

static void
attend_f16(struct attend_tile *t)
{
	attend(ATTEND_F16, t);
}

/* Four pairs at a time, in the operations of ref. */
static void
rope_pairs(const float *cos_sin, float *x, size_t n)
{
	const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
	const float *c = cos_sin, *s = cos_sin + n;
	size_t i;

	for (i = 0; i + 4 <= n; i += 4) {
		__m256 v = _mm256_loadu_ps(x + 2 * i);
		__m256 cc = _mm256_permutevar8x32_ps(
		    _mm256_castps128_ps256(_mm_loadu_ps(c + i)), twice);
		__m256 ss = _mm256_permutevar8x32_ps(
		    _mm256_castps128_ps256(_mm_loadu_ps(s + i)), twice);
		__m256 other = _mm256_permute_ps(v, 0xb1);

		_mm256_storeu_ps(x + 2 * i, _mm256_addsub_ps(
		    _mm256_mul_ps(v, cc), _mm256_mul_ps(other, ss)));
	}
	for (; i < n; i++) {
		__m128 v = _mm_castsi128_ps(_mm_loadl_epi64(
		    (const __m128i *)(const void *)(x + 2 * i)));
		__m128 other = _mm_shuffle_ps(v, v, 0xe1);

		v = _mm_addsub_ps(_mm_mul_ps(v, _mm_set1_ps(c[i])),
		    _mm_mul_ps(other, _mm_set1_ps(s[i])));
		_mm_storel_epi64((__m128i *)(void *)(x + 2 * i),
		    _mm_castps_si128(v));
	}
}

void
avx2_overlay_attend(struct kern_table *t)
{
	t->attend_f16 = attend_f16;
	t->attend_q8_0 = attend_q8_0;
	t->rope_pairs = rope_pairs;
}

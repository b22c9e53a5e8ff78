/* SPDX-License-Identifier: MIT */
/* Attention with vectors of 8 floats, and the rotation of pairs. */
#include "config.h"

#include "kernels/arm/arm.h"

#include "kernels/arm/vf_neon.h"

/* As intrinsics these would be put in an order in which the registers do not
 * suffice. */
VF_HERE void
fma_copies(const float *a, vf p, vf *s)
{
	float32x4_t x;

	__asm__("ld1r {%2.4s}, %3\n\t"
	    "fmla %0.4s, %2.4s, %4.4s\n\t"
	    "fmla %1.4s, %2.4s, %5.4s"
	    : "+w" (s->low), "+w" (s->high), "=&w" (x)
	    : "Q" (*a), "w" (p.low), "w" (p.high));
}

VF_HERE void
vf_fma2(const float *a, vf p0, vf p1, vf *s0, vf *s1)
{
	fma_copies(a, p0, s0);
	fma_copies(a, p1, s1);
}

VF_HERE void
vf_fma3(const float *a, vf p0, vf p1, vf p2, vf *s0, vf *s1, vf *s2)
{
	fma_copies(a, p0, s0);
	fma_copies(a, p1, s1);
	fma_copies(a, p2, s2);
}

typedef vf vs;

VF_HERE vs vs_load(const float *p) { return vf_load(p); }
VF_HERE void vs_store(float *p, vs v) { vf_store(p, v); }
VF_HERE vs vs_scale(vs a, float b) { return vf_mul(a, vf_set1(b)); }

VF_HERE vs
vs_add(vs a, vf b)
{
	return (vs){ vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high) };
}

/* ((0+4) + (1+5)) + ((2+6) + (3+7)) */
VF_HERE float
vs_total(vs v)
{
	return sum_f32(vaddq_f32(v.low, v.high));
}

/*
 * x = n + f with |f| <= 1/2: adding 3 * 2^22 + 127 leaves n + 127, the exponent
 * of 2^n, in the low bits.  The polynomial is within 1.4 ulp of 2^f, and 1 at
 * 0.  With n = -127 the power of two has no bit set and the result is 0.
 */
VF_HERE float32x4_t
exp2_f32(float32x4_t x)
{
	const float32x4_t shift = vdupq_n_f32(0x1.8p23f + 127);
	float32x4_t t, f, p;

	x = vmaxq_f32(vdupq_n_f32(-127), x);
	t = vaddq_f32(x, shift);
	f = vsubq_f32(x, vsubq_f32(t, shift));
	p = vdupq_n_f32(0x1.5bba16p-10f);
	p = vfmaq_f32(vdupq_n_f32(0x1.3cea8ap-7f), p, f);
	p = vfmaq_f32(vdupq_n_f32(0x1.c6b752p-5f), p, f);
	p = vfmaq_f32(vdupq_n_f32(0x1.ebf9bcp-3f), p, f);
	p = vfmaq_f32(vdupq_n_f32(0x1.62e42ap-1f), p, f);
	p = vfmaq_f32(vdupq_n_f32(1), p, f);
	return vmulq_f32(p, vreinterpretq_f32_s32(vshlq_n_s32(
	    vreinterpretq_s32_f32(t), 23)));
}

VF_HERE vf
vf_exp2(vf x)
{
	return (vf){ exp2_f32(x.low), exp2_f32(x.high) };
}

#include "kernels/attend_body.h"

static void
attend_f16(struct attend_tile *t)
{
	attend(ATTEND_F16, t);
}

static void
attend_q8_0(struct attend_tile *t)
{
	attend(ATTEND_Q8_0, t);
}

/* Four pairs at a time, in the operations of ref. */
static void
rope_pairs(const float *cos_sin, float *x, size_t n)
{
	const float *c = cos_sin, *s = cos_sin + n;
	size_t i;

	for (i = 0; i + 4 <= n; i += 4) {
		float32x4_t cc = vld1q_f32(c + i), ss = vld1q_f32(s + i);
		float32x4x2_t v = vld2q_f32(x + 2 * i), to;

		to.val[0] = vsubq_f32(vmulq_f32(v.val[0], cc),
		    vmulq_f32(v.val[1], ss));
		to.val[1] = vaddq_f32(vmulq_f32(v.val[0], ss),
		    vmulq_f32(v.val[1], cc));
		vst2q_f32(x + 2 * i, to);
	}
	for (; i < n; i++) {
		float a = x[2 * i], b = x[2 * i + 1];

		x[2 * i] = a * c[i] - b * s[i];
		x[2 * i + 1] = a * s[i] + b * c[i];
	}
}

void
neon_overlay_attend(struct kern_table *t)
{
	t->attend_f16 = attend_f16;
	t->attend_q8_0 = attend_q8_0;
	t->rope_pairs = rope_pairs;
}

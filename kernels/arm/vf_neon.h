/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_ARM_VF_NEON_H
#define BM_KERNELS_ARM_VF_NEON_H

/*
 * The operations of kernels/vf.h on 8 floats, two registers: the 32 there are
 * hold what 16 of AVX2 do, and the lanes of one level are those of the other.
 */

#include "kernels/arm/common_neon.h"

typedef struct {
	float32x4_t low, high;
} vf;
#define VF_LANES	8
#define VF_REGISTERS	16	/* pairs */
#define VF_HERE		ALWAYS_INLINE

VF_HERE vf
vf_set1(float a)
{
	return (vf){ vdupq_n_f32(a), vdupq_n_f32(a) };
}

VF_HERE vf
vf_load(const float *p)
{
	return (vf){ vld1q_f32(p), vld1q_f32(p + 4) };
}

VF_HERE void
vf_store(float *p, vf v)
{
	vst1q_f32(p, v.low);
	vst1q_f32(p + 4, v.high);
}

VF_HERE vf
vf_mul(vf a, vf b)
{
	return (vf){ vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high) };
}

/* A comparison, which no NaN passes. */
VF_HERE vf
vf_max(vf a, vf b)
{
	return (vf){ vbslq_f32(vcgtq_f32(a.low, b.low), a.low, b.low),
	    vbslq_f32(vcgtq_f32(a.high, b.high), a.high, b.high) };
}

VF_HERE vf
vf_fma(vf a, vf b, vf c)
{
	return (vf){ vfmaq_f32(c.low, a.low, b.low),
	    vfmaq_f32(c.high, a.high, b.high) };
}

VF_HERE float
vf_first(vf v)
{
	return vgetq_lane_f32(v.low, 0);
}

VF_HERE float
vf_largest(vf v)
{
	return vmaxvq_f32(vmaxq_f32(v.low, v.high));
}

VF_HERE vf
vf_load_f16(const uint16_t *p)
{
	return (vf){ load_f16(p), load_f16(p + 4) };
}

VF_HERE vf
vf_load_i8(const int8_t *p)
{
	int16x8_t v = vmovl_s8(vld1_s8(p));

	return (vf){ vcvtq_f32_s32(vmovl_s16(vget_low_s16(v))),
	    vcvtq_f32_s32(vmovl_high_s16(v)) };
}

#endif

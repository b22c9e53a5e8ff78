/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_ARM_VF_NEON_H
#define BM_KERNELS_ARM_VF_NEON_H

/*
 * The operations of kernels/vf.h on 8 floats, two registers: the 32 there are
 * hold what 16 of AVX2 do, and the lanes of one level are those of the other.
 */

#include <stdbool.h>

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
vf_neg(vf a)
{
	return (vf){ vnegq_f32(a.low), vnegq_f32(a.high) };
}

VF_HERE vf
vf_add(vf a, vf b)
{
	return (vf){ vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high) };
}

VF_HERE vf
vf_sub(vf a, vf b)
{
	return (vf){ vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high) };
}

VF_HERE vf
vf_mul(vf a, vf b)
{
	return (vf){ vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high) };
}

VF_HERE vf
vf_div(vf a, vf b)
{
	return (vf){ vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high) };
}

/* Comparisons, which no NaN passes. */
VF_HERE vf
vf_min(vf a, vf b)
{
	return (vf){ vbslq_f32(vcltq_f32(a.low, b.low), a.low, b.low),
	    vbslq_f32(vcltq_f32(a.high, b.high), a.high, b.high) };
}

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

VF_HERE vf
vf_round(vf v)
{
	return (vf){ vrndnq_f32(v.low), vrndnq_f32(v.high) };
}

/* 2^n in two factors, for it may be beyond the normal numbers. */
VF_HERE float32x4_t
times_exp2(float32x4_t a, float32x4_t n)
{
	const int32x4_t bias = vdupq_n_s32(127);
	int32x4_t k = vcvtq_s32_f32(n), k0 = vshrq_n_s32(k, 1);

	a = vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32(
	    vaddq_s32(k0, bias), 23)));
	return vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32(
	    vaddq_s32(vsubq_s32(k, k0), bias), 23)));
}

VF_HERE vf
vf_times_exp2(vf a, vf n)
{
	return (vf){ times_exp2(a.low, n.low), times_exp2(a.high, n.high) };
}

VF_HERE bool
vf_any_equal(vf a, vf b)
{
	return vmaxvq_u32(vorrq_u32(vceqq_f32(a.low, b.low),
	    vceqq_f32(a.high, b.high))) != 0;
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

/* ((0+4) + (2+6)) + ((1+5) + (3+7)), as AVX2 does it */
VF_HERE float
vf_total(vf v)
{
	float32x4_t s = vaddq_f32(v.low, v.high);

	return vpadds_f32(vadd_f32(vget_low_f32(s), vget_high_f32(s)));
}

VF_HERE vf
vf_load_f16(const uint16_t *p)
{
	return (vf){ load_f16(p), load_f16(p + 4) };
}

VF_HERE vf
vf_load_bf16(const uint16_t *p)
{
	return (vf){ load_bf16(p), load_bf16(p + 4) };
}

VF_HERE vf
vf_load_i8(const int8_t *p)
{
	int16x8_t v = vmovl_s8(vld1_s8(p));

	return (vf){ vcvtq_f32_s32(vmovl_s16(vget_low_s16(v))),
	    vcvtq_f32_s32(vmovl_high_s16(v)) };
}

VF_HERE void
vf_store_f16(uint16_t *p, vf v)
{
	vst1q_u16(p, vreinterpretq_u16_f16(vcombine_f16(
	    vcvt_f16_f32(v.low), vcvt_f16_f32(v.high))));
}

typedef struct {
	float64x2_t low, high;
} vd;

VF_HERE vd
vd_zero(void)
{
	return (vd){ vdupq_n_f64(0), vdupq_n_f64(0) };
}

VF_HERE vd
vd_of(float32x4_t v)
{
	return (vd){ vcvt_f64_f32(vget_low_f32(v)), vcvt_high_f64_f32(v) };
}

VF_HERE vd vd_load(const float *p) { return vd_of(vld1q_f32(p)); }
VF_HERE vd vd_low(vf v) { return vd_of(v.low); }
VF_HERE vd vd_high(vf v) { return vd_of(v.high); }

VF_HERE vd
vd_add(vd a, vd b)
{
	return (vd){ vaddq_f64(a.low, b.low), vaddq_f64(a.high, b.high) };
}

VF_HERE vd
vd_fma(vd a, vd b, vd c)
{
	return (vd){ vfmaq_f64(c.low, a.low, b.low),
	    vfmaq_f64(c.high, a.high, b.high) };
}

/* (0+2) + (1+3) */
VF_HERE double
vd_total(vd v)
{
	return vaddvq_f64(vaddq_f64(v.low, v.high));
}

#endif

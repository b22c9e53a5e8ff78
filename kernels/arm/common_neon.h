/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_ARM_COMMON_NEON_H
#define BM_KERNELS_ARM_COMMON_NEON_H

/* What the Arm files share.  Reductions have one fixed order. */

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* ((0+1) + (2+3)) */
ALWAYS_INLINE float
sum_f32(float32x4_t v)
{
	return vaddvq_f32(v);
}

/* 4 elements at p, of any alignment, as floats. */
ALWAYS_INLINE float32x4_t
load_f32(const void *p)
{
	return vreinterpretq_f32_u8(vld1q_u8(p));
}

ALWAYS_INLINE float32x4_t
load_f16(const void *p)
{
	return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

ALWAYS_INLINE float32x4_t
load_bf16(const void *p)
{
	return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(
	    vreinterpret_u16_u8(vld1_u8(p))), 16));
}

#endif

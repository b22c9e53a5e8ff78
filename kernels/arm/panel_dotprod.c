/* SPDX-License-Identifier: MIT */
/*
 * Panels with sdot: a register is a quad of 4 rows, and a quad of activations
 * is a lane of another.
 */
#include "config.h"

#include "kernels/arm/arm.h"

#include "kernels/arm/unpack_arm.h"

/* acc + 4 quads of 4 rows, 32 bytes apart, times x */
ALWAYS_INLINE int32x4_t
dot_16(int32x4_t acc, const bool is_small, const int8_t *q, int8x16_t x)
{
	acc = vdotq_laneq_s32(acc, vld1q_s8(q), x, 0);
	acc = vdotq_laneq_s32(acc, vld1q_s8(q + 32), x, 1);
	acc = vdotq_laneq_s32(acc, vld1q_s8(q + 64), x, 2);
	return vdotq_laneq_s32(acc, vld1q_s8(q + 96), x, 3);
}

#define LEVEL(name)	dotprod_##name
#include "kernels/arm/step_dot.h"
#include "kernels/arm/panel_arm.h"

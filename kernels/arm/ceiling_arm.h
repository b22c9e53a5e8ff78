/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_ARM_CEILING_ARM_H
#define BM_KERNELS_ARM_CEILING_ARM_H

/*
 * Loops of one instruction on registers only.  16 chains cover the latencies
 * of four pipes; asm keeps the compiler from finding that nobody wants the
 * result.
 */

#include <arm_neon.h>
#include <stddef.h>

#define CHAINS 16

#define EACH(DO) \
	DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) \
	DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)

#define ZERO(i)	int32x4_t c##i = vdupq_n_s32(0);

/* The instruction's operands are a sum, %0, and twice the same weight, %1. */
#define STEP(i)	__asm__ volatile(INSTRUCTION : "+w" (c##i) : "w" (w));

#define LOOP(name)							\
static void								\
name(size_t n)								\
{									\
	int32x4_t w = vdupq_n_s32(0);					\
									\
	EACH(ZERO)							\
	for (; n > 0; n--) {						\
		EACH(STEP)						\
	}								\
}

#endif

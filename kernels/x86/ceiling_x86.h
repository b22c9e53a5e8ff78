/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_CEILING_X86_H
#define BM_KERNELS_X86_CEILING_X86_H

/*
 * Loops of registers only (ceiling.h).  12 chains cover the latencies; asm
 * keeps the compiler from finding that nobody wants the result.  A level's
 * file defines VECTOR, its register, and INSTRUCTION before each loop.
 */

#include <immintrin.h>
#include <stddef.h>

#define CHAINS 12

#define EACH(DO) \
	DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) \
	DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

#define ZERO(i)	VECTOR c##i = { 0 };

/* The instructions' operands: a sum, %0, what is between, %1, and twice the
 * same weights, %2. */
#define STEP(i)	__asm__ volatile(INSTRUCTION				\
		    : "+v" (c##i), "=&v" (t) : "v" (w));

#define LOOP(name, weights)						\
static void								\
name(size_t n)								\
{									\
	VECTOR w = weights, t;						\
									\
	EACH(ZERO)							\
	for (; n > 0; n--) {						\
		EACH(STEP)						\
	}								\
}

#endif

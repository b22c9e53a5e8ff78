/* SPDX-License-Identifier: MIT */
/*
 * CPU features.  An instruction set counts only when the system saves its
 * registers over a context switch as well: CPUID says what the silicon has,
 * XGETBV what the kernel switched on.
 */
#include "config.h"

#include "kernels/cpu.h"

#if defined(__x86_64__) || defined(__i386__)

#include <cpuid.h>
#include <stdint.h>

#define XCR0_SSE	(1u << 1)
#define XCR0_AVX	(1u << 2)

static uint32_t
read_xcr0(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

unsigned
cpu_flags(void)
{
	const unsigned need1 = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
	const unsigned need_xcr0 = XCR0_SSE | XCR0_AVX;
	unsigned a, b, c, d, flags = 0;

	if (!__get_cpuid(1, &a, &b, &c, &d) || (c & need1) != need1)
		return 0;
	if ((read_xcr0() & need_xcr0) != need_xcr0)
		return 0;
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2))
		flags |= CPU_AVX2;
	return flags;
}

#else

unsigned
cpu_flags(void)
{
	return 0;
}

#endif

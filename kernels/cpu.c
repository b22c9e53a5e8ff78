/* SPDX-License-Identifier: MIT */
/*
 * CPU features.  An instruction set counts only when the system saves its
 * registers over a context switch as well: CPUID says what the silicon has,
 * XGETBV what the kernel switched on.  On Arm the kernel says both at once.
 */
#include "config.h"

#include "kernels/cpu.h"

#if defined(__x86_64__) || defined(__i386__)

#include <cpuid.h>
#include <stdint.h>

#define LEAF7_1_AVX_VNNI (1u << 4)	/* EAX; not all compilers name it */
#define XCR0_SSE	(1u << 1)
#define XCR0_AVX	(1u << 2)
#define XCR0_AVX512	(7u << 5)	/* masks, high halves, high registers */

static uint32_t
read_xcr0(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

/* Whether leaf 7 names all that the level AVX-512 uses. */
static int
has_avx512(unsigned b, unsigned c)
{
	const unsigned need = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ |
	    bit_AVX512VL;

	return (b & need) == need && (c & bit_AVX512VNNI);
}

unsigned
cpu_flags(void)
{
	const unsigned need1 = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
	const uint32_t avx = XCR0_SSE | XCR0_AVX;
	unsigned a, b, c, d, flags = 0;
	uint32_t saved;

	if (!__get_cpuid(1, &a, &b, &c, &d) || (c & need1) != need1)
		return 0;
	saved = read_xcr0();
	if ((saved & avx) != avx ||
	    !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2))
		return 0;
	flags = CPU_AVX2;
	if ((saved & XCR0_AVX512) == XCR0_AVX512 && has_avx512(b, c))
		flags |= CPU_AVX512;
	if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
	    (a & LEAF7_1_AVX_VNNI))
		flags |= CPU_AVX_VNNI;
	return flags;
}

#elif defined(__aarch64__)

#include <sys/auxv.h>

unsigned
cpu_flags(void)
{
	unsigned long has = getauxval(AT_HWCAP), has2 = getauxval(AT_HWCAP2);
	unsigned flags = 0;

	if (has & HWCAP_ASIMD)
		flags |= CPU_NEON;
	if (has & HWCAP_ASIMDDP)
		flags |= CPU_DOTPROD;
	if (has2 & HWCAP2_I8MM)
		flags |= CPU_I8MM;
	return flags;
}

#else

unsigned
cpu_flags(void)
{
	return 0;
}

#endif

/* SPDX-License-Identifier: MIT */
/* As ceiling_avx2.c, with registers of 512 bits. */
#include "config.h"

#include "kernels/x86/avx512.h"

#include <immintrin.h>

#define CHAINS 12

#define EACH(DO) \
	DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) \
	DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

#define ZERO(i)	__m512i c##i = _mm512_setzero_si512();

static void
loop_fma(size_t n)
{
	__m512i w = _mm512_setzero_si512();

	EACH(ZERO)
	for (; n > 0; n--) {
#define STEP(i) \
	__asm__ volatile("vfmadd231ps %1, %1, %0" : "+v" (c##i) : "v" (w));
		EACH(STEP)
#undef STEP
	}
}

static void
loop_dpbusd(size_t n)
{
	__m512i w = _mm512_set1_epi8(3);

	EACH(ZERO)
	for (; n > 0; n--) {
#define STEP(i) \
	__asm__ volatile("vpdpbusd %1, %1, %0" : "+v" (c##i) : "v" (w));
		EACH(STEP)
#undef STEP
	}
}

void
avx512_overlay_ceiling(struct kern_table *t)
{
	t->ceiling.fma = (struct ceiling_loop){ loop_fma, CHAINS * 16 };
	t->ceiling.int8 = (struct ceiling_loop){ loop_dpbusd, CHAINS * 64 };
}

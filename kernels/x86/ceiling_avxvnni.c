/* SPDX-License-Identifier: MIT */
/* As ceiling_avx2.c; only products of bytes differ. */
#include "config.h"

#include "kernels/x86/avxvnni.h"

#include <immintrin.h>

#define CHAINS 12

#define EACH(DO) \
	DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) \
	DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

#define ZERO(i)	__m256i c##i = _mm256_setzero_si256();

static void
loop_dpbusd(size_t n)
{
	__m256i w = _mm256_set1_epi8(3);

	EACH(ZERO)
	for (; n > 0; n--) {
#define STEP(i) __asm__ volatile("%{vex%} vpdpbusd %1, %1, %0"		\
		    : "+x" (c##i) : "x" (w));
		EACH(STEP)
#undef STEP
	}
}

void
avxvnni_overlay_ceiling(struct kern_table *t)
{
	t->ceiling.int8 = (struct ceiling_loop){ loop_dpbusd, CHAINS * 32 };
}

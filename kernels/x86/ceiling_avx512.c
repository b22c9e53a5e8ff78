/* SPDX-License-Identifier: MIT */
/* As ceiling_avx2.c, with registers of 512 bits. */
#include "config.h"

#include "kernels/x86/avx512.h"

#include "kernels/x86/ceiling_x86.h"

#define VECTOR		__m512i

#define INSTRUCTION	"vfmadd231ps %2, %2, %0"
LOOP(loop_fma, _mm512_setzero_si512())
#undef INSTRUCTION

#define INSTRUCTION	"vpdpbusd %2, %2, %0"
LOOP(loop_dpbusd, _mm512_set1_epi8(3))

void
avx512_overlay_ceiling(struct kern_table *t)
{
	t->ceiling.fma = (struct ceiling_loop){ loop_fma, CHAINS * 16 };
	t->ceiling.int8 = (struct ceiling_loop){ loop_dpbusd, CHAINS * 64 };
}

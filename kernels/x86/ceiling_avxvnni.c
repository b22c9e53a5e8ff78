/* SPDX-License-Identifier: MIT */
/* As ceiling_avx2.c; only products of bytes differ. */
#include "config.h"

#include "kernels/x86/avxvnni.h"

#include "kernels/x86/ceiling_x86.h"

#define VECTOR		__m256i

#define INSTRUCTION	"%{vex%} vpdpbusd %2, %2, %0"
LOOP(loop_dpbusd, _mm256_set1_epi8(3))

void
avxvnni_overlay_ceiling(struct kern_table *t)
{
	t->ceiling.int8 = (struct ceiling_loop){ loop_dpbusd, CHAINS * 32 };
}

/* SPDX-License-Identifier: MIT */
/* As ceiling_neon.c; only products of bytes differ. */
#include "config.h"

#include "kernels/arm/arm.h"

#include "kernels/arm/ceiling_arm.h"

#define INSTRUCTION "smmla %0.4s, %1.16b, %1.16b"
LOOP(loop_smmla)

void
i8mm_overlay_ceiling(struct kern_table *t)
{
	t->ceiling.int8 = (struct ceiling_loop){ loop_smmla, CHAINS * 32 };
}

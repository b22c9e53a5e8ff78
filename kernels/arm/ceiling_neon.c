/* SPDX-License-Identifier: MIT */
/* Loops of the baseline, and reading. */
#include "config.h"

#include "kernels/arm/arm.h"

#include "kernels/arm/ceiling_arm.h"

#define INSTRUCTION "fmla %0.4s, %1.4s, %1.4s"
LOOP(loop_fmla)
#undef INSTRUCTION

#define INSTRUCTION "smlal %0.8h, %1.8b, %1.8b"
LOOP(loop_smlal)
#undef INSTRUCTION

static void
loop_read(const void *p, size_t bytes)
{
	const uint8_t *from = p, *end = from + bytes;
	uint8x16_t a = vdupq_n_u8(0), b = a, c = a, d = a;

	for (; from < end; from += 64) {
		a = veorq_u8(a, vld1q_u8(from));
		b = veorq_u8(b, vld1q_u8(from + 16));
		c = veorq_u8(c, vld1q_u8(from + 32));
		d = veorq_u8(d, vld1q_u8(from + 48));
	}
	__asm__ volatile("" : : "w" (a), "w" (b), "w" (c), "w" (d));
}

void
neon_overlay_ceiling(struct kern_table *t)
{
	t->ceiling.read = loop_read;
	t->ceiling.fma = (struct ceiling_loop){ loop_fmla, CHAINS * 4 };
	t->ceiling.int8 = (struct ceiling_loop){ loop_smlal, CHAINS * 8 };
}

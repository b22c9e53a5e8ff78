/* SPDX-License-Identifier: MIT */
/* The entries of the Arm levels, gathered from their files. */
#include "config.h"

#include "kernels/arm/arm.h"

void
neon_overlay(struct kern_table *t)
{
	neon_overlay_attend(t);
	neon_overlay_ceiling(t);
	neon_overlay_float(t);
	neon_overlay_panel(t);
	neon_overlay_panel_float(t);
	neon_overlay_quant(t);
	neon_overlay_vec(t);
	t->no_q16 = t->no_sm = true;
}

void
dotprod_overlay(struct kern_table *t)
{
	dotprod_overlay_ceiling(t);
	dotprod_overlay_panel(t);
}

void
i8mm_overlay(struct kern_table *t)
{
	i8mm_overlay_ceiling(t);
	i8mm_overlay_panel(t);
}

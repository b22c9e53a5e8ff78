/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_ARM_ARM_H
#define BM_KERNELS_ARM_ARM_H

/*
 * The AArch64 levels.  neon has everything, in what all such CPUs share;
 * dotprod and i8mm overlay the panels of quants, the one template panel_arm.h
 * compiled with their own products of bytes.  Nothing here may be called
 * before cpu_flags() said the level's flag.
 */

#include "kernels/kernels.h"

/* Overlay the entries a level has. */
void	 neon_overlay(struct kern_table *t);
void	 dotprod_overlay(struct kern_table *t);
void	 i8mm_overlay(struct kern_table *t);

void	 neon_overlay_attend(struct kern_table *t);
void	 neon_overlay_ceiling(struct kern_table *t);
void	 neon_overlay_float(struct kern_table *t);
void	 neon_overlay_panel(struct kern_table *t);
void	 neon_overlay_panel_float(struct kern_table *t);
void	 neon_overlay_quant(struct kern_table *t);
void	 neon_overlay_vec(struct kern_table *t);

void	 dotprod_overlay_ceiling(struct kern_table *t);
void	 dotprod_overlay_panel(struct kern_table *t);

void	 i8mm_overlay_ceiling(struct kern_table *t);
void	 i8mm_overlay_panel(struct kern_table *t);

#endif

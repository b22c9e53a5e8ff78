/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_AVX2_H
#define BM_KERNELS_X86_AVX2_H

/* The AVX2 level (with FMA and F16C).  Nothing here may be called before
 * cpu_flags() said CPU_AVX2. */

#include "kernels/kernels.h"

/* Overlay the entries this level has. */
void	 avx2_overlay(struct kern_table *t);

void	 avx2_overlay_attend(struct kern_table *t);
void	 avx2_overlay_ceiling(struct kern_table *t);
void	 avx2_overlay_float(struct kern_table *t);
void	 avx2_overlay_panel_float(struct kern_table *t);
void	 avx2_overlay_panel_iq4(struct kern_table *t);
void	 avx2_overlay_panel_q23k(struct kern_table *t);
void	 avx2_overlay_panel_q8(struct kern_table *t);
void	 avx2_overlay_panel_q8k(struct kern_table *t);
void	 avx2_overlay_q8(struct kern_table *t);
void	 avx2_overlay_q8k(struct kern_table *t);
void	 avx2_overlay_quant(struct kern_table *t);
void	 avx2_overlay_vec(struct kern_table *t);

#endif

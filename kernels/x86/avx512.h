/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_AVX512_H
#define BM_KERNELS_X86_AVX512_H

/* The AVX-512 level (F, BW, DQ, VL and VNNI).  Nothing here may be called
 * before cpu_flags() said CPU_AVX512. */

#include "kernels/kernels.h"

/* Overlay the entries this level has. */
void	 avx512_overlay(struct kern_table *t);

void	 avx512_overlay_attend(struct kern_table *t);
void	 avx512_overlay_ceiling(struct kern_table *t);
void	 avx512_overlay_panel_float(struct kern_table *t);
void	 avx512_overlay_panel_q8(struct kern_table *t);
void	 avx512_overlay_panel_q8k(struct kern_table *t);
void	 avx512_overlay_vec(struct kern_table *t);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_AVXVNNI_H
#define BM_KERNELS_X86_AVXVNNI_H

/* The AVX-VNNI level: AVX2 and products of bytes that sum to 32 bits.
 * Nothing here may be called before cpu_flags() said CPU_AVX_VNNI. */

#include "kernels/kernels.h"

/* Overlay the entries this level has. */
void	 avxvnni_overlay(struct kern_table *t);

void	 avxvnni_overlay_ceiling(struct kern_table *t);
void	 avxvnni_overlay_panel_q8(struct kern_table *t);
void	 avxvnni_overlay_panel_q8k(struct kern_table *t);

#endif

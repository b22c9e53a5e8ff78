/* SPDX-License-Identifier: MIT */
/* The entries of the AVX-512 level, gathered from its files. */
#include "config.h"

#include "kernels/x86/avx512.h"

void
avx512_overlay(struct kern_table *t)
{
	avx512_overlay_attend(t);
	avx512_overlay_ceiling(t);
	avx512_overlay_panel_float(t);
	avx512_overlay_panel_q8(t);
	avx512_overlay_panel_q8k(t);
	avx512_overlay_vec(t);
}

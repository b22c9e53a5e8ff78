/* SPDX-License-Identifier: MIT */
/* The entries of the AVX2 level, gathered from its files. */
#include "config.h"

#include "kernels/x86/avx2.h"

void
avx2_overlay(struct kern_table *t)
{
	avx2_overlay_attend(t);
	avx2_overlay_ceiling(t);
	avx2_overlay_float(t);
	avx2_overlay_panel_float(t);
	avx2_overlay_panel_iq4(t);
	avx2_overlay_panel_q23k(t);
	avx2_overlay_panel_q8(t);
	avx2_overlay_panel_q8k(t);
	avx2_overlay_q8(t);
	avx2_overlay_q8k(t);
	avx2_overlay_quant(t);
	avx2_overlay_vec(t);
}

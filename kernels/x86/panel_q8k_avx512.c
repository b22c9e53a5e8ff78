/* SPDX-License-Identifier: MIT */
/* Panels of types with blocks of 256 at the AVX-512 level. */
#include "config.h"

#include "kernels/x86/avx512.h"
#include "kernels/x86/rows_avx512.h"

#include "kernels/x86/panel_q8k_vnni.h"

void
avx512_overlay_panel_q8k(struct kern_table *t)
{
	overlay_panel_q8k(t);
}

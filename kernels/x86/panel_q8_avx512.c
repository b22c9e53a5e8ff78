/* SPDX-License-Identifier: MIT */
/* Panels of types with blocks of 32 at the AVX-512 level. */
#include "config.h"

#include "kernels/x86/avx512.h"
#include "kernels/x86/rows_avx512.h"

#include "kernels/x86/panel_q8_vnni.h"

void
avx512_overlay_panel_q8(struct kern_table *t)
{
	overlay_panel_q8(t);
}

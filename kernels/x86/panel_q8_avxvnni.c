/* SPDX-License-Identifier: MIT */
/* Panels of types with blocks of 32 at the AVX-VNNI level. */
#include "config.h"

#include "kernels/x86/avxvnni.h"
#include "kernels/x86/rows_avxvnni.h"

#include "kernels/x86/panel_q8_vnni.h"

void
avxvnni_overlay_panel_q8(struct kern_table *t)
{
	overlay_panel_q8(t);
}

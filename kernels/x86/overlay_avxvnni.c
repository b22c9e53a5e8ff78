/* SPDX-License-Identifier: MIT */
/* The entries of the AVX-VNNI level, gathered from its files. */
#include "config.h"

#include "kernels/x86/avxvnni.h"

void
avxvnni_overlay(struct kern_table *t)
{
	avxvnni_overlay_ceiling(t);
	avxvnni_overlay_panel_q8(t);
	avxvnni_overlay_panel_q8k(t);
}

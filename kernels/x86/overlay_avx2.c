/* SPDX-License-Identifier: MIT */
/* The entries of the AVX2 level, gathered from its files. */
#include "config.h"

#include "kernels/x86/avx2.h"

void
avx2_overlay(struct kern_table *t)
{
	avx2_overlay_float(t);
}

/* SPDX-License-Identifier: MIT */
/* Kernels over one row with vectors of 16 floats. */
#include "config.h"

#include "kernels/x86/avx512.h"

#include "kernels/x86/vf_avx512.h"

#include "kernels/vec_body.h"

void
avx512_overlay_vec(struct kern_table *t)
{
	overlay_vec(t);
}

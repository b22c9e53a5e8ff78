/* SPDX-License-Identifier: MIT */
/* Kernels over one row with vectors of 8 floats. */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/x86/vf_avx2.h"

#include "kernels/vec_body.h"

void
avx2_overlay_vec(struct kern_table *t)
{
	overlay_vec(t);
}

/* SPDX-License-Identifier: MIT */
/* Kernels over one row with vectors of 8 floats. */
#include "config.h"

#include "kernels/arm/arm.h"

#include "kernels/arm/vf_neon.h"

#include "kernels/vec_body.h"

void
neon_overlay_vec(struct kern_table *t)
{
	overlay_vec(t);
}

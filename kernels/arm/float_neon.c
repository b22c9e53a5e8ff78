/* SPDX-License-Identifier: MIT */
/* Products of float weights with vectors of 8 floats. */
#include "config.h"

#include "kernels/arm/arm.h"

#include "kernels/arm/vf_neon.h"

#include "kernels/float_body.h"

void
neon_overlay_float(struct kern_table *t)
{
	overlay_float(t);
}

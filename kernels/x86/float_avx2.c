/* SPDX-License-Identifier: MIT */
/* Products of float weights with vectors of 8 floats. */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/x86/vf_avx2.h"

#include "kernels/float_body.h"

void
avx2_overlay_float(struct kern_table *t)
{
	overlay_float(t);
}

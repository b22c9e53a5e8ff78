/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_VF_H
#define BM_KERNELS_VF_H

/*
 * Vectors of floats, by the same names at every level, so that a kernel which
 * is alike everywhere is written once, as a body (*_body.h) over them.  A
 * level's file includes its own header, x86/vf_*.h or arm/vf_*.h, and then
 * bodies.  That header has
 *
 *	vf		a vector of VF_LANES floats, 8 or 16
 *	VF_REGISTERS	how many there are
 *	VF_HERE		how functions are marked that are always inlined
 *	vf_set1 vf_load vf_store	of any alignment
 *	vf_load_f16 vf_load_bf16 vf_load_i8	that many, as floats
 *	vf_store_f16	rounded to half precision, half to even
 *	vf_neg vf_add vf_sub vf_mul vf_div
 *	vf_min(a, b) vf_max(a, b)	b when either is NaN
 *	vf_fma(a, b, c)	a b + c, rounded once
 *	vf_round	to whole numbers, half to even
 *	vf_times_exp2(a, n)	a 2^n, rounded once, of a in 1/2 .. 2 and whole
 *			n in -151 .. 129
 *	vf_any_equal	in the same lane
 *	vf_first	the first lane
 *	vf_total vf_largest	across the lanes, in a fixed order; vf_largest
 *			of numbers only
 *
 *	vd		VF_LANES / 2 doubles
 *	vd_load		that many floats
 *	vd_low vd_high	either half of a vf
 *	vd_zero vd_add vd_fma vd_total
 */

#include <stddef.h>
#include <string.h>

#ifndef VF_LANES
#error "include the level's vf_*.h first"
#endif

/* The first n < VF_LANES, zeros behind. */
VF_HERE vf
vf_load_n(const float *p, size_t n)
{
	float part[VF_LANES] = { 0 };

	memcpy(part, p, n * sizeof(*p));
	return vf_load(part);
}

VF_HERE void
vf_store_n(float *p, vf v, size_t n)
{
	float part[VF_LANES];

	vf_store(part, v);
	memcpy(p, part, n * sizeof(*p));
}

#endif

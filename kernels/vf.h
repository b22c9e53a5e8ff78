/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_VF_H
#define BM_KERNELS_VF_H

/*
 * Vectors of floats, by the same names at every level, so that a kernel which
 * is alike everywhere is written once, as a body (*_body.h) over them.  A
 * level's file includes its own header, x86/vf_*.h or arm/vf_*.h, and then
 * bodies.  That header has
 *
 *	vf		a vector of VF_LANES floats; 16 is a multiple
 *	VF_REGISTERS	how many there are
 *	VF_HERE		how functions are marked that are always inlined
 *	vf_set1 vf_load vf_store	of any alignment
 *	vf_mul
 *	vf_max(a, b)	b when either is NaN
 *	vf_fma(a, b, c)	a b + c, rounded once
 *	vf_first	the first lane
 *	vf_largest	across the lanes
 *	vf_load_f16 vf_load_i8	that many halves or bytes, as floats
 */

#ifndef VF_LANES
#error "include the level's vf_*.h first"
#endif

#endif

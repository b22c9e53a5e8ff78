/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_CPU_H
#define BM_KERNELS_CPU_H

/* What the CPU can do and the system lets it do. */

enum cpu_flag {
	/* each with its registers saved by the system */
	CPU_AVX2 = 1 << 0,	/* AVX2, FMA and F16C */
	CPU_AVX_VNNI = 1 << 1,	/* byte products of 256 bits, as VEX has them */
	CPU_AVX512 = 1 << 2,	/* AVX-512 F, BW, DQ and VL with VNNI */
	CPU_NEON = 1 << 3,	/* the vectors every AArch64 system has */
	CPU_DOTPROD = 1 << 4,	/* sums of four products of bytes */
	CPU_I8MM = 1 << 5	/* products of small matrices of bytes */
};

/* An or of enum cpu_flag. */
unsigned	 cpu_flags(void);

#endif

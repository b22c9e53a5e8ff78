/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_CPU_H
#define BM_KERNELS_CPU_H

/* What the CPU can do and the system lets it do. */

enum cpu_flag {
	CPU_AVX2 = 1 << 0	/* AVX2, FMA and F16C, with their registers
				   saved by the system */
};

/* An or of enum cpu_flag. */
unsigned	 cpu_flags(void);

#endif

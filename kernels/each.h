/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_EACH_H
#define BM_KERNELS_EACH_H

/*
 * DO(0) and, as far as n goes, DO(1) to DO(3) or to DO(7).  The numbers are
 * literals, so that DO can paste them into names of variables, which then live
 * in registers; n is a constant where the caller is inlined for it.
 */
#define EACH_OF_4(n, DO) do {						\
	DO(0);								\
	if ((n) > 1)							\
		DO(1);							\
	if ((n) > 2)							\
		DO(2);							\
	if ((n) > 3)							\
		DO(3);							\
} while (0)

#define EACH_OF_8(n, DO) do {						\
	EACH_OF_4(n, DO);						\
	if ((n) > 4)							\
		DO(4);							\
	if ((n) > 5)							\
		DO(5);							\
	if ((n) > 6)							\
		DO(6);							\
	if ((n) > 7)							\
		DO(7);							\
} while (0)

#endif

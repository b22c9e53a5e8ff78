/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_PANEL_VNNI_H
#define BM_KERNELS_X86_PANEL_VNNI_H

/*
 * What the panel templates for levels with products of bytes share; a rows_*.h
 * comes first.  The instruction multiplies four unsigned bytes of weights with
 * four signed ones of activations and adds to 32 bits, so nothing overflows
 * and integer sums need no care at all.
 */

#define TILE_COLS ROWS_TILE_COLS

#include "kernels/x86/panel_avx2.h"

/*
 * DO(i, at) for the n columns of a tile, n being a constant; `at` is where the
 * i-th is when the first is at base.  Written so that three pointers, the
 * stride and its triple address them all.
 */
#define COLUMNS(DO, base, stride) do {					\
	DO(0, (base));							\
	if (n > 1)							\
		DO(1, (base) + (stride));				\
	if (n > 2)							\
		DO(2, (base) + 2 * (stride));				\
	if (n > 3)							\
		DO(3, (base) + 3 * (stride));				\
	if (n > 4)							\
		DO(4, (base) + 4 * (stride));				\
	if (n > 5)							\
		DO(5, (base) + 5 * (stride));				\
	if (n > 6)							\
		DO(6, (base) + 6 * (stride));				\
	if (n > 7)							\
		DO(7, (base) + 7 * (stride));				\
	if (n > 8)							\
		DO(8, (base) + 8 * (stride));				\
	if (n > 9)							\
		DO(9, (base) + 9 * (stride));				\
	if (n > 10)							\
		DO(10, (base) + 10 * (stride));				\
	if (n > 11)							\
		DO(11, (base) + 11 * (stride));				\
} while (0)

/* A variable of each column. */
#define EACH_COLUMN(x) \
	x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8, x##9, x##10, \
	x##11

/* Nibbles of a quad: the low ones to `low`, the high ones to `high`. */
ALWAYS_INLINE void
rows_split(const uint8_t *p, uint8_t *low, uint8_t *high)
{
	const rows_i mask = rows_set_bytes(15);
	rows_i v = rows_load(p);

	rows_store(low, rows_and(v, mask));
	rows_store(high, rows_and(rows_shift_right(v, 4), mask));
}

#endif

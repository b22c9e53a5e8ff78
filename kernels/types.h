/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_TYPES_H
#define BM_KERNELS_TYPES_H

/* The tensor types of types.def and their sizes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the other operand of a product is made of: floats, or the act_q8,
 * act_q8k... of kernels.h. */
enum act_form { ACT_F32, ACT_Q8, ACT_Q8K, ACT_Q16, ACT_SM8, ACT_SM8K };
#define ACT_LIMIT	(ACT_SM8K + 1)

enum tensor_type {
#define T(sym, id, name, n, bytes, act) sym = id,
#include "kernels/types.def"
#undef T
	TYPE_LIMIT = 64		/* every id is below this */
};

struct type_info {
	const char	*name;		/* "Q4_K" */
	uint32_t	 block_n;	/* elements in a block */
	uint32_t	 block_bytes;
	enum act_form	 act;
};

/* NULL for a type that can't be computed with. */
const struct type_info	*type_info(uint32_t id);
/* By name, any case ("q4_k"); -1 when there is none. */
int			 type_parse(const char *name);
/* Bytes of a row of n elements; n must be a multiple of block_n. */
size_t			 type_row_bytes(enum tensor_type t, size_t n);

#endif

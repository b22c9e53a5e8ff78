/* SPDX-License-Identifier: MIT */
/*
 * The table of tensor types.  Everything about a type's size comes from
 * types.def; an id without a line there is a type that can't be computed with.
 */
#include "config.h"

#include "kernels/types.h"

#include <strings.h>

static const struct type_info types[TYPE_LIMIT] = {
#define T(sym, id, name, n, bytes, act) [sym] = { name, n, bytes, act },
#include "kernels/types.def"
#undef T
};

const struct type_info *
type_info(uint32_t id)
{
	if (id >= TYPE_LIMIT || types[id].name == NULL)
		return NULL;
	return &types[id];
}

int
type_parse(const char *name)
{
	int id;

	for (id = 0; id < TYPE_LIMIT; id++)
		if (types[id].name != NULL &&
		    strcasecmp(types[id].name, name) == 0)
			return id;
	return -1;
}

size_t
type_row_bytes(enum tensor_type t, size_t n)
{
	return n / types[t].block_n * types[t].block_bytes;
}

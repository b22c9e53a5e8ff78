/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_WEIGHTS_PACK_H
#define BM_MODEL_WEIGHTS_PACK_H

/*
 * The packed forms (kernels/pack.h) of all matrices that have one, laid out
 * one behind the other, always in the same order: the same model gives the
 * same bytes, and any range of them can be made by itself, by any thread.
 */

#include <stddef.h>

#include "model/gguf.h"
#include "model/weights.h"

struct packed_matrix {
	struct matrix	*m;
	size_t		 at;		/* from the begin of the layout */
	size_t		 n_bytes;
};

struct weights_layout {
	struct packed_matrix *v;	/* by `at` */
	size_t		 n;
	size_t		 n_bytes;	/* of the whole */
};

/* Of the weights, which must live as long. */
void	 weights_layout_init(struct weights_layout *l, struct weights *w);
void	 weights_layout_fini(struct weights_layout *l);
/* Bytes [at, at + n) of the layout; the pages of the file that were read for
 * them are given back to the system. */
void	 weights_pack(const struct weights_layout *l, const struct gguf *g,
	    size_t at, size_t n, void *to);
/* From now on products use the layout, which lies at `packed`, aligned to
 * PACK_ALIGN; of the tensors only token_embd's own bytes are still needed, the
 * others' are given back. */
void	 weights_use(const struct weights_layout *l, const struct gguf *g,
	    const void *packed);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_LLAMA_IMPL_H
#define BM_MODEL_LLAMA_IMPL_H

/*
 * What llama_run.c, which has the rows of a forward pass, and llama.c, which
 * computes them, share; nobody else includes this.
 */

#include "kernels/matmul.h"
#include "model/attend.h"
#include "model/experts.h"
#include "model/model.h"
#include "model/rows.h"

/* What a row of the batch needs in every layer. */
struct row {
	uint32_t	 token;
	uint32_t	 pos;
	struct kv_seq	*seq;
	bool		 wants_output;
};

struct model_run {
	const struct model *m;
	struct pool	*pool;
	struct attend	*attend;
	size_t		 max_rows;

	/* Rows of an earlier batch that go on before this layer; only their x
	 * is kept, behind the first so many. */
	size_t		 first_off, n_off;
	uint32_t	 layer_off;

	struct row	*rows;
	struct rows	 x;		/* the residual stream */
	struct rows	 h;		/* normalised x */
	struct rows	 y;		/* what a block adds to x */
	struct rows	 q, k, v;
	struct rows	 attended;
	struct rows	 gate, up;
	struct act_rows	 act;		/* what the next products read */
	struct experts_run experts;
	uint64_t	 n_bytes;
};

/* The rows of a batch come first; those put off are right behind them. */
void	 model_run_take(struct model_run *r, const struct batch *b);
/* Rows n .. n + n_off - 1 will go on before that layer: until then their
 * sequences do not hold them. */
void	 model_run_put_off(struct model_run *r, size_t n, size_t n_off,
	    uint32_t layer);
/* Those put off, behind the n others, go on now; how many there are then. */
size_t	 model_run_join(struct model_run *r, size_t n);
/* Of n rows only those remain whose output is wanted, with their x and q; how
 * many these are. */
size_t	 model_run_compact(struct model_run *r, size_t n);

#endif

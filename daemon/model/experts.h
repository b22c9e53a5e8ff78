/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_EXPERTS_H
#define BM_MODEL_EXPERTS_H

/*
 * The feed-forward part of a mixture of experts: each row goes to the few
 * experts its router ranks highest.  Rows are grouped by expert, so that an
 * expert's weights are read once for all its rows; a row's sum is taken in the
 * order of the experts' numbers, which no other row can change.
 */

#include "kernels/matmul.h"
#include "kernels/pool.h"
#include "model/hparams.h"
#include "model/rows.h"
#include "model/weights.h"

/* A row of the batch and what its expert's result counts. */
struct expert_row {
	uint32_t	 row;
	float		 weight;
};

struct experts_run {
	float		*probs;		/* n_expert a row */
	uint32_t	*chosen;	/* n_expert_used a row */
	float		*chosen_weight;
	struct expert_row *by_expert;
	size_t		*first;		/* in by_expert; n_expert + 1 */
	struct rows	 in, out;	/* of one expert */
};

/* Adds what it allocates to *n_bytes; BM_ENOMEM, then experts_run_fini. */
int	 experts_run_init(struct experts_run *e, const struct hparams *h,
	    size_t max_rows, uint64_t *n_bytes) BM_MUST_CHECK;
void	 experts_run_fini(struct experts_run *e);
/* y[row] = the sum of its experts' results.  a is x as the router wants it and
 * brings the scratch for others; gate and up are scratch of n_ff a row. */
void	 experts_forward(struct experts_run *e, struct pool *pool,
	    const struct layer *l, const struct hparams *h,
	    struct act_rows *a, const struct rows *x, size_t n_rows,
	    struct rows *gate, struct rows *up, struct rows *y);

#endif

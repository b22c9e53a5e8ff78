/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_ATTEND_H
#define BM_MODEL_ATTEND_H

/*
 * Attention of a batch of rows over the KV cache: rotary embedding, storing
 * keys and values, and what each row takes from the positions up to its own.
 * A row is a place in the batch; q, k and v are its heads one after another.
 *
 * Keys and values of all rows are stored before any row attends, so rows of
 * one sequence may come in one batch or in many.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kernels/pool.h"
#include "model/hparams.h"
#include "model/kv.h"
#include "model/rope.h"
#include "model/rows.h"

struct attend;			/* scratch for batches of up to max_rows */

/* Adds what it allocates to *n_bytes.  h, rope, pool and kv must outlive it. */
int	 attend_new(const struct hparams *h, const struct rope *rope,
	    struct pool *pool, struct kv_pool *kv, size_t max_rows,
	    struct attend **out, uint64_t *n_bytes) BM_MUST_CHECK;
void	 attend_free(struct attend **a);

/* Row i is position pos of seq; once a batch, before the first layer.  Rows
 * may be set by several threads at once. */
void	 attend_set_row(struct attend *a, size_t i, const struct kv_seq *seq,
	    uint32_t pos);
/* From now on row `to` attends as row `from` did; it won't be put again, and
 * there are fewer rows. */
void	 attend_move_row(struct attend *a, size_t from, size_t to);
/* Turn a row's q and k by its position, in place, and store k and v.  Rows
 * may be put by several threads at once. */
void	 attend_put_row(struct attend *a, uint32_t layer, size_t i, float *q,
	    float *k, const float *v);
/* out[row] of rows 0 .. n_rows - 1, over the pool; the layers in order. */
void	 attend_rows(struct attend *a, uint32_t layer, size_t n_rows,
	    const struct rows *q, struct rows *out);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * An item of work is a row and a key head, with the query heads that share it;
 * no other item touches what it writes.
 */
#include "config.h"

#include "model/attend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/kernels.h"

/* Below so many values a dispatch to the pool costs more than the work. */
#define SMALL_VALUES	4096

struct row {
	const struct kv_seq *seq;
	uint32_t	 pos;
};

struct attend {
	const struct hparams *h;
	const struct rope *rope;
	struct pool	*pool;
	struct kv_pool	*kv;
	size_t		 max_pos;	/* a sequence can't have more */
	struct row	*rows;
	float		*cos_sin;	/* n_rot a row */
	float		*scores;	/* max_pos a thread */
};

/* The work of one dispatch. */
struct pass {
	struct attend	*a;
	uint32_t	 layer;
	const struct rows *q;
	struct rows	*out;
};

static void *
scratch(size_t n, size_t each, uint64_t *n_bytes)
{
	*n_bytes += (uint64_t)n * each;
	return try_calloc(n, each);
}

int
attend_new(const struct hparams *h, const struct rope *rope, struct pool *pool,
    struct kv_pool *kv, size_t max_rows, struct attend **out,
    uint64_t *n_bytes)
{
	struct attend *a = xcalloc(1, sizeof(*a));
	size_t n_angles;

	a->h = h;
	a->rope = rope;
	a->pool = pool;
	a->kv = kv;
	a->max_pos = kv_pool_n_pages(kv) * KV_PAGE;
	if (size_mul(max_rows, h->rope.n_rot, &n_angles))
		a->cos_sin = scratch(n_angles + 1, sizeof(float), n_bytes);
	a->rows = scratch(max_rows, sizeof(*a->rows), n_bytes);
	/* By far the most when a file names a vast context, and hardly ever
	 * used to the end; calloc leaves what is not used untouched. */
	a->scores = scratch((size_t)pool_n_threads(pool) * a->max_pos,
	    sizeof(float), n_bytes);
	*out = a;
	if (a->cos_sin == NULL || a->rows == NULL || a->scores == NULL) {
		attend_free(out);
		return BM_ENOMEM;
	}
	return 0;
}

void
attend_free(struct attend **ap)
{
	struct attend *a = *ap;

	if (a == NULL)
		return;
	*ap = NULL;
	free(a->rows);
	free(a->cos_sin);
	free(a->scores);
	free(a);
}

void
attend_set_row(struct attend *a, size_t i, const struct kv_seq *seq,
    uint32_t pos)
{
	a->rows[i] = (struct row){ seq, pos };
	rope_angles(a->rope, pos, a->cos_sin + i * a->h->rope.n_rot);
}

void
attend_move_row(struct attend *a, size_t from, size_t to)
{
	a->rows[to] = a->rows[from];
}

/* Put a row's key and value where its sequence keeps that position. */
static void
store_kv(struct attend *a, uint32_t layer, const struct row *row,
    const float *k, const float *v)
{
	size_t dim = a->h->head_dim;
	uint32_t page = row->seq->pages[row->pos / KV_PAGE];
	size_t at = (size_t)(row->pos % KV_PAGE) * dim;

	for (uint32_t i = 0; i < a->h->n_head_kv; i++, k += dim, v += dim) {
		kern->f32_to_f16(k, kv_keys(a->kv, page, layer, i) + at, dim);
		kern->f32_to_f16(v, kv_values(a->kv, page, layer, i) + at,
		    dim);
	}
}

void
attend_put_row(struct attend *a, uint32_t layer, size_t i, float *q, float *k,
    const float *v)
{
	const struct hparams *h = a->h;
	const float *cos_sin = a->cos_sin + i * h->rope.n_rot;

	rope_rotate(a->rope, cos_sin, q, h->n_head, h->head_dim);
	rope_rotate(a->rope, cos_sin, k, h->n_head_kv, h->head_dim);
	store_kv(a, layer, &a->rows[i], k, v);
}

/* One query head over n positions; scores is scratch for as many. */
static void
attend_head(struct pass *p, const struct row *row, uint32_t head_kv,
    const float *q, float *scores, float *out)
{
	const struct kv_pool *kv = p->a->kv;
	size_t dim = p->a->h->head_dim, n = (size_t)row->pos + 1;
	float scale = 1.0f / sqrtf((float)dim);

	for (size_t i = 0; i < n; i += KV_PAGE) {
		const uint16_t *k = kv_keys(kv, row->seq->pages[i / KV_PAGE],
		    p->layer, head_kv);
		size_t end = MEM_MIN(n, i + KV_PAGE);

		for (size_t j = i; j < end; j++, k += dim)
			scores[j] = kern->dot_f16(k, q, dim) * scale;
	}
	kern->softmax(scores, n);
	memset(out, 0, dim * sizeof(*out));
	for (size_t i = 0; i < n; i += KV_PAGE) {
		const uint16_t *v = kv_values(kv, row->seq->pages[i / KV_PAGE],
		    p->layer, head_kv);
		size_t end = MEM_MIN(n, i + KV_PAGE);

		for (size_t j = i; j < end; j++, v += dim)
			kern->axpy_f16(scores[j], v, out, dim);
	}
}

/* The query heads of one row that share a key head. */
static void
attend_item(void *arg, size_t i, int thread)
{
	struct pass *p = arg;
	const struct hparams *h = p->a->h;
	size_t n_row = i / h->n_head_kv, share = h->n_head / h->n_head_kv;
	uint32_t head_kv = (uint32_t)(i % h->n_head_kv);
	size_t at = head_kv * share * h->head_dim;
	float *scores = p->a->scores + (size_t)thread * p->a->max_pos;

	for (size_t j = 0; j < share; j++, at += h->head_dim)
		attend_head(p, &p->a->rows[n_row], head_kv,
		    row_at(p->q, n_row) + at, scores,
		    row_at(p->out, n_row) + at);
}

void
attend_rows(struct attend *a, uint32_t layer, size_t n_rows,
    const struct rows *q, struct rows *out)
{
	struct pass p = { a, layer, q, out };
	size_t n_items = n_rows * a->h->n_head_kv;
	size_t n_pos = (size_t)a->rows[n_rows - 1].pos + 1;

	if (n_items * a->h->head_dim * n_pos >= SMALL_VALUES) {
		pool_run(a->pool, n_items, attend_item, &p);
		return;
	}
	for (size_t i = 0; i < n_items; i++)
		attend_item(&p, i, 0);
}

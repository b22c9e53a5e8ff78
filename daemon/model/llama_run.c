/* SPDX-License-Identifier: MIT */
/*
 * The scratch of a forward pass and which rows it holds: those of the batch,
 * and behind them those that an earlier batch has put off.
 */
#include "config.h"

#include "model/llama_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/model_impl.h"

/* ---- scratch ---- */

static bool
alloc_forms(struct model_run *r)
{
	const struct hparams *h = &r->m->h;
	size_t n = MEM_MAX(MEM_MAX(h->n_embd, h->n_ff), r->q.n);

	for (enum act_form f = ACT_F32 + 1; f < ACT_LIMIT; f++)
		if ((r->act.form[f] = scratch_new(r->max_rows,
		    act_row_bytes(f, n), &r->n_bytes)) == NULL)
			return false;
	return true;
}

static bool
alloc_scratch(struct model_run *r)
{
	const struct hparams *h = &r->m->h;
	size_t n = r->max_rows;
	uint64_t *bytes = &r->n_bytes;

	return (r->rows = scratch_new(n, sizeof(*r->rows), bytes)) != NULL &&
	    rows_new(&r->x, n, h->n_embd, bytes) &&
	    rows_new(&r->h, n, h->n_embd, bytes) &&
	    rows_new(&r->y, n, h->n_embd, bytes) &&
	    rows_new(&r->q, n, (size_t)h->n_head * h->head_dim, bytes) &&
	    rows_new(&r->k, n, (size_t)h->n_head_kv * h->head_dim, bytes) &&
	    rows_new(&r->v, n, r->k.n, bytes) &&
	    rows_new(&r->attended, n, r->q.n, bytes) &&
	    rows_new(&r->gate, n, h->n_ff, bytes) &&
	    rows_new(&r->up, n, h->n_ff, bytes) &&
	    alloc_forms(r) &&
	    (h->n_expert == 0 || experts_run_init(&r->experts, h, n,
	    bytes) == 0);
}

int
model_run_new(const struct model *m, struct pool *pool, struct kv_pool *kv,
    size_t max_rows, struct model_run **out, struct cause *cause)
{
	struct model_run *r = xcalloc(1, sizeof(*r));

	r->m = m;
	r->pool = pool;
	r->max_rows = max_rows;
	if (!alloc_scratch(r) || attend_new(&m->h, &m->rope, pool, kv, max_rows,
	    &r->attend, &r->n_bytes) != 0) {
		model_run_free(&r);
		return cause_set(cause, BM_ENOMEM,
		    "no memory for batches of %zu rows", max_rows);
	}
	*out = r;
	return 0;
}

void
model_run_free(struct model_run **rp)
{
	struct model_run *r = *rp;

	if (r == NULL)
		return;
	*rp = NULL;
	free(r->rows);
	free(r->x.p);
	free(r->h.p);
	free(r->y.p);
	free(r->q.p);
	free(r->k.p);
	free(r->v.p);
	free(r->attended.p);
	free(r->gate.p);
	free(r->up.p);
	for (size_t i = 0; i < ACT_LIMIT; i++)
		free(r->act.form[i]);
	attend_free(&r->attend);
	experts_run_fini(&r->experts);
	free(r);
}

uint64_t
model_run_bytes(const struct model_run *r)
{
	return r->n_bytes;
}

/* ---- rows ---- */

static void
move_off(struct model_run *r, size_t from, size_t to, size_t n)
{
	memmove(&r->rows[to], &r->rows[from], n * sizeof(*r->rows));
	memmove(row_at(&r->x, to), row_at(&r->x, from),
	    n * r->x.stride * sizeof(float));
}

void
model_run_take(struct model_run *r, const struct batch *b)
{
	assert(b->n + r->n_off <= r->max_rows);
	move_off(r, r->first_off, b->n, r->n_off);
	r->first_off = b->n;
	for (size_t i = 0; i < b->n; i++) {
		const struct batch_row *row = &b->rows[i];

		assert(row->token < r->m->h.n_vocab);
		assert(row->pos == row->seq->n_tokens);
		assert(row->pos / KV_PAGE < row->seq->n_pages);
		row->seq->n_tokens++;
		r->rows[i] = (struct row){ row->token, row->pos, row->seq,
		    row->wants_output };
	}
}

void
model_run_put_off(struct model_run *r, size_t n, size_t n_off, uint32_t layer)
{
	r->first_off = n;
	r->n_off = n_off;
	r->layer_off = layer;
	for (size_t i = n; i < n + n_off; i++)
		r->rows[i].seq->n_tokens--;
}

size_t
model_run_join(struct model_run *r, size_t n)
{
	for (; r->n_off > 0; r->n_off--) {
		const struct row *row = &r->rows[n];

		attend_set_row(r->attend, n++, row->seq, row->pos);
		row->seq->n_tokens++;
	}
	return n;
}

uint32_t
model_put_off(const struct model_run *r)
{
	return r->n_off > 0 ? r->layer_off : 0;
}

void
model_drop(struct model_run *r, const struct kv_seq *seq)
{
	size_t end = r->first_off + r->n_off;

	for (size_t i = r->first_off; i < end;) {
		if (r->rows[i].seq != seq) {
			i++;
			continue;
		}
		move_off(r, i + 1, i, --end - i);
		r->n_off--;
	}
}

size_t
model_run_compact(struct model_run *r, size_t n)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		if (!r->rows[i].wants_output)
			continue;
		if (to != i) {
			attend_move_row(r->attend, i, to);
			memcpy(row_at(&r->x, to), row_at(&r->x, i),
			    r->x.n * sizeof(float));
			memcpy(row_at(&r->q, to), row_at(&r->q, i),
			    r->q.n * sizeof(float));
		}
		to++;
	}
	return to;
}

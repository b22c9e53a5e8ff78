/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/experts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/kernels.h"

/* n_rows * n elements, or NULL. */
static void *
alloc_rows(size_t n_rows, size_t n, size_t element_bytes, uint64_t *n_bytes)
{
	size_t count;
	void *p;

	if (!size_mul(n_rows, n, &count) ||
	    (p = try_calloc(count, element_bytes)) == NULL)
		return NULL;
	*n_bytes += count * element_bytes;
	return p;
}

int
experts_run_init(struct experts_run *e, const struct hparams *h,
    size_t max_rows, uint64_t *n_bytes)
{
	size_t n_used = h->n_expert_used;

	e->probs = alloc_rows(max_rows, h->n_expert, sizeof(float), n_bytes);
	e->chosen = alloc_rows(max_rows, n_used, sizeof(uint32_t), n_bytes);
	e->chosen_weight = alloc_rows(max_rows, n_used, sizeof(float),
	    n_bytes);
	e->by_expert = alloc_rows(max_rows, n_used, sizeof(*e->by_expert),
	    n_bytes);
	e->first = alloc_rows(1, (size_t)h->n_expert + 1, sizeof(size_t),
	    n_bytes);
	if (e->probs == NULL || e->chosen == NULL ||
	    e->chosen_weight == NULL || e->by_expert == NULL ||
	    e->first == NULL ||
	    !rows_new(&e->in, max_rows, h->n_embd, n_bytes) ||
	    !rows_new(&e->out, max_rows, h->n_embd, n_bytes))
		return BM_ENOMEM;
	return 0;
}

void
experts_run_fini(struct experts_run *e)
{
	free(e->probs);
	free(e->chosen);
	free(e->chosen_weight);
	free(e->by_expert);
	free(e->first);
	free(e->in.p);
	free(e->out.p);
	memset(e, 0, sizeof(*e));
}

static bool
is_chosen(const uint32_t *chosen, size_t n, uint32_t expert)
{
	for (size_t i = 0; i < n; i++)
		if (chosen[i] == expert)
			return true;
	return false;
}

/*
 * The n_used most probable experts, the lowest number on ties, and their
 * probabilities scaled to the sum 1.  Always gives different experts, even
 * when the probabilities are NaN.
 */
static void
choose(const struct hparams *h, const float *probs, uint32_t *chosen,
    float *weight)
{
	float sum = 0;

	for (uint32_t i = 0; i < h->n_expert_used; i++) {
		uint32_t best = UINT32_MAX;

		for (uint32_t j = 0; j < h->n_expert; j++)
			if (!is_chosen(chosen, i, j) &&
			    (best == UINT32_MAX || probs[j] > probs[best]))
				best = j;
		chosen[i] = best;
		weight[i] = probs[best];
		sum += weight[i];
	}
	for (uint32_t i = 0; i < h->n_expert_used; i++)
		weight[i] = weight[i] / sum * h->expert_scale;
}

/* Counting sort of all (row, choice) by expert; rows stay in order. */
static void
group(struct experts_run *e, const struct hparams *h, size_t n_rows)
{
	size_t n = n_rows * h->n_expert_used, at = 0;

	memset(e->first, 0, ((size_t)h->n_expert + 1) * sizeof(*e->first));
	for (size_t i = 0; i < n; i++)
		e->first[e->chosen[i]]++;
	for (uint32_t j = 0; j <= h->n_expert; j++) {
		size_t count = e->first[j];

		e->first[j] = at;
		at += count;
	}
	for (size_t i = 0; i < n; i++)
		e->by_expert[e->first[e->chosen[i]]++] = (struct expert_row){
		    (uint32_t)(i / h->n_expert_used), e->chosen_weight[i] };
	/* Each has moved on to the begin of the next. */
	memmove(e->first + 1, e->first, h->n_expert * sizeof(*e->first));
	e->first[0] = 0;
}

/* One expert with its rows. */
struct part {
	struct experts_run *e;
	const struct act_rows *a;
	unsigned	 forms;
	const struct rows *x;
	const struct expert_row *rows;
	size_t		 n_rows;
	struct rows	*gate, *up, *y;
};

/* The expert's row i next to its others, as its products want it. */
static void
gather_item(void *arg, size_t i, int thread)
{
	struct part *p = arg;

	memcpy(row_at(&p->e->in, i), row_at(p->x, p->rows[i].row),
	    p->x->n * sizeof(float));
	act_rows_convert(p->a, p->forms, i);
}

static void
gate_outputs(void *arg, size_t first, size_t n)
{
	struct part *p = arg;

	for (size_t i = 0; i < p->n_rows; i++) {
		float *gate = row_at(p->gate, i) + first;

		kern->silu_mul(gate, row_at(p->up, i) + first, gate, n);
	}
}

static void
add_outputs(void *arg, size_t first, size_t n)
{
	struct part *p = arg;

	for (size_t i = 0; i < p->n_rows; i++) {
		const float *from = row_at(&p->e->out, i) + first;
		float *to = row_at(p->y, p->rows[i].row) + first;
		float weight = p->rows[i].weight;

		for (size_t j = 0; j < n; j++)
			to[j] += weight * from[j];
	}
}

/* One expert on its rows, added to theirs of y. */
static void
run_expert(struct part *part, struct pool *pool, const struct feed_forward *f,
    struct act_rows *a)
{
	struct rows *gate = part->gate, *up = part->up, *in = &part->e->in;
	const struct product p[] = {
		{ &f->gate, gate->p, gate->stride },
		{ &f->up, up->p, up->stride }
	};
	const struct product down = { &f->down, part->e->out.p,
	    part->e->out.stride };

	part->a = a;
	part->forms = matmul_forms(p, N_ELEMENTS(p), part->n_rows);
	act_rows_set(a, in->p, part->n_rows, in->n, in->stride);
	pool_run(pool, part->n_rows, gather_item, part);
	a->have = part->forms;
	matmul_then(pool, p, N_ELEMENTS(p), a, gate_outputs, part);
	act_rows_set(a, gate->p, part->n_rows, gate->n, gate->stride);
	matmul_then(pool, &down, 1, a, add_outputs, part);
}

void
experts_forward(struct experts_run *e, struct pool *pool,
    const struct layer *l, const struct hparams *h, struct act_rows *a,
    const struct rows *x, size_t n_rows, struct rows *gate, struct rows *up,
    struct rows *y)
{
	struct part part = { .e = e, .x = x, .gate = gate, .up = up, .y = y };

	matmul(pool, &l->router, a, e->probs, h->n_expert);
	for (size_t i = 0; i < n_rows; i++) {
		float *probs = e->probs + i * h->n_expert;

		kern->softmax(probs, h->n_expert);
		choose(h, probs, e->chosen + i * h->n_expert_used,
		    e->chosen_weight + i * h->n_expert_used);
		memset(row_at(y, i), 0, y->n * sizeof(*y->p));
	}
	group(e, h, n_rows);
	for (uint32_t j = 0; j < h->n_expert; j++) {
		part.rows = e->by_expert + e->first[j];
		part.n_rows = e->first[j + 1] - e->first[j];
		if (part.n_rows > 0)
			run_expert(&part, pool, &l->experts[j], a);
	}
}

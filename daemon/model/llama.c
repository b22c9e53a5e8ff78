/* SPDX-License-Identifier: MIT */
/*
 * The forward pass of architecture llama: dense and mixture of experts.
 *
 *	x = token_embd[token]
 *	each layer:  x += o(attention(rope(q h), rope(k h), v h)),  h = norm(x)
 *	             x += down(silu(gate h) * up h),                h = norm(x)
 *	logits = output(norm(x))
 *
 * What must stay true: every value of a row is computed by the same operations
 * in the same order whatever other rows the batch has and however many threads
 * there are.  Matrix products promise that (kernels/matmul.h); everything else
 * here is an item of work per row that no other item touches, and attention
 * keeps it too (model/attend.h).
 */
#include "config.h"

#include "model/llama_impl.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/kernels.h"
#include "model/model_impl.h"

/* Below so many values a dispatch to the pool costs more than the work. */
#define SMALL_VALUES	4096

/* The work of one dispatch. */
struct step {
	struct model_run *r;
	size_t		 n_rows;
	const struct model_haste *haste;
	const struct layer *layer;
	uint32_t	 layer_index;
	const float	*bias;		/* of what is added to x, or NULL */
	const float	*norm;		/* weights of the next norm */
	unsigned	 forms;		/* what h is converted to */
};

/* ---- work by rows ---- */

/* fn for every row, over the pool when there is enough to do. */
static void
for_items(struct step *s, size_t values_each, pool_fn fn)
{
	if (s->n_rows > 1 && s->n_rows * values_each >= SMALL_VALUES) {
		pool_run(s->r->pool, s->n_rows, fn, s);
		return;
	}
	for (size_t i = 0; i < s->n_rows; i++)
		fn(s, i, 0);
}

/* h = norm(x), converted to what the next products want. */
static void
norm_row(struct step *s, size_t i)
{
	struct model_run *r = s->r;

	kern->rms_norm(row_at(&r->x, i), s->norm, row_at(&r->h, i), r->h.n,
	    r->m->h.norm_eps);
	act_rows_convert(&r->act, s->forms, i);
}

static void
norm_item(void *arg, size_t i, int thread)
{
	norm_row(arg, i);
}

static void
embed_item(void *arg, size_t i, int thread)
{
	struct step *s = arg;
	struct model_run *r = s->r;
	const struct matrix *e = &r->m->w.token_embd;
	const struct row *row = &r->rows[i];

	kern->unpack[e->type]((const uint8_t *)e->data +
	    row->token * e->row_bytes, row_at(&r->x, i), r->x.n);
	attend_set_row(r->attend, i, row->seq, row->pos);
	norm_row(s, i);
}

/* fn, which ends in norm_row, for every row; h will go into the products. */
static void
norm_rows(struct step *s, pool_fn fn, const float *norm,
    const struct product *next, size_t n_next)
{
	struct model_run *r = s->r;

	s->norm = norm;
	s->forms = matmul_forms(next, n_next, s->n_rows);
	act_rows_set(&r->act, r->h.p, s->n_rows, r->h.n, r->h.stride);
	for_items(s, r->h.n, fn);
	r->act.have = s->forms;
}

/* x += y + bias, for some outputs of the product that made y. */
static void
add_outputs(void *arg, size_t first, size_t n)
{
	struct step *s = arg;
	struct model_run *r = s->r;

	for (size_t i = 0; i < s->n_rows; i++) {
		float *y = row_at(&r->y, i) + first;

		if (s->bias != NULL)
			kern->add(s->bias + first, y, n);
		kern->add(y, row_at(&r->x, i) + first, n);
	}
}

/* x += w in + bias */
static void
project_residual(struct step *s, const struct matrix *w,
    const struct rows *in, const float *bias)
{
	struct model_run *r = s->r;
	const struct product p = { w, r->y.p, r->y.stride };

	s->bias = bias;
	act_rows_set(&r->act, in->p, s->n_rows, in->n, in->stride);
	matmul_then(r->pool, &p, 1, &r->act, add_outputs, s);
}

/* ---- attention ---- */

static void
rotate_item(void *arg, size_t i, int thread)
{
	struct step *s = arg;
	struct model_run *r = s->r;
	const struct layer *l = s->layer;
	float *q = row_at(&r->q, i), *k = row_at(&r->k, i);
	float *v = row_at(&r->v, i);

	if (l->q_bias != NULL)
		kern->add(l->q_bias, q, r->q.n);
	if (l->k_bias != NULL)
		kern->add(l->k_bias, k, r->k.n);
	if (l->v_bias != NULL)
		kern->add(l->v_bias, v, r->v.n);
	attend_put_row(r->attend, s->layer_index, i, q, k, v);
}

static void
compute_qkv(struct step *s, pool_fn make_x)
{
	struct model_run *r = s->r;
	const struct layer *l = s->layer;
	const struct product p[] = {
		{ &l->q, r->q.p, r->q.stride },
		{ &l->k, r->k.p, r->k.stride },
		{ &l->v, r->v.p, r->v.stride }
	};

	norm_rows(s, make_x, l->attn_norm, p, N_ELEMENTS(p));
	matmul_many(r->pool, p, N_ELEMENTS(p), &r->act);
	for_items(s, r->q.n + r->k.n, rotate_item);
}

static void
attend(struct step *s)
{
	struct model_run *r = s->r;

	attend_rows(r->attend, s->layer_index, s->n_rows, &r->q,
	    &r->attended);
	project_residual(s, &s->layer->o, &r->attended, s->layer->o_bias);
}

/* ---- feed forward ---- */

/* gate = silu(gate) * up, for some outputs. */
static void
gate_outputs(void *arg, size_t first, size_t n)
{
	struct step *s = arg;
	struct model_run *r = s->r;
	const struct feed_forward *f = &s->layer->ffn;

	for (size_t i = 0; i < s->n_rows; i++) {
		float *gate = row_at(&r->gate, i) + first;
		float *up = row_at(&r->up, i) + first;

		if (f->gate_bias != NULL)
			kern->add(f->gate_bias + first, gate, n);
		if (f->up_bias != NULL)
			kern->add(f->up_bias + first, up, n);
		kern->silu_mul(gate, up, gate, n);
	}
}

static void
feed_forward(struct step *s)
{
	struct model_run *r = s->r;
	const struct feed_forward *f = &s->layer->ffn;
	const struct product p[] = {
		{ &f->gate, r->gate.p, r->gate.stride },
		{ &f->up, r->up.p, r->up.stride }
	};

	norm_rows(s, norm_item, s->layer->ffn_norm, p, N_ELEMENTS(p));
	matmul_then(r->pool, p, N_ELEMENTS(p), &r->act, gate_outputs, s);
	project_residual(s, &f->down, &r->gate, f->down_bias);
}

/* x += y */
static void
add_item(void *arg, size_t i, int thread)
{
	struct model_run *r = ((struct step *)arg)->r;

	kern->add(row_at(&r->y, i), row_at(&r->x, i), r->x.n);
}

static void
feed_experts(struct step *s)
{
	struct model_run *r = s->r;
	const struct product p = { &s->layer->router, NULL, 0 };

	norm_rows(s, norm_item, s->layer->ffn_norm, &p, 1);
	experts_forward(&r->experts, r->pool, s->layer, &r->m->h, &r->act,
	    &r->h, s->n_rows, &r->gate, &r->up, &r->y);
	for_items(s, r->x.n, add_item);
}

/* ---- the whole ---- */

/* After a layer: have the urgent rows the next ones to themselves? */
static void
put_off(struct step *s)
{
	size_t n = s->haste->n_urgent;

	if (s->n_rows <= n || n == 0 || !s->haste->is_late(s->haste->arg,
	    s->layer_index + 1))
		return;
	model_run_put_off(s->r, n, s->n_rows - n, s->layer_index + 1);
	s->n_rows = n;
}

static void
run_layers(struct step *s)
{
	const struct weights *w = &s->r->m->w;
	uint32_t join = model_put_off(s->r);

	for (uint32_t i = s->n_rows > 0 ? 0 : join; i < w->n_layer; i++) {
		s->layer = &w->layers[i];
		s->layer_index = i;
		if (i == join)
			s->n_rows = model_run_join(s->r, s->n_rows);
		compute_qkv(s, i == 0 ? embed_item : norm_item);
		/* Nobody reads the other rows' values from here on. */
		if (i + 1 == w->n_layer)
			s->n_rows = model_run_compact(s->r, s->n_rows);
		if (s->n_rows == 0)
			return;
		attend(s);
		if (s->layer->experts != NULL)
			feed_experts(s);
		else
			feed_forward(s);
		if (i + 1 < w->n_layer)
			put_off(s);
	}
}

static void
forward(struct model_run *r, const struct batch *b,
    const struct model_haste *haste, float *logits, float *hidden)
{
	const struct weights *w = &r->m->w;
	const struct product p = { &w->output, logits, w->output.n_out };
	struct step s = { .r = r, .n_rows = b->n, .haste = haste };

	if (b->n + r->n_off == 0)
		return;
	model_run_take(r, b);
	run_layers(&s);
	if (s.n_rows == 0)
		return;
	norm_rows(&s, norm_item, w->output_norm, &p, logits != NULL);
	for (size_t i = 0; hidden != NULL && i < s.n_rows; i++)
		memcpy(hidden + i * r->h.n, row_at(&r->h, i),
		    r->h.n * sizeof(*hidden));
	if (logits != NULL)
		matmul_many(r->pool, &p, 1, &r->act);
}

void
model_forward(struct model_run *r, const struct batch *b, float *logits,
    float *hidden)
{
	const struct model_haste none = { .n_urgent = b->n };

	assert(r->n_off == 0);
	forward(r, b, &none, logits, hidden);
}

void
model_forward_urgent(struct model_run *r, const struct batch *b,
    const struct model_haste *haste, float *logits)
{
	assert(r->n_off == 0 || b->n == haste->n_urgent);
	forward(r, b, haste, logits, NULL);
}

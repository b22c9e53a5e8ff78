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

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/kernels.h"
#include "kernels/matmul.h"
#include "model/attend.h"
#include "model/experts.h"
#include "model/model.h"
#include "model/model_impl.h"

/* Below so many values a dispatch to the pool costs more than the work. */
#define SMALL_VALUES	4096
#define SCRATCH_ALIGN	64

/* What a row of the batch needs in every layer. */
struct row {
	uint32_t	 token;
	uint32_t	 pos;
	const struct kv_seq *seq;
	bool		 wants_output;
};

struct model_run {
	const struct model *m;
	struct pool	*pool;
	struct attend	*attend;
	size_t		 max_rows;
	size_t		 n_q, n_kv;	/* values of q, and of k or v */

	struct row	*rows;
	float		*x;		/* the residual stream */
	float		*h;		/* normalised x */
	float		*y;		/* what a block adds to x */
	float		*q, *k, *v;
	float		*attended;
	float		*gate, *up;
	void		*act[ACT_LIMIT]; /* scratch of act_rows */
	struct experts_run experts;
	uint64_t	 n_bytes;
	bool		 failed;	/* an allocation did */
};

/* The work of one dispatch. */
struct step {
	struct model_run *r;
	const struct layer *layer;
	uint32_t	 layer_index;
	const float	*bias;		/* of what is added to x, or NULL */
	const float	*norm;		/* weights of the next norm */
};

/* ---- scratch ---- */

static void *
scratch(struct model_run *r, size_t rows, size_t row_bytes)
{
	size_t n;
	void *p;

	if (!size_mul(rows, row_bytes, &n) ||
	    (p = try_aligned(SCRATCH_ALIGN, n + SCRATCH_ALIGN)) == NULL) {
		r->failed = true;
		return NULL;
	}
	r->n_bytes += n;
	return p;
}

static float *
scratch_rows(struct model_run *r, size_t n)
{
	return scratch(r, r->max_rows, n * sizeof(float));
}

static void
alloc_scratch(struct model_run *r)
{
	const struct hparams *h = &r->m->h;
	size_t widest = MEM_MAX(MEM_MAX(h->n_embd, h->n_ff), r->n_q);
	int f;

	r->rows = scratch(r, r->max_rows, sizeof(*r->rows));
	r->x = scratch_rows(r, h->n_embd);
	r->h = scratch_rows(r, h->n_embd);
	r->y = scratch_rows(r, h->n_embd);
	r->q = scratch_rows(r, r->n_q);
	r->k = scratch_rows(r, r->n_kv);
	r->v = scratch_rows(r, r->n_kv);
	r->attended = scratch_rows(r, r->n_q);
	r->gate = scratch_rows(r, h->n_ff);
	r->up = scratch_rows(r, h->n_ff);
	for (f = ACT_F32 + 1; f < ACT_LIMIT; f++)
		r->act[f] = scratch(r, r->max_rows,
		    act_row_bytes((enum act_form)f, widest));
	if (h->n_expert > 0 && experts_run_init(&r->experts, h, r->max_rows,
	    &r->n_bytes) != 0)
		r->failed = true;
}

int
model_run_new(const struct model *m, struct pool *pool, struct kv_pool *kv,
    size_t max_rows, struct model_run **out, struct cause *cause)
{
	struct model_run *r = xcalloc(1, sizeof(*r));

	r->m = m;
	r->pool = pool;
	r->max_rows = max_rows;
	r->n_q = (size_t)m->h.n_head * m->h.head_dim;
	r->n_kv = (size_t)m->h.n_head_kv * m->h.head_dim;
	alloc_scratch(r);
	if (r->failed || attend_new(&m->h, &m->rope, pool, kv, max_rows,
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
	int f;

	if (r == NULL)
		return;
	*rp = NULL;
	free(r->rows);
	free(r->x);
	free(r->h);
	free(r->y);
	free(r->q);
	free(r->k);
	free(r->v);
	free(r->attended);
	free(r->gate);
	free(r->up);
	attend_free(&r->attend);
	for (f = 0; f < ACT_LIMIT; f++)
		free(r->act[f]);
	experts_run_fini(&r->experts);
	free(r);
}

uint64_t
model_run_bytes(const struct model_run *r)
{
	return r->n_bytes;
}

/* ---- work by rows ---- */

/* fn for items 0 .. n - 1, over the pool when there is enough to do. */
static void
for_items(struct step *s, size_t n, size_t values_each, pool_fn fn)
{
	if (n > 1 && n * values_each >= SMALL_VALUES) {
		pool_run(s->r->pool, n, fn, s);
		return;
	}
	for (size_t i = 0; i < n; i++)
		fn(s, i, 0);
}

static void
embed_row(void *arg, size_t i, int thread)
{
	struct step *s = arg;
	struct model_run *r = s->r;
	const struct model *m = r->m;
	const struct matrix *e = &m->w.token_embd;
	const struct row *row = &r->rows[i];
	size_t n = m->h.n_embd;

	kern->unpack[e->type]((const uint8_t *)e->data +
	    row->token * e->row_bytes, r->x + i * n, n);
	kern->rms_norm(r->x + i * n, s->norm, r->h + i * n, n,
	    m->h.norm_eps);
	attend_set_row(r->attend, i, row->seq, row->pos);
}

/* x += y + bias; h = norm(x) */
static void
residual_row(void *arg, size_t i, int thread)
{
	struct step *s = arg;
	struct model_run *r = s->r;
	size_t n = r->m->h.n_embd;
	float *x = r->x + i * n, *y = r->y + i * n;

	if (s->bias != NULL)
		kern->add(s->bias, y, n);
	kern->add(y, x, n);
	kern->rms_norm(x, s->norm, r->h + i * n, n, r->m->h.norm_eps);
}

static void
residual(struct step *s, size_t n_rows, const float *bias, const float *norm)
{
	s->bias = bias;
	s->norm = norm;
	for_items(s, n_rows, s->r->m->h.n_embd, residual_row);
}

static struct act_rows
act_rows_of(const struct model_run *r)
{
	struct act_rows a = { 0 };

	memcpy(a.form, r->act, sizeof(a.form));
	return a;
}

/* out[row] = w a[row], for one or more matrices with the same input. */
static void
project(struct step *s, const float *in, size_t n_rows, size_t n_matrices,
    const struct matrix *const *w, float *const *out)
{
	struct model_run *r = s->r;
	struct act_rows a = act_rows_of(r);
	size_t strides[3];

	assert(n_matrices <= N_ELEMENTS(strides));
	for (size_t i = 0; i < n_matrices; i++)
		strides[i] = w[i]->n_out;
	act_rows_set(&a, in, n_rows, w[0]->n_in, w[0]->n_in);
	matmul_many(r->pool, w, out, strides, n_matrices, &a);
}

static void
project_one(struct step *s, const float *in, size_t n_rows,
    const struct matrix *w, float *out)
{
	project(s, in, n_rows, 1, &w, &out);
}

/* ---- attention ---- */

static void
rotate_row(void *arg, size_t i, int thread)
{
	struct step *s = arg;
	struct model_run *r = s->r;
	const struct layer *l = s->layer;
	float *q = r->q + i * r->n_q;
	float *k = r->k + i * r->n_kv, *v = r->v + i * r->n_kv;

	if (l->q_bias != NULL)
		kern->add(l->q_bias, q, r->n_q);
	if (l->k_bias != NULL)
		kern->add(l->k_bias, k, r->n_kv);
	if (l->v_bias != NULL)
		kern->add(l->v_bias, v, r->n_kv);
	attend_put_row(r->attend, s->layer_index, i, q, k, v);
}

static void
compute_qkv(struct step *s, size_t n_rows)
{
	struct model_run *r = s->r;
	const struct layer *l = s->layer;
	const struct matrix *const w[] = { &l->q, &l->k, &l->v };
	float *const out[] = { r->q, r->k, r->v };

	project(s, r->h, n_rows, 3, w, out);
	for_items(s, n_rows, r->n_q + r->n_kv, rotate_row);
}

static void
attend(struct step *s, size_t n_rows)
{
	struct model_run *r = s->r;

	attend_rows(r->attend, s->layer_index, n_rows, r->q, r->attended);
	project_one(s, r->attended, n_rows, &s->layer->o, r->y);
}

/* ---- feed forward ---- */

static void
silu_row(void *arg, size_t i, int thread)
{
	struct step *s = arg;
	struct model_run *r = s->r;
	const struct feed_forward *f = &s->layer->ffn;
	size_t n = r->m->h.n_ff;
	float *gate = r->gate + i * n, *up = r->up + i * n;

	if (f->gate_bias != NULL)
		kern->add(f->gate_bias, gate, n);
	if (f->up_bias != NULL)
		kern->add(f->up_bias, up, n);
	kern->silu_mul(gate, up, gate, n);
}

static void
feed_forward(struct step *s, size_t n_rows)
{
	struct model_run *r = s->r;
	const struct layer *l = s->layer;
	const struct matrix *const w[] = { &l->ffn.gate, &l->ffn.up };
	float *const out[] = { r->gate, r->up };

	if (l->experts != NULL) {
		struct act_rows a = act_rows_of(r);

		experts_forward(&r->experts, r->pool, l, &r->m->h, &a, r->h,
		    n_rows, r->gate, r->up, r->y);
		return;
	}
	project(s, r->h, n_rows, 2, w, out);
	for_items(s, n_rows, r->m->h.n_ff, silu_row);
	project_one(s, r->gate, n_rows, &l->ffn.down, r->y);
}

/* ---- the whole ---- */

/* Keep only the rows somebody wants to see; how many those are. */
static size_t
compact(struct model_run *r, size_t n_rows)
{
	size_t n_embd = r->m->h.n_embd, n = 0;

	for (size_t i = 0; i < n_rows; i++) {
		if (!r->rows[i].wants_output)
			continue;
		if (n != i) {
			attend_move_row(r->attend, i, n);
			memcpy(r->x + n * n_embd, r->x + i * n_embd,
			    n_embd * sizeof(float));
			memcpy(r->q + n * r->n_q, r->q + i * r->n_q,
			    r->n_q * sizeof(float));
		}
		n++;
	}
	return n;
}

static size_t
run_layers(struct step *s, size_t n_rows)
{
	const struct weights *w = &s->r->m->w;

	for (uint32_t i = 0; i < w->n_layer; i++) {
		const struct layer *l = &w->layers[i];
		bool is_last = i + 1 == w->n_layer;

		s->layer = l;
		s->layer_index = i;
		compute_qkv(s, n_rows);
		/* Nobody reads the other rows' values from here on. */
		if (is_last && (n_rows = compact(s->r, n_rows)) == 0)
			return 0;
		attend(s, n_rows);
		residual(s, n_rows, l->o_bias, l->ffn_norm);
		feed_forward(s, n_rows);
		residual(s, n_rows, l->ffn.down_bias,
		    is_last ? w->output_norm : w->layers[i + 1].attn_norm);
	}
	return n_rows;
}

static void
take_rows(struct model_run *r, const struct batch *b)
{
	assert(b->n <= r->max_rows);
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
model_forward(struct model_run *r, const struct batch *b, float *logits,
    float *hidden)
{
	const struct weights *w = &r->m->w;
	struct step s = { .r = r, .norm = w->layers[0].attn_norm };
	size_t n_rows;

	if (b->n == 0)
		return;
	take_rows(r, b);
	for_items(&s, b->n, r->m->h.n_embd, embed_row);
	n_rows = run_layers(&s, b->n);
	if (n_rows == 0)
		return;
	if (hidden != NULL)
		memcpy(hidden, r->h,
		    n_rows * r->m->h.n_embd * sizeof(*hidden));
	if (logits != NULL)
		project_one(&s, r->h, n_rows, &w->output, logits);
}

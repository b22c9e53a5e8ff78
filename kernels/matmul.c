/* SPDX-License-Identifier: MIT */
/*
 * Products of weight matrices with rows of activations: tiles of weight rows
 * are the items of work; within a tile every row of activations passes over
 * weights that are in the near cache.  Each output is one call of the type's
 * dot kernel, so neither tiles nor threads nor neighbours can change it.
 */
#include "config.h"

#include "kernels/matmul.h"

#include "base/log.h"
#include "base/mem.h"

#define TILE_BYTES	16384	/* of weights: half of a small L1 */
#define TILES_A_THREAD	8
#define QUANT_STEP	2048	/* elements of one quantisation item */
#define SMALL_MACS	16384	/* below this a dispatch costs more */

size_t
act_row_bytes(enum act_form form, size_t n)
{
	switch (form) {
	case ACT_Q8:
		return n / 32 * sizeof(struct act_q8);
	case ACT_Q8K:
		return n / 256 * sizeof(struct act_q8k);
	case ACT_F32:
		break;
	}
	return n * sizeof(float);
}

void
act_rows_set(struct act_rows *a, const float *x, size_t n_rows, size_t n,
    size_t stride)
{
	a->x = x;
	a->n_rows = n_rows;
	a->n = n;
	a->stride = stride;
	a->have = 0;
}

/* Row r in the given form, which is there. */
static const void *
act_row(const struct act_rows *a, enum act_form form, size_t r)
{
	size_t bytes = act_row_bytes(form, a->n);

	switch (form) {
	case ACT_Q8:
		return (const char *)a->q8 + r * bytes;
	case ACT_Q8K:
		return (const char *)a->q8k + r * bytes;
	case ACT_F32:
		break;
	}
	return a->x + r * a->stride;
}

struct quant_job {
	struct act_rows	*a;
	enum act_form	 form;
	size_t		 steps_a_row;
};

static void
quant_item(void *arg, size_t i, int thread)
{
	struct quant_job *j = arg;
	struct act_rows *a = j->a;
	size_t r = i / j->steps_a_row, from = i % j->steps_a_row * QUANT_STEP;
	size_t n = MEM_MIN((size_t)QUANT_STEP, a->n - from);
	const float *x = a->x + r * a->stride + from;

	if (j->form == ACT_Q8)
		kern->quantize_q8(x, (struct act_q8 *)a->q8 +
		    (r * a->n + from) / 32, n);
	else
		kern->quantize_q8k(x, (struct act_q8k *)a->q8k +
		    (r * a->n + from) / 256, n);
}

/* Call fn for the items, over the pool when it is worth a dispatch. */
static void
run(struct pool *pool, size_t macs, size_t n, pool_fn fn, void *arg)
{
	size_t i;

	if (macs >= SMALL_MACS) {
		pool_run(pool, n, fn, arg);
		return;
	}
	for (i = 0; i < n; i++)
		fn(arg, i, 0);
}

static void
require(struct pool *pool, struct act_rows *a, enum act_form form)
{
	struct quant_job j = { a, form, 0 };

	if (form == ACT_F32 || (a->have & 1u << form))
		return;
	if ((form == ACT_Q8 ? a->q8 : a->q8k) == NULL)
		fatalx("matmul: no scratch for activations in 8 bits");
	j.steps_a_row = (a->n + QUANT_STEP - 1) / QUANT_STEP;
	run(pool, a->n_rows * a->n, a->n_rows * j.steps_a_row, quant_item, &j);
	a->have |= 1u << form;
}

struct product {
	const struct matrix	*w;
	float			*out;
	size_t			 out_stride;
	size_t			 tile_rows;
	size_t			 first_item;	/* of this matrix */
};

#define MAX_PRODUCTS 8

struct product_job {
	const struct act_rows	*a;
	struct product		 products[MAX_PRODUCTS];
	size_t			 n_products;
};

static void
product_item(void *arg, size_t i, int thread)
{
	const struct product_job *j = arg;
	const struct product *p = &j->products[j->n_products - 1];
	const struct matrix *w;
	const char *rows;
	const void *act;
	kern_dot_fn dot;
	size_t from, n, r, o;

	while (i < p->first_item)
		p--;
	w = p->w;
	dot = kern->dot[w->type];
	from = (i - p->first_item) * p->tile_rows;
	n = MEM_MIN(p->tile_rows, w->n_out - from);
	rows = (const char *)w->data + from * w->row_bytes;
	for (r = 0; r < j->a->n_rows; r++) {
		float *out = p->out + r * p->out_stride + from;

		act = act_row(j->a, type_info(w->type)->act, r);
		for (o = 0; o < n; o++)
			out[o] = dot(rows + o * w->row_bytes, act, w->n_in);
	}
}

/* Rows of a tile: what fits the near cache, fewer when there would not be
 * enough tiles to go round. */
static size_t
tile_rows(const struct pool *pool, const struct matrix *w)
{
	size_t fit = TILE_BYTES / MEM_MAX(w->row_bytes, (size_t)1);
	size_t tiles = (size_t)pool_n_threads(pool) * TILES_A_THREAD;
	size_t share = (w->n_out + tiles - 1) / tiles;
	size_t rows = MEM_MIN(fit, share);

	return rows > 0 ? rows : 1;
}

static void
products(struct pool *pool, const struct matrix *const *w, float *const *out,
    const size_t *out_stride, size_t n, struct act_rows *a)
{
	struct product_job j = { .a = a, .n_products = n };
	size_t i, items = 0, macs = 0;

	for (i = 0; i < n; i++) {
		struct product *p = &j.products[i];

		require(pool, a, type_info(w[i]->type)->act);
		p->w = w[i];
		p->out = out[i];
		p->out_stride = out_stride[i];
		p->tile_rows = tile_rows(pool, w[i]);
		p->first_item = items;
		items += (w[i]->n_out + p->tile_rows - 1) / p->tile_rows;
		macs += w[i]->n_out * w[i]->n_in * a->n_rows;
	}
	run(pool, macs, items, product_item, &j);
}

void
matmul_many(struct pool *pool, const struct matrix *const *w,
    float *const *out, const size_t *out_stride, size_t n_matrices,
    struct act_rows *a)
{
	size_t i, n;

	for (i = 0; i < n_matrices; i += n) {
		n = MEM_MIN(n_matrices - i, (size_t)MAX_PRODUCTS);
		products(pool, w + i, out + i, out_stride + i, n, a);
	}
}

void
matmul(struct pool *pool, const struct matrix *w, struct act_rows *a,
    float *out, size_t out_stride)
{
	matmul_many(pool, &w, &out, &out_stride, 1, a);
}

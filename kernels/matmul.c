/* SPDX-License-Identifier: MIT */
/*
 * Products of weight matrices with rows of activations: tiles of weight rows
 * are the items of work; within a tile every row of activations passes over
 * weights that are in the near cache.  Each output is one call of the type's
 * dot kernel, so neither tiles nor threads nor neighbours can change it.  Of
 * packed matrices the items are panels, whose kernels promise the same.
 */
#include "config.h"

#include "kernels/matmul.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "kernels/pack.h"

#define TILE_BYTES	16384	/* of weights: half of a small L1 */
#define ITEM_BYTES	131072	/* of panels, times the rows they go over */
#define GROUP_PANELS	8	/* that share the activations they read */
#define TILES_A_THREAD	8
#define QUANT_STEP	2048	/* elements of one quantisation item */
#define SMALL_MACS	16384	/* below this a dispatch costs more */

/* How many elements a block of a form has, and how many bytes. */
static const struct {
	size_t n, bytes;
} act_blocks[ACT_LIMIT] = {
	[ACT_F32] = { 1, sizeof(float) },
	[ACT_Q8] = { 32, sizeof(struct act_q8) },
	[ACT_Q8K] = { 256, sizeof(struct act_q8k) },
	[ACT_Q16] = { 32, sizeof(struct act_q16) },
	[ACT_SM8] = { 32, sizeof(struct act_sm8) },
	[ACT_SM8K] = { 256, sizeof(struct act_sm8k) },
};

size_t
act_row_bytes(enum act_form form, size_t n)
{
	return n / act_blocks[form].n * act_blocks[form].bytes;
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
	if (form == ACT_F32)
		return a->x + r * a->stride;
	return (const char *)a->form[form] + r * act_row_bytes(form, a->n);
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
	void *to = (char *)a->form[j->form] +
	    act_row_bytes(j->form, r * a->n + from);

	switch (j->form) {
	case ACT_Q8:
		kern->quantize_q8(x, to, n);
		break;
	case ACT_Q8K:
		kern->quantize_q8k(x, to, n);
		break;
	case ACT_Q16:
		kern->quantize_q16(x, to, n);
		break;
	case ACT_SM8:
		kern->quantize_sm8(x, to, n);
		break;
	case ACT_SM8K:
		kern->quantize_sm8k(x, to, n);
		break;
	case ACT_F32:
		break;
	}
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
	if (a->form[form] == NULL)
		fatalx("matmul: no scratch for activations in 8 bits");
	j.steps_a_row = (a->n + QUANT_STEP - 1) / QUANT_STEP;
	run(pool, a->n_rows * a->n, a->n_rows * j.steps_a_row, quant_item, &j);
	a->have |= 1u << form;
}

struct product {
	const struct matrix	*w;
	float			*out;
	size_t			 out_stride;
	enum act_form		 form;
	size_t			 tile_rows;	/* or of packed panels */
	size_t			 first_item;	/* of this matrix */
};

#define MAX_PRODUCTS 8

struct product_job {
	const struct act_rows	*a;
	struct product		 products[MAX_PRODUCTS];
	size_t			 n_products;
};

static void
rows_item(const struct act_rows *a, const struct product *p, size_t from)
{
	const struct matrix *w = p->w;
	size_t n = MEM_MIN(p->tile_rows, w->n_out - from), r, o;
	const char *rows = (const char *)w->data + from * w->row_bytes;
	kern_dot_fn dot = kern->dot[w->type];
	const void *act;

	for (r = 0; r < a->n_rows; r++) {
		float *out = p->out + r * p->out_stride + from;

		act = act_row(a, p->form, r);
		for (o = 0; o < n; o++)
			out[o] = dot(rows + o * w->row_bytes, act, w->n_in);
	}
}

static size_t
act_stride(const struct act_rows *a, enum act_form form)
{
	return form == ACT_F32 ? a->stride * sizeof(float) :
	    act_row_bytes(form, a->n);
}

#define EDGE_COLS 32

/* The last panel when the matrix does not fill it.  Columns are taken in
 * even parts, since a part of one could want another form. */
static void
edge_panel(const struct act_rows *a, const struct product *p,
    const void *panel, size_t from)
{
	float part[EDGE_COLS * PANEL_ROWS];
	size_t stride = act_stride(a, p->form), i, r, n;
	size_t parts = (a->n_rows + EDGE_COLS - 1) / EDGE_COLS;

	for (r = 0; r < a->n_rows; r += n, parts--) {
		n = (a->n_rows - r + parts - 1) / parts;
		kern->panel[p->w->type](panel, 1, p->w->n_in,
		    act_row(a, p->form, r), stride, n, part, PANEL_ROWS);
		for (i = 0; i < n; i++)
			memcpy(p->out + (r + i) * p->out_stride + from,
			    part + i * PANEL_ROWS,
			    (p->w->n_out - from) * sizeof(*part));
	}
}

static void
panels_item(const struct act_rows *a, const struct product *p, size_t first)
{
	const struct matrix *w = p->w;
	size_t bytes = pack_panel_bytes(w->type, w->n_in);
	size_t whole = w->n_out / PANEL_ROWS;
	size_t end = MEM_MIN(first + p->tile_rows, pack_n_panels(w->n_out));
	const char *panels = w->packed;

	if (first < whole)
		kern->panel[w->type](panels + first * bytes,
		    MEM_MIN(end, whole) - first, w->n_in,
		    act_row(a, p->form, 0), act_stride(a, p->form), a->n_rows,
		    p->out + first * PANEL_ROWS, p->out_stride);
	if (end > whole)
		edge_panel(a, p, panels + whole * bytes, whole * PANEL_ROWS);
}

static void
product_item(void *arg, size_t i, int thread)
{
	const struct product_job *j = arg;
	const struct product *p = &j->products[j->n_products - 1];

	while (i < p->first_item)
		p--;
	i = (i - p->first_item) * p->tile_rows;
	if (p->w->packed != NULL)
		panels_item(j->a, p, i);
	else
		rows_item(j->a, p, i);
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

/* Panels of an item: enough to be worth a grab, in fours when each goes over
 * but one column, and no fewer items than keep all threads busy. */
static size_t
tile_panels(const struct pool *pool, const struct matrix *w, size_t n_rows)
{
	size_t n = pack_n_panels(w->n_out);
	size_t tiles = (size_t)pool_n_threads(pool) * TILES_A_THREAD;
	size_t share = (n + tiles - 1) / tiles;
	size_t bytes = pack_panel_bytes(w->type, w->n_in) * n_rows;
	size_t most = (ITEM_BYTES + bytes - 1) / bytes;

	if (n_rows > 16)
		most = MEM_MAX(most, (size_t)GROUP_PANELS);
	n = MEM_MIN(share, most);
	return n_rows == 1 ? (n + 3) & ~(size_t)3 : n;
}

static void
products(struct pool *pool, const struct matrix *const *w, float *const *out,
    const size_t *out_stride, size_t n, struct act_rows *a)
{
	struct product_job j = { .a = a, .n_products = n };
	size_t i, items = 0, macs = 0;

	if (a->n_rows == 0)
		return;
	for (i = 0; i < n; i++) {
		struct product *p = &j.products[i];

		bool is_packed = w[i]->packed != NULL;
		size_t n_items;

		p->form = is_packed ? pack_act(w[i]->type, a->n_rows) :
		    type_info(w[i]->type)->act;
		require(pool, a, p->form);
		p->w = w[i];
		p->out = out[i];
		p->out_stride = out_stride[i];
		p->tile_rows = is_packed ?
		    tile_panels(pool, w[i], a->n_rows) :
		    tile_rows(pool, w[i]);
		n_items = is_packed ? pack_n_panels(w[i]->n_out) : w[i]->n_out;
		p->first_item = items;
		items += (n_items + p->tile_rows - 1) / p->tile_rows;
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

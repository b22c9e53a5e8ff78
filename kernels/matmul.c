/* SPDX-License-Identifier: MIT */
/*
 * Products of weight matrices with rows of activations.  An item of work is
 * some outputs, whole panels but for the matrix's last, of all rows.  Of
 * packed matrices they are a call of the panel kernel, else each is a call of
 * the dot kernel; both promise that neither items nor threads nor neighbours
 * change an output.
 */
#include "config.h"

#include "kernels/matmul.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "kernels/now.h"
#include "kernels/pack.h"

#define TILE_BYTES	16384	/* of rows of weights: half of a small L1 */
/* Panels of an item of work: that go over one column side by side; that share
 * the activations they read, when those of many columns come from afar. */
#define FEW_PANELS	4
#define MANY_PANELS	8
#define MANY_ROWS	16	/* more than these are many */
#define ITEMS_A_THREAD	8	/* at least, if there are panels enough */
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

/* From one row of the form to the next. */
static size_t
form_stride(const struct act_rows *a, enum act_form form)
{
	return form == ACT_F32 ? a->stride * sizeof(float) :
	    act_row_bytes(form, a->n);
}

const void *
act_row(const struct act_rows *a, enum act_form form, size_t r)
{
	const char *rows = form == ACT_F32 ? (const char *)a->x :
	    a->form[form];

	return rows + r * form_stride(a, form);
}

/* n elements of row r, beginning with element `from`, a block's first. */
static void
convert(const struct act_rows *a, enum act_form form, size_t r, size_t from,
    size_t n)
{
	const float *x = a->x + r * a->stride + from;
	void *to = (char *)a->form[form] +
	    act_row_bytes(form, r * a->n + from);

	switch (form) {
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

void
act_rows_convert(const struct act_rows *a, unsigned forms, size_t r)
{
	enum act_form form;

	for (form = ACT_F32 + 1; form < ACT_LIMIT; form++)
		if (forms & 1u << form)
			convert(a, form, r, 0, a->n);
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
	size_t from = i % j->steps_a_row * QUANT_STEP;

	convert(j->a, j->form, i / j->steps_a_row, from,
	    MEM_MIN((size_t)QUANT_STEP, j->a->n - from));
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

static enum act_form
form_of(const struct matrix *w, size_t n_rows)
{
	return w->packed != NULL ? pack_act(w->type, n_rows) :
	    type_info(w->type)->act;
}

unsigned
matmul_forms(const struct product *p, size_t n, size_t n_rows)
{
	unsigned forms = 0;
	size_t i;

	for (i = 0; i < n; i++)
		forms |= 1u << form_of(p[i].w, n_rows);
	return forms;
}

struct job {
	const struct act_rows	*a;
	const struct product	*p;
	size_t			 n;
	size_t			 item_panels;
	size_t			 first_item[MATMUL_MAX];	/* of each */
	matmul_fn		 fn;
	void			*arg;
};

/* Of weights as GGUF has them: all rows of activations pass over a tile. */
static void
tile(const struct act_rows *a, const struct product *p, size_t from, size_t n)
{
	const struct matrix *w = p->w;
	const char *rows = (const char *)w->data + from * w->row_bytes;
	enum act_form form = form_of(w, a->n_rows);
	kern_dot_fn dot = kern->dot[w->type];
	const void *act;
	size_t r, o;

	for (r = 0; r < a->n_rows; r++) {
		float *out = p->out + r * p->out_stride + from;

		act = act_row(a, form, r);
		for (o = 0; o < n; o++)
			out[o] = dot(rows + o * w->row_bytes, act, w->n_in);
	}
}

static void
some_rows(const struct act_rows *a, const struct product *p, size_t from,
    size_t n)
{
	size_t most = TILE_BYTES / MEM_MAX(p->w->row_bytes, (size_t)1), some;

	for (most = MEM_MAX(most, (size_t)1); n > 0; n -= some) {
		some = MEM_MIN(n, most);
		tile(a, p, from, some);
		from += some;
	}
}

#define EDGE_COLS 32

/* The last panel when the matrix does not fill it.  Columns are taken in
 * even parts, since a part of one could want another form. */
static void
edge_panel(const struct act_rows *a, const struct product *p,
    const void *panel, size_t from)
{
	float part[EDGE_COLS * PANEL_ROWS];
	enum act_form form = form_of(p->w, a->n_rows);
	size_t parts = (a->n_rows + EDGE_COLS - 1) / EDGE_COLS, i, r, n;

	for (r = 0; r < a->n_rows; r += n, parts--) {
		n = (a->n_rows - r + parts - 1) / parts;
		kern->panel[p->w->type](panel, 1, p->w->n_in,
		    act_row(a, form, r), form_stride(a, form), n, part,
		    PANEL_ROWS);
		for (i = 0; i < n; i++)
			memcpy(p->out + (r + i) * p->out_stride + from,
			    part + i * PANEL_ROWS,
			    (p->w->n_out - from) * sizeof(*part));
	}
}

static void
some_panels(const struct act_rows *a, const struct product *p, size_t from,
    size_t n)
{
	const struct matrix *w = p->w;
	enum act_form form = form_of(w, a->n_rows);
	size_t bytes = pack_panel_bytes(w->type, w->n_in);
	size_t whole = n / PANEL_ROWS, edge = from + whole * PANEL_ROWS;
	const char *panels = w->packed;

	if (whole > 0)
		kern->panel[w->type](panels + from / PANEL_ROWS * bytes, whole,
		    w->n_in, act_row(a, form, 0), form_stride(a, form),
		    a->n_rows, p->out + from, p->out_stride);
	if (n % PANEL_ROWS != 0)
		edge_panel(a, p, panels + edge / PANEL_ROWS * bytes, edge);
}

/* Item i of one product: how many outputs, and the first. */
static size_t
some_outputs(const struct job *j, const struct product *p, size_t i,
    size_t *from)
{
	size_t n = j->item_panels * PANEL_ROWS;

	kern_now = type_info(p->w->type)->name;
	*from = i * n;
	n = MEM_MIN(n, p->w->n_out - *from);
	if (p->w->packed != NULL)
		some_panels(j->a, p, *from, n);
	else
		some_rows(j->a, p, *from, n);
	return n;
}

static void
one_item(void *arg, size_t i, int thread)
{
	const struct job *j = arg;
	size_t k = j->n - 1, from;

	while (i < j->first_item[k])
		k--;
	some_outputs(j, &j->p[k], i - j->first_item[k], &from);
}

static void
then_item(void *arg, size_t i, int thread)
{
	const struct job *j = arg;
	size_t k, n = 0, from = 0;

	for (k = 0; k < j->n; k++)
		n = some_outputs(j, &j->p[k], i, &from);
	j->fn(j->arg, from, n);
}

/* Panels of an item, when there are n in all: not so many that threads would
 * have nothing to share, except where kernels are slow with fewer. */
static size_t
item_panels(const struct pool *pool, size_t n, size_t n_rows)
{
	size_t items = (size_t)pool_n_threads(pool) * ITEMS_A_THREAD;
	size_t most = n_rows > MANY_ROWS ? MANY_PANELS : FEW_PANELS;
	size_t share = n_rows > 1 ? n / items : FEW_PANELS;

	return share < 1 ? 1 : MEM_MIN(share, most);
}

/* Convert what is wanted and cut the job into items; how many. */
static size_t
plan(struct pool *pool, struct job *j, struct act_rows *a)
{
	size_t i, n, panels = 0, items = 0;

	assert(j->n > 0 && j->n <= MATMUL_MAX);
	for (i = 0; i < j->n; i++) {
		require(pool, a, form_of(j->p[i].w, a->n_rows));
		panels += pack_n_panels(j->p[i].w->n_out);
	}
	j->item_panels = item_panels(pool, panels, a->n_rows);
	for (i = 0; i < j->n; i++) {
		n = pack_n_panels(j->p[i].w->n_out);
		j->first_item[i] = items;
		items += (n + j->item_panels - 1) / j->item_panels;
	}
	return items;
}

static size_t
count_macs(const struct job *j)
{
	size_t i, n = 0;

	for (i = 0; i < j->n; i++)
		n += j->p[i].w->n_out * j->a->n * j->a->n_rows;
	return n;
}

void
matmul_many(struct pool *pool, const struct product *p, size_t n,
    struct act_rows *a)
{
	struct job j = { .a = a, .p = p, .n = n };

	if (a->n_rows > 0)
		run(pool, count_macs(&j), plan(pool, &j, a), one_item, &j);
}

void
matmul_then(struct pool *pool, const struct product *p, size_t n,
    struct act_rows *a, matmul_fn fn, void *arg)
{
	struct job j = { .a = a, .p = p, .n = n, .fn = fn, .arg = arg };

	if (a->n_rows > 0)
		run(pool, count_macs(&j), plan(pool, &j, a) / n, then_item,
		    &j);
}

void
matmul(struct pool *pool, const struct matrix *w, struct act_rows *a,
    float *out, size_t out_stride)
{
	const struct product p = { w, out, out_stride };

	matmul_many(pool, &p, 1, a);
}

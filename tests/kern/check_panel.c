/* SPDX-License-Identifier: MIT */
/*
 * Packed weights.  Packing loses no bit of any row; every level's panel
 * kernels give the bits of ref for 1 to 17 columns and for 53, on blocks and
 * activations at their extremes, where a sum of 16 bits that did not fit would
 * show; and so does matmul for any number of rows and threads when the last
 * panel is not full.
 */
#include "config.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/half.h"
#include "kernels/matmul.h"
#include "kernels/pack.h"

#define N_OUT		37	/* two panels and five rows */
#define N_PANELS	3
#define SOME_COLS	17	/* more than 16, where panels form groups */
#define MAX_COLS	53	/* more than where other kernels take over */
#define MAX_THREADS	4
#define OUT_STRIDE	(N_PANELS * PANEL_ROWS + 3)
#define OUT_SIZE	(MAX_COLS * OUT_STRIDE)

struct packed {
	struct matrix	 w;
	void		*data;
	void		*bytes;
	float		*x;
	void		*act[ACT_LIMIT]; /* all columns */
	unsigned	 have;		/* of these, a bit each */
	int		 kind;
	enum shape	 shape;
};

static void
packed_new(struct check *c, struct packed *p, enum tensor_type t, size_t n_in,
    int kind, enum shape shape)
{
	struct rng r = rng_of(c, t, n_in * 16 + (size_t)kind);
	struct matrix *w = &p->w;
	size_t i;

	*w = (struct matrix){ .type = t, .n_in = n_in, .n_out = N_OUT,
	    .row_bytes = type_row_bytes(t, n_in) };
	p->data = xmalloc(N_OUT * w->row_bytes);
	fill_blocks(&r, t, p->data, N_OUT * n_in, kind, false);
	w->data = p->data;
	p->kind = kind;
	p->shape = shape;
	p->have = 0;
	/* against the far page, where a read past the end faults */
	p->bytes = area_get(AREA_W, PLACE_END, pack_bytes(t, n_in, N_OUT), 1);
	pack(w, p->bytes);
	w->packed = p->bytes;
	p->x = xcalloc(MAX_COLS * n_in, sizeof(*p->x));
	fill_floats(&r, shape, p->x, MAX_COLS * n_in);
	for (i = 0; i < ACT_LIMIT; i++)
		p->act[i] = xmalloc(MAX_COLS *
		    act_row_bytes((enum act_form)i, n_in) + 1);
}

static void
packed_free(struct packed *p)
{
	size_t i;

	for (i = 0; i < ACT_LIMIT; i++)
		free(p->act[i]);
	free(p->data);
	free(p->x);
}

static bool
unpacks_to_the_rows(struct check *c, const struct packed *p)
{
	const struct type_info *info = type_info(p->w.type);
	size_t row, block, panel_bytes = pack_panel_bytes(p->w.type,
	    p->w.n_in);
	uint8_t got[256];

	for (row = 0; row < N_OUT; row++)
		for (block = 0; block < p->w.n_in / info->block_n; block++) {
			pack_get_block(p->w.type, (const char *)p->bytes +
			    row / PANEL_ROWS * panel_bytes, block,
			    row % PANEL_ROWS, got);
			if (memcmp(got, (const char *)p->data + row *
			    p->w.row_bytes + block * info->block_bytes,
			    info->block_bytes) != 0)
				return fail(c, "row %zu block %zu is not what "
				    "was packed", row, block);
		}
	return true;
}

/* All columns in the given form, by ref. */
static const void *
columns(struct check *c, struct packed *p, enum act_form form)
{
	size_t n = p->w.n_in * MAX_COLS;

	if (p->have & 1u << form)
		return p->act[form];
	p->have |= 1u << form;
	switch (form) {
	case ACT_F32:
		memcpy(p->act[form], p->x, n * sizeof(*p->x));
		break;
	case ACT_Q8:
		c->ref->quantize_q8(p->x, p->act[form], n);
		break;
	case ACT_Q8K:
		c->ref->quantize_q8k(p->x, p->act[form], n);
		break;
	case ACT_Q16:
		c->ref->quantize_q16(p->x, p->act[form], n);
		break;
	case ACT_SM8:
		c->ref->quantize_sm8(p->x, p->act[form], n);
		break;
	case ACT_SM8K:
		c->ref->quantize_sm8k(p->x, p->act[form], n);
		break;
	}
	return p->act[form];
}

static void
by_table(struct check *c, const struct kern_table *t, struct packed *p,
    size_t n_panels, size_t n_cols, float *out)
{
	enum act_form form = pack_act(p->w.type, n_cols);

	t->panel[p->w.type](p->bytes, n_panels, p->w.n_in,
	    columns(c, p, form), act_row_bytes(form, p->w.n_in), n_cols, out,
	    OUT_STRIDE);
}

static bool
same_rows(struct check *c, const float *got, const float *want, size_t n_cols,
    size_t n_rows)
{
	size_t col, o;

	for (col = 0; col < n_cols; col++)
		for (o = 0; o < n_rows; o++)
			if (memcmp(&got[col * OUT_STRIDE + o],
			    &want[col * OUT_STRIDE + o], sizeof(*got)) != 0)
				return fail(c, "column %zu row %zu is %.9g, "
				    "not %.9g", col, o,
				    (double)got[col * OUT_STRIDE + o],
				    (double)want[col * OUT_STRIDE + o]);
	return true;
}

static size_t
next_cols(const struct check *c, size_t n)
{
	if (c->is_quick && n == 5)
		return SOME_COLS;
	return n == SOME_COLS ? MAX_COLS : n + 1;
}

/* What each column alone gives by ref, for any number of columns. */
static bool
any_columns(struct check *c, struct packed *p, const float *want)
{
	size_t n, panels, rows;
	float *got;

	for (n = 1; n <= MAX_COLS; n = next_cols(c, n))
		for (panels = 1; panels <= N_PANELS; panels++) {
			try_input(c, "kind %d, %s, n_in %zu, %zu columns, "
			    "%zu panels", p->kind, shape_name(p->shape),
			    p->w.n_in, n, panels);
			rows = panels * PANEL_ROWS;
			got = area_get(AREA_OUT, (enum place)(n % PLACE_LIMIT),
			    ((n - 1) * OUT_STRIDE + rows) * sizeof(*got),
			    sizeof(*got));
			by_table(c, c->now, p, panels, n, got);
			if (!same_rows(c, got, want, n, rows) ||
			    !areas_whole(c))
				return false;
		}
	return true;
}

static bool
any_threads(struct check *c, struct packed *p, const float *want)
{
	struct act_rows a = { 0 };
	float *got = xcalloc(OUT_SIZE, sizeof(*got));
	struct pool *pool;
	struct cause cause;
	bool ok = true;
	size_t n;
	int threads;

	memcpy(a.form, p->act, sizeof(a.form));
	for (threads = 1; ok && threads <= MAX_THREADS; threads++) {
		if (pool_new(&pool, threads, &cause) != 0) {
			ok = fail(c, "no pool: %s", cause.text);
			break;
		}
		for (n = 1; ok && n <= MAX_COLS; n = next_cols(c, n)) {
			try_input(c, "n_in %zu, %zu rows, %d threads",
			    p->w.n_in, n, threads);
			act_rows_set(&a, p->x, n, p->w.n_in, p->w.n_in);
			memset(got, 0x55, OUT_SIZE * sizeof(*got));
			matmul(pool, &p->w, &a, got, OUT_STRIDE);
			ok = same_rows(c, got, want, n, N_OUT);
			if (ok && f32_bits(got[N_OUT]) != 0x55555555)
				ok = fail(c, "wrote past the last row");
		}
		pool_free(&pool);
	}
	free(got);
	return ok;
}

static bool
try_packed(struct check *c, enum tensor_type t, size_t n_in, int kind,
    enum shape shape, bool threads)
{
	float *want = xcalloc(OUT_SIZE, sizeof(*want));
	struct packed p;
	bool ok;

	packed_new(c, &p, t, n_in, kind, shape);
	try_input(c, "kind %d, %s", kind, shape_name(shape));
	by_table(c, c->ref, &p, N_PANELS, MAX_COLS, want);
	ok = unpacks_to_the_rows(c, &p) && any_columns(c, &p, want) &&
	    (!threads || any_threads(c, &p, want));
	packed_free(&p);
	free(want);
	return ok;
}

bool
check_panel(struct check *c, enum tensor_type t)
{
	static const enum shape shapes[] = {
		SHAPE_RANDOM, SHAPE_BELL, SHAPE_EQUAL, SHAPE_ALTERNATING,
		SHAPE_TINY, SHAPE_ONE_OUTLIER
	};
	size_t n_shapes = c->is_quick ? 2 : N_ELEMENTS(shapes);
	size_t block = type_info(t)->block_n, i;
	/* one block, more than a chunk, a number of chunks and some more; of
	 * floats also two short chains */
	const size_t lengths[] = { block, block == 1 ? 333 : 2 * block,
	    block == 1 ? 512 : block == 32 ? 19 * block : 3 * block, 77 };
	size_t s;
	int kind;

	for (i = 0; i < N_ELEMENTS(lengths) - (block > 1); i++)
		for (kind = 0; kind < 4; kind++)
			for (s = 0; s < n_shapes; s++)
				if (!try_packed(c, t, lengths[i], kind,
				    shapes[s], kind == 0 && s == 0))
					return false;
	return true;
}

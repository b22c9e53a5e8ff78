/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/weights_pack.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/pack.h"

/* ---- the layout ---- */

static size_t
align_up(size_t n)
{
	return (n + PACK_ALIGN - 1) / PACK_ALIGN * PACK_ALIGN;
}

static void
lay(struct weights_layout *l, struct matrix *m)
{
	size_t n_bytes;

	if (!pack_has(m->type, m->n_in) || m->n_out == 0)
		return;
	n_bytes = pack_bytes(m->type, m->n_in, m->n_out);
	/* room doubles: 1, 2, 4 ... */
	if ((l->n & (l->n - 1)) == 0)
		l->v = xreallocarray(l->v, MEM_MAX(l->n * 2, (size_t)1),
		    sizeof(*l->v));
	l->v[l->n++] = (struct packed_matrix){ m, l->n_bytes, n_bytes };
	l->n_bytes += align_up(n_bytes);
}

static void
lay_feed_forward(struct weights_layout *l, struct feed_forward *f)
{
	lay(l, &f->gate);
	lay(l, &f->up);
	lay(l, &f->down);
}

static void
lay_layer(struct weights_layout *l, struct layer *layer)
{
	lay(l, &layer->q);
	lay(l, &layer->k);
	lay(l, &layer->v);
	lay(l, &layer->o);
	if (layer->experts == NULL) {
		lay_feed_forward(l, &layer->ffn);
		return;
	}
	lay(l, &layer->router);
	for (size_t e = 0; e < layer->router.n_out; e++)
		lay_feed_forward(l, &layer->experts[e]);
}

void
weights_layout_init(struct weights_layout *l, struct weights *w)
{
	*l = (struct weights_layout){ 0 };
	for (uint32_t i = 0; i < w->n_layer; i++)
		lay_layer(l, &w->layers[i]);
	lay(l, &w->output);
}

void
weights_layout_fini(struct weights_layout *l)
{
	free(l->v);
	*l = (struct weights_layout){ 0 };
}

void
weights_use(const struct weights_layout *l, const struct gguf *g,
    const void *packed)
{
	for (size_t i = 0; i < l->n; i++) {
		struct matrix *m = l->v[i].m;

		m->packed = (const uint8_t *)packed + l->v[i].at;
		/* reading nearby may have brought back what was dropped */
		gguf_drop(g, m->data, m->n_out * m->row_bytes);
	}
}

/* ---- ranges of it ---- */

/* What is being made. */
struct range {
	size_t		 at, end;	/* in the layout */
	uint8_t		*to;		/* of `at` */
};

/* A panel that begins at `at` and is partly outside. */
static void
pack_cut(const struct range *r, const struct packed_matrix *p, size_t panel,
    size_t at, size_t n_bytes)
{
	size_t from = MEM_MAX(at, r->at);
	size_t end = MEM_MIN(at + n_bytes, r->end);
	uint8_t *whole = xmalloc(n_bytes);

	pack_panel(p->m, panel, whole);
	memcpy(r->to + (from - r->at), whole + (from - at), end - from);
	free(whole);
}

static void
pack_matrix(const struct range *r, const struct packed_matrix *p,
    const struct gguf *g)
{
	size_t n_bytes = pack_panel_bytes(p->m->type, p->m->n_in);
	size_t first = r->at > p->at ? (r->at - p->at) / n_bytes : 0;
	size_t n_panels = p->n_bytes / n_bytes, i;
	size_t row = first * PANEL_ROWS, n_rows;

	for (i = first; i < n_panels; i++) {
		size_t at = p->at + i * n_bytes;

		if (at >= r->end)
			break;
		if (at >= r->at && at + n_bytes <= r->end)
			pack_panel(p->m, i, r->to + (at - r->at));
		else
			pack_cut(r, p, i, at, n_bytes);
	}
	n_rows = MEM_MIN(i * PANEL_ROWS, p->m->n_out) - row;
	gguf_drop(g, (const uint8_t *)p->m->data + row * p->m->row_bytes,
	    n_rows * p->m->row_bytes);
}

/* The last matrix that begins at or before `at`. */
static size_t
find(const struct weights_layout *l, size_t at)
{
	size_t low = 0, high = l->n;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (l->v[mid].at <= at)
			low = mid;
		else
			high = mid;
	}
	return low;
}

void
weights_pack(const struct weights_layout *l, const struct gguf *g, size_t at,
    size_t n, void *to)
{
	struct range r = { at, at + n, to };

	for (size_t i = find(l, at); i < l->n && l->v[i].at < r.end; i++) {
		const struct packed_matrix *p = &l->v[i];
		size_t tail = MEM_MAX(p->at + p->n_bytes, r.at);
		size_t next = MEM_MIN(p->at + align_up(p->n_bytes), r.end);

		if (tail > r.at)
			pack_matrix(&r, p, g);
		if (tail < next)
			memset(r.to + (tail - r.at), 0, next - tail);
	}
}

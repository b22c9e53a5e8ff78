/* SPDX-License-Identifier: MIT */
/*
 * Packing a model's matrices, one behind the other, always in the same order
 * so that the result can be kept in a file.
 */
#include "config.h"

#include <string.h>

#include "kernels/pack.h"
#include "model/weights.h"

/* What is being laid out; `to` is NULL while sizes are only counted. */
struct layout {
	const struct gguf	*g;
	uint8_t			*to;
	size_t			 at;
};

static void
lay(struct layout *l, struct matrix *m)
{
	if (!pack_has(m->type, m->n_in) || m->n_out == 0)
		return;
	if (l->to != NULL) {
		pack(m, l->to + l->at);
		m->packed = l->to + l->at;
		gguf_drop(l->g, m->data, m->n_out * m->row_bytes);
	}
	l->at += (pack_bytes(m->type, m->n_in, m->n_out) + PACK_ALIGN - 1) /
	    PACK_ALIGN * PACK_ALIGN;
}

static void
lay_feed_forward(struct layout *l, struct feed_forward *f)
{
	lay(l, &f->gate);
	lay(l, &f->up);
	lay(l, &f->down);
}

static void
lay_layer(struct layout *l, struct layer *layer, size_t n_experts)
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
	for (size_t e = 0; e < n_experts; e++)
		lay_feed_forward(l, &layer->experts[e]);
}

static void
lay_all(struct layout *l, struct weights *w)
{
	for (uint32_t i = 0; i < w->n_layer; i++)
		lay_layer(l, &w->layers[i], w->layers[i].router.n_out);
	lay(l, &w->output);
}

size_t
weights_pack_bytes(const struct weights *w)
{
	struct layout l = { NULL, NULL, 0 };

	/* with nowhere to pack to, nothing is changed */
	lay_all(&l, (struct weights *)(uintptr_t)w);
	return l.at;
}

void
weights_pack(struct weights *w, const struct gguf *g, void *to)
{
	struct layout l = { g, to, 0 };

	lay_all(&l, w);
}

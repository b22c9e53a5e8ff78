/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "model/model_impl.h"
#include "model/weights_cache.h"

/*
 * A file without a tokenizer, or with one of a kind we can't do, still
 * computes from tokens; then *out stays NULL.
 */
static int
open_tokenizer(const struct gguf *g, uint32_t n_vocab, struct tokenizer **out,
    struct cause *cause)
{
	struct tokenizer *t;
	int r;

	if (gguf_find(g, "tokenizer.ggml.model") == NULL)
		return 0;
	if ((r = tokenizer_open(g, &t, cause)) != 0)
		return r == BM_EUNSUP ? 0 : r;
	if (tokenizer_n_vocab(t) != n_vocab) {
		r = cause_set(cause, BM_EFORMAT,
		    "the tokenizer has %u tokens, token_embd.weight has %u",
		    tokenizer_n_vocab(t), n_vocab);
		tokenizer_free(&t);
		return r;
	}
	*out = t;
	return 0;
}

/* The type that most elements of matrices have. */
static const char *
main_type(const struct gguf *g)
{
	uint64_t n[TYPE_LIMIT] = { 0 };
	uint32_t best = 0;

	for (size_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);

		if (t->n_dims > 1)
			n[t->type_id] += t->n_elements;
	}
	for (uint32_t i = 1; i < TYPE_LIMIT; i++)
		if (n[i] > n[best])
			best = i;
	return type_info(best)->name;
}

static void
describe(struct model *m)
{
	const struct hparams *h = &m->h;
	struct model_desc *d = &m->desc;

	str_copy(d->architecture, h->architecture, sizeof(d->architecture));
	str_copy(d->type, main_type(m->gguf), sizeof(d->type));
	for (size_t i = 0; i < gguf_n_tensors(m->gguf); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(m->gguf, i);

		d->n_params += t->n_elements;
		d->weight_bytes += t->n_bytes;
	}
	/* The file's own bytes are mapped, too. */
	d->shared_bytes = m->packed.is_shared ? d->weight_bytes :
	    m->w.token_embd.n_out * m->w.token_embd.row_bytes;
	d->file_bytes = gguf_file_bytes(m->gguf);
	d->bits_per_weight = d->n_params == 0 ? 0 :
	    (float)(8.0 * (double)d->weight_bytes / (double)d->n_params);
	d->n_ctx_train = h->n_ctx_train;
	d->n_vocab = h->n_vocab;
	d->n_embd = h->n_embd;
	d->n_layer = h->n_layer;
	d->n_head = h->n_head;
	d->n_head_kv = h->n_head_kv;
	d->head_dim = h->head_dim;
	d->n_ff = h->n_ff;
	d->n_expert = h->n_expert;
	d->n_expert_used = h->n_expert_used;
	d->pooling = h->pooling;
}

static int
pack_weights(struct model *m, const struct gguf *g,
    const struct weights_plan *plan, struct cause *cause)
{
	struct weights_layout l;
	struct weights_source s = { .layout = &l, .gguf = g, .plan = plan };
	int r = 0;

	weights_layout_init(&l, &m->w);
	if (l.n_bytes > 0) {
		gguf_identity(g, s.id);
		r = weights_cache_open(&s, &m->packed, cause);
	}
	if (r == 0)
		weights_use(&l, g, m->packed.packed);
	weights_layout_fini(&l);
	return r;
}

int
model_open_as(struct gguf **g, const struct weights_plan *plan,
    struct model **out, struct cause *cause)
{
	struct model *m = xcalloc(1, sizeof(*m));
	int r;

	if ((r = hparams_read(*g, &m->h, cause)) != 0 ||
	    (r = weights_bind(*g, &m->h, &m->w, cause)) != 0 ||
	    (r = open_tokenizer(*g, m->h.n_vocab, &m->tokenizer,
	    cause)) != 0 || (r = pack_weights(m, *g, plan, cause)) != 0) {
		model_free(&m);
		return r;
	}
	rope_init(&m->rope, &m->h.rope, m->w.rope_freqs);
	m->gguf = *g;
	*g = NULL;
	describe(m);
	*out = m;
	return 0;
}

int
model_open(struct gguf **g, struct model **out, struct cause *cause)
{
	static const struct weights_plan plan = { .dir_fd = -1,
	    .memory_fd = -1 };

	return model_open_as(g, &plan, out, cause);
}

void
model_free(struct model **mp)
{
	struct model *m = *mp;

	if (m == NULL)
		return;
	*mp = NULL;
	rope_fini(&m->rope);
	weights_fini(&m->w);
	weights_unmap(&m->packed);
	tokenizer_free(&m->tokenizer);
	gguf_free(&m->gguf);
	free(m);
}

const struct model_desc *
model_desc(const struct model *m)
{
	return &m->desc;
}

/*
 * Of a matrix for each expert, a token uses those of a few.  Of token_embd it
 * looks up a row, unless the output is the same matrix.
 */
struct model_need
model_need(const struct model *m)
{
	const struct gguf *g = m->gguf;
	const struct model_desc *d = &m->desc;
	bool is_tied = gguf_tensor(g, "output.weight") == NULL;
	struct model_need need = { 0 };

	for (size_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		bool is_embd = slice_eq(t->name, "token_embd.weight");
		double share = t->n_dims == 3 && d->n_expert > 0 ?
		    (double)d->n_expert_used / d->n_expert : 1;
		double madds = t->n_dims > 1 ?
		    share * (double)t->n_elements : 0;

		if (is_embd && !is_tied)
			continue;
		need.bytes += share * (double)t->n_bytes;
		if (is_embd || slice_eq(t->name, "output.weight"))
			need.output_madds += madds;
		else
			need.layer_madds += madds;
	}
	return need;
}

struct kv_shape
model_kv_shape(const struct model *m, enum attend_form form)
{
	return (struct kv_shape){ form, m->h.n_layer, m->h.n_head_kv,
	    m->h.head_dim };
}

const struct gguf *
model_gguf(const struct model *m)
{
	return m->gguf;
}

const struct tokenizer *
model_tokenizer(const struct model *m)
{
	return m->tokenizer;
}

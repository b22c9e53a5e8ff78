/* SPDX-License-Identifier: MIT */
/*
 * Nothing is allocated by a number of the metadata before a tensor of that
 * size has been seen in the file: the number of layers is bounded by the
 * number of tensors (hparams.c), experts by the router's rows.
 */
#include "config.h"

#include "model/weights.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kernels/kernels.h"

#define NAME_SIZE 96

struct binder {
	const struct gguf	*g;
	struct cause		*cause;
	bool			*used;	/* per tensor of the file */
	int			 error;
	char			 name[NAME_SIZE];
};

static void
fail(struct binder *b, int code, const char *fmt, ...) BM_PRINTF(3, 4);

static void
fail(struct binder *b, int code, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	if (b->error != 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	b->error = cause_set(b->cause, code, "%s", text);
}

static const char *
layer_name(struct binder *b, uint32_t layer, const char *what,
    const char *kind)
{
	snprintf(b->name, sizeof(b->name), "blk.%u.%s.%s", layer, what, kind);
	return b->name;
}

/* The tensor if it is there; marks it as used. */
static const struct gguf_tensor *
find(struct binder *b, const char *name)
{
	const struct gguf_tensor *t;

	if (b->error != 0 || (t = gguf_tensor(b->g, name)) == NULL)
		return NULL;
	b->used[t - gguf_tensor_at(b->g, 0)] = true;
	return t;
}

/* One with these dimensions; n_out 1 and n_matrices 1 for what has fewer. */
static const struct gguf_tensor *
find_shape(struct binder *b, const char *name, uint64_t n_in, uint64_t n_out,
    uint64_t n_matrices)
{
	const struct gguf_tensor *t = find(b, name);

	if (t == NULL)
		return NULL;
	if (t->dims[0] != n_in || t->dims[1] != n_out ||
	    t->dims[2] != n_matrices || t->dims[3] != 1) {
		fail(b, BM_EFORMAT, "tensor %s is %llu x %llu x %llu x %llu, "
		    "not %llu x %llu x %llu", name,
		    (unsigned long long)t->dims[0],
		    (unsigned long long)t->dims[1],
		    (unsigned long long)t->dims[2],
		    (unsigned long long)t->dims[3],
		    (unsigned long long)n_in, (unsigned long long)n_out,
		    (unsigned long long)n_matrices);
		return NULL;
	}
	return t;
}

/* ---- vectors ---- */

/* A copy as floats, or NULL when the tensor is absent. */
static float *
bind_optional_vector(struct binder *b, const char *name, uint64_t n)
{
	const struct gguf_tensor *t = find_shape(b, name, n, 1, 1);
	float *v;

	if (t == NULL)
		return NULL;
	if (t->type_id != TYPE_F32 && t->type_id != TYPE_F16 &&
	    t->type_id != TYPE_BF16) {
		fail(b, BM_EUNSUP, "tensor %s has type %s", name,
		    t->type->name);
		return NULL;
	}
	if ((v = try_calloc(n, sizeof(*v))) == NULL) {
		fail(b, BM_ENOMEM, "no memory for tensor %s", name);
		return NULL;
	}
	if (t->type_id == TYPE_F32)
		memcpy(v, t->data, n * sizeof(*v));
	else
		kern->unpack[t->type_id](t->data, v, n);
	return v;
}

static float *
bind_vector(struct binder *b, const char *name, uint64_t n)
{
	float *v = bind_optional_vector(b, name, n);

	if (v == NULL)
		fail(b, BM_EFORMAT, "tensor %s is missing", name);
	return v;
}

static float *
bind_bias(struct binder *b, uint32_t layer, const char *what, uint64_t n)
{
	return bind_optional_vector(b, layer_name(b, layer, what, "bias"), n);
}

/* ---- matrices ---- */

/* Kernels load floats and halves as such; the format allows any alignment. */
static bool
is_aligned(const struct gguf_tensor *t)
{
	size_t align = t->type_id == TYPE_F32 ? sizeof(float) :
	    t->type_id == TYPE_F16 || t->type_id == TYPE_BF16 ?
	    sizeof(uint16_t) : 1;

	return (uintptr_t)t->data % align == 0;
}

static bool
set_matrix(struct binder *b, const struct gguf_tensor *t, struct matrix *m)
{
	if (!is_aligned(t)) {
		fail(b, BM_EFORMAT, "tensor %s at offset %llu is not aligned",
		    b->name, (unsigned long long)t->offset);
		return false;
	}
	m->data = t->data;
	m->type = (enum tensor_type)t->type_id;
	m->n_in = t->dims[0];
	m->n_out = t->dims[1];
	m->row_bytes = type_row_bytes(m->type, m->n_in);
	return true;
}

static bool
bind_optional_matrix(struct binder *b, const char *name, uint64_t n_in,
    uint64_t n_out, struct matrix *m)
{
	const struct gguf_tensor *t;

	if (name != b->name)
		str_copy(b->name, name, sizeof(b->name));
	t = find_shape(b, name, n_in, n_out, 1);
	return t != NULL && set_matrix(b, t, m);
}

static void
bind_matrix(struct binder *b, const char *name, uint64_t n_in,
    uint64_t n_out, struct matrix *m)
{
	if (!bind_optional_matrix(b, name, n_in, n_out, m))
		fail(b, BM_EFORMAT, "tensor %s is missing", name);
}

static void
bind_weight(struct binder *b, uint32_t layer, const char *what, uint64_t n_in,
    uint64_t n_out, struct matrix *m)
{
	bind_matrix(b, layer_name(b, layer, what, "weight"), n_in, n_out, m);
}

/* ---- experts ---- */

/* What member of feed_forward, by the position of its name. */
static const char *const expert_parts[] = { "gate", "up", "down" };

static struct matrix *
expert_part(struct feed_forward *f, int part)
{
	return part == 0 ? &f->gate : part == 1 ? &f->up : &f->down;
}

/* All experts' matrices in one tensor; false when there is no such tensor. */
static bool
bind_stacked(struct binder *b, uint32_t layer, int part, uint64_t n_in,
    uint64_t n_out, uint32_t n_expert, struct feed_forward *experts)
{
	const struct gguf_tensor *t;
	struct matrix first;
	char what[32];

	snprintf(what, sizeof(what), "ffn_%s_exps", expert_parts[part]);
	t = find_shape(b, layer_name(b, layer, what, "weight"), n_in, n_out,
	    n_expert);
	if (t == NULL || !set_matrix(b, t, &first))
		return false;
	for (uint32_t e = 0; e < n_expert; e++) {
		struct matrix *m = expert_part(&experts[e], part);

		*m = first;
		m->data = (const uint8_t *)first.data +
		    e * n_out * first.row_bytes;
	}
	return true;
}

/* One tensor an expert, as files from before 2024 have them. */
static void
bind_single(struct binder *b, uint32_t layer, int part, uint64_t n_in,
    uint64_t n_out, uint32_t n_expert, struct feed_forward *experts)
{
	for (uint32_t e = 0; e < n_expert && b->error == 0; e++) {
		char what[32];

		snprintf(what, sizeof(what), "ffn_%s.%u", expert_parts[part],
		    e);
		bind_weight(b, layer, what, n_in, n_out,
		    expert_part(&experts[e], part));
	}
}

static void
bind_experts(struct binder *b, const struct hparams *h, uint32_t i,
    struct layer *l)
{
	bind_weight(b, i, "ffn_gate_inp", h->n_embd, h->n_expert, &l->router);
	if (b->error != 0)
		return;
	l->experts = try_calloc(h->n_expert, sizeof(*l->experts));
	if (l->experts == NULL) {
		fail(b, BM_ENOMEM, "no memory for %u experts", h->n_expert);
		return;
	}
	for (int part = 0; part < 3; part++) {
		uint64_t n_in = part == 2 ? h->n_ff : h->n_embd;
		uint64_t n_out = part == 2 ? h->n_embd : h->n_ff;
		char old[32];

		snprintf(old, sizeof(old), "ffn_%s.0", expert_parts[part]);
		if (gguf_tensor(b->g, layer_name(b, i, old, "weight")) != NULL)
			bind_single(b, i, part, n_in, n_out, h->n_expert,
			    l->experts);
		else if (!bind_stacked(b, i, part, n_in, n_out, h->n_expert,
		    l->experts))
			fail(b, BM_EFORMAT, "tensor %s is missing", b->name);
	}
}

/* ---- layers ---- */

static void
bind_dense(struct binder *b, const struct hparams *h, uint32_t i,
    struct feed_forward *f)
{
	bind_weight(b, i, "ffn_gate", h->n_embd, h->n_ff, &f->gate);
	bind_weight(b, i, "ffn_up", h->n_embd, h->n_ff, &f->up);
	bind_weight(b, i, "ffn_down", h->n_ff, h->n_embd, &f->down);
	f->gate_bias = bind_bias(b, i, "ffn_gate", h->n_ff);
	f->up_bias = bind_bias(b, i, "ffn_up", h->n_ff);
	f->down_bias = bind_bias(b, i, "ffn_down", h->n_embd);
}

static void
bind_layer(struct binder *b, const struct hparams *h, uint32_t i,
    struct layer *l)
{
	uint64_t n_q = (uint64_t)h->n_head * h->head_dim;
	uint64_t n_kv = (uint64_t)h->n_head_kv * h->head_dim;

	l->attn_norm = bind_vector(b, layer_name(b, i, "attn_norm", "weight"),
	    h->n_embd);
	bind_weight(b, i, "attn_q", h->n_embd, n_q, &l->q);
	bind_weight(b, i, "attn_k", h->n_embd, n_kv, &l->k);
	bind_weight(b, i, "attn_v", h->n_embd, n_kv, &l->v);
	bind_weight(b, i, "attn_output", n_q, h->n_embd, &l->o);
	l->q_bias = bind_bias(b, i, "attn_q", n_q);
	l->k_bias = bind_bias(b, i, "attn_k", n_kv);
	l->v_bias = bind_bias(b, i, "attn_v", n_kv);
	l->o_bias = bind_bias(b, i, "attn_output", h->n_embd);
	l->ffn_norm = bind_vector(b, layer_name(b, i, "ffn_norm", "weight"),
	    h->n_embd);
	if (h->n_expert > 0)
		bind_experts(b, h, i, l);
	else
		bind_dense(b, h, i, &l->ffn);
}

/* Tensors that carry nothing the computation needs. */
static bool
is_ignorable(struct slice name)
{
	static const char tail[] = ".attn_rot_embd.weight";
	size_t n = sizeof(tail) - 1;

	return name.n >= n && memcmp(name.p + name.n - n, tail, n) == 0;
}

static void
check_all_used(struct binder *b, const struct hparams *h)
{
	char vis[NAME_SIZE];

	for (size_t i = 0; i < gguf_n_tensors(b->g) && b->error == 0; i++) {
		const struct gguf_tensor *t = gguf_tensor_at(b->g, i);

		if (!b->used[i] && !is_ignorable(t->name))
			fail(b, BM_EUNSUP,
			    "tensor %s is none that architecture %s has",
			    str_vis(vis, sizeof(vis), t->name.p, t->name.n),
			    h->architecture);
	}
}

/* Each divides an angle. */
static void
check_divisors(struct binder *b, const float *v, uint32_t n)
{
	for (uint32_t i = 0; v != NULL && i < n; i++)
		if (!isfinite(v[i]) || v[i] == 0)
			fail(b, BM_EFORMAT, "tensor rope_freqs.weight: "
			    "element %u is %g", i, (double)v[i]);
}

static void
bind_all(struct binder *b, const struct hparams *h, struct weights *w)
{
	bind_matrix(b, "token_embd.weight", h->n_embd, h->n_vocab,
	    &w->token_embd);
	w->output_norm = bind_vector(b, "output_norm.weight", h->n_embd);
	if (!bind_optional_matrix(b, "output.weight", h->n_embd, h->n_vocab,
	    &w->output))
		w->output = w->token_embd;
	w->rope_freqs = bind_optional_vector(b, "rope_freqs.weight",
	    h->rope.n_rot / 2);
	check_divisors(b, w->rope_freqs, h->rope.n_rot / 2);
	if (b->error != 0)
		return;
	w->layers = try_calloc(h->n_layer, sizeof(*w->layers));
	if (w->layers == NULL) {
		fail(b, BM_ENOMEM, "no memory for %u layers", h->n_layer);
		return;
	}
	w->n_layer = h->n_layer;
	for (uint32_t i = 0; i < h->n_layer && b->error == 0; i++)
		bind_layer(b, h, i, &w->layers[i]);
	check_all_used(b, h);
}

int
weights_bind(const struct gguf *g, const struct hparams *h, struct weights *w,
    struct cause *cause)
{
	struct binder b = { .g = g, .cause = cause };

	memset(w, 0, sizeof(*w));
	b.used = try_calloc(gguf_n_tensors(g) + 1, sizeof(*b.used));
	if (b.used == NULL)
		return cause_set(cause, BM_ENOMEM, "no memory for tensors");
	bind_all(&b, h, w);
	free(b.used);
	return b.error;
}

static void
feed_forward_fini(struct feed_forward *f)
{
	free(f->gate_bias);
	free(f->up_bias);
	free(f->down_bias);
}

void
weights_fini(struct weights *w)
{
	for (uint32_t i = 0; i < w->n_layer; i++) {
		struct layer *l = &w->layers[i];

		free(l->attn_norm);
		free(l->ffn_norm);
		free(l->q_bias);
		free(l->k_bias);
		free(l->v_bias);
		free(l->o_bias);
		feed_forward_fini(&l->ffn);
		free(l->experts);
	}
	free(w->layers);
	free(w->output_norm);
	free(w->rope_freqs);
	memset(w, 0, sizeof(*w));
}

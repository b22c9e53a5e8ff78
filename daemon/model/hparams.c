/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/hparams.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* No model comes near; keeps every product of two within 64 bits. */
#define DIM_MAX		(1u << 24)
/* A longer context is cut to this, so that positions can be added up. */
#define CTX_MAX		(1u << 30)
/* The least number of tensors a layer can be made of. */
#define LAYER_TENSORS	9

/* Reads ARCHITECTURE.name keys and remembers the first failure. */
struct reader {
	const struct gguf	*g;
	const char		*architecture;
	struct cause		*cause;
	int			 error;
	char			 key[128];
};

static const char *
key_of(struct reader *r, const char *name)
{
	snprintf(r->key, sizeof(r->key), "%s.%s", r->architecture, name);
	return r->key;
}

static void
set_error(struct reader *r, int code)
{
	if (r->error == 0)
		r->error = code;
}

/* An optional number: *out stays when the key is absent; false then. */
static bool
read_u32(struct reader *r, const char *name, uint32_t min, uint32_t max,
    uint32_t *out)
{
	uint32_t v;
	int rc;

	if (r->error != 0)
		return false;
	rc = gguf_get_u32_at(r->g, key_of(r, name), 0, &v, r->cause);
	if (rc == BM_ENOTFOUND)
		return false;
	if (rc == 0 && (v < min || v > max))
		rc = cause_set(r->cause, BM_EFORMAT,
		    "%s is %u, not within %u to %u", r->key, v, min, max);
	if (rc != 0) {
		set_error(r, rc);
		return false;
	}
	*out = v;
	return true;
}

static void
need_u32(struct reader *r, const char *name, uint32_t min, uint32_t max,
    uint32_t *out)
{
	if (!read_u32(r, name, min, max, out) && r->error == 0)
		set_error(r, cause_set(r->cause, BM_EFORMAT, "%s is missing",
		    key_of(r, name)));
}

/* A number, or one a layer which are all the same. */
static bool
read_layers_u32(struct reader *r, const char *name, uint32_t n_layer,
    uint32_t max, uint32_t *out)
{
	const struct gguf_kv *kv;
	uint32_t first;

	if (!read_u32(r, name, 1, max, &first))
		return false;
	kv = gguf_find(r->g, key_of(r, name));
	if (kv != NULL && kv->type == GGUF_ARR) {
		if (kv->n != n_layer) {
			set_error(r, cause_set(r->cause, BM_EFORMAT,
			    "%s has %llu values for %u layers", r->key,
			    (unsigned long long)kv->n, n_layer));
			return false;
		}
		for (uint32_t i = 1; i < n_layer; i++) {
			if (gguf_array_number(kv, i) == first)
				continue;
			set_error(r, cause_set(r->cause, BM_EUNSUP,
			    "%s differs between layers", r->key));
			return false;
		}
	}
	*out = first;
	return true;
}

static void
need_layers_u32(struct reader *r, const char *name, uint32_t n_layer,
    uint32_t max, uint32_t *out)
{
	if (!read_layers_u32(r, name, n_layer, max, out) && r->error == 0)
		set_error(r, cause_set(r->cause, BM_EFORMAT, "%s is missing",
		    key_of(r, name)));
}

/* An optional finite number within [min, max]. */
static bool
read_f32(struct reader *r, const char *name, float min, float max, float *out)
{
	float v;
	int rc;

	if (r->error != 0)
		return false;
	rc = gguf_get_f32(r->g, key_of(r, name), &v, r->cause);
	if (rc == BM_ENOTFOUND)
		return false;
	if (rc == 0 && !(v >= min && v <= max))
		rc = cause_set(r->cause, BM_EFORMAT,
		    "%s is %g, not within %g to %g", r->key, (double)v,
		    (double)min, (double)max);
	if (rc != 0) {
		set_error(r, rc);
		return false;
	}
	*out = v;
	return true;
}

/* ---- the parts ---- */

static int
read_architecture(const struct gguf *g, struct hparams *h,
    struct cause *cause)
{
	struct slice name;
	char vis[64];
	int r = gguf_get_str(g, "general.architecture", &name, cause);

	if (r == BM_ENOTFOUND)
		return cause_set(cause, BM_EFORMAT,
		    "general.architecture is missing");
	if (r != 0)
		return r;
	str_vis(vis, sizeof(vis), name.p, name.n);
	if (!slice_eq(name, "llama"))
		return cause_set(cause, BM_EUNSUP,
		    "architecture \"%s\" is not supported", vis);
	str_copy(h->architecture, vis, sizeof(h->architecture));
	return 0;
}

static void
read_sizes(struct reader *r, struct hparams *h)
{
	size_t most_layers = gguf_n_tensors(r->g) / LAYER_TENSORS;

	need_u32(r, "context_length", 1, UINT32_MAX, &h->n_ctx_train);
	h->n_ctx_train = MEM_MIN(h->n_ctx_train, CTX_MAX);
	need_u32(r, "embedding_length", 1, DIM_MAX, &h->n_embd);
	need_u32(r, "block_count", 1, DIM_MAX, &h->n_layer);
	if (r->error == 0 && h->n_layer > most_layers) {
		set_error(r, cause_set(r->cause, BM_EFORMAT,
		    "%s is %u, but the file has only %zu tensors",
		    key_of(r, "block_count"), h->n_layer,
		    gguf_n_tensors(r->g)));
		return;
	}
	need_layers_u32(r, "feed_forward_length", h->n_layer, DIM_MAX,
	    &h->n_ff);
	h->norm_eps = 1e-5f;
	read_f32(r, "attention.layer_norm_rms_epsilon", 0, 1e3f,
	    &h->norm_eps);
	read_u32(r, "pooling_type", 0, UINT32_MAX, &h->pooling);
}

static void
read_heads(struct reader *r, struct hparams *h)
{
	uint32_t value_dim;

	need_layers_u32(r, "attention.head_count", h->n_layer, DIM_MAX,
	    &h->n_head);
	if (r->error != 0)
		return;
	h->n_head_kv = h->n_head;
	read_layers_u32(r, "attention.head_count_kv", h->n_layer, DIM_MAX,
	    &h->n_head_kv);
	h->head_dim = h->n_embd / h->n_head;
	read_u32(r, "attention.key_length", 1, DIM_MAX, &h->head_dim);
	value_dim = h->head_dim;
	read_u32(r, "attention.value_length", 1, DIM_MAX, &value_dim);
	if (r->error != 0)
		return;
	if (h->n_head % h->n_head_kv != 0)
		set_error(r, cause_set(r->cause, BM_EFORMAT,
		    "%u attention heads can't share %u key heads", h->n_head,
		    h->n_head_kv));
	else if (h->head_dim == 0)
		set_error(r, cause_set(r->cause, BM_EFORMAT,
		    "%u attention heads in an embedding of %u", h->n_head,
		    h->n_embd));
	else if (value_dim != h->head_dim)
		set_error(r, cause_set(r->cause, BM_EUNSUP,
		    "keys of %u and values of %u differ in length",
		    h->head_dim, value_dim));
	else if ((uint64_t)h->n_head * h->head_dim > DIM_MAX)
		set_error(r, cause_set(r->cause, BM_EFORMAT,
		    "%u heads of %u values are too many", h->n_head,
		    h->head_dim));
}

static void
read_experts(struct reader *r, struct hparams *h)
{
	uint32_t gating = 1;

	h->expert_scale = 1;
	read_u32(r, "expert_count", 0, DIM_MAX, &h->n_expert);
	if (r->error != 0 || h->n_expert == 0)
		return;
	need_u32(r, "expert_used_count", 1, h->n_expert, &h->n_expert_used);
	read_u32(r, "expert_feed_forward_length", 1, DIM_MAX, &h->n_ff);
	read_f32(r, "expert_weights_scale", -1e6f, 1e6f, &h->expert_scale);
	read_u32(r, "expert_gating_func", 0, UINT32_MAX, &gating);
	if (r->error == 0 && gating > 1)
		set_error(r, cause_set(r->cause, BM_EUNSUP,
		    "%s is %u: only softmax is supported",
		    key_of(r, "expert_gating_func"), gating));
}

/* "linear" is the default, since old files have only the factor. */
static void
read_scaling(struct reader *r, struct rope_params *p)
{
	struct slice type = slice_of("linear");
	float factor = 0;
	int rc;

	if (r->error != 0)
		return;
	rc = gguf_get_str(r->g, key_of(r, "rope.scaling.type"), &type,
	    r->cause);
	if (rc != 0 && rc != BM_ENOTFOUND) {
		set_error(r, rc);
		return;
	}
	p->is_yarn = slice_eq(type, "yarn");
	if (!p->is_yarn && !slice_eq(type, "linear") &&
	    !slice_eq(type, "none")) {
		char vis[48];

		set_error(r, cause_set(r->cause, BM_EUNSUP,
		    "%s \"%s\" is not supported", r->key,
		    str_vis(vis, sizeof(vis), type.p, type.n)));
		return;
	}
	if (!read_f32(r, "rope.scaling.factor", 0, 1e6f, &factor))
		read_f32(r, "rope.scale_linear", 0, 1e6f, &factor);
	p->factor = factor > 0 && !slice_eq(type, "none") ? factor : 1;
}

static void
read_rope(struct reader *r, struct hparams *h)
{
	struct rope_params *p = &h->rope;
	float base = 10000, gain = 1;

	p->n_rot = h->head_dim;
	p->n_ctx_orig = h->n_ctx_train;
	read_u32(r, "rope.dimension_count", 2, DIM_MAX, &p->n_rot);
	read_f32(r, "rope.freq_base", 1.001f, 1e30f, &base);
	read_u32(r, "rope.scaling.original_context_length", 1, UINT32_MAX,
	    &p->n_ctx_orig);
	read_f32(r, "rope.scaling.attn_factor", 0, 1e6f, &gain);
	read_scaling(r, p);
	if (r->error != 0)
		return;
	p->freq_base = base;
	p->gain = gain;
	if (p->is_yarn)
		p->gain *= 1 + 0.1 * log(p->factor);
	if (p->n_rot % 2 != 0 || p->n_rot > h->head_dim)
		set_error(r, cause_set(r->cause, BM_EFORMAT,
		    "%s is %u, not an even number up to %u",
		    key_of(r, "rope.dimension_count"), p->n_rot,
		    h->head_dim));
}

static void
refuse_cap(struct reader *r, const char *name)
{
	float cap = 0;

	if (read_f32(r, name, -1e30f, 1e30f, &cap) && cap != 0)
		set_error(r, cause_set(r->cause, BM_EUNSUP,
		    "%s is %g: capping is not supported", r->key,
		    (double)cap));
}

/* Keys of other families that would change what is computed. */
static void
refuse_others(struct reader *r)
{
	bool causal = true;
	int rc;

	refuse_cap(r, "attn_logit_softcapping");
	refuse_cap(r, "final_logit_softcapping");
	if (r->error != 0)
		return;
	rc = gguf_get_bool(r->g, key_of(r, "attention.causal"), &causal,
	    r->cause);
	if (rc != 0 && rc != BM_ENOTFOUND)
		set_error(r, rc);
	else if (!causal)
		set_error(r, cause_set(r->cause, BM_EUNSUP,
		    "%s is false: attention in both directions is not "
		    "supported", r->key));
}

static int
read_vocab(const struct gguf *g, struct hparams *h, struct cause *cause)
{
	const struct gguf_tensor *t = gguf_tensor(g, "token_embd.weight");

	if (t == NULL)
		return cause_set(cause, BM_EFORMAT,
		    "tensor token_embd.weight is missing");
	if (t->dims[1] == 0 || t->dims[1] > DIM_MAX)
		return cause_set(cause, BM_EFORMAT,
		    "token_embd.weight has %llu rows",
		    (unsigned long long)t->dims[1]);
	h->n_vocab = (uint32_t)t->dims[1];
	return 0;
}

int
hparams_read(const struct gguf *g, struct hparams *out, struct cause *cause)
{
	struct hparams h = { 0 };
	struct reader r = { .g = g, .cause = cause };
	int rc;

	if ((rc = read_architecture(g, &h, cause)) != 0)
		return rc;
	r.architecture = h.architecture;
	read_sizes(&r, &h);
	read_heads(&r, &h);
	read_experts(&r, &h);
	read_rope(&r, &h);
	refuse_others(&r);
	if (r.error != 0)
		return r.error;
	if ((rc = read_vocab(g, &h, cause)) != 0)
		return rc;
	*out = h;
	return 0;
}

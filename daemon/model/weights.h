/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_WEIGHTS_H
#define BM_MODEL_WEIGHTS_H

/*
 * The tensors of a model, bound by name and checked: shape, type, alignment.
 * Matrices stay where the file is mapped; norms, biases and other vectors are
 * copied to floats.  A missing tensor, one of another shape, or one that this
 * architecture has no use for (the result would be wrong without it) is named
 * in the cause.
 */

#include "base/err.h"
#include "kernels/matmul.h"
#include "model/gguf.h"
#include "model/hparams.h"

struct feed_forward {
	struct matrix	 gate;		/* n_embd -> n_ff */
	struct matrix	 up;
	struct matrix	 down;		/* n_ff -> n_embd */
	float		*gate_bias;	/* biases are NULL when there is none */
	float		*up_bias;
	float		*down_bias;
};

struct layer {
	float		*attn_norm;
	float		*ffn_norm;
	struct matrix	 q, k, v, o;
	float		*q_bias, *k_bias, *v_bias, *o_bias;
	struct feed_forward ffn;	/* dense models */
	struct matrix	 router;	/* n_embd -> n_expert */
	struct feed_forward *experts;
};

struct weights {
	struct matrix	 token_embd;
	struct matrix	 output;	/* token_embd again when tied */
	float		*output_norm;
	float		*rope_freqs;	/* or NULL */
	struct layer	*layers;
	uint32_t	 n_layer;
};

/* kern_init must have been called. */
int	 weights_bind(const struct gguf *g, const struct hparams *h,
	    struct weights *w, struct cause *cause) BM_MUST_CHECK;
/* Also fit for what a failed weights_bind left. */
void	 weights_fini(struct weights *w);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_HPARAMS_H
#define BM_MODEL_HPARAMS_H

/*
 * A model's dimensions, read from the file's metadata.  Each is in a range in
 * which products of any two fit 64 bits; that they agree with the tensors is
 * weights.c's to check, so nothing may be allocated by them before.
 */

#include <stdint.h>

#include "base/err.h"
#include "model/gguf.h"
#include "model/rope.h"

struct hparams {
	char		 architecture[32];
	uint32_t	 n_vocab;	/* rows of token_embd.weight */
	uint32_t	 n_embd;
	uint32_t	 n_layer;
	uint32_t	 n_head;
	uint32_t	 n_head_kv;	/* divides n_head */
	uint32_t	 head_dim;
	uint32_t	 n_ff;		/* of one expert, if there are any */
	uint32_t	 n_expert;	/* 0: dense */
	uint32_t	 n_expert_used;
	uint32_t	 n_ctx_train;
	uint32_t	 pooling;	/* as the file says; 0 none */
	float		 norm_eps;
	float		 expert_scale;
	struct rope_params rope;
};

/* Fails with BM_EUNSUP and the name for an architecture we can't run. */
int	 hparams_read(const struct gguf *g, struct hparams *out,
	    struct cause *cause) BM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_TESTS_MODEL_RIG_H
#define BM_TESTS_MODEL_RIG_H

/* A model of the golden data, ready to compute.  Everything fails the test on
 * error. */

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

struct rig {
	struct model	*model;
	struct pool	*pool;
	struct kv_pool	*kv;
	struct model_run *run;
	size_t		 n_vocab;
	size_t		 n_embd;
};

/* n_tokens: room in the KV cache for all sequences together; also the most
 * rows of a batch. */
void	 rig_open(struct rig *r, const char *path, int n_threads,
	    size_t n_tokens);
void	 rig_close(struct rig *r);
/*
 * Feed n tokens to a sequence in pieces of at most `piece`.  Logits and hidden
 * states of all of them; either may be NULL.
 */
void	 rig_feed(struct rig *r, struct kv_seq *seq, const uint32_t *tokens,
	    size_t n, size_t piece, float *logits, float *hidden);
/* The same for a fresh sequence, logits in new memory. */
float	*rig_logits(struct rig *r, const uint32_t *tokens, size_t n,
	    size_t piece);

/* Call fn for every kernel level of this machine, the best first, which is
 * then in force; says which ones the machine lacks.  Under the sanitizers
 * (BM_SANITIZED) only for the best. */
void	 for_each_level(void (*fn)(const char *level));

#endif

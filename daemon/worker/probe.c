/* SPDX-License-Identifier: MIT */
/*
 * A worker's first step, before it calls itself ready: a few tokens through
 * all layers.  A file may load and still not work (weights that are no
 * numbers); and the pages that every step reads are in memory afterwards.
 */
#include "config.h"

#include <math.h>

#include "base/mem.h"
#include "worker/engine_impl.h"

#define PROBE_TOKENS	8

static bool
are_finite(const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

int
engine_probe(struct engine *e, struct cause *cause)
{
	uint32_t n_vocab = model_desc(e->conf.model)->n_vocab;
	uint32_t n = MEM_MIN(e->conf.n_ctx, (uint32_t)PROBE_TOKENS);
	struct kv_seq seq = { 0 };
	struct batch b = { e->rows, n };
	bool works;

	if (kv_seq_reserve(e->conf.kv, &seq, n) != 0)
		return cause_set(cause, BM_ENOMEM,
		    "no room for %u tokens in the KV cache", n);
	/* Spread over the vocabulary, whatever it is. */
	for (uint32_t i = 0; i < n; i++)
		e->rows[i] = (struct batch_row){ (uint32_t)((uint64_t)n_vocab *
		    i / n), i, &seq, i + 1 == n };
	model_forward(e->model_run, &b, e->logits, NULL);
	works = are_finite(e->logits, n_vocab);
	kv_seq_clear(e->conf.kv, &seq);
	return works ? 0 : cause_set(cause, BM_EFORMAT,
	    "the model computes no numbers: its weights are broken");
}

/* SPDX-License-Identifier: MIT */
/*
 * A worker's first steps, before it calls itself ready: a few tokens through
 * all layers.  A file may load and still not work (weights that are no
 * numbers); the pages that every step reads are in memory afterwards; and the
 * plan knows what steps cost before the first stream waits for one.
 */
#include "config.h"

#include <math.h>

#include "base/clock.h"
#include "base/mem.h"
#include "worker/engine_impl.h"

#define PROBE_TOKENS	8
/* The slice of a prompt that is timed, at most. */
#define PROBE_SLICE	32

static bool
are_finite(const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

/* n more rows of the sequence, tokens spread over the vocabulary; logits of
 * the last one, or of all. */
static void
forward(struct engine *e, struct kv_seq *seq, uint32_t n, bool all)
{
	uint32_t n_vocab = model_desc(e->conf.model)->n_vocab;
	struct batch b = { e->rows, n };

	for (uint32_t i = 0; i < n; i++)
		e->rows[i] = (struct batch_row){ (uint32_t)((uint64_t)n_vocab *
		    i / n), seq->n_tokens + i, seq, all || i + 1 == n };
	model_forward(e->model_run, &b, e->logits, NULL);
}

/* Time n rows, as those of streams or of a prompt. */
static void
learn(struct engine *e, struct kv_seq *seq, uint32_t n, bool is_decode)
{
	struct plan_work w = { 0 };
	uint64_t start = engine_now_ns(e);

	kv_seq_truncate(seq, 0);
	if (is_decode)
		plan_add_decode(&w, 0, n);
	else
		plan_add_prompt(&w, 0, n);
	forward(e, seq, n, is_decode);
	plan_observe(&e->plan, &w, clock_ms_between(start,
	    engine_now_ns(e)));
}

/* As many rows of a prompt as the plan would put beside a stream. */
static uint32_t
slice_rows(const struct engine *e, uint32_t most)
{
	uint32_t n = most;

	for (; n > PROBE_TOKENS; n /= 2) {
		struct plan_work w = { 0 };

		plan_add_prompt(&w, 0, n);
		if (plan_estimate_ms(&e->plan, &w) <= e->plan.max_gap_ms)
			break;
	}
	return n;
}

int
engine_probe(struct engine *e, struct cause *cause)
{
	uint32_t n_vocab = model_desc(e->conf.model)->n_vocab;
	uint32_t most = MEM_MIN(e->conf.n_ctx, (uint32_t)PROBE_SLICE);
	uint32_t n = MEM_MIN(most, (uint32_t)PROBE_TOKENS);
	struct kv_seq seq = { 0 };
	bool works;

	if (kv_seq_reserve(e->conf.kv, &seq, most) != 0)
		return cause_set(cause, BM_ENOMEM,
		    "no room for %u tokens in the KV cache", most);
	forward(e, &seq, n, false);
	works = are_finite(e->logits, n_vocab);
	if (works) {
		learn(e, &seq, 1, true);
		learn(e, &seq, n, true);
		learn(e, &seq, slice_rows(e, most), false);
	}
	kv_seq_clear(e->conf.kv, &seq);
	return works ? 0 : cause_set(cause, BM_EFORMAT,
	    "the model computes no numbers: its weights are broken");
}

/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_SAMPLE_H
#define BM_WORKER_SAMPLE_H

/*
 * Choosing the next token from a row of logits.  Pure: the choice depends on
 * the logits, the parameters, the sequence so far, and on (seed, position)
 * alone, so that a request which is resumed elsewhere continues with the same
 * draws.
 *
 * The order is llama.cpp's: logit_bias, penalties, top_k, top_p, min_p,
 * temperature, draw.  A temperature of 0 or less takes the largest logit
 * after bias and penalties, the lowest id on ties.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct sample_params {
	float		 temperature;
	int32_t		 top_k;		/* <= 0: off */
	float		 top_p;		/* >= 1: off */
	float		 min_p;		/* <= 0: off */
	float		 repeat_penalty; /* 1, or <= 0: off */
	int32_t		 repeat_last_n;	/* tokens, prompt included; -1: all */
	float		 presence_penalty; /* over generated tokens only */
	float		 frequency_penalty;
	uint64_t	 seed;
	uint32_t	*bias_tokens;
	float		*bias_values;	/* added; -INFINITY bans */
	size_t		 n_bias;
};

/* The sequence before the token to choose; its position is n. */
struct sample_history {
	const uint32_t	*tokens;
	size_t		 n;
	size_t		 n_prompt;	/* the rest is generated */
};

struct candidate {
	float		 logit;
	uint32_t	 token;
};

/* One caller's memory for a vocabulary. */
struct sample_scratch {
	size_t		 n_vocab;
	float		*logits;	/* with bias and penalties */
	float		*probs;
	uint32_t	*counts;	/* all 0 between calls */
	struct candidate *candidates;
};

void	 sample_scratch_init(struct sample_scratch *s, size_t n_vocab);
void	 sample_scratch_fini(struct sample_scratch *s);

/* 0, BM_EBADREQ when logit_bias bans everything, or BM_EINTERNAL when the
 * logits are not numbers to choose by (NaN, an infinity). */
int	 sample_token(const struct sample_params *p,
	    const struct sample_history *h, const float *logits,
	    struct sample_scratch *s, uint32_t *token) BM_MUST_CHECK;

struct token_logprob {
	uint32_t	 token;
	float		 logprob;
};

/*
 * Log probabilities from the raw logits: out[0] is the given token's, then
 * come the n_top most probable ones, best first.  Gives how many of these.
 */
size_t	 sample_logprobs(const float *logits, uint32_t token, size_t n_top,
	    struct sample_scratch *s, struct token_logprob *out);

/* The uniform number in [0, 1) of a seed and a position. */
double	 sample_uniform(uint64_t seed, uint64_t position);

#endif

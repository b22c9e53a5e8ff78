/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_ROPE_H
#define BM_MODEL_ROPE_H

/*
 * Rotary position embedding.  Pair i of a head turns by position * turn[i];
 * every way of stretching the context (linear, YaRN, Llama 3's divisors) only
 * changes the turns, so they are worked out once, when a model is opened.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rope_params {
	uint32_t	 n_rot;		/* values of a head that turn; even */
	double		 freq_base;
	double		 factor;	/* how far the context is stretched */
	double		 gain;		/* multiplies cosines and sines */
	bool		 is_yarn;
	uint32_t	 n_ctx_orig;	/* YaRN: the context before that */
};

struct rope {
	uint32_t	 n_pairs;
	double		 gain;
	double		*turn;		/* radians a position, of each pair */
};

/* divisors: n_rot / 2 of them, or NULL. */
void	 rope_init(struct rope *r, const struct rope_params *p,
	    const float *divisors);
void	 rope_fini(struct rope *r);
/* cos_sin: n_pairs cosines, then as many sines, times the gain. */
void	 rope_angles(const struct rope *r, uint32_t pos, float *cos_sin);
/* Turn neighbouring values (0, 1), (2, 3)... of each head in place. */
void	 rope_rotate(const struct rope *r, const float *cos_sin, float *x,
	    size_t n_heads, size_t head_dim);

#endif

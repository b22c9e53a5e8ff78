/* SPDX-License-Identifier: MIT */
/*
 * Angles are computed in double: at position 100,000 a float has lost the
 * last bits that tell neighbouring positions apart.
 *
 * YaRN (Peng et al., 2023): pairs that turn often within the original context
 * keep their speed, slow ones are divided by the factor, with a linear ramp
 * between the pairs that turn 32 times and once.
 */
#include "config.h"

#include "model/rope.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kernels/kernels.h"

#define YARN_BETA_FAST	32.0
#define YARN_BETA_SLOW	1.0
#define TWO_PI		6.283185307179586476925287

/* The pair (as a real number) that turns n_turns times in the context. */
static double
yarn_pair_of(const struct rope_params *p, double n_turns)
{
	return p->n_rot * log(p->n_ctx_orig / (n_turns * TWO_PI)) /
	    (2 * log(p->freq_base));
}

/* What part of pair i keeps its speed. */
static double
yarn_keep(const struct rope_params *p, uint32_t i)
{
	double start = fmax(0, floor(yarn_pair_of(p, YARN_BETA_FAST)));
	double end = fmin(p->n_rot - 1.0,
	    ceil(yarn_pair_of(p, YARN_BETA_SLOW)));
	double ramp = (i - start) / fmax(0.001, end - start);

	return 1 - fmin(1, fmax(0, ramp));
}

void
rope_init(struct rope *r, const struct rope_params *p, const float *divisors)
{
	r->n_pairs = p->n_rot / 2;
	r->gain = p->gain;
	r->turn = xmalloc((r->n_pairs + 1) * sizeof(*r->turn));
	for (uint32_t i = 0; i < r->n_pairs; i++) {
		double turn = pow(p->freq_base, -(double)i / r->n_pairs);
		double keep = p->is_yarn ? yarn_keep(p, i) : 0;

		if (divisors != NULL)
			turn /= divisors[i];
		r->turn[i] = turn * (keep + (1 - keep) / p->factor);
	}
}

void
rope_fini(struct rope *r)
{
	free(r->turn);
	r->turn = NULL;
}

void
rope_angles(const struct rope *r, uint32_t pos, float *cos_sin)
{
	for (uint32_t i = 0; i < r->n_pairs; i++) {
		double angle = pos * r->turn[i];

		cos_sin[i] = (float)(cos(angle) * r->gain);
		cos_sin[r->n_pairs + i] = (float)(sin(angle) * r->gain);
	}
}

void
rope_rotate(const struct rope *r, const float *cos_sin, float *x,
    size_t n_heads, size_t head_dim)
{
	for (size_t h = 0; h < n_heads; h++, x += head_dim)
		kern->rope_pairs(cos_sin, x, r->n_pairs);
}

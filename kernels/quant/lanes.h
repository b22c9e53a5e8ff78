/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_QUANT_LANES_H
#define BM_KERNELS_QUANT_LANES_H

/*
 * Four sub-blocks at once, a lane each.  A lane does exactly what a loop over
 * its sub-block alone would do, in the same order, so the result does not
 * depend on the width; the compiler's vectors are enough for that.
 */

#include <stdint.h>
#include <string.h>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

#define N_LANES 4

typedef float lanes __attribute__((vector_size(4 * N_LANES)));
typedef int32_t lane_mask __attribute__((vector_size(4 * N_LANES)));

static inline lanes
lanes_all(float v)
{
	return (lanes){ v, v, v, v };
}

/* yes where m, else no */
static inline lanes
lanes_pick(lane_mask m, lanes yes, lanes no)
{
	return (lanes)(((lane_mask)yes & m) | ((lane_mask)no & ~m));
}

static inline lanes
lanes_abs(lanes v)
{
	const lane_mask rest = { INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX };

	return (lanes)((lane_mask)v & rest);
}

/* a < b ? a : b; b when they can't be compared */
static inline lanes
lanes_min(lanes a, lanes b)
{
#ifdef __SSE__
	return (lanes)_mm_min_ps((__m128)a, (__m128)b);
#else
	return lanes_pick(a < b, a, b);
#endif
}

/* a > b ? a : b; b when they can't be compared */
static inline lanes
lanes_max(lanes a, lanes b)
{
#ifdef __SSE__
	return (lanes)_mm_max_ps((__m128)a, (__m128)b);
#else
	return lanes_pick(a > b, a, b);
#endif
}

/* Always within low..high, whatever x is. */
static inline lanes
lanes_clamp(lanes x, lanes low, lanes high)
{
	return lanes_min(lanes_max(x, low), high);
}

/* Round to nearest, ties to even, as round_even. */
static inline lanes
lanes_round(lanes x)
{
	const lanes magic = lanes_all(12582912.0f);

	return x + magic - magic;
}

static inline int
lanes_any(lane_mask m)
{
	int64_t w[2];

	memcpy(w, &m, sizeof(w));
	return (w[0] | w[1]) != 0;
}

/* Element i of n-element sub-blocks that follow one another at x. */
static inline void
lanes_load(lanes *to, const float *x, int n)
{
	int i;

	for (i = 0; i < n; i++)
		to[i] = (lanes){ x[i], x[n + i], x[2 * n + i], x[3 * n + i] };
}

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_QUANT_SEARCH_H
#define BM_KERNELS_QUANT_SEARCH_H

/*
 * The searches for scales.  Each tries a few scales around the obvious one and
 * keeps the one whose weighted square error is least after a least-squares
 * fit.  n is at most 32 elements a lane; quants come back as floats.
 */

#include <stddef.h>

#include "kernels/quant/lanes.h"

#define SEARCH_MAX_N	32

/* The signed value that is largest in size, the first of equals; 0 and not -0
 * when all are.  n is a multiple of N_LANES. */
float	 quant_largest(const float *x, int n);
float	 quant_mean_x2(const float *x, size_t n);

/* Which scales search_affine tries: (first + step * i + q_max) / range, i from
 * 0 to n_steps.  absolute: the error is |e| and not e^2. */
struct search_steps {
	float	 first;
	float	 step;
	int	 n_steps;
	int	 absolute;
};

/*
 * x ~ scale * q - *min with q in 0..q_max and *min >= 0.  w: the weight of
 * each error.  A lane without range gets scale 0.
 */
lanes	 search_affine(const lanes *x, const lanes *w, int n, float q_max,
	    const struct search_steps *steps, lanes *q, lanes *min);
/* x ~ scale * q with q in -q_max..q_max - 1.  w NULL: x^2. */
lanes	 search_symmetric(const lanes *x, const lanes *w, int n, float q_max,
	    lanes *q);
/* The same by moving single quants as long as that helps; w is x^2. */
lanes	 search_descent(const lanes *x, int n, float q_max, lanes *q);
/* One row of positive values: x ~ result * q with q in 0..q_max. */
float	 search_positive(const float *x, const float *w, int n, float q_max,
	    float *q);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_MATMUL_H
#define BM_KERNELS_MATMUL_H

/*
 * Products of weight matrices with rows of activations.  The weights are read
 * once for all rows: rows of W are taken in tiles that stay in the nearest
 * cache while every row of activations passes over them.  out[r][o] is one dot
 * product in the kernel's own order, so it does not depend on n_rows, on the
 * tiling or on the thread count.
 */

#include <stddef.h>

#include "kernels/kernels.h"
#include "kernels/pool.h"

/* n_out rows of n_in elements each, as GGUF stores them; data is borrowed, and
 * so is the packed form (pack.h) if there is one: then products use that. */
struct matrix {
	const void	*data;
	const void	*packed;	/* or NULL */
	enum tensor_type type;
	size_t		 n_in;
	size_t		 n_out;
	size_t		 row_bytes;
};

/* Rows of activations, converted at most once into each form that is asked
 * for, so that matrices which share an input share its quantisation. */
struct act_rows {
	const float	*x;		/* n_rows rows, stride floats apart */
	size_t		 n_rows;
	size_t		 n;		/* elements a row */
	size_t		 stride;
	/* Scratch by form, n_rows * act_row_bytes; NULL if no matrix wants it,
	 * as it always is for ACT_F32. */
	void		*form[ACT_LIMIT];
	unsigned	 have;		/* bit per enum act_form */
};

/* Bytes of scratch for one row of n elements in that form. */
size_t	 act_row_bytes(enum act_form form, size_t n);
/* Point a at new rows and forget what was converted. */
void	 act_rows_set(struct act_rows *a, const float *x, size_t n_rows,
	    size_t n, size_t stride);

/* out[r * out_stride + o] = sum over i of w[o][i] x[r][i].  a->n == w->n_in. */
void	 matmul(struct pool *pool, const struct matrix *w, struct act_rows *a,
	    float *out, size_t out_stride);
/* As matmul for several matrices with the same input, under one dispatch. */
void	 matmul_many(struct pool *pool, const struct matrix *const *w,
	    float *const *out, const size_t *out_stride, size_t n_matrices,
	    struct act_rows *a);
/* f32 product through OpenBLAS where it is built in, else through dot_f32:
 * its order depends on the shapes, so it serves calibration, embedding models
 * and tests only. */
void	 matmul_blas(const float *w, size_t n_out, size_t n_in,
	    const float *x, size_t n_rows, float *out);

#endif

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

/*
 * Rows of activations, converted at most once into each form that is asked
 * for, so that matrices which share an input share its quantisation.  Rows had
 * better not lie a power of two apart, nor those of products, or the same
 * elements of many rows don't fit the caches together.
 */
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
/*
 * Convert row r into the forms, a bit each.  Products do it themselves; but
 * who makes the rows may do it while they are near, different rows by several
 * threads at once, and set those bits of a->have when all are done.
 */
void	 act_rows_convert(const struct act_rows *a, unsigned forms, size_t r);
/* Where row r in that form is. */
const void *act_row(const struct act_rows *a, enum act_form form, size_t r);

/* out[r * out_stride + o] = sum over i of w[o][i] x[r][i] */
struct product {
	const struct matrix *w;
	float		*out;
	size_t		 out_stride;
};

#define MATMUL_MAX	8	/* products under one dispatch */

/* Work on outputs first .. first + n - 1 of every row, n a multiple of 16
 * except at the end. */
typedef void (*matmul_fn)(void *arg, size_t first, size_t n);

/* The forms that the products want of n_rows rows, a bit each. */
unsigned matmul_forms(const struct product *p, size_t n, size_t n_rows);
/* a->n == w->n_in. */
void	 matmul(struct pool *pool, const struct matrix *w, struct act_rows *a,
	    float *out, size_t out_stride);
/* Up to MATMUL_MAX products with the same input, under one dispatch. */
void	 matmul_many(struct pool *pool, const struct product *p, size_t n,
	    struct act_rows *a);
/* The same for matrices of one height; the thread that has computed some
 * outputs of all of them calls fn for these while they are near. */
void	 matmul_then(struct pool *pool, const struct product *p, size_t n,
	    struct act_rows *a, matmul_fn fn, void *arg);
/* f32 product through OpenBLAS where it is built in, else through dot_f32:
 * its order depends on the shapes, so it serves calibration, embedding models
 * and tests only. */
void	 matmul_blas(const float *w, size_t n_out, size_t n_in,
	    const float *x, size_t n_rows, float *out);

#endif

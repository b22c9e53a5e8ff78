/* SPDX-License-Identifier: MIT */
/*
 * Products of matrices.  For every type the result has the same bits for 1 to
 * 17 rows at once as row by row and for 1 to 4 threads as for one, and it is
 * what the type's dot gives; the product in float agrees with OpenBLAS.
 */
#include "config.h"

#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/matmul.h"

#define N_OUT		37
#define MAX_ROWS	17
#define MAX_THREADS	4

struct setting {
	struct matrix	 w;
	struct act_rows	 a;
	float		*x;
	void		*data, *q8, *q8k;
	size_t		 stride;
};

static void
setting_new(struct check *c, struct setting *s, enum tensor_type t, size_t n_in)
{
	struct rng r = rng_of(c, t, n_in);

	memset(s, 0, sizeof(*s));
	s->stride = n_in + 5;
	s->w.type = t;
	s->w.n_in = n_in;
	s->w.n_out = N_OUT;
	s->w.row_bytes = type_row_bytes(t, n_in);
	s->w.data = s->data = xmalloc(N_OUT * s->w.row_bytes);
	fill_blocks(&r, t, s->data, N_OUT * n_in, 0, false);
	s->x = xcalloc(MAX_ROWS * s->stride, sizeof(*s->x));
	fill_floats(&r, SHAPE_RANDOM, s->x, MAX_ROWS * s->stride);
	s->q8 = xmalloc(MAX_ROWS * act_row_bytes(ACT_Q8, n_in));
	s->q8k = xmalloc(MAX_ROWS * act_row_bytes(ACT_Q8K, n_in) + 1);
	s->a.form[ACT_Q8] = s->q8;
	s->a.form[ACT_Q8K] = s->q8k;
}

static void
setting_free(struct setting *s)
{
	free(s->data);
	free(s->x);
	free(s->q8);
	free(s->q8k);
}

/* Rows from..from+n of the setting, into out with a stride of N_OUT + 3. */
#define OUT_STRIDE (N_OUT + 3)
#define OUT_SIZE (MAX_ROWS * OUT_STRIDE)

static void
product(struct setting *s, struct pool *pool, size_t from, size_t n,
    float *out)
{
	act_rows_set(&s->a, s->x + from * s->stride, n, s->w.n_in, s->stride);
	matmul(pool, &s->w, &s->a, out + from * OUT_STRIDE, OUT_STRIDE);
}

static void
clear(float *out)
{
	size_t i;

	for (i = 0; i < OUT_SIZE; i++)
		out[i] = -77;
}

/* Row by row through the dot itself. */
static void
by_dots(struct check *c, struct setting *s, float *out)
{
	enum act_form form = type_info(s->w.type)->act;
	size_t r, o, n = s->w.n_in;
	const float *x;
	const void *act;

	for (r = 0; r < MAX_ROWS; r++) {
		act = x = s->x + r * s->stride;
		if (form == ACT_Q8) {
			c->now->quantize_q8(x, s->q8, n);
			act = s->q8;
		} else if (form == ACT_Q8K) {
			c->now->quantize_q8k(x, s->q8k, n);
			act = s->q8k;
		}
		for (o = 0; o < N_OUT; o++)
			out[r * OUT_STRIDE + o] = c->now->dot[s->w.type](
			    (char *)s->data + o * s->w.row_bytes, act, n);
	}
}

static bool
same_with_threads(struct check *c, struct setting *s, int n_threads,
    const float *want)
{
	float got[OUT_SIZE];
	struct pool *pool;
	struct cause cause;
	size_t n, from, some;
	bool ok = true;

	if (pool_new(&pool, n_threads, &cause) != 0)
		return fail(c, "no pool: %s", cause.text);
	for (n = 1; ok && n <= MAX_ROWS; n++) {
		try_input(c, "%zu rows at once, %d threads, n_in %zu", n,
		    n_threads, s->w.n_in);
		clear(got);
		for (from = 0; from < MAX_ROWS; from += some) {
			some = MEM_MIN(n, MAX_ROWS - from);
			product(s, pool, from, some, got);
		}
		if (memcmp(got, want, sizeof(got)) != 0)
			ok = fail(c, "bits differ from the dot of each row");
	}
	pool_free(&pool);
	return ok;
}

bool
check_matmul_type(struct check *c, enum tensor_type t)
{
	float want[OUT_SIZE];
	struct setting s;
	size_t i, block = MEM_MAX(type_info(t)->block_n, 32u), n_in;
	bool ok = true;
	int threads;

	for (i = 0; ok && i < 2; i++) {
		/* one block; more than is quantised in one item */
		n_in = i == 0 ? block : 2048 + 3 * block;
		setting_new(c, &s, t, n_in);
		clear(want);
		by_dots(c, &s, want);
		for (threads = 1; ok && threads <= MAX_THREADS; threads++)
			ok = same_with_threads(c, &s, threads, want);
		setting_free(&s);
	}
	return ok;
}

/* Several matrices of different types under one dispatch. */
bool
check_matmul_many(struct check *c)
{
	static const enum tensor_type types[] = {
		TYPE_F32, TYPE_Q4_K, TYPE_Q8_0, TYPE_Q6_K, TYPE_F16,
		TYPE_Q4_0, TYPE_IQ4_XS, TYPE_BF16, TYPE_MXFP4
	};
	enum { N = N_ELEMENTS(types) };
	struct setting s[N];
	const struct matrix *w[N];
	float *out[N], want[OUT_SIZE];
	size_t stride[N], i;
	struct pool *pool;
	struct cause cause;
	bool ok = true;

	if (pool_new(&pool, 3, &cause) != 0)
		return fail(c, "no pool: %s", cause.text);
	for (i = 0; i < N; i++) {
		setting_new(c, &s[i], types[i], 512);
		w[i] = &s[i].w;
		out[i] = xcalloc(OUT_SIZE, sizeof(**out));
		stride[i] = OUT_STRIDE;
		memcpy(s[i].x, s[0].x, MAX_ROWS * s[0].stride *
		    sizeof(*s[0].x));
	}
	act_rows_set(&s[0].a, s[0].x, MAX_ROWS, 512, s[0].stride);
	matmul_many(pool, w, out, stride, N, &s[0].a);
	for (i = 0; ok && i < N; i++) {
		try_input(c, "%d matrices, the one in %s", N,
		    type_info(types[i])->name);
		memset(want, 0, sizeof(want));
		product(&s[i], pool, 0, MAX_ROWS, want);
		if (memcmp(want, out[i], sizeof(want)) != 0)
			ok = fail(c, "bits differ from matmul of one");
	}
	for (i = 0; i < N; i++) {
		setting_free(&s[i]);
		free(out[i]);
	}
	pool_free(&pool);
	return ok;
}

/* Both sides round: twice the tolerance of a sum. */
static bool
agrees_with_blas(struct check *c, struct setting *s)
{
	float want[MAX_ROWS * N_OUT], got[OUT_SIZE];
	float *x = xcalloc(MAX_ROWS * s->w.n_in, sizeof(*x));
	const float *w = s->data;
	size_t r, o, i, n = s->w.n_in;
	struct pool *pool;
	struct cause cause;
	bool ok = true;

	if (pool_new(&pool, 2, &cause) != 0)
		return fail(c, "no pool: %s", cause.text);
	for (r = 0; r < MAX_ROWS; r++)
		memcpy(x + r * n, s->x + r * s->stride, n * sizeof(*x));
	matmul_blas(w, N_OUT, n, x, MAX_ROWS, want);
	product(s, pool, 0, MAX_ROWS, got);
	for (r = 0; ok && r < MAX_ROWS; r++)
		for (o = 0; ok && o < N_OUT; o++) {
			double size = 0, a = got[r * OUT_STRIDE + o];
			double b = want[r * N_OUT + o];

			for (i = 0; i < n; i++)
				size += fabs((double)w[o * n + i] *
				    x[r * n + i]);
			if (!(fabs(a - b) <= 2 * sum_tolerance(n, size)))
				ok = fail(c, "row %zu column %zu: got %.9g, "
				    "BLAS %.9g", r, o, a, b);
		}
	pool_free(&pool);
	free(x);
	return ok;
}

bool
check_matmul_blas(struct check *c)
{
	static const size_t sizes[] = { 1, 7, 32, 129, 1023 };
	struct setting s;
	size_t i;
	bool ok = true;

	for (i = 0; ok && i < N_ELEMENTS(sizes); i++) {
		try_input(c, "n_in %zu", sizes[i]);
		setting_new(c, &s, TYPE_F32, sizes[i]);
		ok = agrees_with_blas(c, &s);
		setting_free(&s);
	}
	return ok;
}

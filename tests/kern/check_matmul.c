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

	for (i = 0; ok && i < (c->is_quick ? 1 : 2); i++) {
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

enum { N_MANY = 8 };

struct many {
	struct setting	 s[N_MANY];
	struct product	 p[N_MANY];
	float		*out[N_MANY];
	float		 then[OUT_SIZE];	/* sums over the products */
};

static void
many_new(struct check *c, struct many *m)
{
	static const enum tensor_type types[N_MANY] = {
		TYPE_F32, TYPE_Q4_K, TYPE_Q8_0, TYPE_Q6_K, TYPE_Q4_0,
		TYPE_IQ4_XS, TYPE_BF16, TYPE_MXFP4
	};
	size_t i;

	for (i = 0; i < N_MANY; i++) {
		setting_new(c, &m->s[i], types[i], 512);
		m->out[i] = xcalloc(OUT_SIZE, sizeof(float));
		m->p[i] = (struct product){ &m->s[i].w, m->out[i],
		    OUT_STRIDE };
		memcpy(m->s[i].x, m->s[0].x, MAX_ROWS * m->s[0].stride *
		    sizeof(float));
	}
	act_rows_set(&m->s[0].a, m->s[0].x, MAX_ROWS, 512, m->s[0].stride);
}

static void
many_free(struct many *m)
{
	size_t i;

	for (i = 0; i < N_MANY; i++) {
		setting_free(&m->s[i]);
		free(m->out[i]);
	}
	free(m);
}

static bool
same_as_alone(struct check *c, struct many *m, struct pool *pool,
    const char *what)
{
	float want[OUT_SIZE];
	size_t i;

	for (i = 0; i < N_MANY; i++) {
		try_input(c, "%s, the one in %s", what,
		    type_info(m->s[i].w.type)->name);
		memset(want, 0, sizeof(want));
		product(&m->s[i], pool, 0, MAX_ROWS, want);
		if (memcmp(want, m->out[i], sizeof(want)) != 0)
			return fail(c, "bits differ from matmul of one");
		memset(m->out[i], 0, sizeof(want));
	}
	act_rows_set(&m->s[0].a, m->s[0].x, MAX_ROWS, 512, m->s[0].stride);
	return true;
}

static void
sum_outputs(void *arg, size_t first, size_t n)
{
	struct many *m = arg;
	size_t i, r, o;

	for (i = 0; i < N_MANY; i++)
		for (r = 0; r < MAX_ROWS; r++)
			for (o = first; o < first + n; o++)
				m->then[r * OUT_STRIDE + o] +=
				    m->out[i][r * OUT_STRIDE + o];
}

/* What `then` got of all outputs, once each. */
static bool
same_sums(struct check *c, const struct many *m)
{
	float want;
	size_t i, k;

	for (k = 0; k < OUT_SIZE; k++) {
		for (want = 0, i = 0; i < N_MANY; i++)
			want += m->out[i][k];
		if (memcmp(&want, &m->then[k], sizeof(want)) != 0)
			return fail(c, "the sum of output %zu is %.9g, not "
			    "%.9g", k, m->then[k], want);
	}
	return true;
}

/* Several matrices of different types under one dispatch, plain, with work on
 * the outputs, and with rows converted beforehand. */
bool
check_matmul_many(struct check *c)
{
	struct many *m = xcalloc(1, sizeof(*m));
	struct act_rows *a = &m->s[0].a;
	struct pool *pool;
	struct cause cause;
	bool ok = true;
	size_t r;

	if (pool_new(&pool, 3, &cause) != 0) {
		free(m);
		return fail(c, "no pool: %s", cause.text);
	}
	many_new(c, m);
	matmul_many(pool, m->p, N_MANY, a);
	ok = same_as_alone(c, m, pool, "many");
	if (ok) {
		matmul_then(pool, m->p, N_MANY, a, sum_outputs, m);
		ok = same_sums(c, m) && same_as_alone(c, m, pool, "then");
	}
	if (ok) {
		unsigned forms = matmul_forms(m->p, N_MANY, MAX_ROWS);

		for (r = 0; r < MAX_ROWS; r++)
			act_rows_convert(a, forms, r);
		/* whoever converted again would find this */
		a->have = forms;
		a->x = NULL;
		matmul_many(pool, m->p + 1, 5, a);
		a->x = m->s[0].x;
		matmul_many(pool, m->p, 1, a);
		matmul_many(pool, m->p + 6, 2, a);
		ok = same_as_alone(c, m, pool, "converted");
	}
	many_free(m);
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

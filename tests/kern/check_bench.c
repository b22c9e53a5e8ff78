/* SPDX-License-Identifier: MIT */
/*
 * What the kernels reach on one core, data in the near caches: the best of
 * several timed runs.  Figures for people, never a test.
 */
#include "config.h"

#include "check.h"

#include <sys/mman.h>

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/granted.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernels/attend.h"
#include "kernels/ceiling.h"
#include "kernels/matmul.h"
#include "kernels/pack.h"

#define N	4096
#define ROWS	32
#define RUNS	100

int bench_threads = 1;

static volatile float sink;

static double
best_ns(void (*fn)(void *), void *arg)
{
	uint64_t from, ns, best = UINT64_MAX;
	int i;

	for (i = 0; i < RUNS; i++) {
		from = clock_now_ns();
		fn(arg);
		ns = clock_now_ns() - from;
		best = MEM_MIN(best, ns);
	}
	return (double)MEM_MAX(best, UINT64_C(1));
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* For what memory bounds, where the best run found its data in a cache. */
static double
median_ns(void (*fn)(void *), void *arg)
{
	double ns[RUNS];
	uint64_t from;
	int i;

	for (i = 0; i < RUNS; i++) {
		from = clock_now_ns();
		fn(arg);
		ns[i] = (double)(clock_now_ns() - from);
	}
	qsort(ns, RUNS, sizeof(*ns), by_value);
	return ns[RUNS / 2];
}

struct dot_bench {
	kern_dot_fn	 dot;
	const uint8_t	*w;
	const void	*act;
	size_t		 row_bytes;
};

static void
run_dot(void *arg)
{
	const struct dot_bench *b = arg;
	float sum = 0;
	size_t r;

	for (r = 0; r < ROWS; r++)
		sum += b->dot(b->w + r * b->row_bytes, b->act, N);
	sink = sum;
}

static void
bench_dot(const char *level, enum tensor_type t)
{
	const struct type_info *info = type_info(t);
	struct dot_bench b = { kern->dot[t], NULL, NULL,
	    type_row_bytes(t, N) };
	uint8_t *w = xmalloc(ROWS * b.row_bytes);
	float *x = xcalloc(N, sizeof(*x));
	void *act = xmalloc(act_row_bytes(ACT_F32, N));
	struct rng r = { 1 };
	double ns;

	fill_blocks(&r, t, w, (size_t)ROWS * N, 0, false);
	fill_floats(&r, SHAPE_RANDOM, x, N);
	b.w = w;
	b.act = info->act == ACT_F32 ? (void *)x : act;
	if (info->act == ACT_Q8)
		kern->quantize_q8(x, act, N);
	if (info->act == ACT_Q8K)
		kern->quantize_q8k(x, act, N);
	ns = best_ns(run_dot, &b);
	printf("# %-7s dot %-7s %7.2f GB/s of weights %8.2f GFLOP/s\n", level,
	    info->name, (double)(ROWS * b.row_bytes) / ns,
	    2.0 * ROWS * N / ns);
	free(w);
	free(x);
	free(act);
}

static struct row_bench {
	float		 x[N], y[N], out[N];
	uint16_t	 h[N];
	_Alignas(8) char act[N * sizeof(float)];
} *row;

static void
run_row(void *arg)
{
	switch (*(int *)arg) {
	case 0: kern->quantize_q8(row->x, (void *)row->act, N); break;
	case 1: kern->quantize_q8k(row->x, (void *)row->act, N); break;
	case 2: kern->f32_to_f16(row->x, row->h, N); break;
	case 3: kern->add(row->x, row->out, N); break;
	case 4: kern->rms_norm(row->x, row->y, row->out, N, 1e-5f); break;
	case 5: kern->softmax(row->y, N); break;
	case 6: kern->silu_mul(row->x, row->y, row->out, N); break;
	case 7: sink = (float)kern->argmax(row->x, N); break;
	}
}

static void
bench_rows(const char *level, const char *pattern)
{
	static const char *const names[] = {
		"quantize_q8", "quantize_q8k", "f32_to_f16", "add", "rms_norm",
		"softmax", "silu_mul", "argmax"
	};
	struct rng r = { 2 };
	double ns;
	int i;

	row = xcalloc(1, sizeof(*row));
	fill_floats(&r, SHAPE_RANDOM, row->x, N);
	fill_floats(&r, SHAPE_RANDOM, row->y, N);
	for (i = 0; i < (int)N_ELEMENTS(names); i++) {
		if (fnmatch(pattern, names[i], 0) != 0)
			continue;
		ns = best_ns(run_row, &i);
		printf("# %-7s %-12s %8.1f ns a row of %d\n", level, names[i],
		    ns, N);
	}
	free(row);
}

struct matmul_bench {
	struct pool	*pool;
	struct matrix	 w;
	struct act_rows	 a;
	const float	*x;
	size_t		 n_rows;
	float		*out;
};

static void
new_scratch(struct act_rows *a, size_t n_rows, size_t n)
{
	int f;

	for (f = ACT_F32 + 1; f < ACT_LIMIT; f++)
		a->form[f] = xmalloc(n_rows *
		    act_row_bytes((enum act_form)f, n));
}

static void
free_scratch(struct act_rows *a)
{
	int f;

	for (f = 0; f < ACT_LIMIT; f++)
		free(a->form[f]);
}

static void
run_matmul(void *arg)
{
	struct matmul_bench *b = arg;

	act_rows_set(&b->a, b->x, b->n_rows, N, N);
	matmul(b->pool, &b->w, &b->a, b->out, N);
}

/* N x N weights with 1 and 8 rows, all CPUs granted, quantisation included. */
static void
bench_matmul(const char *level, enum tensor_type t)
{
	static const size_t rows[] = { 1, 8 };
	struct matmul_bench b = { .w = { .type = t, .n_in = N, .n_out = N,
	    .row_bytes = type_row_bytes(t, N) } };
	float *x = xcalloc(8 * N, sizeof(*x));
	uint8_t *w = xmalloc(N * b.w.row_bytes);
	struct rng r = { 3 };
	struct cause cause;
	double ns;
	size_t i;

	if (pool_new(&b.pool, granted_cpus(), &cause) != 0)
		return;
	fill_blocks(&r, t, w, (size_t)N * N, 0, false);
	fill_floats(&r, SHAPE_RANDOM, x, 8 * N);
	b.w.data = w;
	b.x = x;
	b.out = xcalloc(8 * N, sizeof(*b.out));
	new_scratch(&b.a, 8, N);
	for (i = 0; i < N_ELEMENTS(rows); i++) {
		b.n_rows = rows[i];
		ns = best_ns(run_matmul, &b);
		printf("# %-7s matmul %-7s %zu rows, %d threads: %7.2f GB/s "
		    "%8.2f GFLOP/s\n", level, type_info(t)->name, rows[i],
		    pool_n_threads(b.pool), (double)(N * b.w.row_bytes) / ns,
		    2.0 * N * N * (double)rows[i] / ns);
	}
	pool_free(&b.pool);
	free(x);
	free(w);
	free(b.out);
	free_scratch(&b.a);
}

/* ---- packed matrices ---- */

#define PACK_N		2048	/* elements of a row, as a small model has */
#define PACK_COLS	512
#define PACK_STRIDE	(PACK_N + 17 * 16)	/* see model/rows.h */

struct pack_bench {
	struct matrix	 w;
	struct pool	*pool;
	struct act_rows	 a;
	const float	*x;
	float		*out;
	size_t		 n_cols;
	size_t		 n_copies, at;	/* of w, for reading from memory */
};

/* The weights are another copy each time, as if from the next layer. */
static void
run_pack(void *arg)
{
	struct pack_bench *b = arg;
	struct matrix w = b->w;

	w.packed = (const char *)w.packed + b->at++ % b->n_copies *
	    pack_bytes(w.type, w.n_in, w.n_out);
	matmul(b->pool, &w, &b->a, b->out, PACK_STRIDE);
}

static const struct ceiling *
ceilings(struct pool *pool)
{
	static struct ceiling c;
	static char of[16];	/* the level they are of */
	struct cause cause;

	if (strcmp(of, kern_level()) != 0 &&
	    ceiling_measure(pool, (size_t)1 << 30, 20, &c, &cause) == 0) {
		str_copy(of, kern_level(), sizeof(of));
		printf("# %d threads: read %.1f GB/s, FMA %.1f GFLOP/s, "
		    "bytes %.1f, maddubs+paddw %.1f, "
		    "maddubs+maddwd+paddd %.1f GOP/s\n",
		    pool_n_threads(pool), c.read_gb_s, c.fma_gflops,
		    c.int8_gops, c.maddubs_paddw_gops, c.maddubs_maddwd_gops);
	}
	return &c;
}

static void
bench_columns(struct pack_bench *b, const char *level)
{
	static const size_t cols[] = { 1, 2, 4, 8, 16, PACK_COLS };
	const struct ceiling *top = ceilings(b->pool);
	size_t n_out = b->w.n_out, i;
	bool is_float = pack_act(b->w.type, 1) == ACT_F32;
	double peak = is_float ? top->fma_gflops : top->int8_gops;
	double ns, ops, bytes;

	for (i = 0; i < N_ELEMENTS(cols); i++) {
		b->n_cols = cols[i];
		/* quantised by the first run only */
		act_rows_set(&b->a, b->x, cols[i], PACK_N, PACK_STRIDE);
		/* short runs, of which some go undisturbed */
		b->w.n_out = cols[i] > 16 ? 512 : n_out;
		bytes = (double)pack_bytes(b->w.type, PACK_N, b->w.n_out);
		ns = cols[i] > 4 ? best_ns(run_pack, b) :
		    median_ns(run_pack, b);
		ops = 2.0 * PACK_N * (double)(b->w.n_out * cols[i]) / ns;
		printf("# %-7s panel %-6s %3zu columns %7.2f GB/s (%3.0f%% of "
		    "read) %8.1f GOP/s (%3.0f%% of %s)\n", level,
		    type_info(b->w.type)->name, cols[i], bytes / ns,
		    100 * bytes / ns / top->read_gb_s, ops, 100 * ops / peak,
		    is_float ? "FMA" : "bytes");
	}
}

static void
bench_panel(const char *level, enum tensor_type t)
{
	/* more than caches hold */
	enum { N_OUT = 2048, TOTAL_BYTES = 1 << 30 };
	struct pack_bench b = { .w = { .type = t, .n_in = PACK_N,
	    .n_out = N_OUT, .row_bytes = type_row_bytes(t, PACK_N) } };
	size_t bytes = pack_bytes(t, PACK_N, N_OUT), i;
	size_t n_copies = TOTAL_BYTES / bytes;
	float *x = xcalloc(PACK_COLS * PACK_STRIDE, sizeof(*x));
	uint8_t *data = xmalloc(N_OUT * b.w.row_bytes);
	char *packed = try_aligned((size_t)2 << 20, n_copies * bytes);
	struct rng r = { 3 };
	struct cause cause;

	if (packed == NULL || pool_new(&b.pool, bench_threads, &cause) != 0)
		return;
	madvise(packed, n_copies * bytes, MADV_HUGEPAGE);
	fill_blocks(&r, t, data, (size_t)N_OUT * PACK_N, 0, false);
	fill_floats(&r, SHAPE_BELL, x, PACK_COLS * PACK_STRIDE);
	b.w.data = data;
	pack(&b.w, packed);
	for (i = 1; i < n_copies; i++)
		memcpy(packed + i * bytes, packed, bytes);
	b.w.packed = packed;
	b.n_copies = n_copies;
	b.x = x;
	b.out = xcalloc(PACK_COLS * PACK_STRIDE, sizeof(*b.out));
	new_scratch(&b.a, PACK_COLS, PACK_N);
	bench_columns(&b, level);
	pool_free(&b.pool);
	free(x);
	free(data);
	free(packed);
	free(b.out);
	free_scratch(&b.a);
}

/* ---- attention ---- */

#define HEAD_DIM	64

static void
run_attend_f16(void *arg)
{
	attend_tile_run(ATTEND_F16, arg);
}

static void
run_attend_q8_0(void *arg)
{
	attend_tile_run(ATTEND_Q8_0, arg);
}

/* A chunk of keys seen by n queries. */
static double
attend_ns(enum attend_form form, size_t n, float *q)
{
	size_t head_bytes = attend_head_bytes(form, HEAD_DIM);
	uint8_t *head = xmalloc(head_bytes * ATTEND_CHUNK / ATTEND_PAGE);
	uint32_t pages[ATTEND_CHUNK / ATTEND_PAGE];
	float acc[ATTEND_QUERIES * HEAD_DIM];
	struct attend_sum sums[ATTEND_QUERIES];
	struct attend_tile t = { .head_dim = HEAD_DIM, .scale = 0.18f,
	    .n_queries = n, .head = head, .page_bytes = head_bytes,
	    .pages = pages, .n_pages = N_ELEMENTS(pages), .acc = acc,
	    .sums = sums };
	double ns;

	for (uint32_t i = 0; i < N_ELEMENTS(pages); i++)
		pages[i] = i;
	for (size_t i = 0; i < ATTEND_CHUNK; i++)
		attend_store(form, q + i % n * HEAD_DIM, q, HEAD_DIM, head +
		    i / ATTEND_PAGE * head_bytes, i % ATTEND_PAGE);
	for (size_t i = 0; i < n; i++) {
		t.q[i] = q + i * HEAD_DIM;
		t.n_keys[i] = ATTEND_CHUNK;
	}
	ns = best_ns(form == ATTEND_F16 ? run_attend_f16 : run_attend_q8_0,
	    &t);
	free(head);
	return ns;
}

static void
bench_attend(const char *level, const char *name, enum attend_form form)
{
	static const size_t n_queries[] = { 4, 8, ATTEND_QUERIES };
	float *q = xcalloc(ATTEND_QUERIES * HEAD_DIM, sizeof(*q));
	struct rng r = { 4 };
	struct pool *pool;
	struct cause cause;

	if (pool_new(&pool, 1, &cause) != 0)
		return;
	fill_floats(&r, SHAPE_RANDOM, q, ATTEND_QUERIES * HEAD_DIM);
	for (size_t i = 0; i < N_ELEMENTS(n_queries); i++) {
		double ns = attend_ns(form, n_queries[i], q);
		double flops = 4.0 * ATTEND_CHUNK * HEAD_DIM *
		    (double)n_queries[i] / ns;

		printf("# %-7s %-11s %2zu queries %8.1f GFLOP/s (%3.0f%% of "
		    "FMA)\n", level, name, n_queries[i], flops,
		    100 * flops / ceilings(pool)->fma_gflops);
	}
	pool_free(&pool);
	free(q);
}

void
bench_level(const char *level, const char *pattern)
{
	char name[64];
	uint32_t t;

	for (t = 0; t < TYPE_LIMIT; t++) {
		if (type_info(t) == NULL)
			continue;
		snprintf(name, sizeof(name), "dot %s", type_info(t)->name);
		if (fnmatch(pattern, name, 0) == 0)
			bench_dot(level, (enum tensor_type)t);
		snprintf(name, sizeof(name), "matmul %s", type_info(t)->name);
		if (fnmatch(pattern, name, 0) == 0)
			bench_matmul(level, (enum tensor_type)t);
		snprintf(name, sizeof(name), "panel %s", type_info(t)->name);
		if (pack_has((enum tensor_type)t, PACK_N) &&
		    strcmp(level, "ref") != 0 && fnmatch(pattern, name, 0) == 0)
			bench_panel(level, (enum tensor_type)t);
	}
	if (fnmatch(pattern, "attend_f16", 0) == 0)
		bench_attend(level, "attend_f16", ATTEND_F16);
	if (fnmatch(pattern, "attend_q8_0", 0) == 0)
		bench_attend(level, "attend_q8_0", ATTEND_Q8_0);
	bench_rows(level, pattern);
}

/* SPDX-License-Identifier: MIT */
/*
 * One item of work a thread.  A loop's rate is its operations over the time of
 * the whole dispatch, the slowest thread included, as it is for kernels.
 */
#include "config.h"

#include "kernels/ceiling.h"

#include <sys/mman.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kernels/kernels.h"

/* Of a loop of registers: short enough that others who use the machine let
 * some runs through undisturbed. */
#define STEPS	250000
#define READ_PARTS	64	/* the median counts, since some part may be */
				/* in a cache */
#define PIECE	((size_t)1 << 20)

struct job {
	ceiling_loop_fn	 loop;
	const uint8_t	*bytes;
};

static void
loop_item(void *arg, size_t i, int thread)
{
	const struct job *j = arg;

	j->loop(STEPS);
}

static volatile uint64_t sink;

static void
read_item(void *arg, size_t i, int thread)
{
	const struct job *j = arg;
	const uint8_t *p = j->bytes + i * PIECE;
	uint64_t sum = 0, part;
	size_t k;

	if (kern->ceiling.read != NULL) {
		kern->ceiling.read(p, PIECE);
		return;
	}
	for (k = 0; k < PIECE; k += sizeof(part)) {
		memcpy(&part, p + k, sizeof(part));
		sum ^= part;
	}
	sink = sum;
}

static double
best_ns(struct pool *pool, size_t n, pool_fn fn, void *j, int runs)
{
	uint64_t from, ns, best = UINT64_MAX;

	for (; runs > 0; runs--) {
		from = clock_now_ns();
		pool_run(pool, n, fn, j);
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

/* 10^9 operations a second of a loop, a multiply-add counting two. */
static double
rate(struct pool *pool, const struct ceiling_loop *loop, int runs)
{
	struct job j = { .loop = loop->run };
	size_t n = (size_t)pool_n_threads(pool);

	if (loop->run == NULL)
		return 0;
	return 2 * loop->macs * STEPS * (double)n /
	    best_ns(pool, n, loop_item, &j, runs);
}

int
ceiling_measure(struct pool *pool, size_t read_bytes, int runs,
    struct ceiling *out, struct cause *cause)
{
	size_t pieces = MEM_MAX(read_bytes / PIECE, (size_t)2 * READ_PARTS);
	const struct ceiling_loops *l = &kern->ceiling;
	size_t part = pieces / READ_PARTS, i;
	double ns[READ_PARTS];
	uint8_t *p = try_aligned(2 * PIECE, pieces * PIECE);
	struct job j = { .bytes = p };

	if (p == NULL)
		return cause_set(cause, BM_ENOMEM, "no memory to read");
	memset(out, 0, sizeof(*out));
	madvise(p, pieces * PIECE, MADV_HUGEPAGE);
	memset(p, 1, pieces * PIECE);
	for (i = 0; i < READ_PARTS; i++) {
		j.bytes = p + i * part * PIECE;
		ns[i] = best_ns(pool, part, read_item, &j, 1);
	}
	qsort(ns, READ_PARTS, sizeof(*ns), by_value);
	out->read_gb_s = (double)(part * PIECE) / ns[READ_PARTS / 2];
	free(p);
	out->fma_gflops = rate(pool, &l->fma, runs);
	out->int8_gops = rate(pool, &l->int8, runs);
	out->maddubs_paddw_gops = l->maddubs_paddw.run == l->int8.run ?
	    out->int8_gops : rate(pool, &l->maddubs_paddw, runs);
	out->maddubs_maddwd_gops = rate(pool, &l->maddubs_maddwd, runs);
	return 0;
}

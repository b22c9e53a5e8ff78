/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/hist.h"

#include <math.h>

#define PER_DOUBLING 8

static int
bucket_of(double ms)
{
	double us = ms * 1000;
	int i;

	if (!(us > 1))
		return 0;
	i = (int)ceil(log2(us) * PER_DOUBLING);
	return i < HIST_BUCKETS ? i : HIST_BUCKETS - 1;
}

/* The largest value that goes into bucket i. */
static double
bucket_top_ms(int i)
{
	return exp2((double)i / PER_DOUBLING) / 1000;
}

void
hist_add(struct hist *h, double ms)
{
	h->count++;
	h->sum_ms += ms;
	h->bucket[bucket_of(ms)]++;
}

double
hist_quantile_ms(const struct hist *h, double q)
{
	uint64_t rank, seen = 0;

	if (h->count == 0)
		return 0;
	rank = (uint64_t)ceil(q * (double)h->count);
	if (rank == 0)
		rank = 1;
	for (int i = 0; i < HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= rank)
			return bucket_top_ms(i);
	}
	return bucket_top_ms(HIST_BUCKETS - 1);
}

uint64_t
hist_count_upto(const struct hist *h, double limit_ms)
{
	uint64_t seen = 0;

	for (int i = 0; i < HIST_BUCKETS && bucket_top_ms(i) <= limit_ms; i++)
		seen += h->bucket[i];
	return seen;
}

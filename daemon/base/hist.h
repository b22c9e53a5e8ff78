/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_HIST_H
#define BM_BASE_HIST_H

/*
 * A latency histogram of fixed size: 8 buckets for every doubling from 1
 * microsecond to about 12 days, so that a quantile is right to within 9 %.
 * Adding is a few instructions and never allocates.
 */

#include <stdint.h>

#define HIST_BUCKETS (8 * 41)

struct hist {
	uint64_t	 count;
	double		 sum_ms;
	uint32_t	 bucket[HIST_BUCKETS];
};

void	 hist_add(struct hist *h, double ms);
/* The value below which a part q (0 to 1) of all lies; 0 when empty. */
double	 hist_quantile_ms(const struct hist *h, double q);
/* How many values are at most limit_ms: what Prometheus' le="..." wants. */
uint64_t hist_count_upto(const struct hist *h, double limit_ms);

#endif

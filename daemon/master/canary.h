/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_CANARY_H
#define BM_MASTER_CANARY_H

/*
 * Is a variant that has a share of a model's requests worse than the one that
 * has the rest?  Pure: it is told what both did since the share began.
 *
 *  - Errors: worse when its rate is more than max_errors above the other's.
 *  - Latency: worse when its 95th percentile, of the time to the first token
 *    or of whole requests, is more than max_p95 times the other's.  A
 *    percentile of few requests is a guess: what is compared is the least that
 *    it nearly surely is with the most that the other's nearly surely is.
 *
 * Nothing is decided before min_requests; latencies need as many of both.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct canary_limits {
	uint64_t	 min_requests;	/* 0: it is never worse */
	double		 max_errors;	/* 0 to 1 */
	double		 max_p95;	/* 0: latencies do not matter */
};

/* Between these two a percentile lies, nearly surely; milliseconds. */
struct canary_range {
	double		 low;
	double		 high;
};

struct canary_side {
	uint64_t	 n_requests;	/* that ended, and crashes */
	uint64_t	 n_errors;	/* of those, no client's fault */
	struct canary_range ttft;	/* of the 95th percentile */
	struct canary_range duration;
};

/* why gets a sentence with the figures when it is. */
bool	 canary_is_worse(const struct canary_limits *l,
	    const struct canary_side *canary, const struct canary_side *active,
	    char *why, size_t why_size);

#endif

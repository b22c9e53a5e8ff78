/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_HISTORY_H
#define BM_GATE_HISTORY_H

/*
 * What the gate did in each of the last whole seconds of the monotonic clock.
 * Pure; every function is handed the time, which never goes back.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/hist.h"

#define HISTORY_SECONDS	600

struct history_point {
	uint32_t	 tokens;	/* generated */
	uint32_t	 requests;	/* finished */
	uint32_t	 errors;	/* of these, not ok */
	uint32_t	 queued;	/* as last told within the second */
	uint32_t	 running;	/* likewise */
	double		 ttft_p95_ms;	/* NAN: there was no first token */
};

struct history {
	uint64_t	 second;	/* that runs now; 0: nothing yet */
	size_t		 n;		/* whole ones that are kept */
	struct history_point now;
	struct hist	 ttft;		/* of the second that runs */
	struct history_point ring[HISTORY_SECONDS];	/* by second */
};

void	 history_tokens(struct history *h, uint64_t now_ns, size_t n);
void	 history_first_token(struct history *h, uint64_t now_ns, double ms);
void	 history_request(struct history *h, uint64_t now_ns, int is_error);
/* Tell how many wait and run, a few times a second. */
void	 history_levels(struct history *h, uint64_t now_ns, size_t queued,
	    size_t running);

/* The seconds [first, h->second) are kept; none when both are equal. */
uint64_t history_first(const struct history *h);
/* Only of a second that is kept. */
const struct history_point *history_at(const struct history *h,
	    uint64_t second);

#endif

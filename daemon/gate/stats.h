/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_STATS_H
#define BM_GATE_STATS_H

/*
 * Counters of the gate and what is computed from them.  Pure: every function
 * that needs the time is handed monotonic nanoseconds.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hist.h"

/* A rate over the last RATE_SECONDS whole seconds and the current one. */
#define RATE_SECONDS	10
#define RATE_SLOTS	(RATE_SECONDS + 1)

struct rate {
	uint64_t	 first_s;	/* second of the first addition, + 1 */
	uint64_t	 second[RATE_SLOTS];	/* which second a slot holds */
	uint64_t	 n[RATE_SLOTS];
};

void	 rate_add(struct rate *r, uint64_t now_ns, uint64_t n);
double	 rate_per_s(const struct rate *r, uint64_t now_ns);

/* How requests end: slot 0 is "ok", then one for every code of err.def. */
enum {
	STATS_OK,
#define E(sym, num, name, http, ex, retry, text) STATS_##sym,
#include "base/err.def"
#undef E
	STATS_N_STATUS
};

/* Is that how a request ends through no fault of its client? */
bool		 stats_is_fault(int code);
/* The slot of 0 or an error; system errors count as internal. */
unsigned	 stats_status(int code);
/* "ok", "queue_full"... */
const char	*stats_status_name(unsigned slot);

/* A histogram that forgets: it holds between one and two windows of time. */
#define STATS_WINDOW_S	60

struct window_hist {
	uint64_t	 began_s;	/* of the current half */
	struct hist	 now;
	struct hist	 before;
};

void	 window_hist_add(struct window_hist *w, uint64_t now_ns, double ms);
double	 window_hist_quantile_ms(struct window_hist *w, uint64_t now_ns,
	    double q);

/* What was measured of the requests of a model, or of a variant, that ran;
 * nothing here ever becomes less. */
enum { DEATH_CRASHED, DEATH_HUNG, DEATH_KILLED, DEATH_N };

struct tally {
	uint64_t	 prompt_tokens;
	uint64_t	 cached_tokens;	/* of those, not computed */
	uint64_t	 completion_tokens;
	uint64_t	 drafted_tokens;
	uint64_t	 accepted_tokens;	/* of those */
	uint64_t	 n_restarts;	/* of workers */
	uint64_t	 n_deaths[DEATH_N];
	struct hist	 queue_time;
	struct hist	 ttft;
	struct hist	 gap;		/* between two outputs of a request */
	struct hist	 duration;
};

/* What a variant did since a canary began. */
struct trial {
	uint64_t	 n_requests;	/* that ended, and crashes */
	uint64_t	 n_errors;	/* of those, no client's fault */
	struct hist	 ttft;
	struct hist	 duration;
};

struct stats {
	uint64_t		 requests_total;
	uint64_t		 tokens_total;		/* generated */
	uint64_t		 retries_total;
	uint64_t		 workers_lost_total;
	uint64_t		 n_no_model[STATS_N_STATUS]; /* no model's */
	struct rate		 requests;
	struct rate		 tokens;
	struct window_hist	 ttft;
	struct window_hist	 gap;	/* between two outputs of a request */
};

#endif

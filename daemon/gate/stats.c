/* SPDX-License-Identifier: MIT */
/*
 * Rates are sums over one-second slots in a ring.  A slot says which second it
 * holds, so nothing has to be cleared while no request comes.
 */
#include "config.h"

#include "gate/stats.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

void
rate_add(struct rate *r, uint64_t now_ns, uint64_t n)
{
	uint64_t s = now_ns / CLOCK_NS_PER_S;
	size_t i = s % RATE_SLOTS;

	if (r->first_s == 0)
		r->first_s = s + 1;
	if (r->second[i] != s) {
		r->second[i] = s;
		r->n[i] = 0;
	}
	r->n[i] += n;
}

double
rate_per_s(const struct rate *r, uint64_t now_ns)
{
	uint64_t s = now_ns / CLOCK_NS_PER_S, sum = 0;
	double span;

	if (r->first_s == 0)
		return 0;
	for (size_t i = 0; i < RATE_SLOTS; i++) {
		if (r->second[i] <= s && s - r->second[i] < RATE_SLOTS)
			sum += r->n[i];
	}
	/* From the begin of the oldest second that can count until now. */
	span = (double)(now_ns % CLOCK_NS_PER_S) / 1e9 +
	    (double)MEM_MIN(s - (r->first_s - 1), (uint64_t)RATE_SECONDS);
	return (double)sum / MEM_MAX(span, 1.0);
}

unsigned
stats_status(int code)
{
	switch (code) {
	case 0:
		return STATS_OK;
#define E(sym, num, name, http, ex, retry, text) \
	case sym: \
		return STATS_##sym;
#include "base/err.def"
#undef E
	default:
		return STATS_BM_EINTERNAL;
	}
}

const char *
stats_status_name(unsigned slot)
{
	static const char *const names[STATS_N_STATUS] = {
		"ok",
#define E(sym, num, name, http, ex, retry, text) name,
#include "base/err.def"
#undef E
	};

	return slot < STATS_N_STATUS ? names[slot] : "internal";
}

bool
stats_is_fault(int code)
{
	return code != 0 && code != BM_EOVERLOAD &&
	    err_http_status(code) >= 500;
}

/* Turn the halves over when the current one is full. */
static void
window_turn(struct window_hist *w, uint64_t now_s)
{
	uint64_t age = now_s - w->began_s;

	if (age < STATS_WINDOW_S)
		return;
	if (age < 2 * STATS_WINDOW_S) {
		w->before = w->now;
		w->began_s += STATS_WINDOW_S;
	} else {
		memset(&w->before, 0, sizeof(w->before));
		w->began_s = now_s;
	}
	memset(&w->now, 0, sizeof(w->now));
}

void
window_hist_add(struct window_hist *w, uint64_t now_ns, double ms)
{
	window_turn(w, now_ns / CLOCK_NS_PER_S);
	hist_add(&w->now, ms);
}

double
window_hist_quantile_ms(struct window_hist *w, uint64_t now_ns, double q)
{
	struct hist both;

	window_turn(w, now_ns / CLOCK_NS_PER_S);
	both = w->now;
	both.count += w->before.count;
	for (size_t i = 0; i < HIST_BUCKETS; i++)
		both.bucket[i] += w->before.bucket[i];
	return hist_quantile_ms(&both, q);
}

/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "master/canary.h"

#include <stdio.h>

static double
error_rate(const struct canary_side *s)
{
	return s->n_requests == 0 ? 0 :
	    (double)s->n_errors / (double)s->n_requests;
}

static bool
is_slower(const char *what, double max_times, struct canary_range canary,
    struct canary_range active, char *why, size_t size)
{
	if (max_times <= 0 || canary.low <= max_times * active.high)
		return false;
	snprintf(why, size, "95 %% of %s: at least %.0f ms, more than %g "
	    "times the at most %.0f ms of the active variant", what,
	    canary.low, max_times, active.high);
	return true;
}

bool
canary_is_worse(const struct canary_limits *l,
    const struct canary_side *canary, const struct canary_side *active,
    char *why, size_t size)
{
	double rate = error_rate(canary), usual = error_rate(active);

	if (l->min_requests == 0 || canary->n_requests < l->min_requests)
		return false;
	if (rate > usual + l->max_errors) {
		snprintf(why, size, "%llu of %llu requests failed (%.1f %%), "
		    "%llu of %llu of the active variant (%.1f %%)",
		    (unsigned long long)canary->n_errors,
		    (unsigned long long)canary->n_requests, 100 * rate,
		    (unsigned long long)active->n_errors,
		    (unsigned long long)active->n_requests, 100 * usual);
		return true;
	}
	return active->n_requests >= l->min_requests &&
	    (is_slower("first tokens", l->max_p95, canary->ttft,
	    active->ttft, why, size) ||
	    is_slower("requests", l->max_p95, canary->duration,
	    active->duration, why, size));
}

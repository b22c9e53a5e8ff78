/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "master/autoscale.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"

/* One worker less must not be filled to more than this, in percent. */
#define ROOMY_PERCENT	70

/* Since when a condition holds; 0: it does not. */
static void
note(uint64_t *since_ns, bool holds, uint64_t now_ns)
{
	if (!holds)
		*since_ns = 0;
	else if (*since_ns == 0)
		*since_ns = now_ns;
}

static bool
has_passed(uint64_t since_ns, uint64_t ms, uint64_t now_ns)
{
	return since_ns != 0 && now_ns - since_ns >= ms * CLOCK_NS_PER_MS;
}

static void
observe(struct autoscale *a, const struct autoscale_conf *c,
    const struct autoscale_load *load, size_t n_now, uint64_t now_ns)
{
	size_t n = load->n_queued + load->n_running;

	note(&a->crowded_ns, load->n_queued > 0 &&
	    load->oldest_wait_ms >= c->target_wait_ms, now_ns);
	note(&a->roomy_ns, n_now > 1 && load->n_queued == 0 &&
	    n * 100 <= (n_now - 1) * c->n_slots * ROOMY_PERCENT, now_ns);
	note(&a->idle_ns, n == 0, now_ns);
}

/* Workers that what waits and runs would fill, at least one more than now. */
static size_t
enough(const struct autoscale_conf *c, const struct autoscale_load *load,
    size_t n_now)
{
	size_t slots = MEM_MAX(c->n_slots, (size_t)1);
	size_t n = (load->n_queued + load->n_running + slots - 1) / slots;

	return MEM_MIN(MEM_MAX(n, n_now + 1), c->max);
}

static size_t
decide(const struct autoscale *a, const struct autoscale_conf *c,
    const struct autoscale_load *load, size_t n_now, uint64_t now_ns,
    char *why, size_t size)
{
	bool rests = a->changed_ns == 0 ||
	    has_passed(a->changed_ns, c->up_delay_ms, now_ns);
	bool rests_long = a->changed_ns == 0 ||
	    has_passed(a->changed_ns, c->down_delay_ms, now_ns);

	if (n_now == 0 && load->n_queued > 0) {
		snprintf(why, size, "a request came");
		return MEM_MAX(c->min, (size_t)1);
	}
	if (n_now < c->max && rests &&
	    has_passed(a->crowded_ns, c->up_delay_ms, now_ns)) {
		snprintf(why, size, "%zu requests wait, the oldest for %.1f s "
		    "(target %.1f s)", load->n_queued,
		    (double)load->oldest_wait_ms / 1000,
		    (double)c->target_wait_ms / 1000);
		return enough(c, load, n_now);
	}
	if (c->min == 0 && n_now > 0 && c->idle_ms != 0 && rests &&
	    has_passed(a->idle_ns, c->idle_ms, now_ns)) {
		snprintf(why, size, "no request for %.0f s",
		    (double)c->idle_ms / 1000);
		return 0;
	}
	if (n_now > MEM_MAX(c->min, (size_t)1) && rests_long &&
	    has_passed(a->roomy_ns, c->down_delay_ms, now_ns)) {
		snprintf(why, size, "%zu running fit into %zu for %.0f s",
		    load->n_running, n_now - 1,
		    (double)c->down_delay_ms / 1000);
		return n_now - 1;
	}
	return n_now;
}

size_t
autoscale_step(struct autoscale *a, const struct autoscale_conf *c,
    const struct autoscale_load *load, size_t n_now, uint64_t now_ns,
    char *why, size_t why_size)
{
	size_t n = n_now;

	observe(a, c, load, n_now, now_ns);
	if (n_now < c->min || n_now > c->max) {
		snprintf(why, why_size, "configured: %zu to %zu", c->min,
		    c->max);
		n = MEM_MIN(MEM_MAX(n_now, c->min), c->max);
	} else if (c->min < c->max) {
		n = decide(a, c, load, n_now, now_ns, why, why_size);
	}
	if (n != n_now)
		*a = (struct autoscale){ .changed_ns = now_ns };
	return n;
}

/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gate/history.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

/* The second that runs is over; the levels last until they are told anew. */
static void
close_second(struct history *h)
{
	struct history_point *p = &h->ring[h->second % HISTORY_SECONDS];

	*p = h->now;
	p->ttft_p95_ms = h->ttft.count == 0 ? (double)NAN :
	    hist_quantile_ms(&h->ttft, 0.95);
	h->now = (struct history_point){ .queued = p->queued,
	    .running = p->running };
	if (h->ttft.count > 0)
		memset(&h->ttft, 0, sizeof(h->ttft));
	h->n = MEM_MIN(h->n + 1, (size_t)HISTORY_SECONDS);
	h->second++;
}

static void
turn(struct history *h, uint64_t now_ns)
{
	uint64_t s = now_ns / CLOCK_NS_PER_S;

	if (h->second == 0)
		h->second = s;
	/* After a long sleep only the end of it is kept. */
	if (s > h->second + HISTORY_SECONDS + 1) {
		close_second(h);
		h->second = s - HISTORY_SECONDS;
	}
	while (h->second < s)
		close_second(h);
}

void
history_tokens(struct history *h, uint64_t now_ns, size_t n)
{
	turn(h, now_ns);
	h->now.tokens += (uint32_t)n;
}

void
history_first_token(struct history *h, uint64_t now_ns, double ms)
{
	turn(h, now_ns);
	hist_add(&h->ttft, ms);
}

void
history_request(struct history *h, uint64_t now_ns, int is_error)
{
	turn(h, now_ns);
	h->now.requests++;
	h->now.errors += is_error != 0;
}

void
history_levels(struct history *h, uint64_t now_ns, size_t queued,
    size_t running)
{
	turn(h, now_ns);
	h->now.queued = (uint32_t)queued;
	h->now.running = (uint32_t)running;
}

uint64_t
history_first(const struct history *h)
{
	return h->second - h->n;
}

const struct history_point *
history_at(const struct history *h, uint64_t second)
{
	return &h->ring[second % HISTORY_SECONDS];
}

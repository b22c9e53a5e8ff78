/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "master/supervise.h"

#include "base/clock.h"
#include "base/mem.h"

static const char *const state_names[] = {
	[SUP_STOPPED] = "stopped", [SUP_STARTING] = "starting",
	[SUP_LOADING] = "loading", [SUP_READY] = "ready",
	[SUP_DRAINING] = "draining", [SUP_STOPPING] = "stopping",
	[SUP_BACKOFF] = "backoff", [SUP_FAILED] = "failed",
};

static uint64_t
after(uint64_t now_ns, uint64_t ms)
{
	return now_ns + ms * CLOCK_NS_PER_MS;
}

void
sup_init(struct sup *s)
{
	*s = (struct sup){ .state = SUP_STOPPED, .wake_ns = SUP_NEVER };
}

const char *
sup_state_name(enum sup_state state)
{
	return state_names[state];
}

enum sup_action
sup_start(struct sup *s)
{
	s->has_failed = false;
	if (s->has_process)
		return SUP_NOTHING;
	s->backoff_ms = 0;
	return SUP_SPAWN;
}

enum sup_action
sup_stop(struct sup *s, uint64_t now_ns)
{
	if (!s->has_process) {
		s->state = SUP_STOPPED;
		s->wake_ns = SUP_NEVER;
		return SUP_NOTHING;
	}
	if (s->state == SUP_STOPPING)
		return SUP_NOTHING;
	s->state = SUP_STOPPING;
	s->wake_ns = after(now_ns, SUP_GRACE_MS);
	return SUP_QUIT;
}

static void
expect_start(struct sup *s, const struct sup_limits *l, uint64_t now_ns)
{
	s->wake_ns = l->start_timeout_ms == 0 ? SUP_NEVER :
	    after(now_ns, l->start_timeout_ms);
}

void
sup_spawned(struct sup *s, const struct sup_limits *l, uint64_t now_ns)
{
	s->state = SUP_STARTING;
	s->has_process = true;
	s->has_failed = false;
	s->ready_ns = 0;
	expect_start(s, l, now_ns);
}

void
sup_progress(struct sup *s, const struct sup_limits *l, uint64_t now_ns)
{
	if (s->state == SUP_STARTING || s->state == SUP_LOADING)
		expect_start(s, l, now_ns);
}

/* Wait before the next try, and longer the next time. */
static void
back_off(struct sup *s, const struct sup_limits *l, uint64_t now_ns)
{
	uint64_t ms = MEM_MAX(s->backoff_ms, l->backoff_min_ms);

	ms = MEM_MIN(ms, l->backoff_max_ms);
	s->state = SUP_BACKOFF;
	s->wake_ns = after(now_ns, ms);
	s->backoff_ms = MEM_MIN(ms * 2, l->backoff_max_ms);
	s->restarts++;
}

void
sup_spawn_failed(struct sup *s, const struct sup_limits *l, uint64_t now_ns)
{
	s->has_process = false;
	back_off(s, l, now_ns);
}

void
sup_loading(struct sup *s)
{
	if (s->state == SUP_STARTING)
		s->state = SUP_LOADING;
}

void
sup_ready(struct sup *s, uint64_t now_ns)
{
	if (s->state != SUP_STARTING && s->state != SUP_LOADING)
		return;
	s->state = SUP_READY;
	s->ready_ns = now_ns;
	s->wake_ns = SUP_NEVER;
}

enum sup_action
sup_load_failed(struct sup *s, uint64_t now_ns)
{
	if (!s->has_process || s->state == SUP_STOPPING)
		return SUP_NOTHING;
	s->has_failed = true;
	s->state = SUP_STOPPING;
	s->wake_ns = after(now_ns, SUP_GRACE_MS);
	return SUP_QUIT;
}

void
sup_draining(struct sup *s)
{
	if (s->state == SUP_READY)
		s->state = SUP_DRAINING;
}

void
sup_link_lost(struct sup *s, uint64_t now_ns)
{
	if (s->has_process)
		s->wake_ns = MEM_MIN(s->wake_ns,
		    after(now_ns, SUP_GRACE_MS));
}

bool
sup_exited(struct sup *s, const struct sup_limits *l, uint64_t now_ns)
{
	bool was_asked = s->state == SUP_STOPPING;

	s->has_process = false;
	s->wake_ns = SUP_NEVER;
	if (was_asked) {
		s->state = s->has_failed ? SUP_FAILED : SUP_STOPPED;
		return false;
	}
	if (s->ready_ns != 0 &&
	    now_ns - s->ready_ns >= l->backoff_reset_ms * CLOCK_NS_PER_MS)
		s->backoff_ms = 0;
	s->ready_ns = 0;
	/* One that was to end anyway has saved us the trouble. */
	if (s->state == SUP_DRAINING)
		s->state = SUP_STOPPED;
	else
		back_off(s, l, now_ns);
	return true;
}

enum sup_action
sup_tick(struct sup *s, uint64_t now_ns)
{
	if (now_ns < s->wake_ns)
		return SUP_NOTHING;
	s->wake_ns = SUP_NEVER;
	if (s->state == SUP_BACKOFF)
		return SUP_SPAWN;
	return s->has_process ? SUP_KILL : SUP_NOTHING;
}

/* SPDX-License-Identifier: MIT */
/*
 * What clients hear while they wait: how many are before them, and how long it
 * may take.  Only those that never ran: to who has output already, a worker's
 * death is nothing but a pause.
 */
#include "config.h"

#include "gate/core.h"

#include "base/clock.h"
#include "gate/sched.h"

/* So often at most. */
#define TELL_NS	(250 * CLOCK_NS_PER_MS)

void
positions_tell(struct gate *g, struct request *r, size_t position)
{
	const struct gate_model *m = r->on_model;
	bool waits = r->worker == NULL;

	r->told_position = position;
	if (r->events == NULL || r->events->queued == NULL)
		return;
	r->events->queued(r, waits ? position : 0, waits ?
	    sched_wait_ms(position, m->mean_ms, sched_slots(&g->workers, m)) :
	    0);
}

/* Tell those whose position is news. */
static void
tell_queue(struct gate *g, struct gate_model *m)
{
	struct request *r;

	sched_number(m);
	r = TAILQ_FIRST(&m->queue);
	while (r != NULL) {
		struct request *told = r;

		if (r->dispatched_ns != 0 ||
		    r->position == r->told_position) {
			r = TAILQ_NEXT(r, entry);
			continue;
		}
		core_hold(told);
		positions_tell(g, told, told->position);
		/* A callback may end any request, also this one. */
		r = told->is_over || told->worker != NULL ?
		    TAILQ_FIRST(&m->queue) : TAILQ_NEXT(told, entry);
		core_release(told);
	}
}

void
positions_tick(struct gate *g, uint64_t now_ns)
{
	struct gate_model *m;

	if (now_ns - g->told_ns < TELL_NS)
		return;
	g->told_ns = now_ns;
	TAILQ_FOREACH(m, &g->models, entry)
		tell_queue(g, m);
}

/* SPDX-License-Identifier: MIT */
/*
 * Which request kills workers?  When a worker dies, its requests stay where
 * they are until the master has told how.  If it was the worker's own fault,
 * those that it worked on are suspects: each goes on alone on a worker, so that
 * the next crash has one cause, until it got a little further than it was.  A
 * second crash ends the request.  What an operator or the system kills makes
 * nobody suspect.
 */
#include "config.h"

#include "gate/core.h"

#include "base/clock.h"
#include "base/log.h"

/* The master tells within milliseconds, if it lives. */
#define TOLD_NS		(2 * CLOCK_NS_PER_S)
/* Tokens beyond the crash that show that it was not this one. */
#define PROOF_TOKENS	4
#define CRASHES_MAX	2

void
suspects_detain(struct request *r, uint32_t worker)
{
	r->detained_by = worker;
	r->detained_until_ns = clock_now_ns() + TOLD_NS;
}

static void
release(struct gate *g, uint32_t worker, uint64_t now_ns)
{
	struct gate_model *m;
	struct request *r;

	TAILQ_FOREACH(m, &g->models, entry) {
		bool some = false;

		TAILQ_FOREACH(r, &m->queue, entry) {
			if (r->detained_by == 0 || (r->detained_by != worker &&
			    now_ns < r->detained_until_ns))
				continue;
			r->detained_by = 0;
			some = true;
		}
		if (some)
			core_dispatch(g, m);
	}
}

void
suspects_tick(struct gate *g, uint64_t now_ns)
{
	release(g, 0, now_ns);
}

static void
suspect(struct gate *g, struct request *r, uint32_t worker)
{
	r->is_suspect = true;
	r->crashed_at = r->n_generated;
	/* The fault may be the canary's; what its client has not seen can be
	 * begun anew by the active variant. */
	r->wants_canary = false;
	gate_event(g, "suspect", r->uuid, ++r->n_crashes < CRASHES_MAX ?
	    "a worker crashed while it worked on this request; it goes on "
	    "alone" : "a second worker crashed on this request; it is ended",
	    -1);
	log_warnx("request %s was at work when worker %u crashed (%u)",
	    r->uuid, worker, r->n_crashes);
	if (r->n_crashes >= CRASHES_MAX)
		core_fail(g, r, BM_EWORKER,
		    "workers crashed on this request", 0);
}

void
suspects_death(struct gate *g, const struct msg_worker_died *d)
{
	struct gate_worker *w = workers_find(g, d->worker);

	/* Its link may not have told yet. */
	if (w != NULL) {
		workers_count_death(w, d);
		workers_lost(g, w);
	}
	for (size_t i = 0; d->is_suspicious && i + 1 < d->requests.n; i += 2) {
		uint64_t id = words_at(d->requests, i) |
		    (uint64_t)words_at(d->requests, i + 1) << 32;
		struct request *r = map_get(&g->requests, id);

		if (r != NULL && r->detained_by == d->worker)
			suspect(g, r, d->worker);
	}
	release(g, d->worker, 0);
}

void
suspects_progress(struct gate *g, struct request *r)
{
	if (!r->is_suspect || r->worker == NULL ||
	    r->n_generated < r->crashed_at + PROOF_TOKENS)
		return;
	r->is_suspect = false;
	r->n_crashes = 0;
	r->worker->has_suspect = false;
	core_dispatch(g, r->on_model);
}

/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gate/sched.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

#define RETRY_MIN_MS	100u
#define RETRY_MAX_MS	60000u
#define WAIT_MAX_MS	1e12
#define GUESS_MS	1000	/* of a request, before any has ended */

static struct request_list *
list_of(struct gate_model *m, const struct request *r)
{
	return r->kind == REQUEST_GENERATE ? &m->queue : &m->asides;
}

/* Does a go first?  No key is equal to another. */
static bool
is_before(const struct request *a, const struct request *b)
{
	int64_t x = (int64_t)a->arrived_ns, y = (int64_t)b->arrived_ns;

	x -= a->priority * (int64_t)SCHED_LEVEL_NS;
	y -= b->priority * (int64_t)SCHED_LEVEL_NS;
	return x != y ? x < y : a->id < b->id;
}

size_t
sched_enqueue(struct gate_model *m, struct request *r)
{
	struct request_list *list = list_of(m, r);
	struct request *other;
	size_t before = m->n_queued++;

	/* From the end: most belong there. */
	TAILQ_FOREACH_REVERSE(other, list, request_list, entry) {
		if (is_before(other, r))
			break;
		before--;
	}
	if (other == NULL)
		TAILQ_INSERT_HEAD(list, r, entry);
	else
		TAILQ_INSERT_AFTER(list, other, r, entry);
	return before;
}

void
sched_dequeue(struct gate_model *m, struct request *r)
{
	TAILQ_REMOVE(list_of(m, r), r, entry);
	m->n_queued--;
}

uint64_t
sched_oldest_ns(const struct gate_model *m)
{
	const struct request *r = TAILQ_FIRST(&m->queue);
	uint64_t oldest_ns = r == NULL ? 0 : r->arrived_ns;

	TAILQ_FOREACH(r, &m->queue, entry)
		oldest_ns = MEM_MIN(oldest_ns, r->arrived_ns);
	return oldest_ns;
}

void
sched_number(struct gate_model *m)
{
	struct request *r;
	size_t n = 0;

	TAILQ_FOREACH(r, &m->queue, entry)
		r->position = n++;
}

static bool
can_take(const struct gate_worker *w, const struct gate_model *m,
    const struct gate_variant *v, bool needs_slot)
{
	return w->model == m && (v == NULL || w->variant == v) &&
	    w->is_ready && !w->is_draining && !w->is_held &&
	    (!needs_slot || (w->n_running < w->n_parallel &&
	    !w->has_suspect));
}

struct gate_worker *
sched_worker(const struct worker_list *workers, const struct gate_model *m,
    const struct gate_variant *v, bool needs_slot)
{
	struct gate_worker *w, *best = NULL;

	TAILQ_FOREACH(w, workers, entry) {
		if (can_take(w, m, v, needs_slot) &&
		    (best == NULL || w->n_running < best->n_running))
			best = w;
	}
	return best;
}

/* The one that probably has most of r's prompt in its cache, of those that are
 * not clearly busier than the least busy one. */
static struct gate_worker *
near_worker(const struct worker_list *workers, const struct gate_model *m,
    const struct gate_variant *v, const struct request *r)
{
	struct gate_worker *w, *best = sched_worker(workers, m, v, true);
	uint32_t least;
	size_t best_score;

	/* A suspect wants an idle one, whichever it is. */
	if (best == NULL || r->key.n == 0 || r->is_suspect)
		return best;
	least = best->n_running;
	best_score = affinity_score(&best->affinity, &r->key);
	TAILQ_FOREACH(w, workers, entry) {
		size_t score;

		if (!can_take(w, m, v, true) ||
		    w->n_running > least + MEM_MAX(1u, w->n_parallel / 4))
			continue;
		score = affinity_score(&w->affinity, &r->key);
		if (score > best_score || (score == best_score &&
		    w->n_running < best->n_running)) {
			best = w;
			best_score = score;
		}
	}
	return best;
}

/* Where r may go now. */
static struct gate_worker *
any_for(const struct worker_list *workers, const struct gate_model *m,
    const struct request *r)
{
	const struct gate_variant *v = m->active, *other = m->canary;

	if (r->variant != NULL && r->n_generated > 0)
		return near_worker(workers, m, r->variant, r);
	if (other != NULL && r->wants_canary) {
		v = m->canary;
		other = m->active;
	}
	/* One that has no worker at all must not keep its share waiting. */
	if (other != NULL && sched_worker(workers, m, v, false) == NULL)
		v = other;
	return near_worker(workers, m, v, r);
}

struct request *
sched_next(const struct worker_list *workers, const struct gate_model *m,
    struct gate_worker **w)
{
	struct request *r = TAILQ_FIRST(&m->asides);
	const struct gate_worker *kept = NULL;

	if (r != NULL && (*w = sched_worker(workers, m, NULL, false)) != NULL)
		return r;
	/* Mostly either nobody waits or no worker has room. */
	if (m->is_held || TAILQ_EMPTY(&m->queue) ||
	    sched_worker(workers, m, NULL, true) == NULL)
		return NULL;
	TAILQ_FOREACH(r, &m->queue, entry) {
		*w = r->detained_by != 0 ? NULL : any_for(workers, m, r);
		if (*w == NULL || *w == kept)
			continue;
		if (!r->is_suspect || (*w)->n_running == 0)
			return r;
		/* It is the least busy one, so none is idle.  Let it become
		 * so: under load that would never be. */
		kept = *w;
	}
	return NULL;
}

size_t
sched_slots(const struct worker_list *workers, const struct gate_model *m)
{
	struct gate_worker *w;
	size_t n = 0;

	TAILQ_FOREACH(w, workers, entry) {
		if (w->model == m && w->is_ready)
			n += w->n_parallel;
	}
	return n;
}

uint64_t
sched_wait_ms(size_t position, double mean_ms, size_t n_slots)
{
	double n_rounds = (double)(position + 1) /
	    (double)MEM_MAX(n_slots, (size_t)1);

	if (!(mean_ms > 0))
		mean_ms = GUESS_MS;
	return (uint64_t)MEM_MIN(ceil(mean_ms * n_rounds), WAIT_MAX_MS);
}

uint64_t
sched_retry_ms(double mean_ms, size_t n_slots)
{
	uint64_t ms = sched_wait_ms(0, mean_ms, n_slots);

	return MEM_MIN(MEM_MAX(ms, RETRY_MIN_MS), RETRY_MAX_MS);
}

double
sched_mean_ms(double mean_ms, double last_ms)
{
	return mean_ms > 0 ? mean_ms + (last_ms - mean_ms) / 8 : last_ms;
}

/* ---- deadlines ---- */

static void
heap_put(struct sched_heap *h, size_t i, struct request *r)
{
	h->v[i] = r;
	r->heap_at = i + 1;
}

static void
heap_up(struct sched_heap *h, size_t i)
{
	struct request *r = h->v[i];

	while (i > 0 && h->v[(i - 1) / 2]->deadline_ns > r->deadline_ns) {
		heap_put(h, i, h->v[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_put(h, i, r);
}

static void
heap_down(struct sched_heap *h, size_t i)
{
	struct request *r = h->v[i];

	for (;;) {
		size_t c = 2 * i + 1;

		if (c + 1 < h->n &&
		    h->v[c + 1]->deadline_ns < h->v[c]->deadline_ns)
			c++;
		if (c >= h->n || h->v[c]->deadline_ns >= r->deadline_ns)
			break;
		heap_put(h, i, h->v[c]);
		i = c;
	}
	heap_put(h, i, r);
}

void
sched_heap_add(struct sched_heap *h, struct request *r)
{
	if (h->n == h->cap) {
		h->cap = h->cap == 0 ? 64 : h->cap * 2;
		h->v = xreallocarray(h->v, h->cap, sizeof(struct request *));
	}
	h->v[h->n] = r;
	heap_up(h, h->n++);
}

void
sched_heap_remove(struct sched_heap *h, struct request *r)
{
	size_t i = r->heap_at;
	struct request *last;

	if (i-- == 0)
		return;
	r->heap_at = 0;
	last = h->v[--h->n];
	if (last == r)
		return;
	h->v[i] = last;
	heap_up(h, i);
	heap_down(h, last->heap_at - 1);
}

struct request *
sched_heap_due(const struct sched_heap *h, uint64_t now_ns)
{
	if (h->n == 0 || h->v[0]->deadline_ns > now_ns)
		return NULL;
	return h->v[0];
}

void
sched_heap_fini(struct sched_heap *h)
{
	free(h->v);
	*h = (struct sched_heap){ 0 };
}

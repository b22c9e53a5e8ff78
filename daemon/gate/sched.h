/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_SCHED_H
#define BM_GATE_SCHED_H

/*
 * Which request runs next and where.  Pure: it reads and links the structs of
 * gate.h and request.h, sends nothing and asks no clock.
 *
 * A model's queue is in the order of one key that never changes: the time of
 * arrival less SCHED_LEVEL_NS for each level of priority.  Later requests pass
 * one only if they are of a higher priority and came within that time for each
 * level that they are above it, 9 levels at most: what comes more than 90 s
 * later never does, so nobody starves.  A request that lost its worker comes
 * back with the key it had.  A suspect (suspects.c) waits for an idle worker:
 * those after it do not get the one that is the next to be so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "gate/gate.h"

#define SCHED_LEVEL_NS	(10 * CLOCK_NS_PER_S)

/* Put into its model's queue at its place; returns how many are before it. */
size_t	 sched_enqueue(struct gate_model *m, struct request *r);
void	 sched_dequeue(struct gate_model *m, struct request *r);
/* When the one of the queue that has waited longest came; 0: nobody waits. */
uint64_t sched_oldest_ns(const struct gate_model *m);
/* Tell each request of the queue its position. */
void	 sched_number(struct gate_model *m);

/*
 * The ready worker of m with the fewest running, NULL when none can take a
 * request.  v: one of that variant; NULL: of any.  needs_slot: one with room
 * for one more RUN.
 */
struct gate_worker *sched_worker(const struct worker_list *workers,
	    const struct gate_model *m, const struct gate_variant *v,
	    bool needs_slot);
/*
 * The next request that can start now and its worker; NULL when none.  The
 * worker is the one that has most of the prompt's begin (affinity.h) among
 * those with at most a quarter of their slots, or one, more running than the
 * one with the fewest; of equals the one with the fewest.
 */
struct request	*sched_next(const struct worker_list *workers,
	    const struct gate_model *m, struct gate_worker **w);
/* RUNs the ready workers of m take at once. */
size_t	 sched_slots(const struct worker_list *workers,
	    const struct gate_model *m);

/* How long one waits that `position` others are before, from the mean duration
 * of a request (0: unknown, a guess) and the slots. */
uint64_t sched_wait_ms(size_t position, double mean_ms, size_t n_slots);
/* When a refused client may try again: the time until the queue moved by one,
 * within bounds. */
uint64_t sched_retry_ms(double mean_ms, size_t n_slots);
/* The mean of recent durations, from the last mean and one more. */
double	 sched_mean_ms(double mean_ms, double last_ms);

/* Deadlines: a heap whose first is the earliest. */
struct sched_heap {
	struct request	**v;
	size_t		 n;
	size_t		 cap;
};

/* r->deadline_ns must not change while it is in the heap. */
void		 sched_heap_add(struct sched_heap *h, struct request *r);
/* Nothing happens when it is not in the heap. */
void		 sched_heap_remove(struct sched_heap *h, struct request *r);
/* One whose deadline has passed, still in the heap; NULL when none. */
struct request	*sched_heap_due(const struct sched_heap *h, uint64_t now_ns);
void		 sched_heap_fini(struct sched_heap *h);

#endif

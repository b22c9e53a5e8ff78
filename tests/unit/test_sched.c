/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gate/sched.h"

struct world {
	struct gate_model	 m;
	struct worker_list	 workers;
	struct gate_worker	 w[3];
	struct request		 r[64];
};

static void
world_init(struct world *o)
{
	memset(o, 0, sizeof(*o));
	TAILQ_INIT(&o->m.queue);
	TAILQ_INIT(&o->m.asides);
	TAILQ_INIT(&o->workers);
	for (size_t i = 0; i < N_ELEMENTS(o->w); i++) {
		o->w[i].id = (uint32_t)i + 1;
		o->w[i].model = &o->m;
		o->w[i].is_ready = true;
		o->w[i].n_parallel = 2;
		TAILQ_INSERT_TAIL(&o->workers, &o->w[i], entry);
	}
	for (size_t i = 0; i < N_ELEMENTS(o->r); i++)
		o->r[i].id = i + 1;
}

static void
least_loaded_worker_is_taken(void **state)
{
	struct world o;

	world_init(&o);
	o.w[0].n_running = 1;
	o.w[2].n_running = 1;
	assert_ptr_equal(sched_worker(&o.workers, &o.m, NULL, true), &o.w[1]);
	o.w[1].n_running = 2;
	assert_ptr_equal(sched_worker(&o.workers, &o.m, NULL, true), &o.w[0]);
	o.w[0].is_ready = false;
	assert_ptr_equal(sched_worker(&o.workers, &o.m, NULL, true), &o.w[2]);
	o.w[2].is_draining = true;
	assert_null(sched_worker(&o.workers, &o.m, NULL, true));
	/* A full worker still answers what needs no slot. */
	assert_ptr_equal(sched_worker(&o.workers, &o.m, NULL, false), &o.w[1]);
	o.w[1].model = NULL;
	assert_null(sched_worker(&o.workers, &o.m, NULL, false));
}

static void
queue_is_in_order_of_arrival(void **state)
{
	struct world o;
	struct gate_worker *w;

	world_init(&o);
	assert_int_equal(sched_enqueue(&o.m, &o.r[3]), 0);
	assert_int_equal(sched_enqueue(&o.m, &o.r[5]), 1);
	/* Two that lost their worker come back, younger first. */
	assert_int_equal(sched_enqueue(&o.m, &o.r[1]), 0);
	assert_int_equal(sched_enqueue(&o.m, &o.r[0]), 0);
	assert_int_equal(sched_enqueue(&o.m, &o.r[4]), 3);
	assert_int_equal(o.m.n_queued, 5);
	for (size_t i = 0; i < 5; i++) {
		static const uint64_t ids[] = { 1, 2, 4, 5, 6 };
		struct request *r = sched_next(&o.workers, &o.m, &w);

		assert_non_null(r);
		assert_int_equal(r->id, ids[i]);
		sched_dequeue(&o.m, r);
	}
	assert_int_equal(o.m.n_queued, 0);
	assert_null(sched_next(&o.workers, &o.m, &w));
}

/* Of two that wait, the higher priority goes first if it came within a level's
 * time for each level that it is above, and only then. */
static void
higher_priority_passes_for_a_time(void **state)
{
	struct world o;

	world_init(&o);
	o.r[0].arrived_ns = SCHED_LEVEL_NS / 2;
	o.r[0].priority = 5;
	sched_enqueue(&o.m, &o.r[0]);
	for (int32_t p = 0; p <= 9; p++) {
		uint64_t reach_ns = p > 5 ?
		    (uint64_t)(p - 5) * SCHED_LEVEL_NS : 0;

		o.r[1].priority = p;
		o.r[1].arrived_ns = o.r[0].arrived_ns + reach_ns;
		assert_int_equal(sched_enqueue(&o.m, &o.r[1]), 1);
		sched_dequeue(&o.m, &o.r[1]);
		if (p <= 5)
			continue;
		o.r[1].arrived_ns--;
		assert_int_equal(sched_enqueue(&o.m, &o.r[1]), 0);
		assert_int_equal(sched_oldest_ns(&o.m), o.r[0].arrived_ns);
		sched_number(&o.m);
		assert_int_equal(o.r[0].position, 1);
		assert_int_equal(o.r[1].position, 0);
		sched_dequeue(&o.m, &o.r[1]);
	}
	/* The clock may begin at 0. */
	o.r[1].arrived_ns = 0;
	o.r[1].priority = 9;
	assert_int_equal(sched_enqueue(&o.m, &o.r[1]), 0);
}

struct simulation {
	struct world	 o;
	uint64_t	 now_ns;
	uint64_t	 id;
	size_t		 n_passed;	/* o.r[0], by others */
};

/* A place of o.r from the second on that is free has id 0. */
static void
simulate_arrival(struct simulation *s, int32_t priority)
{
	size_t i = 1;

	while (i < N_ELEMENTS(s->o.r) && s->o.r[i].id != 0)
		i++;
	if (i == N_ELEMENTS(s->o.r))
		return;		/* the queue is full */
	s->o.r[i].id = ++s->id;
	s->o.r[i].arrived_ns = s->now_ns;
	s->o.r[i].priority = priority;
	sched_enqueue(&s->o.m, &s->o.r[i]);
}

/* More than one slot can do comes for ever, all of the highest priority; one of
 * the lowest waits as long as the header says, and no longer. */
static void
nobody_starves(void **state)
{
	static struct simulation s;
	const uint64_t bound_ns = 9 * SCHED_LEVEL_NS;
	const uint64_t job_ns = CLOCK_NS_PER_S / 2;
	struct request *low = &s.o.r[0], *r;
	struct gate_worker *w;

	world_init(&s.o);
	for (size_t i = 1; i < N_ELEMENTS(s.o.r); i++)
		s.o.r[i].id = 0;
	s.id = low->id = 1;
	sched_enqueue(&s.o.m, low);
	for (;;) {
		simulate_arrival(&s, 9);
		simulate_arrival(&s, 9);
		r = sched_next(&s.o.workers, &s.o.m, &w);
		assert_non_null(r);
		sched_dequeue(&s.o.m, r);
		if (r == low)
			break;
		assert_true(r->arrived_ns < bound_ns);
		s.n_passed++;
		r->id = 0;
		s.now_ns += job_ns;
		assert_true(s.now_ns < 4 * bound_ns);
	}
	/* It was passed by all it had to let pass, and then it was its turn. */
	assert_true(s.now_ns >= bound_ns);
	assert_true(s.n_passed >= bound_ns / job_ns);
}

static void
asides_do_not_wait_for_a_slot(void **state)
{
	struct world o;
	struct gate_worker *w = NULL;

	world_init(&o);
	for (size_t i = 0; i < N_ELEMENTS(o.w); i++)
		o.w[i].n_running = 2;
	sched_enqueue(&o.m, &o.r[0]);
	assert_null(sched_next(&o.workers, &o.m, &w));
	o.r[1].kind = REQUEST_TOKENIZE;
	sched_enqueue(&o.m, &o.r[1]);
	assert_ptr_equal(sched_next(&o.workers, &o.m, &w), &o.r[1]);
	assert_non_null(w);
	sched_dequeue(&o.m, &o.r[1]);
	o.w[2].n_running = 1;
	assert_ptr_equal(sched_next(&o.workers, &o.m, &w), &o.r[0]);
	assert_ptr_equal(w, &o.w[2]);
}

static void
a_prompt_goes_where_its_begin_is(void **state)
{
	uint64_t blocks[] = { 11, 13, 15 };
	struct affinity_key begin = { blocks, 1 };
	struct gate_worker *w;
	struct world o;

	world_init(&o);
	for (size_t i = 0; i < N_ELEMENTS(o.w); i++)
		o.w[i].n_parallel = 8;
	o.r[0].key = (struct affinity_key){ blocks, 3 };
	sched_enqueue(&o.m, &o.r[0]);
	affinity_note(&o.w[1].affinity, &begin);
	affinity_note(&o.w[2].affinity, &o.r[0].key);
	sched_next(&o.workers, &o.m, &w);
	assert_ptr_equal(w, &o.w[2]);
	/* As long as that one is not clearly busier. */
	o.w[2].n_running = 2;
	sched_next(&o.workers, &o.m, &w);
	assert_ptr_equal(w, &o.w[2]);
	o.w[2].n_running = 3;
	sched_next(&o.workers, &o.m, &w);
	assert_ptr_equal(w, &o.w[1]);
	o.w[0].n_running = o.w[1].n_running = 1;
	sched_next(&o.workers, &o.m, &w);
	assert_ptr_equal(w, &o.w[2]);
	/* Of two that have the same, the less busy. */
	affinity_note(&o.w[1].affinity, &o.r[0].key);
	sched_next(&o.workers, &o.m, &w);
	assert_ptr_equal(w, &o.w[1]);
	/* One that takes nothing does not count. */
	o.w[1].is_held = true;
	sched_next(&o.workers, &o.m, &w);
	assert_ptr_equal(w, &o.w[2]);
	/* A suspect goes where it is alone. */
	o.r[0].is_suspect = true;
	assert_null(sched_next(&o.workers, &o.m, &w));
	o.w[0].n_running = 0;
	sched_next(&o.workers, &o.m, &w);
	assert_ptr_equal(w, &o.w[0]);
}

static void
a_suspect_gets_an_idle_worker_under_load(void **state)
{
	struct gate_worker *w;
	struct world o;

	world_init(&o);
	o.w[0].is_ready = false;
	o.w[1].n_running = o.w[2].n_running = 2;
	o.r[0].is_suspect = true;
	for (size_t i = 0; i < 3; i++)
		sched_enqueue(&o.m, &o.r[i]);
	/* A slot becomes free: not for those behind it. */
	o.w[2].n_running = 1;
	assert_null(sched_next(&o.workers, &o.m, &w));
	o.w[2].n_running = 0;
	assert_ptr_equal(sched_next(&o.workers, &o.m, &w), &o.r[0]);
	assert_ptr_equal(w, &o.w[2]);
	sched_dequeue(&o.m, &o.r[0]);
	o.w[2].n_running = 1;
	o.w[2].has_suspect = true;
	assert_null(sched_next(&o.workers, &o.m, &w));
	o.w[1].n_running = 1;
	assert_ptr_equal(sched_next(&o.workers, &o.m, &w), &o.r[1]);
	assert_ptr_equal(w, &o.w[1]);
	/* One whose worker's death is not told yet keeps nobody waiting. */
	o.r[0].detained_by = 1;
	sched_enqueue(&o.m, &o.r[0]);
	assert_ptr_equal(sched_next(&o.workers, &o.m, &w), &o.r[1]);
}

static void
requests_go_to_their_variant(void **state)
{
	struct gate_variant a = { 0 }, b = { 0 };
	struct gate_worker *w;
	struct world o;

	world_init(&o);
	o.m.active = &a;
	o.w[0].variant = o.w[1].variant = &a;
	o.w[2].variant = &b;
	o.w[0].n_running = o.w[1].n_running = 2;
	/* A new one is for the active variant, which has no room... */
	sched_enqueue(&o.m, &o.r[0]);
	assert_null(sched_next(&o.workers, &o.m, &w));
	/* ... one whose client has output of b goes on there, ... */
	o.r[1].variant = &b;
	o.r[1].n_generated = 5;
	sched_enqueue(&o.m, &o.r[1]);
	assert_ptr_equal(sched_next(&o.workers, &o.m, &w), &o.r[1]);
	assert_ptr_equal(w, &o.w[2]);
	/* ... and one without may begin anew. */
	o.r[1].n_generated = 0;
	assert_null(sched_next(&o.workers, &o.m, &w));
	o.m.canary = &b;
	o.r[0].wants_canary = true;
	assert_ptr_equal(sched_next(&o.workers, &o.m, &w), &o.r[0]);
	assert_ptr_equal(w, &o.w[2]);
	/* A canary without workers keeps nobody waiting. */
	o.w[2].is_ready = false;
	assert_null(sched_next(&o.workers, &o.m, &w));
	o.w[1].n_running = 1;
	assert_ptr_equal(sched_next(&o.workers, &o.m, &w), &o.r[0]);
	assert_ptr_equal(w, &o.w[1]);
	o.m.is_held = true;
	assert_null(sched_next(&o.workers, &o.m, &w));
}

static void
slots_and_retry(void **state)
{
	struct world o;

	world_init(&o);
	assert_int_equal(sched_slots(&o.workers, &o.m), 6);
	o.w[0].is_ready = false;
	assert_int_equal(sched_slots(&o.workers, &o.m), 4);
	assert_int_equal(sched_retry_ms(4000, 4), 1000);
	assert_int_equal(sched_retry_ms(4000, 0), 4000);
	assert_int_equal(sched_retry_ms(1, 4), 100);
	assert_int_equal(sched_retry_ms(1e12, 1), 60000);
	assert_int_equal(sched_retry_ms(0, 1), 1000);
	assert_int_equal(sched_wait_ms(0, 4000, 4), 1000);
	assert_int_equal(sched_wait_ms(5, 4000, 4), 6000);
	assert_int_equal(sched_wait_ms(2, 0, 0), 3000);
	assert_true(sched_mean_ms(0, 80) == 80);
	assert_true(sched_mean_ms(80, 160) == 90);
}

/* Any order of additions and removals gives the deadlines in order. */
static void
heap_gives_the_earliest(void **state)
{
	struct world o;
	struct sched_heap h = { 0 };
	uint32_t x = 12345;
	uint64_t last = 0;
	size_t n = 0;
	struct request *r;

	world_init(&o);
	for (size_t i = 0; i < N_ELEMENTS(o.r); i++) {
		x = x * 1664525 + 1013904223;
		o.r[i].deadline_ns = 1 + (x >> 16) % 1000;
		sched_heap_add(&h, &o.r[i]);
	}
	for (size_t i = 0; i < N_ELEMENTS(o.r); i += 3) {
		sched_heap_remove(&h, &o.r[i]);
		sched_heap_remove(&h, &o.r[i]);	/* twice is no harm */
		assert_int_equal(o.r[i].heap_at, 0);
	}
	assert_null(sched_heap_due(&h, 0));
	while ((r = sched_heap_due(&h, 1000)) != NULL) {
		assert_true(r->deadline_ns >= last);
		assert_int_not_equal((r->id - 1) % 3, 0);
		last = r->deadline_ns;
		sched_heap_remove(&h, r);
		n++;
	}
	assert_int_equal(n, N_ELEMENTS(o.r) - (N_ELEMENTS(o.r) + 2) / 3);
	assert_int_equal(h.n, 0);
	sched_heap_fini(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(least_loaded_worker_is_taken),
		cmocka_unit_test(queue_is_in_order_of_arrival),
		cmocka_unit_test(higher_priority_passes_for_a_time),
		cmocka_unit_test(nobody_starves),
		cmocka_unit_test(asides_do_not_wait_for_a_slot),
		cmocka_unit_test(a_prompt_goes_where_its_begin_is),
		cmocka_unit_test(a_suspect_gets_an_idle_worker_under_load),
		cmocka_unit_test(requests_go_to_their_variant),
		cmocka_unit_test(slots_and_retry),
		cmocka_unit_test(heap_gives_the_earliest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

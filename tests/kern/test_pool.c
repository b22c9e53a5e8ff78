/* SPDX-License-Identifier: MIT */
/*
 * The thread pool: every item once, whatever the counts; runs back to back
 * without a leak from one into the next; sleeping threads wake; threads use no
 * CPU between runs; what the threads wrote is visible to the caller.
 */
#include "config.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/granted.h"
#include "base/mem.h"
#include "kernels/pool.h"

static int n_tests, n_failed;

static void
result(int ok, const char *what)
{
	printf("%s %d - %s\n", ok ? "ok" : "not ok", ++n_tests, what);
	n_failed += !ok;
}

static struct pool *
new_pool(int n_threads)
{
	struct pool *pool;
	struct cause cause;

	if (pool_new(&pool, n_threads, &cause) != 0) {
		printf("Bail out! %s\n", cause.text);
		exit(1);
	}
	return pool;
}

struct tally {
	uint32_t	*count;		/* per item, plain on purpose */
	size_t		 n;
	int		 n_threads;
	_Atomic int	 bad;
};

static void
count_item(void *arg, size_t i, int thread)
{
	struct tally *t = arg;

	if (i >= t->n || thread < 0 || thread >= t->n_threads)
		atomic_store(&t->bad, 1);
	else
		t->count[i]++;
}

/* Run n items `rounds` times; whether each was done as often. */
static int
each_once(struct pool *pool, size_t n, uint32_t rounds)
{
	struct tally t = { xcalloc(n + 1, sizeof(*t.count)), n,
	    pool_n_threads(pool), 0 };
	uint32_t r;
	size_t i;
	int ok;

	for (r = 0; r < rounds; r++)
		pool_run(pool, n, count_item, &t);
	ok = !t.bad;
	for (i = 0; i < n; i++)
		ok = ok && t.count[i] == rounds;
	free(t.count);
	return ok;
}

static void
counts(void)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 16, 17, 1000, 100003 };
	char what[64];
	int n_threads, ok;
	size_t i;

	for (n_threads = 1; n_threads <= 5; n_threads++) {
		struct pool *pool = new_pool(n_threads);

		ok = pool_n_threads(pool) == n_threads;
		for (i = 0; i < N_ELEMENTS(sizes); i++)
			ok = ok && each_once(pool, sizes[i], 3);
		snprintf(what, sizeof(what), "every item once, %d threads",
		    n_threads);
		result(ok, what);
		pool_free(&pool);
		result(pool == NULL, "pool_free forgets the pool");
	}
}

static void
back_to_back(void)
{
	struct pool *pool = new_pool(4);
	int ok = 1;
	size_t n;

	for (n = 2; n < 40; n++)
		ok = ok && each_once(pool, n, 300);
	result(ok, "thousands of short runs back to back");
	pool_free(&pool);
}

static void
sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static double
cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

struct meeting {
	_Atomic int	 arrived;
	int		 n;
};

/* Returns once all threads are inside. */
static void
meet(void *arg, size_t i, int thread)
{
	struct meeting *m = arg;

	atomic_fetch_add(&m->arrived, 1);
	while (atomic_load(&m->arrived) < m->n)
		sched_yield();
}

static void
together(void)
{
	struct pool *pool = new_pool(3);
	struct meeting m = { 0, 3 };

	pool_run(pool, 3, meet, &m);
	result(atomic_load(&m.arrived) == 3, "threads work at the same time");
	pool_free(&pool);
}

/*
 * A spinning thread would use as much CPU time as passes; a sleeping one none,
 * however slow the machine is.  Then all threads must meet again: a thread
 * that is not woken leaves the others waiting until the alarm.
 */
static void
idle(int n_threads)
{
	struct pool *pool = new_pool(n_threads);
	struct meeting m = { 0, n_threads };
	char what[64];
	double before;
	int i;

	pool_run(pool, (size_t)n_threads, meet, &m);
	sleep_ms(50);
	before = cpu_ms();
	sleep_ms(400);
	snprintf(what, sizeof(what), "idle threads sleep, %d threads",
	    n_threads);
	result(cpu_ms() - before < 200, what);
	for (i = 0; i < 20; i++) {
		sleep_ms(i % 3);
		atomic_store(&m.arrived, 0);
		pool_run(pool, (size_t)n_threads, meet, &m);
	}
	snprintf(what, sizeof(what), "sleeping threads wake, %d threads",
	    n_threads);
	result(atomic_load(&m.arrived) == n_threads, what);
	pool_free(&pool);
}

static void
refusals(void)
{
	struct pool *pool = NULL;
	struct cause cause = { 0, "" };

	result(pool_new(&pool, 0, &cause) < 0 && pool == NULL &&
	    cause.text[0] != '\0', "no pool of 0 threads, and a cause");
	pool_free(&pool);
	result(pool == NULL, "freeing no pool is fine");
}

static void
granted(void)
{
	cpu_set_t all, one;
	int before = granted_cpus(), after = 0, cpu = 0;

	result(before >= 1, "at least one CPU is granted");
	if (sched_getaffinity(0, sizeof(all), &all) != 0) {
		printf("ok %d - affinity # SKIP can't be read\n", ++n_tests);
		return;
	}
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) != 0) {
		printf("ok %d - affinity # SKIP can't be set\n", ++n_tests);
		return;
	}
	after = granted_cpus();
	sched_setaffinity(0, sizeof(all), &all);
	result(after == 1, "an affinity of one CPU grants one");
	result(granted_cpus() == before, "and all again afterwards");
}

int
main(void)
{
	alarm(300);	/* a lost wake-up hangs */
	refusals();
	counts();
	back_to_back();
	together();
	idle(2);
	idle(3);
	granted();
	printf("1..%d\n", n_tests);
	return n_failed != 0;
}

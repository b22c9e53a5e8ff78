/* SPDX-License-Identifier: MIT */
/*
 * The thread pool.  A run is published as one 64-bit ticket: its number in the
 * high half, the items not yet taken in the low half.  A thread takes a chunk
 * by a compare-and-swap on the whole ticket, so that
 *  - a successful take proves the run is not over, hence that fn, arg and n
 *    belong to it and stay put until the taker reports its items done;
 *  - a thread that slept through a run takes nothing from the wrong one, and
 *    the caller never waits for threads that took nothing.
 * The caller returns when all items are reported done.
 */
#include "config.h"

#include "kernels/pool.h"

#include <sys/syscall.h>

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/granted.h"
#include "base/mem.h"

#define SPIN_NS		UINT64_C(30000)
#define SPIN_BATCH	64	/* pauses between two looks at the clock */
#define CHUNKS_A_THREAD	16	/* so that a slow thread holds up little */
#define CACHE_LINE	64

struct thread {
	pthread_t	 id;
	struct pool	*pool;
	int		 index;
};

struct pool {
	/* written by the caller between runs only */
	pool_fn			 fn;
	void			*arg;
	uint32_t		 n, chunk;
	size_t			 base;
	int			 n_threads;
	bool			 spin;
	struct thread		*threads;	/* n_threads - 1 */

	_Alignas(CACHE_LINE)
	_Atomic uint64_t	 ticket;
	_Alignas(CACHE_LINE)
	_Atomic uint32_t	 done;		/* futex: the caller waits */
	_Atomic uint32_t	 caller_sleeps;
	_Alignas(CACHE_LINE)
	_Atomic uint32_t	 wake;		/* futex: idle threads wait */
	_Atomic uint32_t	 n_sleeping;
	_Atomic uint32_t	 stop;
};

static void
futex_wait(_Atomic uint32_t *word, uint32_t expected)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void
futex_wake(_Atomic uint32_t *word, int n)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

static inline void
cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Take the next chunk: items *first .. *first + *n - 1. */
static bool
take(struct pool *p, uint32_t *first, uint32_t *n)
{
	uint64_t t = atomic_load(&p->ticket);
	uint32_t left, some;

	while ((left = (uint32_t)t) != 0) {
		/* chunk may be another run's; then the swap fails */
		some = __atomic_load_n(&p->chunk, __ATOMIC_RELAXED);
		if (some > left)
			some = left;
		if (atomic_compare_exchange_weak(&p->ticket, &t, t - some)) {
			*first = p->n - left;
			*n = some;
			return true;
		}
	}
	return false;
}

/* Work on the current run until nothing is left to take. */
static void
work(struct pool *p, int index)
{
	uint32_t first, some, i, n;

	while (take(p, &first, &some)) {
		for (i = first; i < first + some; i++)
			p->fn(p->arg, p->base + i, index);
		n = p->n;
		if (atomic_fetch_add(&p->done, some) + some == n &&
		    atomic_load(&p->caller_sleeps))
			futex_wake(&p->done, 1);
	}
}

static bool
has_work(struct pool *p)
{
	return (uint32_t)atomic_load(&p->ticket) != 0 ||
	    atomic_load(&p->stop) != 0;
}

static bool
is_done(struct pool *p)
{
	return atomic_load(&p->done) == p->n;
}

/* Look at the condition for SPIN_NS at most. */
static bool
spin_until(struct pool *p, bool (*holds)(struct pool *))
{
	uint64_t end;
	int i;

	if (!p->spin)
		return holds(p);
	end = clock_now_ns() + SPIN_NS;
	do {
		for (i = 0; i < SPIN_BATCH; i++) {
			if (holds(p))
				return true;
			cpu_pause();
		}
	} while (clock_now_ns() < end);
	return false;
}

/* The caller raises `wake` after it published the ticket, and reads n_sleeping
 * after that; a thread does the reverse.  One of them sees the other. */
static void
sleep_until_work(struct pool *p)
{
	uint32_t seen;

	atomic_fetch_add(&p->n_sleeping, 1);
	for (;;) {
		seen = atomic_load(&p->wake);
		if (has_work(p))
			break;
		futex_wait(&p->wake, seen);
	}
	atomic_fetch_sub(&p->n_sleeping, 1);
}

static void *
thread_main(void *arg)
{
	struct thread *t = arg;
	struct pool *p = t->pool;

	while (!atomic_load(&p->stop)) {
		if (!spin_until(p, has_work))
			sleep_until_work(p);
		work(p, t->index);
	}
	return NULL;
}

static void
wake_sleepers(struct pool *p)
{
	atomic_fetch_add(&p->wake, 1);
	if (atomic_load(&p->n_sleeping) != 0)
		futex_wake(&p->wake, INT_MAX);
}

static void
wait_for_done(struct pool *p)
{
	uint32_t done;

	if (spin_until(p, is_done))
		return;
	atomic_store(&p->caller_sleeps, 1);
	while ((done = atomic_load(&p->done)) != p->n)
		futex_wait(&p->done, done);
	atomic_store(&p->caller_sleeps, 0);
}

static void
run_part(struct pool *p, size_t base, uint32_t n, pool_fn fn, void *arg)
{
	uint32_t chunk = n / ((uint32_t)p->n_threads * CHUNKS_A_THREAD);
	uint64_t number = (atomic_load(&p->ticket) >> 32) + 1;

	p->fn = fn;
	p->arg = arg;
	p->base = base;
	p->n = n;
	__atomic_store_n(&p->chunk, chunk > 0 ? chunk : 1, __ATOMIC_RELAXED);
	atomic_store(&p->done, 0);
	atomic_store(&p->ticket, number << 32 | n);
	wake_sleepers(p);
	work(p, 0);
	wait_for_done(p);
}

void
pool_run(struct pool *p, size_t n, pool_fn fn, void *arg)
{
	size_t i, part;

	if (p->n_threads == 1 || n <= 1) {
		for (i = 0; i < n; i++)
			fn(arg, i, 0);
		return;
	}
	for (i = 0; i < n; i += part) {
		part = MEM_MIN(n - i, (size_t)INT32_MAX);
		run_part(p, i, (uint32_t)part, fn, arg);
	}
}

static void
stop_threads(struct pool *p, int n_started)
{
	int i;

	atomic_store(&p->stop, 1);
	wake_sleepers(p);
	for (i = 0; i < n_started; i++)
		pthread_join(p->threads[i].id, NULL);
}

/* Signals are for the thread that owns the event loop. */
static int
start_thread(struct thread *t)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&t->id, NULL, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

int
pool_new(struct pool **out, int n_threads, struct cause *cause)
{
	struct pool *p;
	int i, rc;

	if (n_threads < 1)
		return cause_set(cause, -EINVAL, "%d threads", n_threads);
	p = xaligned(CACHE_LINE, sizeof(*p));
	p->n_threads = n_threads;
	p->spin = n_threads <= granted_cpus();
	p->threads = xcalloc((size_t)n_threads, sizeof(*p->threads));
	for (i = 0; i < n_threads - 1; i++) {
		p->threads[i].pool = p;
		p->threads[i].index = i + 1;
		rc = start_thread(&p->threads[i]);
		if (rc == 0)
			continue;
		stop_threads(p, i);
		free(p->threads);
		free(p);
		return cause_set(cause, -rc, "thread %d of %d: %s", i + 1,
		    n_threads, strerror(rc));
	}
	*out = p;
	return 0;
}

void
pool_free(struct pool **pool)
{
	struct pool *p = *pool;

	if (p == NULL)
		return;
	stop_threads(p, p->n_threads - 1);
	free(p->threads);
	free(p);
	*pool = NULL;
}

int
pool_n_threads(const struct pool *p)
{
	return p->n_threads;
}

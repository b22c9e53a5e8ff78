/* SPDX-License-Identifier: MIT */
/*
 * The thread pool.  A run is published as one 64-bit word a thread: its number
 * and the range of items of that thread's share which nobody has taken yet.
 * A thread takes from the front of its own range, so it gets the same items in
 * every run of one size, side by side; when it has none left, it takes from
 * the back of others', so that one whom the system has stopped holds up only
 * what it has in hand.  A take is a compare-and-swap on the whole word, so
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
#include "kernels/now.h"

#define SPIN_NS		UINT64_C(30000)
#define SPIN_BATCH	64	/* pauses between two looks at the clock */
#define TAKES		16	/* a take is so much of what is left */
#define INDEX_BITS	18	/* of a range's first and end; rest: number */
#define MAX_ITEMS	((UINT32_C(1) << INDEX_BITS) - 1)
#define CACHE_LINE	64

struct thread {
	_Alignas(CACHE_LINE)
	_Atomic uint64_t range;
	pthread_t	 id;
	struct pool	*pool;
	int		 index;
};

struct pool {
	/* written by the caller between runs only */
	pool_fn			 fn;
	void			*arg;
	size_t			 base;
	uint32_t		 n;
	uint64_t		 number;
	int			 n_threads;
	bool			 spin;
	struct thread		*threads;	/* the caller's is the first */
	_Atomic uint64_t	*beats;		/* or NULL */

	_Alignas(CACHE_LINE)
	_Atomic uint32_t	 done;		/* futex: the caller waits */
	_Atomic uint32_t	 caller_sleeps;
	_Alignas(CACHE_LINE)
	_Atomic uint32_t	 wake;		/* futex: idle threads wait; */
						/* rises with every run */
	_Atomic uint32_t	 n_sleeping;
	_Atomic uint32_t	 stop;
};

_Thread_local const char *kern_now = "";

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

static uint64_t
make_range(uint64_t number, uint32_t first, uint32_t end)
{
	return (number << INDEX_BITS | first) << INDEX_BITS | end;
}

/* Take some of a range, from its front or its back: *first .. *first + *n. */
static bool
take_some(_Atomic uint64_t *range, bool front, uint32_t *first, uint32_t *n)
{
	uint64_t old = atomic_load(range), new;
	uint32_t from, end, some;

	for (;;) {
		from = (uint32_t)(old >> INDEX_BITS) & MAX_ITEMS;
		end = (uint32_t)old & MAX_ITEMS;
		if (from == end)
			return false;
		some = (end - from + TAKES - 1) / TAKES;
		new = front ? old + ((uint64_t)some << INDEX_BITS) :
		    old - some;
		if (atomic_compare_exchange_weak(range, &old, new)) {
			*first = front ? from : end - some;
			*n = some;
			return true;
		}
	}
}

/* The thread's own first, then what others have left. */
static bool
take(struct pool *p, int index, uint32_t *first, uint32_t *n)
{
	int i, other;

	if (take_some(&p->threads[index].range, true, first, n))
		return true;
	for (i = 1; i < p->n_threads; i++) {
		other = (index + i) % p->n_threads;
		if (take_some(&p->threads[other].range, false, first, n))
			return true;
	}
	return false;
}

/* Work on the current run until nothing is left to take.  What was taken and
 * is not reported keeps the run from ending, so all of it is of one. */
static void
work(struct pool *p, int index)
{
	uint32_t first, some, i, taken = 0, n;

	for (; take(p, index, &first, &some); taken += some)
		for (i = first; i < first + some; i++)
			p->fn(p->arg, p->base + i, index);
	kern_now = "";
	if (taken == 0)
		return;
	n = p->n;
	if (atomic_fetch_add(&p->done, taken) + taken == n &&
	    atomic_load(&p->caller_sleeps))
		futex_wake(&p->done, 1);
}

/* Look at the word for SPIN_NS at most; whether it has changed. */
static bool
spin_while(const struct pool *p, _Atomic uint32_t *word, uint32_t value)
{
	uint64_t end;
	int i;

	if (!p->spin)
		return atomic_load(word) != value;
	end = clock_now_ns() + SPIN_NS;
	do {
		for (i = 0; i < SPIN_BATCH; i++) {
			if (atomic_load(word) != value)
				return true;
			cpu_pause();
		}
	} while (clock_now_ns() < end);
	return false;
}

/* The caller raises `wake` after it published the ranges, and reads n_sleeping
 * after that; a thread does the reverse.  One of them sees the other. */
static void
sleep_while(struct pool *p, uint32_t seen)
{
	atomic_fetch_add(&p->n_sleeping, 1);
	while (atomic_load(&p->wake) == seen)
		futex_wait(&p->wake, seen);
	atomic_fetch_sub(&p->n_sleeping, 1);
}

static void *
thread_main(void *arg)
{
	struct thread *t = arg;
	struct pool *p = t->pool;
	uint32_t seen;

	for (;;) {
		seen = atomic_load(&p->wake);
		if (atomic_load(&p->stop))
			return NULL;
		work(p, t->index);
		if (!spin_while(p, &p->wake, seen))
			sleep_while(p, seen);
	}
}

static void
wake_threads(struct pool *p)
{
	atomic_fetch_add(&p->wake, 1);
	if (atomic_load(&p->n_sleeping) != 0)
		futex_wake(&p->wake, INT_MAX);
}

static void
wait_for_done(struct pool *p)
{
	uint32_t done;

	while ((done = atomic_load(&p->done)) != p->n) {
		if (spin_while(p, &p->done, done))
			continue;
		atomic_store(&p->caller_sleeps, 1);
		if (atomic_load(&p->done) == done)
			futex_wait(&p->done, done);
		atomic_store(&p->caller_sleeps, 0);
	}
}

static void
run_part(struct pool *p, size_t base, uint32_t n, pool_fn fn, void *arg)
{
	uint64_t n_threads = (uint64_t)p->n_threads, i;

	p->fn = fn;
	p->arg = arg;
	p->base = base;
	p->n = n;
	p->number++;
	atomic_store(&p->done, 0);
	for (i = 0; i < n_threads; i++)
		atomic_store(&p->threads[i].range, make_range(p->number,
		    (uint32_t)(n * i / n_threads),
		    (uint32_t)(n * (i + 1) / n_threads)));
	wake_threads(p);
	work(p, 0);
	wait_for_done(p);
}

void
pool_run(struct pool *p, size_t n, pool_fn fn, void *arg)
{
	size_t i, part;

	if (p->beats != NULL)
		atomic_fetch_add_explicit(p->beats, 1, memory_order_relaxed);
	if (p->n_threads == 1 || n <= 1) {
		for (i = 0; i < n; i++)
			fn(arg, i, 0);
		return;
	}
	for (i = 0; i < n; i += part) {
		part = MEM_MIN(n - i, (size_t)MAX_ITEMS);
		run_part(p, i, (uint32_t)part, fn, arg);
	}
}

void
pool_set_beats(struct pool *p, _Atomic uint64_t *beats)
{
	p->beats = beats;
}

static void
stop_threads(struct pool *p, int n_started)
{
	int i;

	atomic_store(&p->stop, 1);
	wake_threads(p);
	for (i = 1; i < n_started; i++)
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
	p->threads = xaligned(CACHE_LINE, (size_t)n_threads *
	    sizeof(*p->threads));
	for (i = 1; i < n_threads; i++) {
		p->threads[i].pool = p;
		p->threads[i].index = i;
		rc = start_thread(&p->threads[i]);
		if (rc == 0)
			continue;
		stop_threads(p, i);
		free(p->threads);
		free(p);
		return cause_set(cause, -rc, "thread %d of %d: %s", i,
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
	stop_threads(p, p->n_threads);
	free(p->threads);
	free(p);
	*pool = NULL;
}

int
pool_n_threads(const struct pool *p)
{
	return p->n_threads;
}

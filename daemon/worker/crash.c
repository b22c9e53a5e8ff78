/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "worker/crash.h"

#include <signal.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kernels/kernels.h"
#include "kernels/now.h"

static struct pulse *page;

/* Only what is safe in a signal handler: plain stores and raise. */
static void
on_fatal(int sig)
{
	const char *kernel = kern_now;
	size_t n = 0;

	for (; kernel != NULL && kernel[n] != '\0' &&
	    n + 1 < sizeof(page->kernel); n++)
		page->kernel[n] = kernel[n];
	page->kernel[n] = '\0';
	atomic_store(&page->signal, sig);
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
}

void
crash_watch(struct pulse *p)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE,
	    SIGABRT };
	struct sigaction old;
	struct sigaction sa = { .sa_handler = on_fatal,
	    .sa_flags = SA_NODEFER };

	page = p;
	str_copy(p->cpu_level, kern_level(), sizeof(p->cpu_level));
	sigemptyset(&sa.sa_mask);
	/* A sanitizer's handler says more than ours. */
	for (size_t i = 0; i < N_ELEMENTS(fatal); i++)
		if (sigaction(fatal[i], NULL, &old) == 0 &&
		    (old.sa_flags & SA_SIGINFO) == 0 &&
		    old.sa_handler == SIG_DFL)
			(void)sigaction(fatal[i], &sa, NULL);
}

void
crash_note_step(struct pulse *p, const uint64_t *requests, size_t n)
{
	if (p == NULL)
		return;
	n = MEM_MIN(n, (size_t)PULSE_REQUESTS);
	for (size_t i = 0; i < n; i++)
		atomic_store_explicit(&p->requests[i], requests[i],
		    memory_order_relaxed);
	if (n > 0)
		atomic_fetch_add_explicit(&p->steps, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&p->beats, 1, memory_order_relaxed);
	atomic_store(&p->n_requests, (uint32_t)n);
}

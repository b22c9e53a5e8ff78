/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_PULSE_H
#define BM_BASE_PULSE_H

/*
 * A page that a child writes and the master reads: is it alive, and of workers,
 * what did it do when it died.  It outlives the child.  Whoever maps it trusts
 * nothing in it: the other end may write anything at any time.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PULSE_REQUESTS	64
#define PULSE_BEAT_S	0.1	/* less than a look of the master's */

struct pulse {
	_Atomic uint64_t beats;		/* grows as long as work goes on: */
					/* PULSE_BEAT_S apart at most */
	_Atomic uint64_t steps;		/* of the engine */
	_Atomic uint32_t n_requests;	/* in the step that runs; 0: none */
	_Atomic int32_t	 signal;	/* it died of; 0: none that it saw */
	_Atomic uint64_t requests[PULSE_REQUESTS];
	char		 kernel[32];	/* that ran then */
	char		 cpu_level[16];
};

/* What is left of it, copied: strings end, counts are within bounds. */
struct pulse_record {
	uint64_t	 steps;
	int		 signal;
	size_t		 n_requests;
	uint64_t	 requests[PULSE_REQUESTS];
	char		 kernel[32];
	char		 cpu_level[16];
};

/* A new page, all zero; *fd is its file, for the other process. */
int		 pulse_new(struct pulse **out, int *fd, struct cause *cause)
		    BM_MUST_CHECK;
/* The page behind fd, which is closed; NULL when it is none. */
struct pulse	*pulse_map(int fd);
void		 pulse_free(struct pulse **p);
/* NULL: nobody looks. */
static inline void
pulse_beat(struct pulse *p)
{
	if (p != NULL)
		atomic_fetch_add_explicit(&p->beats, 1, memory_order_relaxed);
}

void		 pulse_read(const struct pulse *p, struct pulse_record *out);

#endif

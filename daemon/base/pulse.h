/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_PULSE_H
#define BM_BASE_PULSE_H

/*
 * A page that a worker writes and the master reads: is it alive, and what did
 * it do when it died.  It outlives the worker.  Whoever maps it trusts nothing
 * in it: the other end may write anything at any time.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PULSE_REQUESTS	64

struct pulse {
	_Atomic uint64_t beats;		/* grows as long as work goes on */
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
void		 pulse_read(const struct pulse *p, struct pulse_record *out);

#endif

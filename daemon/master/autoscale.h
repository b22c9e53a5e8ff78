/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_AUTOSCALE_H
#define BM_MASTER_AUTOSCALE_H

/*
 * How many workers a model wants, from what waits and runs.  Pure: it is told
 * the load and the time.
 *
 *  - Up when requests waited for target_wait_ms and that lasted for
 *    up_delay_ms: to as many as what is there would fill.
 *  - Down by one when what is there would fit into one less with room to
 *    spare, and that lasted for down_delay_ms.
 *  - To zero, if the least is zero, after idle_ms without a request; the
 *    first request brings one back at once.
 *  - Never more than one change within up_delay_ms, nor one down within
 *    down_delay_ms of any change, so that the number can't flap.
 */

#include <stddef.h>
#include <stdint.h>

struct autoscale_conf {
	size_t		 min, max;	/* min == max: never changes */
	uint64_t	 target_wait_ms;
	uint64_t	 up_delay_ms;
	uint64_t	 down_delay_ms;
	uint64_t	 idle_ms;	/* 0: never to zero */
	size_t		 n_slots;	/* requests a worker runs at once */
};

struct autoscale_load {
	size_t		 n_queued;
	size_t		 n_running;
	uint64_t	 oldest_wait_ms;	/* of those queued */
};

struct autoscale {
	uint64_t	 changed_ns;	/* last change; 0: never */
	uint64_t	 crowded_ns;	/* since when; 0: is not */
	uint64_t	 roomy_ns;
	uint64_t	 idle_ns;
};

/*
 * The number wanted, given the present one.  why gets a sentence about it
 * whenever the number changes or is outside the limits of conf; it is left
 * alone otherwise.
 */
size_t	 autoscale_step(struct autoscale *a, const struct autoscale_conf *c,
	    const struct autoscale_load *load, size_t n_now, uint64_t now_ns,
	    char *why, size_t why_size);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_CRASH_H
#define BM_WORKER_CRASH_H

/*
 * The worker's side of its pulse: signs of life, and last words.  A signal
 * that ends the process is noted in the page together with the kernel that
 * the thread was in; then it takes its course.
 */

#include <stdint.h>

#include "base/pulse.h"

/* From now on fatal signals are noted in p, which is borrowed for good. */
void	 crash_watch(struct pulse *p);
/* A step of the engine begins with these requests; 0: it has ended. */
void	 crash_note_step(struct pulse *p, const uint64_t *requests, size_t n);

#endif

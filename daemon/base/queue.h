/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_QUEUE_H
#define BM_BASE_QUEUE_H

/* The BSD lists of the C library, and the walk that may remove its element. */

#include <sys/queue.h>

#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(var, head, field, next) \
	for ((var) = TAILQ_FIRST(head); \
	    (var) != NULL && ((next) = TAILQ_NEXT(var, field), 1); \
	    (var) = (next))
#endif

#endif

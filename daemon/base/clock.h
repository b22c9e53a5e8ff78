/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_CLOCK_H
#define BM_BASE_CLOCK_H

/*
 * The two clocks.  Pure modules (scheduler, supervisor, session) never call
 * these: they are handed the time by their caller, so that tests own it.
 */

#include <stdint.h>

/* Monotonic nanoseconds: for durations and deadlines. */
uint64_t	 clock_now_ns(void);
/* Milliseconds since 1970: for what people and the database read. */
int64_t		 clock_unix_ms(void);

#define CLOCK_NS_PER_MS UINT64_C(1000000)
#define CLOCK_NS_PER_S UINT64_C(1000000000)

/* Milliseconds from one monotonic reading to a later one. */
static inline double
clock_ms_between(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e6 : 0;
}

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_UUID_H
#define BM_BASE_UUID_H

/* UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, then random bits,
 * so that ids sort by time and make a good primary key; within a millisecond
 * those of one process are in order as well. */

#include <stdint.h>

#define UUID_TEXT_SIZE 37	/* 36 characters and the NUL */

/* Random bytes from the system; dies if there are none to be had. */
void	 random_bytes(void *p, unsigned n);
uint64_t random_u64(void);

void	 uuid_v7(int64_t unix_ms, char text[UUID_TEXT_SIZE]);
/* 1 when text is 36 characters in the form of a UUID. */
int	 uuid_is_valid(const char *text);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_MEMORY_H
#define BM_WORKER_MEMORY_H

#include <stdint.h>

/* What this process may use: the machine's memory, or the least limit of the
 * control groups it is in. */
uint64_t memory_granted_bytes(void);

#endif

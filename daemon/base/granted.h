/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_GRANTED_H
#define BM_BASE_GRANTED_H

/*
 * What this process may really use of the machine: less than there is when it
 * is bound to some CPUs, or in a container with limits (cgroup v1 and v2).
 * What can't be read or understood sets no limit.
 */

#include <sys/types.h>

#include <stdint.h>

/* CPUs by affinity and quota; at least 1. */
int		 granted_cpus(void);
/* Memory in all. */
uint64_t	 granted_memory_bytes(void);
/* Memory that could still be taken without anything being killed or swapped:
 * what is free or can be given up at once (file pages). */
uint64_t	 granted_memory_free_bytes(void);
/* What a process has in memory that can't be given up at once: *own nobody
 * else has, *shared is of memory files.  0 when that can't be read. */
void		 granted_of_process(pid_t pid, uint64_t *own,
		    uint64_t *shared);

#endif

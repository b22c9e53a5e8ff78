/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_PROCS_H
#define BM_GATE_PROCS_H

/*
 * The daemon's processes, as the master saw them when it was asked last.
 * Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "wire/msg.h"

/* Looks that follow closer than that have one base for the CPU's share: a
 * quotient of small differences means nothing. */
#define PROCS_SPAN_NS	UINT64_C(500000000)

struct proc {
	unsigned	 role;
	uint32_t	 worker;	/* its number; 0: no worker */
	uint32_t	 pid;		/* 0: none now */
	char		 state[16];
	uint32_t	 restarts;
	int64_t		 started_ms;
	uint64_t	 rss_bytes;
	uint64_t	 shared_bytes;	/* of these, of files and shared
					 * memory */
	uint64_t	 cpu_ns;	/* since its start */
	double		 cpu_percent;	/* of one CPU, since the base */
	uint64_t	 base_ns;
	uint64_t	 base_cpu_ns;
};

struct procs {
	struct proc	*v;
	size_t		 n;
	struct msg_memory memory;	/* zeros when not told */
};

/* Take a PROC or MEMORY message; other types are ignored. */
void	 procs_add(struct procs *p, unsigned type, struct cur body);
/* A look is complete: *look replaces *known and is empty then, unless there is
 * nothing in it.  Of a process seen for the first time the share is that of
 * its life. */
void	 procs_replace(struct procs *known, struct procs *look,
	    uint64_t now_ns, int64_t unix_ms);
void	 procs_fini(struct procs *p);
/* NULL when it was not seen. */
const struct proc *procs_worker(const struct procs *p, uint32_t worker);

#endif

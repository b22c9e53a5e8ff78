/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_SPAWN_H
#define BM_MASTER_SPAWN_H

/*
 * Start a helper: fork and exec of libexec/NAME with its end of a socketpair
 * as descriptor 3, nothing above it, signals as after login, and a death with
 * ours.
 */

#include <sys/types.h>

#include <stdbool.h>

#include "base/err.h"
#include "master/numa.h"

struct spawn {
	const char	*name;		/* "gate", "worker", "reqlog" */
	const char	*dir;		/* working directory */
	int		 stderr_fd;	/* -1: ours */
	const struct numa_node *node;	/* NULL: anywhere */
	bool		 wants_many_fds; /* RLIMIT_NOFILE to its hard limit */
	bool		 is_background;	/* gets what nobody else wants of CPUs
					 * and disk */
};

/* *link_fd is our end.  A helper that can't be executed is told by cause: the
 * call waits for the exec. */
int	 spawn(const struct spawn *s, pid_t *pid, int *link_fd,
	    struct cause *cause) BM_MUST_CHECK;

#endif

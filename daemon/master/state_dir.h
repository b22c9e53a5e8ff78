/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_STATE_DIR_H
#define BM_MASTER_STATE_DIR_H

/* The state directory: made if it is not there, ours alone, one daemon. */

#include "base/err.h"

/*
 * Create path (and cache/ and variants/ in it), check that it is a directory
 * of ours that others can't write to, and lock it.  Returns the descriptor
 * that holds the lock for as long as it is open, or an error.  The lock
 * belongs to the descriptor, not to the process: it survives daemonising.
 */
int	 state_dir_open(const char *path, struct cause *cause) BM_MUST_CHECK;
/* Write our pid into the lock file, for the message of the next daemon. */
void	 state_dir_sign(int lock_fd);

#endif

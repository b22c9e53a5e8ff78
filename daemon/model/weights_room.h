/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_WEIGHTS_ROOM_H
#define BM_MODEL_WEIGHTS_ROOM_H

/* The files of the cache directory and the room they may take. */

#include <stdint.h>

#include "base/err.h"

#define WEIGHTS_TAIL		".weights"
#define WEIGHTS_TMP_TAIL	".tmp"		/* behind WEIGHTS_TAIL */
/* What must stay free on the disk: others live there too. */
#define WEIGHTS_FREE_BYTES	(UINT64_C(256) << 20)

/*
 * Room for a new file of n_bytes: files used longest ago are removed until the
 * new one fits with the others in max_bytes and the disk keeps
 * WEIGHTS_FREE_BYTES; none that is mapped by a worker, and none at all when
 * that would not be enough.  What killed writers left goes in any case.
 */
int	 weights_make_room(int dir_fd, uint64_t max_bytes, uint64_t n_bytes,
	    struct cause *cause) BM_MUST_CHECK;

#endif

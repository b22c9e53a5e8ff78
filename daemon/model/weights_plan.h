/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_WEIGHTS_PLAN_H
#define BM_MODEL_WEIGHTS_PLAN_H

/* Where packed weights are kept and who packs them; weights_cache.h tells
 * more.  Only needed while a model is being opened. */

#include <stdint.h>

#include "kernels/pool.h"

struct weights_plan {
	int		 dir_fd;	/* the cache directory; -1: none */
	int		 memory_fd;	/* a memfd that all workers of the model
					 * have; -1: nobody shares, memory of
					 * our own will do */
	uint64_t	 max_bytes;	/* of the directory's files together;
					 * 0: no files */
	struct pool	*pool;		/* NULL: the caller alone */
	/* Bytes done of all; by the caller's thread, often; or NULL. */
	void		(*progress)(void *arg, uint64_t done, uint64_t total);
	void		*progress_arg;
};

#endif

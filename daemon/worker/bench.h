/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_BENCH_H
#define BM_WORKER_BENCH_H

/*
 * How fast the loaded model computes, beside what the machine could do at
 * best.  As with all offline questions everything else waits meanwhile.
 */

#include <stdint.h>

#include "wire/chan_io.h"
#include "worker/load.h"

void	 offline_bench(struct chan *c, uint32_t seq, uint64_t id,
	    struct loaded *l, const struct msg_bench *m);

#endif

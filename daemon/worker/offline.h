/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_OFFLINE_H
#define BM_WORKER_OFFLINE_H

/*
 * What the console asks of a worker of its own: all logits of a token list,
 * and what is in a file.  These wait for their answers to be read and keep
 * everything else waiting, which is right for one question at a time.
 */

#include <stdint.h>

#include "wire/chan_io.h"
#include "worker/load.h"

void	 offline_logits(struct chan *c, uint32_t seq, uint64_t id,
	    struct loaded *l, const struct msg_logits *m);
void	 offline_inspect(struct chan *c, uint32_t seq, uint64_t id,
	    struct loaded *l);

#endif

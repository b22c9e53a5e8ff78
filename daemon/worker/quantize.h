/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_QUANTIZE_H
#define BM_WORKER_QUANTIZE_H

/* The console's QUANTIZE: the open file in another type, into a descriptor. */

#include <stdint.h>

#include "wire/chan_io.h"
#include "worker/load.h"

/* Takes fd.  Answers with PROGRESS now and then and QUANTIZED, or RESULT. */
void	 offline_quantize(struct chan *c, uint32_t seq, uint64_t id,
	    struct loaded *l, const struct msg_quantize *m, int fd);

#endif

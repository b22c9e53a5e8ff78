/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_TEXT_H
#define BM_WORKER_TEXT_H

/* Questions about text and tokens, answered at once with TOKENS, TEXT or
 * RESULT. */

#include <stdint.h>

#include "wire/chan_io.h"
#include "worker/load.h"

void	 text_tokenize(struct chan *c, uint32_t seq, uint64_t id,
	    const struct loaded *l, const struct msg_tokenize *m);
void	 text_detokenize(struct chan *c, uint32_t seq, uint64_t id,
	    const struct loaded *l, const struct msg_detokenize *m);
void	 text_render(struct chan *c, uint32_t seq, uint64_t id,
	    const struct loaded *l, const struct msg_render *m);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_REPLY_H
#define BM_WORKER_REPLY_H

/* What is said about a run: STARTED, then OUT a token, then ENDED. */

#include <stdint.h>

#include "base/err.h"
#include "worker/engine.h"
#include "worker/run.h"

void	 reply_started(engine_send_fn send, struct run *r);
/* A request that never became a run. */
void	 reply_refused(engine_send_fn send, void *link, uint64_t id, int code,
	    const struct cause *cause);
/*
 * A token and the text it released, which is gone from the run then.  A token
 * that ends the generation is only named when it released text: whoever
 * resumes from these tokens must know that this text is out.
 */
void	 reply_out(engine_send_fn send, struct run *r,
	    const struct run_choice *c);
/* The text of a run that ends without a token: an echo alone. */
void	 reply_text(engine_send_fn send, struct run *r);
/* code 0: the run's finish says how; BM_EBADREQ: it banned every token. */
void	 reply_ended(engine_send_fn send, const struct run *r, int code);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_ENGINE_H
#define BM_WORKER_ENGINE_H

/*
 * Continuous batching.  Every step is one pass over the weights with a row for
 * each sequence that generates and a slice of the prompts that wait, so that a
 * long prompt does not freeze the others (worker/plan.h); while no prompt
 * waits, with guesses of the tokens to come (worker/speculate.h).  Answers go
 * out through a callback; the engine knows no channels, and uses the clock for
 * the size of steps and for timings, never for what is answered.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "kernels/pool.h"
#include "model/chat.h"
#include "model/kv.h"
#include "model/model.h"
#include "wire/msg.h"
#include "worker/plan.h"

struct engine;
struct pulse;

/* m is a struct msg_X of that type: STARTED, OUT or ENDED. */
typedef void (*engine_send_fn)(void *link, enum msg_type type, uint64_t id,
    const void *m);

struct engine_conf {
	const struct model *model;
	const struct chat_form *chat;
	struct pool	*pool;
	struct kv_pool	*kv;		/* at least n_ctx positions */
	uint32_t	 n_ctx;
	uint32_t	 n_parallel;	/* sequences in a step */
	bool		 no_prefixes;	/* compute every prompt in full */
	uint32_t	 max_gap_ms;	/* between a stream's tokens; 0: 200 */
	uint8_t		 speculate;	/* enum run_speculate */
	struct pulse	*pulse;		/* or NULL */
	engine_send_fn	 send;
	uint64_t	(*now_ns)(void); /* of planning; NULL: the clock */
};

int	 engine_new(const struct engine_conf *conf, struct engine **out,
	    struct cause *cause) BM_MUST_CHECK;
/* Compute a fixed prompt: are the logits numbers, and how long do steps take?
 * Before the first run. */
int	 engine_probe(struct engine *e, struct cause *cause) BM_MUST_CHECK;
void	 engine_free(struct engine **e);

/* Take a request of `link`; whatever happens to it, ENDED comes last. */
void	 engine_run(struct engine *e, void *link, uint64_t id,
	    const struct msg_run *m);
/* End it with BM_ECANCEL; nothing when there is none. */
void	 engine_cancel(struct engine *e, const void *link, uint64_t id);
/* Forget all of a link that is gone, silently. */
void	 engine_drop_link(struct engine *e, const void *link);
bool	 engine_has_work(const struct engine *e);
void	 engine_step(struct engine *e);

/* What the last step computed. */
struct plan_work engine_last_work(const struct engine *e);

/* The present state, but for tokens_per_s. */
void	 engine_load(const struct engine *e, struct msg_load *out);
/* Rows that were tokens of prompts, again ones after preemption included. */
uint64_t engine_prompt_rows(const struct engine *e);
/* What it allocated beyond the KV cache. */
uint64_t engine_scratch_bytes(const struct engine *e);

#endif

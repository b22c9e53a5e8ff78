/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_RUN_H
#define BM_WORKER_RUN_H

/*
 * One request in the worker: its tokens, how to choose the next one, what of
 * its text may be seen.  A run is a function of its tokens: it can lose its KV
 * pages, or come from another worker with tokens already generated, and then
 * continues as if nothing had happened.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/queue.h"
#include "model/chat.h"
#include "model/model.h"
#include "wire/msg.h"
#include "worker/output.h"
#include "worker/plan.h"
#include "worker/sample.h"
#include "worker/speculate.h"

#define RUN_MAX_PROBS	100

/* What all runs of a worker share. */
struct run_env {
	const struct model *model;
	const struct chat_form *chat;
	uint32_t	 n_ctx;
	uint32_t	*eog;		/* tokens that end a generation */
	size_t		 n_eog;
};

/* A token that was chosen; code != 0: there is none. */
struct run_choice {
	int		 code;
	uint32_t	 token;
	struct token_logprob *probs;	/* 1 + n_top; unless n_probs is -1 */
	size_t		 n_top;
};

struct run {
	TAILQ_ENTRY(run) entry;
	void		*link;		/* who asked */
	uint64_t	 id;
	uint64_t	 arrival;	/* grows by one a run */
	const struct run_env *env;

	uint32_t	*tokens;	/* prompt, then what was generated */
	size_t		 n_tokens;
	size_t		 cap;
	size_t		 n_prompt;
	struct kv_seq	 kv;		/* holds a prefix of tokens */
	size_t		 n_planned;	/* rows in the step being made */
	size_t		 n_put_off;	/* rows that an earlier step has begun
					 * (model_forward_urgent) */
	size_t		 n_draft;	/* of these, guesses: their tokens are
					 * behind the n_tokens true ones */
	size_t		 n_right;	/* of these, verified in the step */
	bool		 is_poison;	/* is_poison in run.c */
	bool		 is_behind;	/* another computes its next tokens */
	size_t		 n_held;	/* the most that kv ever held */
	size_t		 n_cached;	/* of the prompt, never computed */

	struct sample_params sample;
	int64_t		 max_tokens;	/* generated ones; -1: no limit */
	int		 n_probs;	/* -1: none wanted */
	bool		 ignore_eos;
	struct output	 output;
	struct buf	 text;		/* released, not sent */
	bool		 ended_by_eog;
	enum run_finish	 finish;	/* not FINISH_NONE: it has ended */

	struct speculate speculate;
	/* what follows the last token, and then each guess */
	struct run_choice choices[PLAN_DRAFT_MAX + 1];
	struct token_logprob *probs;	/* theirs */

	bool		 is_active;	/* which list it is in */
	bool		 is_started;
	uint64_t	 arrived_ns;
	uint64_t	 started_ns;
	uint64_t	 first_ns;	/* 0: no token yet */
	uint64_t	 last_ns;	/* of the last token */
};
TAILQ_HEAD(run_list, run);

void	 run_env_init(struct run_env *env, const struct model *m,
	    const struct chat_form *chat, uint32_t n_ctx);
void	 run_env_fini(struct run_env *env);

/*
 * From the message: the prompt becomes tokens, parameters are checked and the
 * tokens of `resume` replayed; the run may have ended by them (finish).
 */
int	 run_new(const struct run_env *env, const struct msg_run *m,
	    struct run **out, struct cause *cause) BM_MUST_CHECK;
/* The KV pages must have been given back. */
void	 run_free(struct run **r);

/* Tokens that are not in the KV cache yet; at least 1 until the end. */
size_t	 run_n_missing(const struct run *r);
size_t	 run_n_generated(const struct run *r);
/* How many guesses the next step may verify and use. */
size_t	 run_draft_most(const struct run *r);
/* Make n_draft guesses, at most as many. */
void	 run_draft(struct run *r, size_t n_draft);
/* Take a generated token: sets finish when it is the last one, and adds what
 * it releases to text. */
void	 run_accept(struct run *r, uint32_t token);

/* Chat messages (list: role, content...) to a prompt. */
int	 run_render(const struct chat_form *chat, struct slice messages,
	    bool add_generation_prompt, struct buf *out, struct cause *cause)
	    BM_MUST_CHECK;

#endif

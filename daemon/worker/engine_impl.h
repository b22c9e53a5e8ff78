/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_ENGINE_IMPL_H
#define BM_WORKER_ENGINE_IMPL_H

/* What engine.c, which knows the runs, and step.c, which computes them,
 * share; nobody else includes this. */

#include "worker/engine.h"
#include "worker/plan.h"
#include "worker/run.h"
#include "worker/sample.h"

/* A row with logits: those that choice number `at` of the run is made from. */
struct out {
	struct run	*run;
	size_t		 at;
};

struct engine {
	struct engine_conf conf;
	struct run_env	 env;
	struct model_run *model_run;
	struct run_list	 waiting;
	struct run_list	 active;
	size_t		 n_waiting;
	size_t		 n_active;
	uint64_t	 n_arrived;
	uint64_t	 tokens_total;
	uint64_t	 prompt_rows;
	uint64_t	 drafted_total;
	uint64_t	 accepted_total;

	struct plan	 plan;
	struct plan_work work;		/* of the step */
	struct plan_progress progress;	/* of it */
	uint64_t	 step_ns;	/* when it began */
	struct plan_prompt *prompts;	/* n_parallel, for the plan */
	struct plan_draft *drafts;	/* likewise */

	struct batch_row *rows;
	size_t		 max_rows;
	struct out	*outs;
	size_t		 n_outs;
	size_t		 n_urgent_outs;	/* the first ones, of streams */
	size_t		 max_outs;
	float		*logits;	/* of max_outs rows */
	struct sample_scratch *scratch;	/* a thread */
};

uint64_t engine_now_ns(const struct engine *e);
/* Let waiting runs in, in order, while there is room. */
void	 engine_admit(struct engine *e);
/* Pages for what is planned of r, taken from younger runs when there are no
 * free ones; false when r itself had to give way. */
bool	 engine_make_room(struct engine *e, struct run *r);
/* Say how it ended and forget it. */
void	 engine_end(struct engine *e, struct run *r, int code);

#endif

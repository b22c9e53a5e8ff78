/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_PLAN_H
#define BM_WORKER_PLAN_H

/*
 * How much a step takes on.  A step has a row for each stream that waits for
 * its next token; the planner adds rows of prompts, or of guessed tokens, such
 * that the step ends within the gap that a stream may see.  What rows cost is
 * learnt from the steps themselves.  Pure: times come as parameters, so tests
 * run it against simulated machines.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows of prompts in a step: at most, and what prompts get in any case. */
#define PLAN_ROWS_MAX	512
#define PLAN_ROWS_LEAST	8
/* Rows of a step are a multiple of this where there is a choice: kernels share
 * what they load among the columns of a tile, and make tiles even. */
#define PLAN_TILE	2
#define PLAN_DRAFT_MAX	8	/* guessed tokens of one stream in a step */

/* What a step computes.  The reach of a row is the number of positions that it
 * attends to; a long prompt's rows cost more the later they are. */
struct plan_work {
	size_t	 n_decode;	/* rows that streams wait for, guesses too */
	size_t	 n_prompt;
	double	 decode_reach;	/* of all these rows together */
	double	 prompt_reach;
	double	 put_off;	/* part of the layers that the prompts' rows
				 * do not go through in this step */
};

/* Time is a sum over these, each with its cost. */
enum plan_term { PLAN_STEP, PLAN_DECODE, PLAN_DECODE_REACH, PLAN_PROMPT,
    PLAN_PROMPT_REACH, PLAN_N_TERMS };

struct plan {
	double		 max_gap_ms;
	double		 cost_ms[PLAN_N_TERMS];
	double		 cov[PLAN_N_TERMS][PLAN_N_TERMS]; /* of their errors */
	double		 margin;	/* part that steps may take longer */
	size_t		 n_steps;	/* observed */
	size_t		 most_rows;	/* of the steps of late */
};

void	 plan_init(struct plan *p, double max_gap_ms);
/* A step with that work took ms. */
void	 plan_observe(struct plan *p, const struct plan_work *w, double ms);
double	 plan_estimate_ms(const struct plan *p, const struct plan_work *w);
/* Account for n rows of a sequence that holds n_held tokens. */
void	 plan_add_decode(struct plan_work *w, size_t n_held, size_t n);
void	 plan_add_prompt(struct plan_work *w, size_t n_held, size_t n);

/* A prompt that lacks rows; the plan says how many of them come now. */
struct plan_prompt {
	void	*run;		/* the caller's */
	size_t	 n_held;
	size_t	 n_missing;
	double	 waited_ms;	/* since it came */
	size_t	 n_rows;	/* out */
};

/*
 * Share a step among prompts.  w holds the streams' rows, and those of the
 * prompts are added to it; late_ms is how long a stream has waited already.
 *
 * With streams: what ends within max_gap_ms, but PLAN_ROWS_LEAST in any case,
 * so that prompts come to an end where a step takes longer than the gap
 * without them.  Without: up to PLAN_ROWS_MAX, in a step that grows with what
 * prompts have waited, so that the first of many who come together does not
 * hold up the rest.
 */
void	 plan_prompts(const struct plan *p, struct plan_work *w,
	    double late_ms, struct plan_prompt *prompts, size_t n);

/* How far a step has come. */
struct plan_progress {
	uint32_t n_layers;	/* of the model */
	double	 n_after;	/* what comes after them, the logits, counts
				 * as so many */
	uint32_t first;		/* where the prompts' rows joined */
	uint32_t n_done;
	double	 spent_ms;
	double	 late_ms;	/* as in plan_prompts */
};

/*
 * Must the streams' rows go on without those of the prompts?  So it is when
 * with one more layer of these, and at the pace of the step so far, the streams
 * would have waited for about max_gap_ms.  But part of the least slice goes on
 * in any case, and a least slice is never divided where the streams alone take
 * longer than that.
 */
bool	 plan_is_late(const struct plan *p, const struct plan_work *w,
	    const struct plan_progress *at);

/* What is guessed for a stream. */
struct plan_draft {
	void	*run;		/* the caller's */
	double	 accept;	/* how likely each guess is right, after the
				 * one before it was */
	size_t	 n_most;	/* so many can be guessed */
	size_t	 n_held;
	size_t	 n_rows;	/* out */
};

/*
 * Share up to n_rows rows among guesses, as long as each promises more tokens
 * a second than the step gives without it; always: whatever it promises.
 */
void	 plan_drafts(const struct plan *p, const struct plan_work *w,
	    bool always, size_t n_rows, struct plan_draft *drafts, size_t n);

#endif

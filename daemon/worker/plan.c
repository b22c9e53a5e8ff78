/* SPDX-License-Identifier: MIT */
/*
 * The time of a step is taken as linear in its work, which it is near the work
 * that steps have at present.  The costs are the state of a Kalman filter (R.
 * E. Kalman, "A New Approach to Linear Filtering and Prediction Problems",
 * 1960), which each step observes in sum, relative to its time, since noise
 * is.  The covariance tells what made a step long: a new prompt reaches back
 * a little where the last one did far, and its rows cost what they did.  A
 * step can't be faster than its work, so a time below the estimate is
 * believed; one above may be a neighbour's doing and counts as twice the
 * estimate at most.
 *
 * How far steps go beyond their estimates is the margin: so far that one in
 * MARGIN_ONE_IN goes further.  Only steps near the bound count; what disturbs a
 * short one would be a smaller part of them.  What goes further is divided
 * between layers (plan_is_late), which costs little when it is seldom; so the
 * margin says what the bound costs, not whether it holds.
 */
#include "config.h"

#include "worker/plan.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

/* Costs before anything was measured; the first step gives their scale. */
static const double first_ms[PLAN_N_TERMS] = { [PLAN_STEP] = 5,
    [PLAN_DECODE] = 1, [PLAN_DECODE_REACH] = 1e-3, [PLAN_PROMPT] = 1,
    [PLAN_PROMPT_REACH] = 1e-3 };
#define FIRST_DOUBT	3.0	/* times the cost */
/* All relative to the step: its noise, how costs drift from step to step, and
 * the least share of it that a cost may drift by. */
#define NOISE		0.1
#define DRIFT		0.02
#define DRIFT_LEAST	0.05
#define SURPRISE_MAX	2.0

#define MARGIN_FIRST	0.1
#define MARGIN_LEAST	0.1
#define MARGIN_MOST	0.5
#define MARGIN_RISE	0.02	/* when a step goes beyond it */
#define MARGIN_ONE_IN	10
#define MARGIN_NEAR	2	/* one part in so many of the bound */
/* The part of the bound for what comes after the layers: choosing tokens, and
 * their way to the client on a machine where all cores compute. */
#define AFTERWARDS	0.1
/* Of the least slice, what goes on in a step that is late: one part in so
 * many. */
#define LEAST_PART	4
/* A step grows by one part in so many of what was measured of late, and what
 * was measured is forgotten by such parts where slices are smaller: a few rows
 * may cost next to nothing where reading the weights takes longer, more rows
 * do not. */
#define GROWTH		4
/* A step that nobody waits for takes so many times what its oldest prompt has
 * waited. */
#define ALONE_TIMES	4

void
plan_init(struct plan *p, double max_gap_ms)
{
	memset(p, 0, sizeof(*p));
	p->max_gap_ms = max_gap_ms;
	p->margin = MARGIN_FIRST;
	for (int i = 0; i < PLAN_N_TERMS; i++) {
		p->cost_ms[i] = first_ms[i];
		p->cov[i][i] = pow(first_ms[i] * FIRST_DOUBT, 2);
	}
}

/* ---- what steps cost ---- */

static double
reach_of(size_t n_held, size_t n)
{
	return (double)n * (double)n_held +
	    (double)n * (double)(n + 1) / 2;
}

void
plan_add_decode(struct plan_work *w, size_t n_held, size_t n)
{
	w->n_decode += n;
	w->decode_reach += reach_of(n_held, n);
}

void
plan_add_prompt(struct plan_work *w, size_t n_held, size_t n)
{
	w->n_prompt += n;
	w->prompt_reach += reach_of(n_held, n);
}

static void
terms_of(const struct plan_work *w, double x[PLAN_N_TERMS])
{
	x[PLAN_STEP] = 1;
	x[PLAN_DECODE] = (double)w->n_decode;
	x[PLAN_DECODE_REACH] = w->decode_reach;
	x[PLAN_PROMPT] = (double)w->n_prompt * (1 - w->put_off);
	x[PLAN_PROMPT_REACH] = w->prompt_reach * (1 - w->put_off);
}

double
plan_estimate_ms(const struct plan *p, const struct plan_work *w)
{
	double x[PLAN_N_TERMS], ms = 0;

	terms_of(w, x);
	for (int i = 0; i < PLAN_N_TERMS; i++)
		ms += p->cost_ms[i] * x[i];
	return ms;
}

static void
set_scale(struct plan *p, double scale)
{
	for (int i = 0; i < PLAN_N_TERMS; i++) {
		p->cost_ms[i] *= scale;
		for (int j = 0; j < PLAN_N_TERMS; j++)
			p->cov[i][j] *= scale * scale;
	}
}

/* Steps without slices are as small as their streams are few, and say nothing
 * of how large a slice may be. */
static void
follow_rows(struct plan *p, const struct plan_work *w)
{
	size_t rows = w->n_decode + (size_t)((double)w->n_prompt *
	    (1 - w->put_off));

	if (rows > p->most_rows)
		p->most_rows = rows;
	else if (w->n_prompt > 0 && w->n_decode > 0)
		p->most_rows -= (p->most_rows - rows) / GROWTH;
}

static void
follow_margin(struct plan *p, double over)
{
	p->margin += over > p->margin ? MARGIN_RISE :
	    -MARGIN_RISE / (MARGIN_ONE_IN - 1);
	p->margin = MEM_MAX(MEM_MIN(p->margin, MARGIN_MOST), MARGIN_LEAST);
}

/*
 * Costs drift while steps come that show them.  What was not seen for long is
 * as unsure as large, and no more: the row and column of such a cost shrink,
 * which leaves a covariance one.
 */
static void
drift(struct plan *p, const double x[PLAN_N_TERMS])
{
	for (int i = 0; i < PLAN_N_TERMS; i++) {
		double most, shrink;

		if (!(x[i] > 0))
			continue;
		most = MEM_MAX(p->cost_ms[i], DRIFT_LEAST / x[i]);
		p->cov[i][i] += DRIFT * most * DRIFT * most;
		shrink = most / sqrt(p->cov[i][i]);
		for (int j = 0; j < PLAN_N_TERMS && shrink < 1; j++) {
			p->cov[i][j] *= shrink;
			p->cov[j][i] *= shrink;
		}
	}
}

/* x relative to the step, which was off its estimate by the part `off`. */
static void
correct(struct plan *p, const double x[PLAN_N_TERMS], double off)
{
	double cov_x[PLAN_N_TERMS] = { 0 }, var = NOISE * NOISE;

	for (int i = 0; i < PLAN_N_TERMS; i++) {
		for (int j = 0; j < PLAN_N_TERMS; j++)
			cov_x[i] += p->cov[i][j] * x[j];
		var += x[i] * cov_x[i];
	}
	for (int i = 0; i < PLAN_N_TERMS; i++) {
		p->cost_ms[i] = MEM_MAX(p->cost_ms[i] + cov_x[i] / var * off,
		    0.0);
		for (int j = 0; j < PLAN_N_TERMS; j++)
			p->cov[i][j] -= cov_x[i] * cov_x[j] / var;
	}
	drift(p, x);
}

void
plan_observe(struct plan *p, const struct plan_work *w, double ms)
{
	double x[PLAN_N_TERMS], estimate = plan_estimate_ms(p, w);

	if (!(ms > 0) || !isfinite(ms))
		return;
	follow_rows(p, w);
	if (p->n_steps++ == 0) {
		set_scale(p, ms / estimate);
		return;
	}
	if (w->n_decode > 0 && estimate > p->max_gap_ms / MARGIN_NEAR)
		follow_margin(p, ms / estimate - 1);
	ms = MEM_MIN(ms, SURPRISE_MAX * estimate);
	if (!(ms > 0))
		return;
	terms_of(w, x);
	for (int i = 0; i < PLAN_N_TERMS; i++)
		x[i] /= ms;
	correct(p, x, 1 - estimate / ms);
}

/* ---- prompts ---- */

/*
 * The prompt with the highest response ratio: how much longer than its own
 * computing it has been made to wait.  Short ones come soon, and long ones in
 * the end, since the ratio of what waits grows without bound.
 */
static struct plan_prompt *
most_delayed(const struct plan *p, struct plan_prompt *prompts, size_t n)
{
	struct plan_prompt *best = NULL;
	double best_ratio = -1;

	for (size_t i = 0; i < n; i++) {
		struct plan_prompt *q = &prompts[i];
		struct plan_work w = { 0 };
		double ms, ratio;

		if (q->n_rows == q->n_missing)
			continue;
		plan_add_prompt(&w, q->n_held, q->n_missing);
		ms = plan_estimate_ms(p, &w);
		ratio = ms > 0 ? q->waited_ms / ms : INFINITY;
		if (ratio > best_ratio) {
			best = q;
			best_ratio = ratio;
		}
	}
	return best;
}

/* As many rows of q as fit; adds them to w.  Where it stops before the end of
 * the prompt, the rows of the step fill tiles. */
static size_t
fill(const struct plan *p, struct plan_work *w, const struct plan_prompt *q,
    size_t most, double until_ms)
{
	size_t n = 0;

	while (n < q->n_missing) {
		size_t rows = w->n_decode + w->n_prompt;
		size_t k = MEM_MIN(q->n_missing - n, PLAN_TILE -
		    rows % PLAN_TILE);
		struct plan_work more = *w;

		plan_add_prompt(&more, q->n_held + n, k);
		if (w->n_prompt >= PLAN_ROWS_LEAST && (more.n_prompt > most ||
		    plan_estimate_ms(p, &more) > until_ms))
			break;
		*w = more;
		n += k;
	}
	return n;
}

/* How many rows of prompts may come to those of the streams. */
static size_t
growth(const struct plan *p, size_t n_decode)
{
	size_t more = MEM_MAX(p->most_rows / GROWTH, (size_t)PLAN_TILE);
	size_t most = MEM_MAX(p->most_rows + more, n_decode);

	return MEM_MIN(MEM_MAX(most - n_decode, (size_t)PLAN_ROWS_LEAST),
	    (size_t)PLAN_ROWS_MAX);
}

/* How long the layers of a step may take beside streams that have waited for
 * late_ms already. */
static double
layers_ms(const struct plan *p, double late_ms)
{
	return (p->max_gap_ms - late_ms) * (1 - AFTERWARDS);
}

/* How long a step without streams may take: those who come meanwhile wait for
 * its end, so it is in proportion to what was waited already. */
static double
alone_ms(const struct plan *p, const struct plan_prompt *prompts, size_t n)
{
	double waited_ms = 0;

	for (size_t i = 0; i < n; i++)
		waited_ms = MEM_MAX(waited_ms, prompts[i].waited_ms);
	return MEM_MAX(waited_ms * ALONE_TIMES, p->max_gap_ms);
}

void
plan_prompts(const struct plan *p, struct plan_work *w, double late_ms,
    struct plan_prompt *prompts, size_t n)
{
	double until_ms = layers_ms(p, late_ms) / (1 + p->margin);
	size_t most = growth(p, w->n_decode);
	struct plan_prompt *q;

	if (w->n_decode == 0) {
		until_ms = alone_ms(p, prompts, n);
		most = PLAN_ROWS_MAX;
	}
	for (size_t i = 0; i < n; i++)
		prompts[i].n_rows = 0;
	while ((q = most_delayed(p, prompts, n)) != NULL) {
		q->n_rows = fill(p, w, q, most, until_ms);
		if (q->n_rows < q->n_missing)
			break;
	}
}

/* ---- late steps ---- */

bool
plan_is_late(const struct plan *p, const struct plan_work *w,
    const struct plan_progress *at)
{
	struct plan_work alone = { .n_decode = w->n_decode,
	    .decode_reach = w->decode_reach };
	double all_ms = plan_estimate_ms(p, w);
	double alone_ms = plan_estimate_ms(p, &alone);
	double n_left = (double)(at->n_layers - at->n_done) + at->n_after;
	/* of a layer */
	double stream_ms = alone_ms / (at->n_layers + at->n_after);
	double prompt_ms = (all_ms - alone_ms) / (at->n_layers - at->first);
	double due_ms = stream_ms * at->n_done + prompt_ms * (at->n_done -
	    at->first);
	double pace = MEM_MAX(due_ms > 0 ? at->spent_ms / due_ms : 1.0, 1.0);
	double until_ms = layers_ms(p, at->late_ms);
	double least_ms = prompt_ms * at->n_layers / LEAST_PART *
	    PLAN_ROWS_LEAST / MEM_MAX((double)w->n_prompt, PLAN_ROWS_LEAST);

	if (alone_ms > until_ms && w->n_prompt <= PLAN_ROWS_LEAST)
		return false;
	until_ms = MEM_MAX(until_ms, alone_ms + least_ms);
	return at->spent_ms + pace * (stream_ms * n_left + prompt_ms) >
	    until_ms;
}

/* ---- guesses ---- */

/* The guess that is the most likely to be right. */
static struct plan_draft *
most_likely(struct plan_draft *drafts, size_t n, double *chance)
{
	struct plan_draft *best = NULL;

	*chance = 0;
	for (size_t i = 0; i < n; i++) {
		struct plan_draft *d = &drafts[i];
		double c = pow(d->accept, (double)d->n_rows + 1);

		if (d->n_rows < d->n_most && c > *chance) {
			best = d;
			*chance = c;
		}
	}
	return best;
}

void
plan_drafts(const struct plan *p, const struct plan_work *w, bool always,
    size_t n_rows, struct plan_draft *drafts, size_t n)
{
	struct plan_work now = *w;
	double n_tokens = (double)w->n_decode, chance;
	struct plan_draft *d;

	for (size_t i = 0; i < n; i++)
		drafts[i].n_rows = 0;
	for (; n_rows > 0; n_rows--) {
		struct plan_work more = now;
		double ms = plan_estimate_ms(p, &now), more_ms;

		if ((d = most_likely(drafts, n, &chance)) == NULL)
			break;
		plan_add_decode(&more, d->n_held + d->n_rows, 1);
		more_ms = plan_estimate_ms(p, &more);
		if (!always && ((n_tokens + chance) * ms <=
		    n_tokens * more_ms ||
		    more_ms * (1 + p->margin) > p->max_gap_ms))
			break;
		d->n_rows++;
		n_tokens += chance;
		now = more;
	}
}

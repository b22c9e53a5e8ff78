/* SPDX-License-Identifier: MIT */
/*
 * While a variant has a share of a model's requests, the master is told about
 * once a second what it and the active one did since the share began; it
 * decides.  Both are counted from the same moment, so that they are measured
 * under the same load.
 */
#include "config.h"

#include "gate/core.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define QUANTILE	0.95
/* Of the normal distribution: less than that in 99 of 100 cases. */
#define NEARLY_SURE	2.33

static void
reset(struct gate_variant *v)
{
	memset(&v->trial, 0, sizeof(v->trial));
	memset(&v->ttft, 0, sizeof(v->ttft));
	memset(&v->duration, 0, sizeof(v->duration));
}

void
canary_begin(struct gate_model *m)
{
	reset(m->active);
	reset(m->canary);
	m->told_trial_ns = 0;
}

void
canary_count_end(struct gate_variant *v, int code, double ms)
{
	v->trial.n_requests++;
	v->trial.n_errors += stats_is_fault(code);
	hist_add(&v->trial.duration, ms);
}

void
canary_count_crash(struct gate_variant *v)
{
	v->trial.n_requests++;
	v->trial.n_errors++;
}

/* How many of h->count values are below a quantile is distributed binomially;
 * so the quantile lies between two others. */
static void
range(const struct hist *h, double *low, double *high)
{
	double d = h->count == 0 ? 0 : NEARLY_SURE *
	    sqrt(QUANTILE * (1 - QUANTILE) / (double)h->count);

	*low = hist_quantile_ms(h, MEM_MAX(QUANTILE - d, 0.0));
	*high = hist_quantile_ms(h, MEM_MIN(QUANTILE + d, 1.0));
}

static void
tell(struct gate *g, const struct gate_model *m, const struct gate_variant *v)
{
	struct msg_trial t = { .model = slice_of(m->name),
	    .name = slice_of(v->name), .requests = v->trial.n_requests,
	    .errors = v->trial.n_errors };

	range(&v->trial.ttft, &t.ttft_low_ms, &t.ttft_high_ms);
	range(&v->trial.duration, &t.duration_low_ms, &t.duration_high_ms);
	chan_send(g->master, MSG_TRIAL, 0, 0, &t);
}

void
canary_tick(struct gate *g, struct gate_model *m, uint64_t now_ns)
{
	if (m->canary == NULL || now_ns - m->told_trial_ns < CLOCK_NS_PER_S)
		return;
	m->told_trial_ns = now_ns;
	/* The canary's last: with it the master decides. */
	tell(g, m, m->active);
	tell(g, m, m->canary);
}

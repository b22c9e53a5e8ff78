/* SPDX-License-Identifier: MIT */
/*
 * From one variant of a model to another.  The next one gets its workers
 * beside those that serve; a worker is ready when it has computed a prompt of
 * its own (worker/probe.c), so nothing is moved to a file that loads but does
 * not work.  Once all are ready the requests move over, and the old variant
 * leaves.  With a share, both serve until an operator decides, or until the new
 * one is found to be worse.
 *
 * Nothing here waits: swap_settle looks at what is and takes the next step.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "master/master.h"
#include "master/quality.h"
#include "wire/model_file.h"

/* Of a variant that comes: one may be somebody else's doing. */
#define CRASHES_MAX	3

/* Enough for a share of the requests, and at least one. */
static size_t
wanted_at(const struct model *model, unsigned percent)
{
	return percent == 0 ? model->n_workers :
	    (model->n_workers * percent + 99) / 100;
}

size_t
swap_wanted(const struct model *model, const struct variant *v)
{
	const struct swap *s = &model->swap;

	if (v == model->active)
		return model->n_workers;
	if (v != s->next)
		return 0;
	return wanted_at(model, s->is_finishing ? 0 : s->percent);
}

/* ---- steps ---- */

static void
leave(struct master *m, struct model *model, struct variant *v)
{
	v->is_leaving = true;
	v->is_idle = m->gate.chan == NULL;
	v->term++;
	tell_variant(m, model, v);
}

static void
enter(struct variant *v)
{
	v->is_leaving = false;
	v->has_failed = false;
	v->n_crashes = 0;
	v->reason[0] = '\0';
	v->is_told = false;
}

/* next has all its workers: the requests are its from now on. */
static void
take_over(struct master *m, struct model *model)
{
	struct variant *old = model->active, *new = model->swap.next;

	model->active = new;
	model->previous = old;
	model->swap = (struct swap){ 0 };
	new->is_told = false;
	/* The gate must know the new one before it lets go of the old. */
	tell_model(m, model);
	leave(m, model, old);
	log_info("model %s: variant %s serves, %s leaves", model->conf.name,
	    new->name, old->name);
	tell_event(m, "swapped", model->conf.name, "from %s to %s", old->name,
	    new->name);
	model_answer(m, model, ASK_SWAP, 0, "");
	m->is_unsettled = true;
}

static void
share(struct master *m, struct model *model)
{
	struct swap *s = &model->swap;

	s->is_shared = true;
	s->next->is_told = false;
	s->next->trial = model->active->trial = (struct canary_side){ 0 };
	tell_model(m, model);
	log_info("model %s: variant %s gets %u %% of the new requests",
	    model->conf.name, s->next->name, s->percent);
	tell_event(m, "canary", model->conf.name, "%u %% to %s", s->percent,
	    s->next->name);
	model_answer(m, model, ASK_SWAP, 0, "");
}

/* Everything back to active. */
static void
give_up(struct master *m, struct model *model, int code, const char *why)
{
	struct variant *v = model->swap.next;
	bool was_canary = model->swap.is_shared && code != BM_ECANCEL;

	model->swap = (struct swap){ 0 };
	if (was_canary)
		snprintf(model->reason, sizeof(model->reason),
		    "canary %s rolled back: %s", v->name, why);
	tell_model(m, model);
	leave(m, model, v);
	log_warnx("model %s: %s %s: %s", model->conf.name, was_canary ?
	    "rolled back canary" : "no swap to", v->name, why);
	if (was_canary)
		tell_event(m, "canary_rolled_back", model->conf.name,
		    "%s: %s", v->name, why);
	else
		tell_event(m, "swap_ended", model->conf.name, "not to %s: %s",
		    v->name, why);
	model_answer(m, model, ASK_SWAP, code, why);
	m->is_unsettled = true;
}

void
swap_note_failure(struct model *model, struct variant *v, int code,
    const char *why)
{
	v->has_failed = true;
	v->code = code;
	str_copy(v->reason, why, sizeof(v->reason));
	v->is_told = false;
}

void
swap_note_crash(struct model *model, struct variant *v, const char *why)
{
	if (v == model->swap.next && ++v->n_crashes >= CRASHES_MAX)
		swap_note_failure(model, v, BM_EWORKER, why);
}

/* Does the canary do worse than the others? */
static void
judge(const struct master *m, struct model *model)
{
	const struct canary_limits l = { m->conf.canary_min_requests,
	    m->conf.canary_max_errors, m->conf.canary_max_p95 };
	struct variant *v = model->swap.next;
	char why[sizeof(v->reason)];

	if (canary_is_worse(&l, &v->trial, &model->active->trial, why,
	    sizeof(why)))
		swap_note_failure(model, v, BM_ELIMIT, why);
}

void
swap_settle(struct master *m, struct model *model)
{
	struct swap *s = &model->swap;
	char why[sizeof(s->next->reason)];

	if (s->next == NULL)
		return;
	if (s->is_shared && !s->is_finishing)
		judge(m, model);
	if (s->next->has_failed) {
		str_copy(why, s->next->reason, sizeof(why));
		give_up(m, model, s->next->code, why);
		return;
	}
	if ((s->is_shared && !s->is_finishing) ||
	    workers_count(model, s->next, true) <
	    swap_wanted(model, s->next))
		return;
	if (s->percent == 0 || s->is_finishing)
		take_over(m, model);
	else
		share(m, model);
}

/* ---- commands ---- */

static int
begin(struct master *m, struct model *model, struct variant *v,
    unsigned percent, struct cause *cause)
{
	struct model_file file;
	int r;

	if (v == model->active)
		return cause_set(cause, BM_EEXIST,
		    "model %s is served by variant %s already",
		    model->conf.name, v->name);
	if (model->swap.next != NULL)
		return cause_set(cause, BM_EEXIST, "a swap of model %s to %s "
		    "is under way: end it with swap %s --finish or rollback "
		    "%s", model->conf.name, model->swap.next->name,
		    model->conf.name, model->conf.name);
	if ((r = model_file_open(v->path, &file, cause)) != 0)
		return r;
	model_file_close(&file);
	if ((r = memory_check_more(m, model, v, wanted_at(model, percent),
	    cause)) != 0)
		return r;
	enter(v);
	if (!model->has_crashed)
		model->reason[0] = '\0';
	model->swap = (struct swap){ .next = v, .percent = percent };
	model->is_told = false;
	m->is_unsettled = true;
	return 0;
}

int
swap_begin(struct master *m, struct model *model, const char *variant,
    unsigned percent, bool verify, struct cause *cause)
{
	char shown[80];
	struct variant *v;
	int r;

	variants_scan(m, model);
	if ((v = variant_find(model, variant)) == NULL)
		return cause_set(cause, BM_ENOTFOUND, "model %s has no "
		    "variant \"%s\"; show variants lists what there is",
		    model->conf.name, str_vis(shown, sizeof(shown), variant,
		    strlen(variant)));
	if (verify && (r = quality_check(&model->conf, v->path, cause)) != 0)
		return r;
	return begin(m, model, v, percent, cause);
}

int
swap_finish(struct model *model, struct cause *cause)
{
	struct swap *s = &model->swap;

	if (s->next == NULL)
		return cause_set(cause, BM_ENOTFOUND,
		    "no swap of model %s is under way", model->conf.name);
	/* Its workers are made as many as the model's, then it takes over. */
	s->is_finishing = true;
	return 0;
}

int
swap_rollback(struct master *m, struct model *model, struct cause *cause)
{
	if (model->swap.next != NULL) {
		give_up(m, model, BM_ECANCEL, "rolled back");
		return 0;
	}
	if (model->previous == NULL)
		return cause_set(cause, BM_ENOTFOUND, "model %s has nothing "
		    "to go back to", model->conf.name);
	return begin(m, model, model->previous, 0, cause);
}

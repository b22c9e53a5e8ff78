/* SPDX-License-Identifier: MIT */
/*
 * How many processes a variant of a model has.  Each settling brings them one
 * step nearer to what is wanted: as many of the present generation as
 * swap_wanted says, and none of an older one once the new ones are ready, so
 * that changed settings or a changed file take over without a pause.  A worker
 * that is too many first gets no new work, then ends.
 */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pulse.h"
#include "base/str.h"
#include "master/master.h"

static bool
is_current(const struct model *model, const struct variant *v,
    const struct child *w)
{
	return !w->is_surplus && w->generation == model->generation &&
	    (v == NULL || w->variant == v);
}

size_t
workers_count(const struct model *model, const struct variant *v,
    bool only_ready)
{
	const struct child *w;
	size_t n = 0;

	TAILQ_FOREACH(w, &model->workers, entry)
		if (is_current(model, v, w) &&
		    (!only_ready || w->sup.state == SUP_READY))
			n++;
	return n;
}

bool
workers_have(const struct model *model, const struct variant *v,
    enum sup_state state)
{
	const struct child *w;

	TAILQ_FOREACH(w, &model->workers, entry)
		if (is_current(model, v, w) && w->sup.state == state)
			return true;
	return false;
}

bool
workers_are_settled(const struct model *model)
{
	const struct child *w;
	const struct variant *v;

	TAILQ_FOREACH(w, &model->workers, entry)
		if (!is_current(model, NULL, w) && !w->variant->is_leaving)
			return false;
	TAILQ_FOREACH(v, &model->variants, entry)
		if (!v->is_leaving && workers_count(model, v, true) !=
		    swap_wanted(model, v))
			return false;
	return true;
}

void
workers_retry(struct model *model)
{
	struct child *w;

	TAILQ_FOREACH(w, &model->workers, entry)
		if (!w->is_surplus && w->sup.state == SUP_FAILED)
			child_act(w, sup_start(&w->sup));
}

/* ---- the number ---- */

static void
add_worker(struct master *m, struct model *model, struct variant *v)
{
	struct child *w = xcalloc(1, sizeof(*w));

	child_init(w, m, R_WORKER, ++m->n_workers_ever);
	w->model = model;
	w->variant = v;
	w->generation = model->generation;
	TAILQ_INSERT_TAIL(&model->workers, w, entry);
	child_act(w, sup_start(&w->sup));
}

/* The one to do without: one that is not ready, else the newest. */
static struct child *
least_wanted(struct model *model, const struct variant *v)
{
	struct child *w, *found = NULL;

	TAILQ_FOREACH(w, &model->workers, entry)
		if (is_current(model, v, w) && (found == NULL ||
		    found->sup.state == SUP_READY ||
		    w->sup.state != SUP_READY))
			found = w;
	return found;
}

/* May there be one more now?  If it never may, that is said, once. */
static bool
has_room(struct master *m, struct model *model, struct variant *v)
{
	struct cause cause;

	switch (memory_ask(m, model, v, &cause)) {
	case MEMORY_FITS:
		return true;
	case MEMORY_SOON:
		return false;
	case MEMORY_SHORT:
		break;
	}
	if (v == model->swap.next) {
		if (!v->has_failed)
			swap_note_failure(model, v, cause.code, cause.text);
		return false;
	}
	v->code = cause.code;
	if (!model->is_short) {
		log_warnx("%s", cause.text);
		tell_event(m, "no_memory", model->conf.name, "%s",
		    cause.text);
		str_copy(model->reason, cause.text, sizeof(model->reason));
		model->is_short = true;
		model->is_told = false;
	}
	return false;
}

static void
set_number(struct master *m, struct model *model, struct variant *v)
{
	size_t n = workers_count(model, v, false);
	size_t wanted = swap_wanted(model, v);
	struct child *w;

	for (; n < wanted && has_room(m, model, v); n++)
		add_worker(m, model, v);
	if (v == model->active && n >= wanted && model->is_short) {
		model->is_short = false;
		model->reason[0] = '\0';
		model->is_told = false;
	}
	for (; n > wanted; n--)
		least_wanted(model, v)->is_surplus = true;
	if (workers_count(model, v, true) < wanted)
		return;
	TAILQ_FOREACH(w, &model->workers, entry)
		if (w->variant == v && w->generation != model->generation)
			w->is_surplus = true;
}

/* What of a variant that is leaving nobody needs any more. */
static void
let_go(struct model *model, struct variant *v)
{
	struct child *w;
	size_t n = 0;

	TAILQ_FOREACH(w, &model->workers, entry) {
		if (w->variant != v)
			continue;
		n++;
		/* One without a request on it needs no replacement. */
		if (v->is_idle || w->sup.state == SUP_FAILED)
			w->is_surplus = w->is_idle = true;
	}
	if (n == 0) {
		v->is_leaving = false;
		v->is_told = false;
	}
}

/* ---- one by one ---- */

/* One step towards the end of a worker that is not wanted any more. */
static void
end_worker(struct master *m, struct child *w)
{
	struct msg_worker_drain drain = { .worker = w->id };

	if (w->sup.state == SUP_READY && m->gate.chan != NULL && !w->is_idle) {
		sup_draining(&w->sup);
		chan_send(m->gate.chan, MSG_WORKER_DRAIN, 0, 0, &drain);
	} else if (w->sup.state != SUP_DRAINING || w->is_idle) {
		child_act(w, sup_stop(&w->sup, clock_now_ns()));
	}
}

static void
settle_each(struct master *m, struct model *model)
{
	struct child *w, *next;

	TAILQ_FOREACH_SAFE(w, &model->workers, entry, next) {
		if (w->is_surplus)
			end_worker(m, w);
		else if (w->sup.state == SUP_STOPPED)
			child_act(w, sup_start(&w->sup));
		tell_worker(w);
		if (w->is_surplus && !w->sup.has_process) {
			tell_worker_gone(w);
			pulse_free(&w->health.pulse);
			chan_free(&w->chan);
			TAILQ_REMOVE(&model->workers, w, entry);
			store_release(model, w->variant);
			free(w);
		}
	}
}

void
workers_settle(struct master *m, struct model *model)
{
	struct variant *v;

	TAILQ_FOREACH(v, &model->variants, entry) {
		if (v->is_leaving)
			let_go(model, v);
		else
			set_number(m, model, v);
	}
	settle_each(m, model);
}

bool
workers_end(struct master *m, struct model *model)
{
	struct child *w;

	TAILQ_FOREACH(w, &model->workers, entry)
		w->is_surplus = w->is_idle = true;
	settle_each(m, model);
	return TAILQ_EMPTY(&model->workers);
}

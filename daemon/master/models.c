/* SPDX-License-Identifier: MIT */
/*
 * Models and their workers.  models_settle brings them one step nearer to what
 * is wanted: as many workers of the present generation as configured, and none
 * of an older one once the new ones are ready, so that changed settings or a
 * changed file take over without a pause.  A worker that is too many first
 * gets no new work, then ends.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "master/master.h"

struct model *
model_new(struct master *m, const struct conf_model *conf)
{
	struct model *model = xcalloc(1, sizeof(*model));

	conf_model_copy(&model->conf, conf);
	model->created_s = clock_unix_ms() / 1000;
	str_copy(model->state, "starting", sizeof(model->state));
	TAILQ_INIT(&model->workers);
	TAILQ_INIT(&model->asks);
	TAILQ_INSERT_TAIL(&m->models, model, entry);
	return model;
}

struct model *
model_find(struct master *m, const char *name)
{
	struct model *model;

	TAILQ_FOREACH(model, &m->models, entry)
		if (strcmp(model->conf.name, name) == 0)
			return model;
	return NULL;
}

/* The configuration has words for it. */
static uint8_t
speculate_of(const char *word)
{
	if (strcmp(word, "yes") == 0)
		return SPECULATE_YES;
	return strcmp(word, "no") == 0 ? SPECULATE_NO : SPECULATE_AUTO;
}

struct msg_model
model_message(const struct conf_model *conf, uint32_t worker)
{
	return (struct msg_model){ .worker = worker,
	    .name = slice_of(conf->name),
	    .variant = slice_of(MASTER_VARIANT),
	    .n_threads = (uint32_t)conf->threads,
	    .n_ctx = (uint32_t)conf->context, .kv_bytes = conf->kv_cache,
	    .n_parallel = (uint32_t)conf->parallel,
	    .n_sharing = (uint32_t)conf->workers,
	    .max_gap_ms = (uint32_t)conf->max_gap,
	    .speculate = speculate_of(conf->speculate) };
}

/* ---- answers ---- */

void
model_answer(struct master *m, struct model *model, enum ask_kind kind,
    int code, const char *text)
{
	struct ask *a, *next;

	TAILQ_FOREACH_SAFE(a, &model->asks, entry, next) {
		if (a->kind != kind)
			continue;
		if (m->gate.chan != NULL)
			chan_send_result(m->gate.chan, a->seq, a->id, code,
			    text);
		TAILQ_REMOVE(&model->asks, a, entry);
		free(a);
	}
}

void
model_forget_asks(struct model *model)
{
	struct ask *a;

	while ((a = TAILQ_FIRST(&model->asks)) != NULL) {
		TAILQ_REMOVE(&model->asks, a, entry);
		free(a);
	}
}

/* ---- workers ---- */

static bool
is_current(const struct model *model, const struct child *w)
{
	return !w->is_surplus && w->generation == model->generation;
}

static size_t
count(const struct model *model, bool only_ready)
{
	const struct child *w;
	size_t n = 0;

	TAILQ_FOREACH(w, &model->workers, entry)
		if (is_current(model, w) &&
		    (!only_ready || w->sup.state == SUP_READY))
			n++;
	return n;
}

static void
add_worker(struct master *m, struct model *model)
{
	struct child *w = xcalloc(1, sizeof(*w));

	child_init(w, m, R_WORKER, ++m->n_workers_ever);
	w->model = model;
	w->generation = model->generation;
	TAILQ_INSERT_TAIL(&model->workers, w, entry);
	child_act(w, sup_start(&w->sup));
}

/* The one to do without: one that is not ready, else the newest. */
static struct child *
least_wanted(struct model *model)
{
	struct child *w, *found = NULL;

	TAILQ_FOREACH(w, &model->workers, entry)
		if (is_current(model, w) && (found == NULL ||
		    found->sup.state == SUP_READY ||
		    w->sup.state != SUP_READY))
			found = w;
	return found;
}

static void
set_number(struct master *m, struct model *model)
{
	size_t n = count(model, false);
	struct child *w;

	for (; n < model->conf.workers; n++)
		add_worker(m, model);
	for (; n > model->conf.workers; n--)
		least_wanted(model)->is_surplus = true;
	if (count(model, true) < model->conf.workers)
		return;
	TAILQ_FOREACH(w, &model->workers, entry)
		if (w->generation != model->generation)
			w->is_surplus = true;
}

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
settle_workers(struct master *m, struct model *model)
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
			chan_free(&w->chan);
			TAILQ_REMOVE(&model->workers, w, entry);
			free(w);
		}
	}
}

/* ---- models ---- */

/* The state clients and operators see, from those of the workers. */
static const char *
state_of(const struct model *model)
{
	static const enum sup_state order[] = { SUP_READY, SUP_LOADING,
	    SUP_STARTING, SUP_BACKOFF, SUP_FAILED };
	const struct child *w;

	if (model->is_going)
		return "draining";
	for (size_t i = 0; i < N_ELEMENTS(order); i++)
		TAILQ_FOREACH(w, &model->workers, entry)
			if (w->sup.state == order[i])
				return sup_state_name(order[i]);
	return "stopped";
}

static bool
has_state(const struct model *model, enum sup_state state)
{
	const struct child *w;

	TAILQ_FOREACH(w, &model->workers, entry)
		if (is_current(model, w) && w->sup.state == state)
			return true;
	return false;
}

/* Answer load and workers as soon as the outcome is known. */
static void
settle_asks(struct master *m, struct model *model)
{
	bool has_failed = has_state(model, SUP_FAILED) || model->has_crashed;
	int code = model->has_crashed ? BM_EWORKER : BM_EFORMAT;
	const struct child *w;

	if (count(model, true) > 0)
		model_answer(m, model, ASK_LOAD, 0, "");
	if (has_failed) {
		model_answer(m, model, ASK_WORKERS, code, model->reason);
		model_answer(m, model, ASK_LOAD, code, model->reason);
	}
	if (count(model, true) != model->conf.workers)
		return;
	TAILQ_FOREACH(w, &model->workers, entry)
		if (!is_current(model, w))
			return;
	model_answer(m, model, ASK_WORKERS, 0, "");
}

/* A model that a command tried to load and that can't be is as if it had never
 * been asked for: it must not make the daemon look ill. */
static void
settle_trial(struct master *m, struct model *model)
{
	if (count(model, true) > 0) {
		model->is_trial = false;
	} else if (model->is_trial && (model->has_crashed ||
	    has_state(model, SUP_FAILED))) {
		model->is_going = true;
		model->is_idle = true;
	}
}

static void
remove_model(struct master *m, struct model *model)
{
	struct msg_model_gone gone = { .name = slice_of(model->conf.name) };
	const struct conf_model *again = model->comes_back ?
	    conf_find_model(&m->conf, model->conf.name) : NULL;

	if (m->gate.chan != NULL)
		chan_send(m->gate.chan, MSG_MODEL_GONE, 0, 0, &gone);
	log_info("model %s is gone", model->conf.name);
	model_answer(m, model, ASK_UNLOAD, 0, "");
	model_answer(m, model, ASK_WORKERS, BM_ENOMODEL, "unloaded meanwhile");
	model_answer(m, model, ASK_LOAD, BM_ECANCEL, "unloaded meanwhile");
	TAILQ_REMOVE(&m->models, model, entry);
	conf_model_fini(&model->conf);
	free(model);
	if (again != NULL) {
		model_new(m, again);
		m->is_unsettled = true;
	}
}

static void
settle_going(struct master *m, struct model *model)
{
	struct child *w;

	if (!model->is_idle && clock_now_ns() < model->going_until_ns)
		return;
	TAILQ_FOREACH(w, &model->workers, entry)
		w->is_surplus = w->is_idle = true;
	settle_workers(m, model);
	if (TAILQ_EMPTY(&model->workers))
		remove_model(m, model);
}

static void
tell_changed(struct master *m, struct model *model)
{
	const char *state = state_of(model);

	if (strcmp(state, model->state) != 0) {
		str_copy(model->state, state, sizeof(model->state));
		model->is_told = false;
	}
	if (!model->is_told)
		tell_model(m, model);
}

void
models_settle(struct master *m)
{
	struct model *model, *next;

	TAILQ_FOREACH_SAFE(model, &m->models, entry, next) {
		if (!model->is_going && m->phase < PHASE_QUIT) {
			set_number(m, model);
			settle_workers(m, model);
			settle_asks(m, model);
			settle_trial(m, model);
		}
		tell_changed(m, model);
		if (model->is_going)
			settle_going(m, model);
	}
}

void
model_unload(struct model *model, struct master *m)
{
	if (model->is_going)
		return;
	model->is_going = true;
	model->is_idle = m->gate.chan == NULL;
	model->going_until_ns = clock_now_ns() +
	    m->conf.limits_drain_timeout * CLOCK_NS_PER_MS;
}

bool
models_are_settled(const struct master *m, size_t *n_ready)
{
	const struct model *model;
	bool is_settled = true;

	*n_ready = 0;
	TAILQ_FOREACH(model, &m->models, entry) {
		if (count(model, true) > 0)
			++*n_ready;
		else if (model->conf.workers > 0 && !model->has_crashed &&
		    !has_state(model, SUP_FAILED))
			is_settled = false;
	}
	return is_settled;
}

void
models_free(struct master *m)
{
	struct model *model;
	struct child *w;

	while ((model = TAILQ_FIRST(&m->models)) != NULL) {
		while ((w = TAILQ_FIRST(&model->workers)) != NULL) {
			chan_free(&w->chan);
			TAILQ_REMOVE(&model->workers, w, entry);
			free(w);
		}
		model_forget_asks(model);
		TAILQ_REMOVE(&m->models, model, entry);
		conf_model_fini(&model->conf);
		free(model);
	}
}

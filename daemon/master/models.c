/* SPDX-License-Identifier: MIT */
/*
 * Models: their begin and end, the state that is told of them, and the answers
 * to those who asked for a change.  models_settle brings each one step nearer
 * to what is wanted of it.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/granted.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pulse.h"
#include "base/str.h"
#include "master/master.h"

/* More only get into each other's way, whatever the load. */
#define WORKERS_PER_CPU	2

struct model *
model_new(struct master *m, const struct conf_model *conf)
{
	struct model *model = xcalloc(1, sizeof(*model));

	conf_model_copy(&model->conf, conf);
	model->created_s = clock_unix_ms() / 1000;
	model->used_ns = clock_now_ns();
	str_copy(model->state, "starting", sizeof(model->state));
	TAILQ_INIT(&model->workers);
	TAILQ_INIT(&model->asks);
	TAILQ_INIT(&model->variants);
	model->active = variant_add(model, VARIANT_BASE, conf->path);
	model_set_workers(model, conf->workers, conf->workers_max,
	    "configured");
	variants_scan(m, model);
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
	    .variant = slice_of(VARIANT_BASE),
	    .n_threads = (uint32_t)conf->threads,
	    .n_ctx = (uint32_t)conf->context, .kv_bytes = conf->kv_cache,
	    .n_parallel = (uint32_t)conf->parallel,
	    .n_sharing = (uint32_t)conf->workers,
	    .max_gap_ms = (uint32_t)conf->max_gap,
	    .speculate = speculate_of(conf->speculate),
	    .kv_type = strcmp(conf->kv_type, "q8_0") == 0 ? KV_TYPE_Q8_0 :
	    KV_TYPE_F16 };
}

/* ---- the number of workers ---- */

size_t
model_workers_max(const struct conf_model *conf)
{
	return MEM_MAX(MEM_MAX(conf->workers, conf->workers_max), (uint64_t)1);
}

bool
model_is_scaled(const struct model *model)
{
	return model->conf.workers < model_workers_max(&model->conf);
}

void
model_set_workers(struct model *model, uint64_t min, uint64_t max,
    const char *who)
{
	model->conf.workers = min;
	model->conf.workers_max = max;
	max = model_workers_max(&model->conf);
	model->n_workers = MEM_MIN(MEM_MAX(model->n_workers, min), max);
	model->autoscale = (struct autoscale){ 0 };
	model->is_evicted = false;
	if (min == max)
		snprintf(model->why, sizeof(model->why), "%s", who);
	else
		snprintf(model->why, sizeof(model->why),
		    "%s: %llu to %llu", who, (unsigned long long)min,
		    (unsigned long long)max);
	model->has_crashed = false;
	model->is_told = false;
}

void
model_scale_to(struct master *m, struct model *model, const char *kind,
    size_t n)
{
	log_info("model %s: %zu to %zu workers: %s", model->conf.name,
	    model->n_workers, n, model->why);
	tell_event(m, kind, model->conf.name, "%zu to %zu: %s",
	    model->n_workers, n, model->why);
	model->n_workers = n;
	model->is_told = false;
}

/* One that had to give way comes back when it is asked for. */
static void
bring_back(struct master *m, struct model *model)
{
	if (model->load.n_queued == 0)
		return;
	model->is_evicted = false;
	str_copy(model->why, "a request came", sizeof(model->why));
	model_scale_to(m, model, "autoscale", (size_t)MEM_MAX(
	    model->conf.workers, (uint64_t)1));
}

/*
 * Up to max, and at least those there are.  More is not looked for while
 * nothing waits; the first one makes room for itself when it is started.
 */
static size_t
most_that_fit(struct master *m, struct model *model, size_t max)
{
	size_t n = MEM_MAX(model->n_workers, (size_t)1), room;
	struct cause cause;

	if (model->load.n_queued == 0 || max <= n)
		return max;
	if ((room = memory_room(m, model, max - n)) > 0)
		return n + room;
	if (memory_check_more(m, model, model->active, 1, &cause) != 0 &&
	    strcmp(model->why, cause.text) != 0) {
		str_copy(model->why, cause.text, sizeof(model->why));
		model->is_told = false;
	}
	return n;
}

/* Let load decide, within the limits and the CPUs there are. */
static void
scale(struct master *m, struct model *model)
{
	const struct conf *conf = &m->conf;
	struct autoscale_conf c = { .min = model->conf.workers,
	    .max = model_workers_max(&model->conf),
	    .target_wait_ms = conf->autoscale_target_wait,
	    .up_delay_ms = conf->autoscale_up_delay,
	    .down_delay_ms = conf->autoscale_down_delay,
	    .idle_ms = conf->autoscale_idle,
	    .n_slots = model->conf.parallel };
	size_t n;

	if (model->is_evicted)
		bring_back(m, model);
	if (model->is_evicted || !model_is_scaled(model))
		return;
	c.max = MEM_MAX(MEM_MIN(c.max, (size_t)granted_cpus() *
	    WORKERS_PER_CPU), c.min);
	c.max = MEM_MIN(c.max, most_that_fit(m, model, c.max));
	n = autoscale_step(&model->autoscale, &c, &model->load,
	    model->n_workers, clock_now_ns(), model->why,
	    sizeof(model->why));
	if (n == model->n_workers)
		return;
	model_scale_to(m, model, "autoscale", n);
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
	if (TAILQ_EMPTY(&model->workers) && model->is_short)
		return "failed";
	if (model->n_workers == 0 && TAILQ_EMPTY(&model->workers))
		return "idle";
	for (size_t i = 0; i < N_ELEMENTS(order); i++)
		TAILQ_FOREACH(w, &model->workers, entry)
			if (w->sup.state == order[i])
				return sup_state_name(order[i]);
	return "stopped";
}

static bool
has_failed(const struct model *model)
{
	return model->has_crashed || model->is_short ||
	    workers_have(model, model->active, SUP_FAILED);
}

/* Answer load and workers as soon as the outcome is known. */
static void
settle_asks(struct master *m, struct model *model)
{
	int code = model->has_crashed ? BM_EWORKER : model->active->code;

	if (workers_count(model, model->active, true) > 0 ||
	    model->n_workers == 0)
		model_answer(m, model, ASK_LOAD, 0, "");
	if (has_failed(model)) {
		model_answer(m, model, ASK_WORKERS, code, model->reason);
		model_answer(m, model, ASK_LOAD, code, model->reason);
	}
	if (workers_are_settled(model))
		model_answer(m, model, ASK_WORKERS, 0, "");
}

/* A model that a command tried to load and that can't be is as if it had never
 * been asked for: it must not make the daemon look ill. */
static void
settle_trial(struct master *m, struct model *model)
{
	if (workers_count(model, model->active, true) > 0) {
		model->is_trial = false;
	} else if (model->is_trial && has_failed(model)) {
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
	char ended[48] = "";

	if (m->gate.chan != NULL)
		chan_send(m->gate.chan, MSG_MODEL_GONE, 0, 0, &gone);
	(void)compress_cancel(m, model, "the model was unloaded");
	if (model->is_cut)
		snprintf(ended, sizeof(ended), "%u request%s ended",
		    model->n_ended, model->n_ended == 1 ? " was" : "s were");
	log_info("model %s is gone%s%s", model->conf.name,
	    model->is_cut ? ": " : "", ended);
	model_answer(m, model, ASK_UNLOAD, 0, ended);
	model_answer(m, model, ASK_WORKERS, BM_ENOMODEL, "unloaded meanwhile");
	model_answer(m, model, ASK_LOAD, BM_ECANCEL, "unloaded meanwhile");
	model_answer(m, model, ASK_SWAP, BM_ENOMODEL, "unloaded meanwhile");
	TAILQ_REMOVE(&m->models, model, entry);
	variants_free(model);
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
	if (model->is_idle && workers_end(m, model))
		remove_model(m, model);
}

static void
tell_changed(struct master *m, struct model *model)
{
	const char *state = state_of(model);
	struct variant *v;

	if (strcmp(state, model->state) != 0) {
		str_copy(model->state, state, sizeof(model->state));
		model->is_told = false;
	}
	if (!model->is_told)
		tell_model(m, model);
	TAILQ_FOREACH(v, &model->variants, entry)
		if (!v->is_told)
			tell_variant(m, model, v);
}

void
models_settle(struct master *m)
{
	struct model *model, *next;

	TAILQ_FOREACH_SAFE(model, &m->models, entry, next) {
		if (!model->is_going && m->phase < PHASE_QUIT) {
			scale(m, model);
			workers_settle(m, model);
			swap_settle(m, model);
			settle_asks(m, model);
			settle_trial(m, model);
		}
		tell_changed(m, model);
		if (model->is_going)
			settle_going(m, model);
	}
}

void
model_unload(struct model *model, struct master *m, bool is_now)
{
	struct msg_model_end end = { .name = slice_of(model->conf.name) };

	if (!model->is_going) {
		(void)compress_cancel(m, model,
		    "the model is being unloaded");
		model->is_going = true;
		model->is_idle = m->gate.chan == NULL;
	}
	if (!is_now || model->is_cut)
		return;
	model->is_cut = true;
	if (m->gate.chan != NULL)
		chan_send(m->gate.chan, MSG_MODEL_END, 0, 0, &end);
}

bool
models_are_settled(const struct master *m, size_t *n_ready)
{
	const struct model *model;
	bool is_settled = true;

	*n_ready = 0;
	TAILQ_FOREACH(model, &m->models, entry) {
		if (workers_count(model, model->active, true) > 0 ||
		    model->n_workers == 0)
			++*n_ready;
		else if (model->n_workers > 0 && !has_failed(model))
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
			pulse_free(&w->health.pulse);
			chan_free(&w->chan);
			TAILQ_REMOVE(&model->workers, w, entry);
			free(w);
		}
		model_forget_asks(model);
		TAILQ_REMOVE(&m->models, model, entry);
		variants_free(model);
		conf_model_fini(&model->conf);
		free(model);
	}
}

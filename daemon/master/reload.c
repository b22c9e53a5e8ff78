/* SPDX-License-Identifier: MIT */
/*
 * The file again.  What is compared is the new file with the one loaded
 * before, not with what operators made of it since: a model loaded by command
 * and a number of workers set by command stay until the file itself changes.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "master/conf_diff.h"
#include "master/master.h"
#include "master/notify.h"

#define CHANGES_MAX	3000	/* bytes told of one reload */

/* Do these settings need other processes? */
static bool
needs_new_workers(const struct conf_model *a, const struct conf_model *b)
{
	return strcmp(a->path, b->path) != 0 || a->threads != b->threads ||
	    a->context != b->context || a->kv_cache != b->kv_cache ||
	    strcmp(a->kv_type, b->kv_type) != 0 ||
	    a->parallel != b->parallel || a->max_gap != b->max_gap ||
	    strcmp(a->speculate, b->speculate) != 0;
}

/* old: what the last file said of the model, NULL when nothing. */
static void
update(struct model *model, const struct conf_model *old,
    const struct conf_model *next)
{
	struct conf_model was;

	conf_model_copy(&was, &model->conf);
	conf_model_merge(&model->conf, old != NULL ? old : &was, next);
	if (needs_new_workers(&was, &model->conf)) {
		log_info("model %s: settings changed, new workers",
		    model->conf.name);
		model->generation++;
		model->has_crashed = false;
		memory_forget(model);
	} else {
		workers_retry(model);
	}
	if (was.workers != model->conf.workers ||
	    was.workers_max != model->conf.workers_max)
		model_set_workers(model, model->conf.workers,
		    model->conf.workers_max, "configured");
	variant_add(model, VARIANT_BASE, model->conf.path);
	model->is_told = false;
	conf_model_fini(&was);
}

static void
apply_models(struct master *m, const struct conf *old, const struct conf *new)
{
	for (size_t i = 0; i < old->n_models; i++) {
		struct model *model = model_find(m, old->models[i].name);

		if (model != NULL &&
		    conf_find_model(new, model->conf.name) == NULL)
			model_unload(model, m, false);
	}
	for (size_t i = 0; i < new->n_models; i++) {
		const struct conf_model *c = &new->models[i];
		struct model *model = model_find(m, c->name);

		/* One that is going comes back once it is gone. */
		if (model == NULL)
			model_new(m, c);
		else if (model->is_going)
			model->comes_back = true;
		else
			update(model, conf_find_model(old, c->name), c);
	}
}

/* Did a socket come or go? */
static bool
have_changed(const struct listeners *a, const struct listeners *b)
{
	for (int i = 0; i < LISTEN_N; i++)
		if (a->of[i].fd != b->of[i].fd)
			return true;
	return false;
}

/* What changed is put into changes. */
static int
load_and_apply(struct master *m, struct buf *changes, struct cause *cause)
{
	struct listeners were = m->listeners;
	struct conf next, old;
	struct child *c = NULL;
	int r;

	if ((r = options_load_conf(m->options, &next, cause)) != 0)
		return r;
	if ((r = listen_apply(&m->listeners, &next, cause)) != 0) {
		conf_fini(&next);
		return r;
	}
	conf_diff(&m->conf, &next, changes);
	old = m->conf;
	m->conf = next;
	while (changes->len > 0 && (c = child_next(m, c)) != NULL)
		child_send_conf(c);
	if (have_changed(&were, &m->listeners)) {
		tell_listeners(m);
		tell_daemon(m);
	}
	master_reopen_log(m);
	apply_models(m, &old, &m->conf);
	conf_fini(&old);
	return 0;
}

int
reload(struct master *m, struct cause *cause)
{
	struct buf changes;
	int r;

	if (m->phase > PHASE_RUN)
		return cause_set(cause, BM_EOVERLOAD,
		    "the daemon is stopping");
	notify("RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n",
	    clock_now_ns() / 1000);
	buf_init(&changes, CHANGES_MAX);
	if ((r = load_and_apply(m, &changes, cause)) != 0) {
		log_warnx("reload refused, all stays as it was: %s",
		    cause->text);
		tell_event(m, "reload_failed", "", "%s", cause->text);
	} else {
		if (changes.len == 0)
			buf_puts(&changes, "nothing changed");
		log_info("configuration reloaded: %s", buf_cstr(&changes));
		tell_event(m, "reloaded", "", "%s", buf_cstr(&changes));
	}
	buf_fini(&changes);
	if (m->phase == PHASE_RUN)
		notify("READY=1\n");
	return r;
}

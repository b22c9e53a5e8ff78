/* SPDX-License-Identifier: MIT */
/* What children say. */
#include "config.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "master/master.h"

/* ---- workers ---- */

static void
worker_is_ready(struct child *c)
{
	struct model *model = c->model;

	if (c->sup.state != SUP_STARTING && c->sup.state != SUP_LOADING)
		return;
	sup_ready(&c->sup, clock_now_ns());
	log_info("worker %u ready model=%s variant=%s pid=%d ms=%lld",
	    c->id, model->conf.name, c->variant->name, (int)c->pid,
	    (long long)(clock_unix_ms() - c->started_ms));
	if (c->variant == model->active) {
		model->has_crashed = false;
		model->reason[0] = '\0';
	}
	model->is_told = false;
	tell_link(&c->master->gate, c);
}

void
hear_failure(struct child *c, const struct msg_result *r)
{
	struct model *model = c->model;
	char text[256];

	str_vis(text, sizeof(text), r->text.p, r->text.n);
	if (c->sup.state != SUP_STARTING && c->sup.state != SUP_LOADING)
		return;
	if (r->code == BM_ENOMEM && memory_evict_more(c->master, model,
	    text)) {
		/* Another one tries again in the room that this makes. */
		c->is_surplus = true;
		return;
	}
	log_warnx("worker %u can't load model %s: %s", c->id,
	    model->conf.name, text);
	tell_event(c->master, "load_failed", model->conf.name, "%s", text);
	swap_note_failure(model, c->variant, r->code, text);
	if (c->variant == model->active) {
		str_copy(model->reason, text, sizeof(model->reason));
		model->is_told = false;
	}
	child_act(c, sup_load_failed(&c->sup, clock_now_ns()));
}

static void
on_worker_frame(struct child *c, const struct frame *f)
{
	struct msg_model_info info;
	struct msg_result r;
	struct sup_limits l;

	if (f->type == MSG_PROGRESS) {
		child_limits(c, &l);
		sup_progress(&c->sup, &l, clock_now_ns());
	} else if (f->type == MSG_MODEL_INFO &&
	    msg_get_model_info(f->body, &info) == 0) {
		memory_note(c, &info);
		worker_is_ready(c);
	} else if (f->type == MSG_RESULT && msg_get_result(f->body, &r) == 0 &&
	    r.code != 0)
		hear_failure(c, &r);
}

/* ---- the gate ---- */

static void
note_idle(struct master *m, const struct frame *f)
{
	struct msg_model_idle mi;
	struct msg_worker_idle wi;
	struct model *model;
	struct child *c = NULL;

	if (f->type == MSG_MODEL_IDLE && msg_get_model_idle(f->body, &mi) == 0)
		TAILQ_FOREACH(model, &m->models, entry)
			if (slice_eq(mi.name, model->conf.name)) {
				model->is_idle = true;
				model->n_ended = mi.ended;
			}
	if (f->type == MSG_WORKER_IDLE &&
	    msg_get_worker_idle(f->body, &wi) == 0)
		while ((c = child_next(m, c)) != NULL)
			if (c->role == R_WORKER && c->id == wi.worker)
				c->is_idle = true;
}

static void
note_load(struct master *m, const struct frame *f)
{
	struct msg_model_load ml;
	struct model *model;

	if (msg_get_model_load(f->body, &ml) != 0)
		return;
	TAILQ_FOREACH(model, &m->models, entry)
		if (slice_eq(ml.name, model->conf.name)) {
			model->load = (struct autoscale_load){ ml.queued,
			    ml.running, ml.oldest_wait_ms };
			model->used_ns = clock_now_ns();
		}
}

static struct variant *
find_variant(struct master *m, struct slice of_model, struct slice name)
{
	struct model *model;
	struct variant *v;

	TAILQ_FOREACH(model, &m->models, entry)
		TAILQ_FOREACH(v, &model->variants, entry)
			if (slice_eq(of_model, model->conf.name) &&
			    slice_eq(name, v->name))
				return v;
	return NULL;
}

static void
note_variant_idle(struct master *m, const struct frame *f)
{
	struct msg_variant_idle vi;
	struct variant *v;

	if (msg_get_variant_idle(f->body, &vi) == 0 &&
	    (v = find_variant(m, vi.model, vi.name)) != NULL &&
	    vi.term == v->term)
		v->is_idle = true;
}

static void
note_trial(struct master *m, const struct frame *f)
{
	struct msg_trial t;
	struct variant *v;

	if (msg_get_trial(f->body, &t) == 0 &&
	    (v = find_variant(m, t.model, t.name)) != NULL)
		v->trial = (struct canary_side){ t.requests, t.errors,
		    { t.ttft_low_ms, t.ttft_high_ms },
		    { t.duration_low_ms, t.duration_high_ms } };
}

static void
on_gate_frame(struct master *m, const struct frame *f)
{
	switch (f->type) {
	case MSG_DO:
		do_command(m, f);
		break;
	case MSG_DO_FORGET:
		compress_forget(m, f->seq);
		break;
	case MSG_PROCS:
		do_procs(m, f);
		break;
	case MSG_SCAN:
		do_scan(m, f);
		break;
	case MSG_MODEL_IDLE:
	case MSG_WORKER_IDLE:
		note_idle(m, f);
		break;
	case MSG_MODEL_LOAD:
		note_load(m, f);
		break;
	case MSG_TRIAL:
		note_trial(m, f);
		break;
	case MSG_VARIANT_IDLE:
		note_variant_idle(m, f);
		break;
	case MSG_PING:
		m->service.has_answered = true;
		break;
	case MSG_RESULT:
		/* The one thing the gate is asked is to drain. */
		m->is_drained = true;
		break;
	default:
		break;
	}
}

void
hear_frame(struct child *c, const struct frame *f)
{
	if (c->role == R_WORKER)
		on_worker_frame(c, f);
	else if (c->role == R_GATE)
		on_gate_frame(c->master, f);
}

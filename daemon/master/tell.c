/* SPDX-License-Identifier: MIT */
/*
 * What the gate is told of processes and models: each change once, and
 * everything when a new gate starts.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "master/master.h"
#include "wire/fd_io.h"

/* Without a gate for longer than that, old news is dropped first. */
#define EVENTS_MAX	256

/* ---- events ---- */

static void
event_free(struct master *m, struct event *e)
{
	TAILQ_REMOVE(&m->events, e, entry);
	m->n_events--;
	free(e->kind);
	free(e->subject);
	free(e->text);
	free(e);
}

void
tell_event(struct master *m, const char *kind, const char *subject,
    const char *fmt, ...)
{
	struct event *e = xcalloc(1, sizeof(*e));
	struct buf text;
	va_list ap;

	buf_init(&text, 4096);
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	e->at = clock_unix_ms();
	uuid_v7(e->at, e->uuid);
	e->kind = xstrdup(kind);
	e->subject = xstrdup(subject);
	e->text = buf_take(&text);
	if (m->n_events == EVENTS_MAX)
		event_free(m, TAILQ_FIRST(&m->events));
	TAILQ_INSERT_TAIL(&m->events, e, entry);
	m->n_events++;
	tell_events_flush(m);
}

void
tell_events_flush(struct master *m)
{
	struct event *e;

	while (m->gate.chan != NULL &&
	    (e = TAILQ_FIRST(&m->events)) != NULL) {
		struct msg_event ev = { .uuid = slice_of(e->uuid),
		    .at = e->at, .kind = slice_of(e->kind),
		    .subject = slice_of(e->subject),
		    .text = slice_of(e->text), .uid = -1 };

		chan_send(m->gate.chan, MSG_EVENT, 0, 0, &ev);
		event_free(m, e);
	}
}

void
tell_events_free(struct master *m)
{
	while (!TAILQ_EMPTY(&m->events))
		event_free(m, TAILQ_FIRST(&m->events));
}

/* ---- states ---- */

static void
send_worker(struct child *c)
{
	struct msg_worker_state s = { .worker = c->id,
	    .pid = (uint32_t)c->pid, .model = slice_of(c->model->conf.name),
	    .variant = slice_of(c->variant->name),
	    .state = slice_of(c->told), .restarts = c->sup.restarts,
	    .started_ms = c->started_ms, .is_held = c->is_held,
	    .node = c->node != NULL ? (uint32_t)c->node->id + 1 : 0,
	    .crashed_ms = c->crashed_ms, .crash = slice_of(c->crash) };

	if (c->master->gate.chan != NULL)
		chan_send(c->master->gate.chan, MSG_WORKER_STATE, 0, 0, &s);
}

void
tell_worker(struct child *c)
{
	const char *state = sup_state_name(c->sup.state);

	if (strcmp(c->told, state) == 0)
		return;
	str_copy(c->told, state, sizeof(c->told));
	send_worker(c);
}

void
tell_worker_gone(struct child *c)
{
	struct msg_worker_gone gone = { .worker = c->id };

	if (c->master->gate.chan != NULL)
		chan_send(c->master->gate.chan, MSG_WORKER_GONE, 0, 0, &gone);
}

void
tell_model(struct master *m, struct model *model)
{
	const struct conf_model *c = &model->conf;
	const struct child *w;
	const struct swap *swap = &model->swap;
	struct msg_model_state s = { .name = slice_of(c->name),
	    .variant = slice_of(model->active->name),
	    .path = slice_of(model->active->path),
	    .state = slice_of(model->state),
	    .workers_min = (uint32_t)c->workers,
	    .workers_max = (uint32_t)model_workers_max(c),
	    .n_threads = (uint32_t)c->threads,
	    .reason = slice_of(model->reason),
	    .created_s = model->created_s,
	    .previous = slice_of(model->previous != NULL ?
	    model->previous->name : ""),
	    .next = slice_of(swap->next != NULL ? swap->next->name : ""),
	    .percent = swap->is_shared ? swap->percent : 0,
	    .is_held = model->is_held, .why = slice_of(model->why),
	    .workers_wanted = (uint32_t)model->n_workers };

	TAILQ_FOREACH(w, &model->workers, entry)
		s.workers += w->sup.state == SUP_READY;
	model->is_told = true;
	if (m->gate.chan != NULL)
		chan_send(m->gate.chan, MSG_MODEL_STATE, 0, 0, &s);
}

static const char *
variant_state(const struct model *model, const struct variant *v)
{
	if (v->is_leaving)
		return "leaving";
	if (v == model->active)
		return "active";
	if (v != model->swap.next)
		return v->has_failed ? "failed" : "available";
	return model->swap.is_shared ? "canary" : "starting";
}

void
tell_variant(struct master *m, const struct model *model, struct variant *v)
{
	const struct quality *q = &v->quality;
	struct msg_variant s = { .model = slice_of(model->conf.name),
	    .name = slice_of(v->name), .path = slice_of(v->path),
	    .state = slice_of(variant_state(model, v)),
	    .reason = slice_of(v->reason), .file_bytes = v->file_bytes,
	    .term = v->term, .type = slice_of(q->type),
	    .bits_per_weight = q->bits_per_weight,
	    .perplexity = q->perplexity, .reference = q->reference,
	    .kl_divergence = q->kl_divergence,
	    .source = slice_of(strcmp(v->name, VARIANT_BASE) == 0 ? "base" :
	    q->made_from[0] != '\0' ? "compress" : "found"),
	    .made_from = slice_of(q->made_from),
	    .created_at = v->created_ms };

	v->is_told = true;
	if (m->gate.chan != NULL)
		chan_send(m->gate.chan, MSG_VARIANT, 0, 0, &s);
}

void
tell_variant_gone(struct master *m, const struct model *model,
    const struct variant *v)
{
	struct msg_variant_gone s = { .model = slice_of(model->conf.name),
	    .name = slice_of(v->name) };

	if (m->gate.chan != NULL)
		chan_send(m->gate.chan, MSG_VARIANT_GONE, 0, 0, &s);
}

void
tell_daemon(struct master *m)
{
	const char *state = m->phase == PHASE_START ? "starting" :
	    m->phase == PHASE_RUN ? "ready" : "draining";
	struct msg_daemon_state s = { .state = slice_of(state),
	    .pid = (uint32_t)getpid(), .started_ms = m->started_ms,
	    .http = slice_of(m->listeners.of[LISTEN_HTTP].addr) };

	str_copy(m->told, state, sizeof(m->told));
	if (m->gate.chan != NULL)
		chan_send(m->gate.chan, MSG_DAEMON_STATE, 0, 0, &s);
}

void
tell_listeners(struct master *m)
{
	for (int i = 0; i < LISTEN_N && m->gate.chan != NULL; i++) {
		const struct listener *l = &m->listeners.of[i];
		struct msg_listen msg = { .kind = (uint8_t)i,
		    .addr = slice_of(l->addr) };
		int fd;

		if (l->fd == -1) {
			struct msg_unlisten off = { .kind = (uint8_t)i };

			chan_send(m->gate.chan, MSG_UNLISTEN, 0, 0, &off);
			continue;
		}
		if ((fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 3)) == -1) {
			log_warn("a socket for the gate");
			continue;
		}
		chan_send_fd(m->gate.chan, MSG_LISTEN, 0, 0, &msg, fd);
	}
}

/* ---- links ---- */

static void
send_peer(struct child *to, const struct child *other, int fd)
{
	struct msg_peer p = { .role = (uint8_t)other->role };
	const struct child *w = other->model != NULL ? other : to;

	p.worker = w->id;
	if (w->model != NULL) {
		p.model = slice_of(w->model->conf.name);
		p.variant = slice_of(w->variant->name);
	}
	chan_send_fd(to->chan, MSG_PEER, 0, 0, &p, fd);
}

void
tell_link(struct child *gate, struct child *other)
{
	int fds[2], r;

	if (gate->chan == NULL || other->chan == NULL)
		return;
	if ((r = fd_socketpair(fds)) != 0) {
		log_warnx("a link to the gate: %s", err_text(r));
		return;
	}
	/* The gate must know a worker before it is linked to it. */
	if (other->role == R_WORKER)
		tell_worker(other);
	other->is_idle = false;
	send_peer(gate, other, fds[0]);
	send_peer(other, gate, fds[1]);
}

void
tell_all(struct master *m)
{
	struct model *model;
	struct variant *v;
	struct child *w;

	tell_listeners(m);
	tell_daemon(m);
	tell_link(&m->gate, &m->reqlog);
	TAILQ_FOREACH(model, &m->models, entry) {
		tell_model(m, model);
		TAILQ_FOREACH(v, &model->variants, entry)
			tell_variant(m, model, v);
		TAILQ_FOREACH(w, &model->workers, entry) {
			send_worker(w);
			if (w->sup.state == SUP_READY)
				tell_link(&m->gate, w);
		}
	}
	compress_tell(m);
	tell_events_flush(m);
}

/* SPDX-License-Identifier: MIT */
/* What the master tells; its word on models and workers is taken as it is. */
#include "config.h"

#include "gate/core.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pulse.h"
#include "base/str.h"
#include "gate/rows.h"
#include "gate/sched.h"

/* For the last answers to go out. */
#define FAREWELL_NS	(CLOCK_NS_PER_S / 20)

/* ---- models and workers ---- */

static struct gate_model *
model_add(struct gate *g, struct slice name)
{
	struct gate_model *m = xcalloc(1, sizeof(*m));
	struct gate_worker *w;

	m->name = slice_dup(name);
	m->previous = xstrdup("");
	m->next = xstrdup("");
	m->why = xstrdup("");
	m->path = xstrdup("");
	m->reason = xstrdup("");
	TAILQ_INIT(&m->variants);
	TAILQ_INIT(&m->queue);
	TAILQ_INIT(&m->asides);
	TAILQ_INSERT_TAIL(&g->models, m, entry);
	TAILQ_FOREACH(w, &g->workers, entry) {
		if (w->model == NULL && slice_eq(name, w->model_name))
			workers_assign(g, w, name, slice_of(w->variant_name));
	}
	return m;
}

static void
on_model_state(struct gate *g, const struct msg_model_state *s)
{
	struct gate_model *m = workers_model(g, s->name);
	const struct gate_variant *before;

	if (m == NULL)
		m = model_add(g, s->name);
	m->active = variants_get(m, s->variant);
	before = m->canary;
	m->canary = s->percent == 0 ? NULL : variants_get(m, s->next);
	if (m->canary != NULL && m->canary != before)
		canary_begin(m);
	m->percent = s->percent;
	m->is_held = s->is_held != 0;
	core_text(&m->previous, s->previous);
	core_text(&m->next, s->next);
	core_text(&m->why, s->why);
	core_text(&m->path, s->path);
	core_text(&m->reason, s->reason);
	core_word(m->state, sizeof(m->state), s->state);
	m->workers_min = s->workers_min;
	m->workers_max = s->workers_max;
	m->workers_wanted = s->workers_wanted;
	m->n_threads = s->n_threads;
	m->created_s = s->created_s;
	m->is_going = strcmp(m->state, "draining") == 0;
	m->was_idle = false;
	if (strcmp(m->state, "failed") == 0 &&
	    sched_worker(&g->workers, m, NULL, false) == NULL)
		core_model_end(g, m, BM_EOVERLOAD, m->reason, false);
	core_dispatch(g, m);
	links_check_idle(g);
}

static void
on_model_gone(struct gate *g, struct slice name)
{
	struct gate_model *m = workers_model(g, name);
	struct gate_worker *w;

	if (m == NULL)
		return;
	m->is_going = true;
	core_model_end(g, m, BM_EOVERLOAD, "the model was unloaded", true);
	TAILQ_FOREACH(w, &g->workers, entry) {
		if (w->model == m) {
			w->model = NULL;
			w->variant = NULL;
		}
	}
	TAILQ_REMOVE(&g->models, m, entry);
	variants_free(m);
	free(m->name);
	free(m->previous);
	free(m->next);
	free(m->why);
	free(m->path);
	free(m->reason);
	free(m);
}

static void
on_model_end(struct gate *g, struct slice name)
{
	struct gate_model *m = workers_model(g, name);

	if (m == NULL)
		return;
	m->is_going = true;
	m->was_idle = false;
	m->n_ended += (uint32_t)m->n_live;
	core_model_end(g, m, BM_EOVERLOAD, "the model was unloaded", true);
	links_check_idle(g);
}

static void
on_worker_state(struct gate *g, const struct msg_worker_state *s)
{
	struct gate_worker *w = workers_get(g, s->worker);

	w->pid = s->pid;
	workers_assign(g, w, s->model, s->variant);
	core_word(w->state, sizeof(w->state), s->state);
	workers_count_restarts(w, s->restarts);
	w->is_held = s->is_held != 0;
	w->node = s->node;
	w->started_ms = s->started_ms;
	w->crashed_ms = s->crashed_ms;
	core_text(&w->crash, s->crash);
}

static void
on_worker_word(struct gate *g, uint32_t id, bool is_gone)
{
	struct gate_worker *w = workers_find(g, id);

	if (w == NULL)
		return;
	if (is_gone) {
		workers_gone(g, w);
	} else {
		w->is_draining = true;
		w->was_idle = false;
	}
	links_check_idle(g);
}

static void
on_worker_died(struct gate *g, const struct msg_worker_died *m)
{
	suspects_death(g, m);
	links_check_idle(g);
}

static void
on_peer(struct gate *g, const struct msg_peer *m, int fd)
{
	if (m->role == R_REQLOG)
		links_reqlog(g, fd);
	else if (m->role == R_WORKER)
		workers_link(g, m, fd);
	else
		close(fd);
}

/* ---- the daemon ---- */

static void
on_conf(struct gate *g, struct slice body)
{
	struct cause cause = { 0 };
	struct conf conf = { 0 };

	if (conf_get(cur_of(body.p, body.n), &conf, &cause) != 0) {
		log_warnx("configuration refused: %s", cause.text);
		return;
	}
	conf_fini(&g->conf);
	g->conf = conf;
	log_configure(conf.log_level, conf.log_format);
	g->rows->max = MEM_MAX((size_t)conf.log_pending_rows, (size_t)1);
}

static void
on_pulse(struct gate *g, int fd)
{
	pulse_free(&g->pulse);
	g->pulse = pulse_map(fd);
}

static void
on_listen(struct gate *g, const struct msg_listen *m, int fd)
{
	char *addr = slice_dup(m->addr);

	if (m->kind == LISTEN_ADMIN_UNIX)
		admin_listen(g, fd);
	else
		clients_listen(g, (enum listen_kind)m->kind, fd, addr);
	if (m->kind == LISTEN_HTTP)
		str_copy(g->http_addr, addr, sizeof(g->http_addr));
	free(addr);
}

static void
on_unlisten(struct gate *g, enum listen_kind kind)
{
	/* The operators' way in is never taken away. */
	if (kind != LISTEN_ADMIN_UNIX)
		clients_unlisten(g, kind);
	if (kind == LISTEN_HTTP)
		g->http_addr[0] = '\0';
}

static void
on_daemon_state(struct gate *g, const struct msg_daemon_state *m)
{
	core_word(g->state, sizeof(g->state), m->state);
	g->master_pid = m->pid;
	g->started_ms = m->started_ms;
	core_word(g->http_addr, sizeof(g->http_addr), m->http);
}

static void
on_drain(struct gate *g, uint32_t seq, uint32_t deadline_ms)
{
	g->drain_seq = seq;
	g->drain_end_ns = deadline_ms == 0 ? 0 :
	    clock_now_ns() + deadline_ms * CLOCK_NS_PER_MS;
	str_copy(g->state, "draining", sizeof(g->state));
	if (!g->is_draining) {
		g->is_draining = true;
		clients_drain(g);
	}
	links_check_idle(g);
}

/* At once, unless clients are still to be told why they get no answer. */
static void
quit(struct gate *g)
{
	if (g->requests.n == 0)
		links_leave(g);
	g->is_draining = true;
	core_end_all(g, BM_EOVERLOAD, "the daemon has been stopped");
	g->leave_ns = clock_now_ns() + FAREWELL_NS;
}

/* ---- which message says what ---- */

/* Each with its struct, decoded into m, and what is done with that. */
#define ORDERS(X) \
	X(PING, ping, (void)chan_send(g->master, MSG_PING, 0, 0, &m)) \
	X(CONF, conf, on_conf(g, m.conf)) \
	X(PULSE, pulse, on_pulse(g, f->fd)) \
	X(LISTEN, listen, on_listen(g, &m, f->fd)) \
	X(UNLISTEN, unlisten, on_unlisten(g, (enum listen_kind)m.kind)) \
	X(PEER, peer, on_peer(g, &m, f->fd)) \
	X(MODEL_STATE, model_state, on_model_state(g, &m)) \
	X(MODEL_GONE, model_gone, on_model_gone(g, m.name)) \
	X(MODEL_END, model_end, on_model_end(g, m.name)) \
	X(VARIANT, variant, variants_note(g, &m)) \
	X(VARIANT_GONE, variant_gone, variants_gone(g, &m)) \
	X(WORKER_STATE, worker_state, on_worker_state(g, &m)) \
	X(WORKER_DIED, worker_died, on_worker_died(g, &m)) \
	X(WORKER_GONE, worker_gone, on_worker_word(g, m.worker, true)) \
	X(WORKER_DRAIN, worker_drain, on_worker_word(g, m.worker, false)) \
	X(DAEMON_STATE, daemon_state, on_daemon_state(g, &m)) \
	X(EVENT, event, journal_event(g, &m)) \
	X(DRAIN, drain, on_drain(g, f->seq, m.deadline_ms))

#define FUNCTION(NAME, name, what) \
static int \
order_##name(struct gate *g, const struct frame *f) \
{ \
	struct msg_##name m; \
	int r = msg_get_##name(f->body, &m); \
\
	if (r == 0) \
		what; \
	return r; \
}
ORDERS(FUNCTION)

static int
obey(struct gate *g, const struct frame *f)
{
	switch (f->type) {
#define CASE(NAME, name, what) \
	case MSG_##NAME: \
		return order_##name(g, f);
	ORDERS(CASE)
	case MSG_QUIT:
		quit(g);
	}
	return 0;
}

void
orders_frame(struct gate *g, const struct frame *f)
{
	if (obey(g, f) == 0)
		return;
	log_warnx("the master's %s is broken", msg_name(f->type));
	if (f->fd != -1)
		close(f->fd);
}

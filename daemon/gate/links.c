/* SPDX-License-Identifier: MIT */
/*
 * The channels to the master, whose word on models and workers is taken as it
 * comes, and to reqlog; the end of a drain.
 */
#include "config.h"

#include "gate/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "gate/rows.h"
#include "gate/sched.h"
#include "gate/watch.h"

/* How long the end of a drain waits for a reqlog that is away. */
#define REQLOG_AWAY_NS	(2 * CLOCK_NS_PER_S)
#define FLUSH_MS	500
/* For the last answers to go out. */
#define FAREWELL_NS	(CLOCK_NS_PER_S / 20)

/* ---- reqlog ---- */

static void
reqlog_frame(struct chan *c, const struct frame *f, void *arg)
{
	if (!asks_frame(arg, f))
		journal_frame(arg, f);
}

static void
reqlog_unlink(struct gate *g)
{
	struct chan *c = g->reqlog;

	if (c == NULL)
		return;
	journal_lost(g);
	asks_lost(g, c);
	chan_free(&c);
}

static void
reqlog_close(struct chan *c, int err, void *arg)
{
	reqlog_unlink(arg);
}

static const struct chan_handler reqlog_handler = { reqlog_frame,
    reqlog_close };

static void
on_peer(struct gate *g, const struct msg_peer *m, int fd)
{
	if (m->role == R_REQLOG) {
		reqlog_unlink(g);
		journal_link(g, chan_new(g->loop, fd, R_GATE, R_REQLOG,
		    &reqlog_handler, g));
	} else if (m->role == R_WORKER) {
		workers_link(g, m, fd);
	} else {
		close(fd);
	}
}

/* ---- what the master tells ---- */

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

static void
on_daemon_state(struct gate *g, const struct msg_daemon_state *m)
{
	core_word(g->state, sizeof(g->state), m->state);
	g->master_pid = m->pid;
	g->started_ms = m->started_ms;
	core_word(g->http_addr, sizeof(g->http_addr), m->http);
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

static void __attribute__((noreturn))
leave(struct gate *g)
{
	if (g->reqlog != NULL)
		chan_flush(g->reqlog, FLUSH_MS);
	chan_flush(g->master, FLUSH_MS);
	exit(0);
}

/* At once, unless clients are still to be told why they get no answer. */
static void
quit(struct gate *g)
{
	if (g->requests.n == 0)
		leave(g);
	g->is_draining = true;
	core_end_all(g, BM_EOVERLOAD, "the daemon has been stopped");
	g->leave_ns = clock_now_ns() + FAREWELL_NS;
}

/* One case a message; M(X, x) declares the struct and decodes into it. */
#define GET(name) \
	struct msg_##name m; \
	if (msg_get_##name(f->body, &m) != 0) \
		goto broken

static void
master_frame(struct chan *c, const struct frame *f, void *arg)
{
	struct gate *g = arg;

	if (asks_frame(g, f))
		return;
	switch (f->type) {
	case MSG_PING: {
		GET(ping);
		chan_send(c, MSG_PING, 0, 0, &m);
		return;
	}
	case MSG_CONF: {
		GET(conf);
		on_conf(g, m.conf);
		return;
	}
	case MSG_LISTEN: {
		GET(listen);
		on_listen(g, &m, f->fd);
		return;
	}
	case MSG_UNLISTEN: {
		GET(unlisten);
		on_unlisten(g, (enum listen_kind)m.kind);
		return;
	}
	case MSG_PEER: {
		GET(peer);
		on_peer(g, &m, f->fd);
		return;
	}
	case MSG_MODEL_STATE: {
		GET(model_state);
		on_model_state(g, &m);
		return;
	}
	case MSG_MODEL_GONE: {
		GET(model_gone);
		on_model_gone(g, m.name);
		return;
	}
	case MSG_MODEL_END: {
		GET(model_end);
		on_model_end(g, m.name);
		return;
	}
	case MSG_VARIANT: {
		GET(variant);
		variants_note(g, &m);
		return;
	}
	case MSG_VARIANT_GONE: {
		GET(variant_gone);
		variants_gone(g, &m);
		return;
	}
	case MSG_WORKER_STATE: {
		GET(worker_state);
		on_worker_state(g, &m);
		return;
	}
	case MSG_WORKER_DIED: {
		GET(worker_died);
		suspects_death(g, &m);
		links_check_idle(g);
		return;
	}
	case MSG_WORKER_GONE: {
		GET(worker_gone);
		on_worker_word(g, m.worker, true);
		return;
	}
	case MSG_WORKER_DRAIN: {
		GET(worker_drain);
		on_worker_word(g, m.worker, false);
		return;
	}
	case MSG_DAEMON_STATE: {
		GET(daemon_state);
		on_daemon_state(g, &m);
		return;
	}
	case MSG_EVENT: {
		GET(event);
		journal_event(g, &m);
		return;
	}
	case MSG_DRAIN: {
		GET(drain);
		on_drain(g, f->seq, m.deadline_ms);
		return;
	}
	case MSG_QUIT:
		quit(g);
	}
	return;
broken:
	log_warnx("the master's %s is broken", msg_name(f->type));
	if (f->fd != -1)
		close(f->fd);
}

static void
master_close(struct chan *c, int err, void *arg)
{
	fatalx("the master is gone");
}

static const struct chan_handler master_handler = { master_frame,
    master_close };

/* ---- idle and time ---- */

void
links_check_idle(struct gate *g)
{
	struct gate_model *m;
	struct gate_worker *w;

	TAILQ_FOREACH(m, &g->models, entry) {
		variants_check_idle(g, m);
		/* An idle model may have to make room for another. */
		if (m->n_live == 0 && m->told_running > 0)
			links_tell_load(g, m, clock_now_ns());
		if (!m->is_going || m->was_idle || m->n_live > 0)
			continue;
		m->was_idle = true;
		chan_send(g->master, MSG_MODEL_IDLE, 0, 0,
		    &(struct msg_model_idle){ slice_of(m->name),
		    m->n_ended });
	}
	TAILQ_FOREACH(w, &g->workers, entry) {
		if (!w->is_draining || w->was_idle || w->n_running > 0 ||
		    !TAILQ_EMPTY(&w->running))
			continue;
		w->was_idle = true;
		chan_send(g->master, MSG_WORKER_IDLE, 0, 0,
		    &(struct msg_worker_idle){ w->id });
	}
}

/* The drain is over when nothing runs and the rows are safe. */
static void
check_drained(struct gate *g, uint64_t now_ns)
{
	bool log_is_away = g->reqlog == NULL &&
	    now_ns - g->reqlog_lost_ns > REQLOG_AWAY_NS;
	bool is_late = g->drain_end_ns != 0 && now_ns >= g->drain_end_ns;

	if (is_late)
		core_end_all(g, BM_EOVERLOAD, "the daemon has been stopped");
	if (g->requests.n > 0)
		return;
	/* A log that can't be written holds nobody up, nor one that hangs. */
	if (g->rows->n > 0 && !log_is_away && g->log_code == 0 &&
	    !(is_late && now_ns - g->drain_end_ns > REQLOG_AWAY_NS))
		return;
	chan_send_result(g->master, g->drain_seq, 0, 0, NULL);
	g->drain_seq = 0;
}

void
links_tell_load(struct gate *g, struct gate_model *m, uint64_t now_ns)
{
	uint64_t oldest_ns = sched_oldest_ns(m);
	uint32_t queued = (uint32_t)m->n_queued;
	uint32_t running = (uint32_t)(m->n_live - m->n_queued);
	struct msg_model_load load = { slice_of(m->name), queued, running,
	    oldest_ns == 0 ? 0 : (now_ns - oldest_ns) / CLOCK_NS_PER_MS,
	    m->n_requests };

	if (queued == 0 && m->told_queued == 0 &&
	    m->told_running == running && m->told_ended == m->n_requests)
		return;
	m->told_ended = m->n_requests;
	m->told_queued = queued;
	m->told_running = running;
	chan_send(g->master, MSG_MODEL_LOAD, 0, 0, &load);
}

void
links_tick(struct gate *g, uint64_t now_ns)
{
	struct gate_model *m;

	if (g->leave_ns != 0 && now_ns >= g->leave_ns)
		leave(g);
	core_deadlines(g, now_ns);
	suspects_tick(g, now_ns);
	positions_tick(g, now_ns);
	journal_variants(g, now_ns);
	watch_tick(g, now_ns);
	TAILQ_FOREACH(m, &g->models, entry) {
		links_tell_load(g, m, now_ns);
		canary_tick(g, m, now_ns);
	}
	if (g->drain_seq != 0)
		check_drained(g, now_ns);
}

void
links_init(struct gate *g, struct ev_loop *loop, int master_fd)
{
	struct msg_hello hello = { WIRE_VERSION, R_GATE, (uint32_t)getpid() };

	g->loop = loop;
	g->master = chan_new(loop, master_fd, R_GATE, R_MASTER,
	    &master_handler, g);
	chan_send(g->master, MSG_HELLO, 0, 0, &hello);
}

/* SPDX-License-Identifier: MIT */
/*
 * The channels to the master, whose words orders.c takes, and to reqlog; what
 * the master is told unasked; the end of a drain.
 */
#include "config.h"

#include "gate/core.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pulse.h"
#include "gate/rows.h"
#include "gate/sched.h"
#include "gate/watch.h"

/* How long the end of a drain waits for a reqlog that is away. */
#define REQLOG_AWAY_NS	(2 * CLOCK_NS_PER_S)
#define FLUSH_MS	500

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

void
links_reqlog(struct gate *g, int fd)
{
	reqlog_unlink(g);
	journal_link(g, chan_new(g->loop, fd, R_GATE, R_REQLOG,
	    &reqlog_handler, g));
}

/* ---- the master ---- */

static void
master_frame(struct chan *c, const struct frame *f, void *arg)
{
	if (!asks_frame(arg, f))
		orders_frame(arg, f);
}

static void
master_close(struct chan *c, int err, void *arg)
{
	fatalx("the master is gone");
}

static const struct chan_handler master_handler = { master_frame,
    master_close };

void
links_leave(struct gate *g)
{
	if (g->reqlog != NULL)
		chan_flush(g->reqlog, FLUSH_MS);
	chan_flush(g->master, FLUSH_MS);
	exit(0);
}

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

	pulse_beat(g->pulse);
	if (g->leave_ns != 0 && now_ns >= g->leave_ns)
		links_leave(g);
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

/* SPDX-License-Identifier: MIT */
/*
 * The life of the daemon as a whole:
 *
 *	start -> run -> drain -> quit -> reqlog -> over
 *
 * start ends when every model is ready or will not be.  drain waits for the
 * requests that run, bounded by limits.drain_timeout; quit ends gate and
 * workers; reqlog is last, for the gate hands it the last rows.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/master.h"
#include "master/notify.h"

void
tell_parent(struct master *m)
{
	if (m->ready_fd == -1)
		return;
	if (dprintf(m->ready_fd, "%s\n", m->failure) < 0)
		log_warn("the waiting parent");
	/* After a failure the parent goes on when we are gone, lock and all:
	 * whoever starts us again at once must find the way free. */
	if (m->failure[0] == '\0')
		close(m->ready_fd);
	m->ready_fd = -1;
}

/* A parent or a service manager waits for this. */
static void
announce_ready(struct master *m)
{
	const struct listener *http = &m->listeners.of[LISTEN_HTTP];
	const struct listener *line = &m->listeners.of[LISTEN_LINE];

	log_info("ready http=%s line=%s socket=%s models=%zu",
	    http->fd != -1 ? http->addr : "off",
	    line->fd != -1 ? line->addr : "off",
	    m->listeners.of[LISTEN_CLIENT_UNIX].addr, m->conf.n_models);
	tell_parent(m);
	notify("READY=1\nMAINPID=%d\n", (int)getpid());
}

static void
settle_start(struct master *m)
{
	const struct model *model;
	size_t n_ready;

	if (!models_are_settled(m, &n_ready))
		return;
	if (n_ready == 0 && (model = TAILQ_FIRST(&m->models)) != NULL) {
		snprintf(m->failure, sizeof(m->failure),
		    "no model could be loaded; %s: %s", model->conf.name,
		    model->reason);
		log_warnx("%s", m->failure);
		m->exit_status = 1;
		stop_begin(m, true);
		return;
	}
	m->phase = PHASE_RUN;
	tell_daemon(m);
	tell_event(m, "started", "", "version %s", PACKAGE_VERSION);
	announce_ready(m);
}

void
stop_begin(struct master *m, bool is_now)
{
	struct msg_drain drain = {
	    .deadline_ms = (uint32_t)m->conf.limits_drain_timeout };

	if (m->phase >= PHASE_QUIT || (m->phase == PHASE_DRAIN && !is_now))
		return;
	if (m->phase < PHASE_DRAIN) {
		notify("STOPPING=1\n");
		log_info("stopping%s", is_now ? " now" :
		    ", running requests finish");
		tell_event(m, "stopping", "", "%s", is_now ? "now" : "drain");
		(void)compress_cancel(m, NULL, "the daemon is stopping");
		m->phase = PHASE_DRAIN;
		tell_daemon(m);
		m->is_drained = m->gate.chan == NULL;
		if (!is_now && m->gate.chan != NULL)
			chan_send(m->gate.chan, MSG_DRAIN, 1, 0, &drain);
		m->drain_until_ns = clock_now_ns() +
		    m->conf.limits_drain_timeout * CLOCK_NS_PER_MS;
	}
	if (is_now)
		m->is_drained = true;
}

/* Tell everyone of the kind to end; true when nobody is left. */
static bool
end_children(struct master *m, bool reqlog)
{
	struct child *c = NULL;
	bool is_over = true;

	while ((c = child_next(m, c)) != NULL) {
		if ((c->role == R_REQLOG) != reqlog)
			continue;
		child_act(c, sup_stop(&c->sup, clock_now_ns()));
		is_over = is_over && !c->sup.has_process;
	}
	return is_over;
}

void
phase_settle(struct master *m)
{
	if (m->phase == PHASE_START)
		settle_start(m);
	if (m->phase == PHASE_DRAIN && (m->is_drained ||
	    clock_now_ns() >= m->drain_until_ns)) {
		if (!m->is_drained)
			log_warnx("requests still ran after %" PRIu64 " ms",
			    m->conf.limits_drain_timeout);
		m->phase = PHASE_QUIT;
	}
	if (m->phase == PHASE_QUIT && end_children(m, false))
		m->phase = PHASE_REQLOG;
	if (m->phase == PHASE_REQLOG && end_children(m, true))
		m->phase = PHASE_OVER;
}

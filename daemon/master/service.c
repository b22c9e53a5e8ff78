/* SPDX-License-Identifier: MIT */
/*
 * What the service manager is told while the daemon runs: a line on how it
 * does, and that it does at all.  The latter is said by the loop itself, so a
 * master that hangs says nothing; it is kept back while the gate answers no
 * ping or a worker that was killed for a hang does not go away.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "master/master.h"
#include "master/notify.h"

/* Told so often within the time that the service manager allows; a ping has
 * one of these periods for its answer. */
#define PER_TIMEOUT	3
#define STATUS_NS	CLOCK_NS_PER_S	/* the least between two lines */

void
service_begin(struct master *m)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *whose = getenv("WATCHDOG_PID");
	uint64_t timeout_us = 0, pid;

	m->service = (struct service){ .has_answered = true,
	    .is_wanted = getenv("NOTIFY_SOCKET") != NULL };
	if (!m->service.is_wanted || usec == NULL ||
	    str_to_u64(usec, &timeout_us) != 0 ||
	    (whose != NULL && (str_to_u64(whose, &pid) != 0 ||
	    pid != (uint64_t)getpid())))
		return;
	m->service.period_ns = MEM_MIN(timeout_us, (uint64_t)86400000000) *
	    1000 / PER_TIMEOUT;
}

/* ---- the watchdog ---- */

static bool
is_well(struct master *m)
{
	const char *why = NULL;
	struct child *c = NULL;
	char name[32];

	if (m->gate.chan != NULL && !m->service.has_answered)
		why = "the gate does not answer";
	while (why == NULL && (c = child_next(m, c)) != NULL)
		if (c->health.is_hung && c->sup.has_process)
			why = child_name(c, name);
	if (why != NULL)
		log_warnx("the watchdog is not told that all is well: %s%s",
		    why, c != NULL ? " hangs" : "");
	return why == NULL;
}

static void
ping_gate(struct master *m)
{
	struct msg_ping ping = { 0 };

	if (m->gate.chan == NULL)
		return;
	m->service.has_answered = false;
	chan_send(m->gate.chan, MSG_PING, 0, 0, &ping);
}

/* ---- the line ---- */

static void
put_status(struct master *m, char *to, size_t size)
{
	const struct listener *http = &m->listeners.of[LISTEN_HTTP];
	size_t n_models = 0, n_ready = 0, n_workers = 0, n;
	uint64_t running = 0, queued = 0;
	const struct model *model;

	TAILQ_FOREACH(model, &m->models, entry) {
		n_models++;
		n_ready += strcmp(model->state, "ready") == 0 ||
		    strcmp(model->state, "idle") == 0;
		n_workers += workers_count(model, NULL, true);
		running += model->load.n_running;
		queued += model->load.n_queued;
	}
	if (m->phase == PHASE_START)
		snprintf(to, size, "Loading");
	else if (m->phase == PHASE_RUN)
		snprintf(to, size, "Serving%s%.80s", http->fd != -1 ?
		    " HTTP on " : "", http->addr);
	else
		snprintf(to, size, "%s", m->phase == PHASE_DRAIN ?
		    "Waiting for running requests" : "Ending");
	n = strlen(to);
	snprintf(to + n, size - n, "; %zu of %zu models ready, %zu workers, "
	    "%" PRIu64 " running, %" PRIu64 " waiting", n_ready, n_models,
	    n_workers, running, queued);
}

static void
tell_status(struct master *m, uint64_t now_ns)
{
	struct service *s = &m->service;
	char text[sizeof(s->status)];

	put_status(m, text, sizeof(text));
	s->is_stale = strcmp(text, s->status) != 0;
	if (!s->is_stale || now_ns - s->status_ns < STATUS_NS)
		return;
	str_copy(s->status, text, sizeof(s->status));
	s->status_ns = now_ns;
	s->is_stale = false;
	notify("STATUS=%s\n", s->status);
}

void
service_tick(struct master *m, uint64_t now_ns)
{
	struct service *s = &m->service;

	if (!s->is_wanted)
		return;
	tell_status(m, now_ns);
	if (s->period_ns == 0 || now_ns < s->due_ns)
		return;
	if (is_well(m))
		notify("WATCHDOG=1\n");
	s->due_ns = now_ns + s->period_ns;
	ping_gate(m);
}

uint64_t
service_wake_ns(const struct master *m)
{
	const struct service *s = &m->service;
	uint64_t wake = s->period_ns != 0 ? s->due_ns : SUP_NEVER;

	return s->is_stale ? MEM_MIN(wake, s->status_ns + STATUS_NS) : wake;
}

/* SPDX-License-Identifier: MIT */
/*
 * Is a worker alive, and what did it do when it died; is the gate alive.  A
 * pulse is looked at a few times within hang_timeout; only as many looks in a
 * row without a beat as fit into that time count as a hang, so that a machine
 * that stood still itself is not mistaken for one.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pulse.h"
#include "base/str.h"
#include "master/master.h"

#define LOOKS	5	/* within hang_timeout */

static uint64_t
look_ns(const struct child *c)
{
	return c->master->conf.worker_hang_timeout * CLOCK_NS_PER_MS / LOOKS;
}

void
health_begin(struct child *c)
{
	struct health *h = &c->health;
	struct msg_pulse m = { 0 };
	struct cause why;
	int fd;

	pulse_free(&h->pulse);
	*h = (struct health){ 0 };
	if (pulse_new(&h->pulse, &fd, &why) != 0) {
		log_warnx("%s", why.text);
		return;
	}
	chan_send_fd(c->chan, MSG_PULSE, 0, 0, &m, fd);
}

/* Beats are expected of the gate, and of a worker that has its model. */
static bool
is_watched(const struct child *c)
{
	return c->health.pulse != NULL && look_ns(c) != 0 &&
	    c->sup.has_process &&
	    (c->sup.state == SUP_READY || c->sup.state == SUP_DRAINING);
}

uint64_t
health_wake_ns(const struct child *c)
{
	return is_watched(c) ? c->health.looked_ns + look_ns(c) : SUP_NEVER;
}

static void
tell_hung(const struct child *c)
{
	char name[32], kind[32];

	snprintf(kind, sizeof(kind), "%s_hung", role_name(c->role));
	tell_event(c->master, kind, child_name(c, name), "no sign of life for "
	    "%.1f s; killed", (double)c->master->conf.worker_hang_timeout /
	    1000);
}

void
health_look(struct child *c, uint64_t now_ns)
{
	struct health *h = &c->health;
	uint64_t beats;
	char name[32];

	if (!is_watched(c)) {
		h->looked_ns = now_ns;
		h->n_silent = 0;
		return;
	}
	if (now_ns - h->looked_ns < look_ns(c))
		return;
	h->looked_ns = now_ns;
	beats = atomic_load(&h->pulse->beats);
	h->n_silent = beats == h->beats ? h->n_silent + 1 : 0;
	h->beats = beats;
	if (h->n_silent < LOOKS || h->is_hung)
		return;
	h->is_hung = true;
	log_warnx("%s shows no sign of life for %.1f s; killed pid=%d",
	    child_name(c, name), (double)c->master->conf.worker_hang_timeout /
	    1000, (int)c->pid);
	/* The gate is to keep it, so of itself the next one is told. */
	if (c->role != R_GATE)
		tell_hung(c);
	kill(c->pid, SIGKILL);
}

/* ---- the end ---- */

/* Its own fault, not that of whoever sent SIGKILL or the like. */
static bool
is_suspicious(const struct child *c, int signal)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE,
	    SIGABRT, SIGSYS, SIGTRAP };

	if (c->health.is_hung)
		return true;
	for (size_t i = 0; i < N_ELEMENTS(faults); i++)
		if (signal == faults[i])
			return true;
	/* A sanitizer ends it with a status of its own. */
	return signal == 0;
}

static void
tell_death(struct child *c, const struct pulse_record *r, int signal)
{
	uint32_t halves[2 * PULSE_REQUESTS];
	struct msg_worker_died m = { .worker = c->id, .signal = signal,
	    .is_suspicious = is_suspicious(c, signal),
	    .requests = { halves, 2 * r->n_requests },
	    .is_hung = c->health.is_hung };

	for (size_t i = 0; i < r->n_requests; i++) {
		halves[2 * i] = (uint32_t)r->requests[i];
		halves[2 * i + 1] = (uint32_t)(r->requests[i] >> 32);
	}
	if (c->master->gate.chan != NULL)
		chan_send(c->master->gate.chan, MSG_WORKER_DIED, 0, 0, &m);
}

void
health_end(struct child *c, int signal, char *text, size_t size)
{
	struct pulse_record r = { 0 };
	size_t n;

	text[0] = '\0';
	if (c->role == R_GATE) {
		if (c->health.is_hung)
			tell_hung(c);
		return;
	}
	if (c->health.pulse != NULL)
		pulse_read(c->health.pulse, &r);
	tell_death(c, &r, signal);
	if (r.steps == 0)
		return;
	n = (size_t)snprintf(text, size, "; step %llu, kernel %s, level %s",
	    (unsigned long long)r.steps, r.kernel[0] != '\0' ? r.kernel :
	    "unknown", r.cpu_level);
	for (size_t i = 0; i < r.n_requests && n < size; i++)
		n += (size_t)snprintf(text + n, size - n, "%s %llu",
		    i == 0 ? ", requests" : ",",
		    (unsigned long long)r.requests[i]);
}

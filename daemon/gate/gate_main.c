/* SPDX-License-Identifier: MIT */
/*
 * The gate: every socket, the queue, live statistics.  It is started by the
 * master with descriptor 3, their channel, and learns everything over it.
 */
#include "config.h"

#include <signal.h>
#include <stdlib.h>

#include <ev.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pulse.h"
#include "gate/core.h"

#define MASTER_FD	3

static void
on_tick(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	links_tick(w->data, clock_now_ns());
}

/* Signals go to the master; a terminal's ^C reaches the whole group. */
static void
ignore_signals(void)
{
	static const int signals[] = { SIGPIPE, SIGINT, SIGTERM, SIGHUP,
	    SIGUSR1 };

	for (size_t i = 0; i < N_ELEMENTS(signals); i++)
		signal(signals[i], SIG_IGN);
}

int
main(void)
{
	static struct gate g;
	struct ev_loop *loop = ev_default_loop(0);
	struct ev_timer tick;

	log_init("gate", LOG_LEVEL_INFO, 0);
	if (loop == NULL)
		fatalx("no event loop");
	ignore_signals();
	gate_init(&g);
	links_init(&g, loop, MASTER_FD);
	ev_timer_init(&tick, on_tick, PULSE_BEAT_S, PULSE_BEAT_S);
	tick.data = &g;
	ev_timer_start(loop, &tick);
	ev_run(loop, 0);
	return 0;
}

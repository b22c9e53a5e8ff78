/* SPDX-License-Identifier: MIT */
/*
 * Listening and accepting, and what concerns all clients: the limit of
 * connections, the clock that looks at each of them, the drain, the end.
 *
 * Without descriptors accepting rests until the next sweep: a listening socket
 * that stays readable would keep the loop busy for nothing.
 */
#include "config.h"

#include "gate/listen_io.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"
#include "gate/client_io.h"
#include "gate/gate.h"
#include "gate/http_io.h"
#include "wire/fd_io.h"

#define ACCEPTS_AT_ONCE	64

struct listener {
	struct clients	*all;
	enum listen_kind kind;
	int		 fd;
	char		*addr;
	struct ev_io	 io;
	TAILQ_ENTRY(listener) entry;
};

/* ---- time ---- */

void
clients_sweep_within(struct clients *all, double seconds)
{
	if (ev_is_active(&all->sweep) && all->sweep.repeat <= seconds)
		return;
	all->sweep.repeat = seconds;
	ev_timer_again(all->g->loop, &all->sweep);
}

static void
resume_accepting(struct clients *all)
{
	struct listener *l;

	all->is_paused = false;
	TAILQ_FOREACH(l, &all->listeners, entry)
		ev_io_start(all->g->loop, &l->io);
}

static void
on_sweep(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct clients *all = w->data;
	uint64_t now = clock_now_ns();
	bool is_fast = false;
	struct client *c;

	if (all->is_paused)
		resume_accepting(all);
	TAILQ_FOREACH(c, &all->clients, entry)
		if (!c->is_dead)
			is_fast |= client_sweep(c, now);
	if (TAILQ_EMPTY(&all->clients)) {
		ev_timer_stop(loop, w);
		return;
	}
	all->sweep.repeat = is_fast ? SWEEP_FAST_S : SWEEP_S;
	ev_timer_again(loop, w);
}

/* ---- accepting ---- */

/* Say it once a second at most. */
static void
warn_refused(struct clients *all, const char *why)
{
	uint64_t now = clock_now_ns();

	if (all->warned_ns != 0 &&
	    now - all->warned_ns < CLOCK_NS_PER_S)
		return;
	all->warned_ns = now;
	log_warnx("clients are turned away: %s connections=%zu", why,
	    all->g->n_connections);
}

static void
pause_accepting(struct clients *all)
{
	struct listener *l;

	warn_refused(all, strerror(errno));
	all->is_paused = true;
	TAILQ_FOREACH(l, &all->listeners, entry)
		ev_io_stop(all->g->loop, &l->io);
	clients_sweep_within(all, SWEEP_FAST_S);
}

static void
on_accept(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct listener *l = w->data;
	struct clients *all = l->all;

	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		union address a = { .sa.sa_family = AF_UNIX };
		socklen_t n = sizeof(a);
		int fd = accept4(l->fd, &a.sa, &n, SOCK_NONBLOCK |
		    SOCK_CLOEXEC);

		if (fd == -1) {
			if (errno == EMFILE || errno == ENFILE ||
			    errno == ENOBUFS || errno == ENOMEM)
				pause_accepting(all);
			return;
		}
		if (all->g->n_connections >= all->g->conf.limits_connections) {
			close(fd);
			warn_refused(all, "limits.connections is reached");
			continue;
		}
		client_new(all, fd, &a);
	}
}

/* ---- all of them ---- */

static void
on_prepare(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	clients_settle(w->data);
}

static void
on_http_closed(void *arg)
{
	((struct clients *)arg)->g->n_connections--;
}

static struct clients *
clients_new(struct gate *g)
{
	struct clients *all = xcalloc(1, sizeof(*all));

	all->g = g;
	TAILQ_INIT(&all->listeners);
	TAILQ_INIT(&all->clients);
	TAILQ_INIT(&all->dirty);
	all->http = http_new(g, on_http_closed, all);
	ev_prepare_init(&all->prepare, on_prepare);
	ev_timer_init(&all->sweep, on_sweep, 0, SWEEP_S);
	all->prepare.data = all->sweep.data = all;
	ev_prepare_start(g->loop, &all->prepare);
	return all;
}

static void
listener_free(struct listener *l)
{
	ev_io_stop(l->all->g->loop, &l->io);
	TAILQ_REMOVE(&l->all->listeners, l, entry);
	close(l->fd);
	free(l->addr);
	free(l);
}

void
clients_unlisten(struct gate *g, enum listen_kind kind)
{
	struct listener *l, *next;

	if (g->clients == NULL)
		return;
	TAILQ_FOREACH_SAFE(l, &g->clients->listeners, entry, next)
		if (l->kind == kind)
			listener_free(l);
}

void
clients_listen(struct gate *g, enum listen_kind kind, int fd,
    const char *addr)
{
	struct listener *l;

	if (g->clients == NULL)
		g->clients = clients_new(g);
	clients_unlisten(g, kind);
	if (fd_set_nonblocking(fd) != 0)
		log_warnx("a listening socket can't be made non-blocking");
	l = xcalloc(1, sizeof(*l));
	l->all = g->clients;
	l->kind = kind;
	l->fd = fd;
	l->addr = xstrdup(addr);
	ev_io_init(&l->io, on_accept, fd, EV_READ);
	l->io.data = l;
	TAILQ_INSERT_TAIL(&l->all->listeners, l, entry);
	if (!l->all->is_paused)
		ev_io_start(g->loop, &l->io);
}

/* Listening goes on: a client that comes now is told, not left waiting.  The
 * protocols look at g->is_draining with every answer; what is left to do are
 * the clients that have shut their side and wait for nothing. */
void
clients_drain(struct gate *g)
{
	struct client *c;

	if (g->clients == NULL)
		return;
	TAILQ_FOREACH(c, &g->clients->clients, entry)
		client_drain(c);
}

void
clients_free(struct gate *g)
{
	struct clients *all = g->clients;
	struct listener *l;
	struct client *c;

	if (all == NULL)
		return;
	g->clients = NULL;
	while ((l = TAILQ_FIRST(&all->listeners)) != NULL)
		listener_free(l);
	while ((c = TAILQ_FIRST(&all->clients)) != NULL)
		client_abandon(c);
	http_free(&all->http);
	ev_prepare_stop(g->loop, &all->prepare);
	ev_timer_stop(g->loop, &all->sweep);
	free(all);
}

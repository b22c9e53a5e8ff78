/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd without a thread of its own: its epoll descriptor is an ev_io,
 * its timeout an ev_timer, and MHD_run is called from one place only, the
 * ev_prepare before the loop sleeps.  So whatever the core reports in one turn
 * of the loop is sent in one go, and nothing of an exchange is ever freed
 * beneath a callback of the core's.
 *
 * The library does not look at a suspended connection, so an epoll set of ours
 * watches the sockets of all working exchanges for a client that went away.
 */
#include "config.h"

#include "gate/http_io.h"

#include <sys/epoll.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <ev.h>
#include <microhttpd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"
#include "base/str.h"
#include "gate/gate.h"
#include "gate/http_impl.h"

#define CONNECTION_BYTES 16384	/* request head and write buffer */
#define CONNECTIONS_MAX	1000000	/* as conf.def has it */
#define RUNS_AT_ONCE	8
#define WATCH_EVENTS	64

TAILQ_HEAD(exchange_list, exchange);

struct http {
	struct gate	*g;
	struct MHD_Daemon *daemon;
	struct ev_io	 io;
	struct ev_timer	 timer;
	struct ev_prepare prepare;
	bool		 must_run;
	int		 watch_fd;
	struct ev_io	 watch;
	struct ev_timer	 sweep;		/* runs while any is working */
	struct exchange_list working;
	struct connection *adding;
	uint64_t	 random;
	void		(*is_closed)(void *arg);
	void		*arg;
};

/* ---- ids ---- */

/* A UUIDv7 from a generator of our own: an answer to a health check must not
 * cost a system call.  Ids of requests come from uuid_v7. */
void
http_make_id(struct http *h, char text[UUID_TEXT_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	uint64_t ms = (uint64_t)(ev_now(h->g->loop) * 1000), r;
	uint64_t hi, lo;
	int at = 0;

	h->random += UINT64_C(0x9e3779b97f4a7c15);
	r = h->random;
	r = (r ^ (r >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	r = (r ^ (r >> 27)) * UINT64_C(0x94d049bb133111eb);
	r ^= r >> 31;
	hi = ms << 16 | 0x7000 | (h->random >> 52);
	lo = (r >> 2) | UINT64_C(1) << 63;
	for (int i = 0; i < 32; i++) {
		uint64_t half = i < 16 ? hi : lo;

		if (i == 8 || i == 12 || i == 16 || i == 20)
			text[at++] = '-';
		text[at++] = hex[half >> (60 - 4 * (i & 15)) & 15];
	}
	text[at] = '\0';
}

/* ---- clients that went away ---- */

void
http_watch_add(struct exchange *x)
{
	struct http *h = x->h;
	/* A Unix client that is gone hangs up; one that only shut down its
	 * sending side still reads.  TCP can't tell the two apart. */
	struct epoll_event e = { .data.ptr = x, .events = EPOLLONESHOT |
	    (x->connection->is_unix ? 0 : (uint32_t)EPOLLRDHUP) };

	if (x->is_watched)
		return;
	if (epoll_ctl(h->watch_fd, EPOLL_CTL_ADD, x->connection->fd, &e) == -1)
		log_warn("watch a client's socket");
	x->is_watched = true;
	TAILQ_INSERT_TAIL(&h->working, x, entry);
	if (!ev_is_active(&h->sweep))
		ev_timer_again(h->g->loop, &h->sweep);
}

void
http_watch_remove(struct exchange *x)
{
	if (!x->is_watched)
		return;
	x->is_watched = false;
	epoll_ctl(x->h->watch_fd, EPOLL_CTL_DEL, x->connection->fd, NULL);
	TAILQ_REMOVE(&x->h->working, x, entry);
}

static void
on_watch(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct http *h = w->data;
	struct epoll_event e[WATCH_EVENTS];
	int n = epoll_wait(h->watch_fd, e, WATCH_EVENTS, 0);

	for (int i = 0; i < n; i++) {
		struct exchange *x = e[i].data.ptr;

		exchange_drop_client(x);
		exchange_end_work(x);
	}
}

static void
on_sweep(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct http *h = w->data;
	uint64_t now = clock_now_ns();
	struct exchange *x;

	if (TAILQ_EMPTY(&h->working))
		ev_timer_stop(loop, w);
	TAILQ_FOREACH(x, &h->working, entry)
		if (exchange_is_stalled(x, now))
			exchange_drop_client(x);
}

/* ---- connections ---- */

/* In MHD's unit, rounded up; as of now, for reloads change it. */
static unsigned
idle_timeout_s(const struct conf *conf)
{
	return (unsigned)MEM_MIN((conf->limits_idle_timeout + 999) / 1000,
	    86400);
}

static void
on_connection(void *cls, struct MHD_Connection *mhd, void **arg,
    enum MHD_ConnectionNotificationCode what)
{
	struct http *h = cls;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*arg = h->adding;
		h->adding = NULL;
		MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT,
		    idle_timeout_s(&h->g->conf));
	} else if (*arg != NULL) {
		free(*arg);
		*arg = NULL;
		h->is_closed(h->arg);
	}
}

int
http_add(struct http *h, int fd, const struct sockaddr *sa, socklen_t sa_len,
    const char *client)
{
	struct connection *c = xcalloc(1, sizeof(*c));

	c->g = h->g;
	c->fd = fd;
	c->is_unix = sa->sa_family == AF_UNIX;
	str_copy(c->client, client, sizeof(c->client));
	h->adding = c;
	h->must_run = true;
	if (MHD_add_connection(h->daemon, fd, sa, sa_len) == MHD_YES)
		return 0;
	if (h->adding != NULL) {
		h->adding = NULL;
		free(c);
		h->is_closed(h->arg);
	}
	return -EIO;
}

/* ---- the loop ---- */

void
http_run_soon(struct http *h)
{
	h->must_run = true;
}

static void
on_readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	http_run_soon(w->data);
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	http_run_soon(w->data);
}

static void
on_prepare(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	struct http *h = w->data;
	MHD_UNSIGNED_LONG_LONG ms = 0;

	if (!h->must_run)
		return;
	for (int i = 0; i < RUNS_AT_ONCE; i++) {
		h->must_run = false;
		MHD_run(h->daemon);
		ms = 0;
		if (MHD_get_timeout(h->daemon, &ms) != MHD_YES) {
			ev_timer_stop(loop, &h->timer);
			if (!h->must_run)
				return;
		} else if (ms > 0 && !h->must_run)
			break;
	}
	h->timer.repeat = ms > 0 && !h->must_run ? (double)ms / 1000 : 1e-6;
	ev_timer_again(loop, &h->timer);
}

static void
start_daemon(struct http *h)
{
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ITC |
	    MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
	    exchange_on_request, h,
	    MHD_OPTION_NOTIFY_COMPLETED, exchange_on_completed, h,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
	    /* Whoever accepts looks at limits.connections. */
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
	    MHD_OPTION_END);
	if (h->daemon == NULL)
		fatalx("can't start libmicrohttpd");
}

struct http *
http_new(struct gate *g, void (*is_closed)(void *arg), void *arg)
{
	struct http *h = xcalloc(1, sizeof(*h));
	const union MHD_DaemonInfo *info;

	h->g = g;
	h->is_closed = is_closed;
	h->arg = arg;
	h->random = random_u64();
	TAILQ_INIT(&h->working);
	start_daemon(h);
	info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	h->watch_fd = epoll_create1(EPOLL_CLOEXEC);
	if (info == NULL || h->watch_fd == -1)
		fatal("epoll");
	ev_io_init(&h->io, on_readable, info->epoll_fd, EV_READ);
	ev_io_init(&h->watch, on_watch, h->watch_fd, EV_READ);
	ev_timer_init(&h->timer, on_timer, 0, 0);
	ev_timer_init(&h->sweep, on_sweep, 0,
	    (double)MEM_MIN(g->conf.limits_stall / 4, 1000) / 1000);
	ev_prepare_init(&h->prepare, on_prepare);
	h->io.data = h->watch.data = h->timer.data = h->sweep.data =
	    h->prepare.data = h;
	ev_io_start(g->loop, &h->io);
	ev_io_start(g->loop, &h->watch);
	ev_prepare_start(g->loop, &h->prepare);
	return h;
}

void
http_free(struct http **hp)
{
	struct http *h = *hp;
	struct exchange *x;

	if (h == NULL)
		return;
	*hp = NULL;
	/* The library may not stop while any connection is suspended. */
	TAILQ_FOREACH(x, &h->working, entry)
		exchange_drop_client(x);
	MHD_run(h->daemon);
	MHD_stop_daemon(h->daemon);
	ev_io_stop(h->g->loop, &h->io);
	ev_io_stop(h->g->loop, &h->watch);
	ev_timer_stop(h->g->loop, &h->timer);
	ev_timer_stop(h->g->loop, &h->sweep);
	ev_prepare_stop(h->g->loop, &h->prepare);
	close(h->watch_fd);
	free(h);
}

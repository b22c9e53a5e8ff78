/* SPDX-License-Identifier: MIT */
/*
 * One connection: what it speaks, and the bytes of the line protocol.  Output
 * gathers in a buffer and is written once a turn of the loop, in
 * clients_settle, which is also the only place where a connection is freed
 * while the gate lives: callbacks only mark it dirty.
 *
 * An idle connection costs a struct client; buffers exist while they hold
 * something, and HTTP connections reach the library with their first bytes.
 */
#include "config.h"

#include "gate/client_io.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"
#include "gate/gate.h"
#include "gate/http_io.h"
#include "gate/session.h"

#define METHOD_MAX	16
/* Read no more from a client that has this much to read itself. */
#define PAUSE_BYTES	(256u << 10)
#define RESUME_BYTES	(64u << 10)
/* Sent at once beyond the backlog limit: the largest single answer. */
#define ANSWER_MAX	((size_t)128 << 20)
#define LINGER_MS	1000

static void
mark_dirty(struct client *c)
{
	if (c->is_dirty)
		return;
	c->is_dirty = true;
	TAILQ_INSERT_TAIL(&c->all->dirty, c, dirty);
}

static void
mark_dead(struct client *c)
{
	c->is_dead = true;
	mark_dirty(c);
}

/* ---- output ---- */

static size_t
backlog(const struct client *c)
{
	return c->out.len - c->out_at;
}

static void
io_write(void *arg, const void *p, size_t n)
{
	struct client *c = arg;

	mark_dirty(c);
	/* One answer may be as long as it is; then comes the limit. */
	if (backlog(c) > c->all->g->conf.limits_output_backlog)
		c->is_dead = true;
	if (c->is_dead)
		return;
	if (backlog(c) == 0)
		c->active_ns = clock_now_ns();
	buf_put(&c->out, p, n);
	c->is_dead |= c->out.failed;
}

static void
io_close(void *arg)
{
	struct client *c = arg;

	c->is_closing = true;
	mark_dirty(c);
}

static const struct session_io session_io = {
	.write = io_write,
	.close = io_close
};

static void
write_some(struct client *c)
{
	while (backlog(c) > 0 && !c->is_dead) {
		ssize_t n = send(c->fd, c->out.data + c->out_at, backlog(c),
		    MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0) {
			c->is_dead = true;
			return;
		}
		c->out_at += (size_t)n;
		c->active_ns = clock_now_ns();
	}
	if (backlog(c) == 0) {
		buf_fini(&c->out);
		buf_init(&c->out, ANSWER_MAX);
		c->out_at = 0;
	} else if (c->out_at > c->out.len / 2) {
		buf_consume(&c->out, c->out_at);
		c->out_at = 0;
	}
}

/* Watch for what the state of the buffers asks for. */
static void
set_watchers(struct client *c)
{
	struct ev_loop *loop = c->all->g->loop;
	size_t n = backlog(c);

	if (n > 0)
		ev_io_start(loop, &c->wr);
	else
		ev_io_stop(loop, &c->wr);
	if (c->is_eof || c->is_undecided || n > PAUSE_BYTES)
		ev_io_stop(loop, &c->rd);
	else if (n <= RESUME_BYTES)
		ev_io_start(loop, &c->rd);
	if (n > 0 || c->is_lingering || c->is_undecided ||
	    (c->is_eof && !c->is_closing))
		clients_sweep_within(c->all, SWEEP_FAST_S);
}

/* ---- the end of a connection ---- */

/* Let go of the client; its socket lives on if fd is -1. */
static void
client_free(struct client *c)
{
	struct clients *all = c->all;

	ev_io_stop(all->g->loop, &c->rd);
	ev_io_stop(all->g->loop, &c->wr);
	TAILQ_REMOVE(&all->clients, c, entry);
	if (c->is_dirty)
		TAILQ_REMOVE(&all->dirty, c, dirty);
	session_free(&c->session);
	buf_fini(&c->out);
	if (c->fd != -1) {
		close(c->fd);
		all->g->n_connections--;
	}
	free(c);
}

/* Closing with unread input would reset the connection and take our last
 * words with it: stop sending, drop what still comes for a moment. */
static void
begin_linger(struct client *c)
{
	c->is_lingering = true;
	c->active_ns = clock_now_ns();
	shutdown(c->fd, SHUT_WR);
}

/* Write, and free the client when it is done with. */
static void
settle(struct client *c)
{
	write_some(c);
	if (c->is_closing && !c->is_dead && backlog(c) == 0) {
		if (c->is_eof)
			c->is_dead = true;
		else if (!c->is_lingering)
			begin_linger(c);
	}
	if (c->is_dead)
		client_free(c);
	else
		set_watchers(c);
}

void
clients_settle(struct clients *all)
{
	struct client *c;

	while ((c = TAILQ_FIRST(&all->dirty)) != NULL) {
		TAILQ_REMOVE(&all->dirty, c, dirty);
		c->is_dirty = false;
		settle(c);
	}
}

void
client_drain(struct client *c)
{
	if (c->is_eof && c->session != NULL &&
	    session_n_running(c->session) == 0)
		io_close(c);
}

void
client_abandon(struct client *c)
{
	write_some(c);
	client_free(c);
}

/* ---- input ---- */

static bool
poll_says(const struct client *c, short events)
{
	struct pollfd p = { .fd = c->fd, .events = events };

	return poll(&p, 1, 0) == 1 && (p.revents & events) != 0;
}

/* Will nothing more come than what can be read now? */
static bool
has_sent_all(const struct client *c)
{
	return poll_says(c, POLLRDHUP | POLLHUP | POLLERR);
}

/* Has a Unix client that sent its end closed altogether? */
static bool
has_hung_up(const struct client *c)
{
	return poll_says(c, POLLHUP | POLLERR);
}

/* 1: HTTP, a method in capitals and a space; 0: not; -1: too few bytes. */
static int
looks_like_http(const char *p, size_t n)
{
	for (size_t i = 0; i < n && i < METHOD_MAX; i++) {
		if (p[i] == ' ')
			return i > 0;
		if (p[i] < 'A' || p[i] > 'Z')
			return 0;
	}
	return n < METHOD_MAX ? -1 : 0;
}

static void
hand_over(struct client *c)
{
	struct clients *all = c->all;
	union address a = { .sa.sa_family = AF_UNIX };
	socklen_t n = sizeof(a);
	int fd = c->fd;

	if (getpeername(fd, &a.sa, &n) == -1 || n < sizeof(a.sa.sa_family)) {
		a.sa.sa_family = AF_UNIX;
		n = sizeof(a.sa.sa_family);
	}
	/* libev must forget the descriptor before anybody reuses it. */
	ev_io_stop(all->g->loop, &c->rd);
	c->fd = -1;
	if (http_add(all->http, fd, &a.sa, n, c->name) != 0)
		log_warnx("libmicrohttpd takes no more connections");
	mark_dead(c);
}

/* Find out what the client speaks. */
static void
peek(struct client *c)
{
	char p[METHOD_MAX];
	ssize_t n = recv(c->fd, p, sizeof(p), MSG_PEEK);
	int is_http;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		mark_dead(c);
		return;
	}
	if (n < 0)
		return;
	is_http = looks_like_http(p, (size_t)n);
	if (is_http == -1 && has_sent_all(c))
		is_http = 0;
	/* The socket stays readable; look again by the clock. */
	c->is_undecided = is_http == -1;
	mark_dirty(c);
	if (is_http == 1)
		hand_over(c);
	else if (is_http == 0)
		c->session = session_new(c->all->g, &session_io, c, c->name);
}

static void
take_input(struct client *c)
{
	char *chunk = c->all->chunk;
	ssize_t n = recv(c->fd, chunk, CLIENT_CHUNK_BYTES, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	mark_dirty(c);
	if (n < 0) {
		c->is_dead = true;
	} else if (n == 0) {
		c->is_eof = true;
		session_eof(c->session);
	} else if (!c->is_closing) {
		c->active_ns = clock_now_ns();
		session_feed(c->session, chunk, (size_t)n);
	}
}

static void
on_readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct client *c = w->data;

	if (c->is_dead)
		return;
	if (c->session == NULL)
		peek(c);
	if (c->session != NULL)
		take_input(c);
}

static void
on_writable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	mark_dirty(w->data);
}

/* ---- the begin of a connection ---- */

static void
name_client(struct client *c, const union address *a)
{
	char host[INET6_ADDRSTRLEN] = "?";
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (a->sa.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof(host));
		snprintf(c->name, sizeof(c->name), "%s:%u", host,
		    (unsigned)ntohs(a->in.sin_port));
	} else if (a->sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
		snprintf(c->name, sizeof(c->name), "[%s]:%u", host,
		    (unsigned)ntohs(a->in6.sin6_port));
	} else if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0)
		snprintf(c->name, sizeof(c->name), "unix:uid=%u,pid=%d",
		    (unsigned)cred.uid, (int)cred.pid);
	else
		snprintf(c->name, sizeof(c->name), "unix");
}

void
client_new(struct clients *all, int fd, const union address *a)
{
	struct client *c = xcalloc(1, sizeof(*c));
	int on = 1;

	c->all = all;
	c->fd = fd;
	c->is_unix = a->sa.sa_family == AF_UNIX;
	c->active_ns = clock_now_ns();
	buf_init(&c->out, ANSWER_MAX);
	name_client(c, a);
	if (!c->is_unix)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
		    sizeof(on));
	ev_io_init(&c->rd, on_readable, fd, EV_READ);
	ev_io_init(&c->wr, on_writable, fd, EV_WRITE);
	c->rd.data = c->wr.data = c;
	ev_io_start(all->g->loop, &c->rd);
	TAILQ_INSERT_TAIL(&all->clients, c, entry);
	all->g->n_connections++;
	clients_sweep_within(all, SWEEP_S);
}

/* ---- time ---- */

bool
client_sweep(struct client *c, uint64_t now)
{
	const struct conf *conf = &c->all->g->conf;
	double idle_ms = clock_ms_between(c->active_ns, now);
	bool is_busy = c->session != NULL && session_n_running(c->session) > 0;

	if (c->is_undecided)
		peek(c);
	else if (c->is_lingering && idle_ms > LINGER_MS)
		mark_dead(c);
	else if (backlog(c) > 0 && idle_ms > (double)conf->limits_stall)
		mark_dead(c);
	else if (c->is_eof && has_hung_up(c))
		mark_dead(c);
	if (!is_busy && backlog(c) == 0 && conf->limits_idle_timeout > 0 &&
	    idle_ms > (double)conf->limits_idle_timeout)
		mark_dead(c);
	return c->is_undecided || c->is_lingering || c->is_eof ||
	    backlog(c) > 0;
}

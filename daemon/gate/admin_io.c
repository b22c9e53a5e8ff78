/* SPDX-License-Identifier: MIT */
/*
 * admin.sock: connections, their buffers and timers.  While a command runs
 * the lines behind it wait; while many lines wait nothing is read.  While much
 * of the answers is unread no command begins, and when one answer alone grows
 * beyond ADMIN_OUT_MAX the connection is closed.
 */
#include "config.h"

#include "gate/admin.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "base/log.h"
#include "base/mem.h"
#include "wire/fd_io.h"

#define READ_BYTES	4096
#define CONNS_MAX	256
/* With this much unread no new command begins. */
#define OUT_PAUSE	((size_t)1 << 20)

struct admin_conn {
	struct admin	 admin;		/* first: a host's admin is its conn */
	struct ev_loop	*loop;
	struct ev_io	 rd;
	struct ev_io	 wr;
	struct ev_timer	 timer;
	int		 fd;
	struct buf	 in;
	size_t		 out_at;	/* of admin.out, already written */
	bool		 is_pumping;	/* conn_pump is at work */
	bool		 is_broken;	/* close without more ado */
};

struct admin_listener {
	struct ev_io	 io;
	struct gate	*gate;
};

static size_t n_conns;

static void
conn_close(struct admin_conn *c)
{
	ev_io_stop(c->loop, &c->rd);
	ev_io_stop(c->loop, &c->wr);
	ev_timer_stop(c->loop, &c->timer);
	admin_fini(&c->admin);
	buf_fini(&c->in);
	close(c->fd);
	free(c);
	n_conns--;
}

static void
write_some(struct admin_conn *c)
{
	struct buf *out = &c->admin.out;

	if (out->failed)
		c->is_broken = true;
	while (!c->is_broken && c->out_at < out->len) {
		ssize_t n = fd_send(c->fd, out->data + c->out_at,
		    out->len - c->out_at, -1);

		if (n >= 0)
			c->out_at += (size_t)n;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			c->is_broken = true;
	}
	/* Moving the rest to the front costs at most as much as was written. */
	if (c->out_at >= out->len / 2) {
		buf_consume(out, c->out_at);
		c->out_at = 0;
	}
	if (!c->is_broken && out->len > c->out_at)
		ev_io_start(c->loop, &c->wr);
	else
		ev_io_stop(c->loop, &c->wr);
}

/* Take the next line from the input; false when there is none. */
static bool
next_line(struct admin_conn *c, struct buf *line)
{
	uint8_t *nl = c->in.len == 0 ? NULL :
	    memchr(c->in.data, '\n', c->in.len);
	size_t n = nl != NULL ? (size_t)(nl - c->in.data) : c->in.len;
	bool is_whole = nl != NULL || (c->admin.is_eof && n > 0);

	if (n > ADMIN_LINE_MAX) {
		admin_refuse(&c->admin, BM_ELIMIT, "the line is too long");
		buf_clear(&c->in);
		c->admin.is_eof = true;	/* nobody knows where the next begins */
		return false;
	}
	if (!is_whole)
		return false;
	buf_clear(line);
	buf_put(line, c->in.data, n);
	if (line->len > 0 && line->data[line->len - 1] == '\r')
		line->len--;
	buf_consume(&c->in, n + (nl != NULL));
	return true;
}

/* Run the lines that have come, write what there is, close at the end.  The
 * connection may be gone afterwards. */
static void
conn_pump(struct admin_conn *c)
{
	struct admin *a = &c->admin;
	struct buf line;
	bool is_paused;

	/* A command that ends at once wakes us from within. */
	if (c->is_pumping)
		return;
	c->is_pumping = true;
	buf_init(&line, ADMIN_LINE_MAX + 1);
	while (!a->is_busy && a->out.len - c->out_at < OUT_PAUSE &&
	    next_line(c, &line))
		admin_line(a, (struct slice){ (const char *)line.data,
		    line.len });
	buf_fini(&line);
	is_paused = a->out.len - c->out_at >= OUT_PAUSE;
	write_some(c);
	c->is_pumping = false;
	if (is_paused && a->out.len - c->out_at < OUT_PAUSE)
		ev_feed_event(c->loop, &c->wr, EV_WRITE);
	if (c->is_broken || (a->is_eof && !a->is_busy && a->out.len == 0)) {
		conn_close(c);
		return;
	}
	if (a->is_eof || c->in.len > ADMIN_LINE_MAX)
		ev_io_stop(c->loop, &c->rd);
	else
		ev_io_start(c->loop, &c->rd);
}

/* Gone altogether, and not just at the end of what it says? */
static bool
has_hung_up(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

static void
on_readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct admin_conn *c = w->data;
	uint8_t *to = buf_reserve(&c->in, READ_BYTES);
	ssize_t n = to == NULL ? -1 : recv(c->fd, to, READ_BYTES, 0);

	if (n > 0)
		c->in.len += (size_t)n;
	else if (n == 0 && admin_needs_client(&c->admin) && has_hung_up(c->fd))
		c->is_broken = true;
	else if (n == 0)
		admin_eof(&c->admin);
	else if (to != NULL && (errno == EAGAIN || errno == EINTR))
		return;
	else
		c->is_broken = true;
	conn_pump(c);
}

static void
on_writable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	conn_pump(w->data);
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	admin_time(w->data);
}

static void
host_wake(struct admin *a)
{
	struct admin_conn *c = (struct admin_conn *)a;

	/* The caller still works on it: write and close from the loop. */
	if (!c->is_pumping)
		ev_feed_event(c->loop, &c->wr, EV_WRITE);
}

static void
host_later(struct admin *a, unsigned ms)
{
	struct admin_conn *c = (struct admin_conn *)a;

	ev_timer_stop(c->loop, &c->timer);
	ev_timer_set(&c->timer, ms / 1000.0, 0);
	ev_timer_start(c->loop, &c->timer);
}

static bool
host_is_behind(struct admin *a)
{
	struct admin_conn *c = (struct admin_conn *)a;
	int unread;

	return a->out.len > c->out_at ||
	    (ioctl(c->fd, SIOCOUTQ, &unread) == 0 && unread > 0);
}

static const struct admin_host host = { host_wake, host_later,
    host_is_behind };

static void
on_accept(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct admin_listener *l = w->data;
	struct ucred cred;
	socklen_t n = sizeof(cred);
	struct admin_conn *c;
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd == -1)
		return;
	if (n_conns >= CONNS_MAX) {
		close(fd);
		return;
	}
	n_conns++;
	c = xcalloc(1, sizeof(*c));
	c->fd = fd;
	c->loop = loop;
	admin_init(&c->admin, l->gate, &host);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0) {
		c->admin.uid = cred.uid;
		c->admin.pid = (uint32_t)cred.pid;
	}
	buf_init(&c->in, ADMIN_LINE_MAX + 2 * READ_BYTES);
	ev_io_init(&c->rd, on_readable, fd, EV_READ);
	ev_io_init(&c->wr, on_writable, fd, EV_WRITE);
	ev_timer_init(&c->timer, on_timer, 0, 0);
	c->rd.data = c->wr.data = c->timer.data = c;
	ev_io_start(loop, &c->rd);
}

void
admin_unlisten(struct gate *g)
{
	struct admin_listener *l = g->admin;

	if (l == NULL)
		return;
	g->admin = NULL;
	ev_io_stop(g->loop, &l->io);
	close(l->io.fd);
	free(l);
}

void
admin_listen(struct gate *g, int fd)
{
	struct admin_listener *l;

	admin_unlisten(g);
	if (fd_set_nonblocking(fd) != 0) {
		log_warn("admin socket");
		close(fd);
		return;
	}
	l = xcalloc(1, sizeof(*l));
	l->gate = g;
	ev_io_init(&l->io, on_accept, fd, EV_READ);
	l->io.data = l;
	ev_io_start(g->loop, &l->io);
	g->admin = l;
}

/* SPDX-License-Identifier: MIT */
/*
 * Links.  Nothing here waits.  A handler may free its link from within a call,
 * so after each call `is_gone` tells whether l is still there.
 */
#include "config.h"

#include "console/tui/link_io.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "base/mem.h"
#include "console/client_io.h"
#include "wire/commands.h"
#include "wire/fd_io.h"

#define READ_BYTES	65536
#define READS_A_TURN	16	/* keys wait for no more than that */
#define KEEP_BYTES	((size_t)1 << 20)	/* of a buffer that is empty */

struct link {
	struct ev_loop	*loop;
	struct ev_io	 readable, writable;
	struct ev_timer	 silence;
	struct buf	 out, in;
	size_t		 seen;		/* bytes of in without a newline */
	int		 fd;		/* -1: never connected, or over */
	struct cause	 why;		/* of the end */
	const struct link_handler *h;
	void		*arg;
	bool		*is_gone;	/* of the call under way */
};

static void
close_link(struct link *l)
{
	ev_io_stop(l->loop, &l->readable);
	ev_io_stop(l->loop, &l->writable);
	ev_timer_stop(l->loop, &l->silence);
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

void
link_free(struct link *l)
{
	if (l == NULL)
		return;
	close_link(l);
	if (l->is_gone != NULL)
		*l->is_gone = true;
	buf_fini(&l->out);
	buf_fini(&l->in);
	free(l);
}

static void
end(struct link *l)
{
	close_link(l);
	l->h->end(l->arg, l, &l->why);
}

/* One line to the handler; false when the link is over or freed. */
static bool
deliver(struct link *l, struct slice line)
{
	bool is_gone = false;
	int r;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if ((r = client_parse_end(line, &l->why)) <= 0) {
		if (r == 0)
			l->why = (struct cause){ 0 };
		end(l);
		return false;
	}
	if (line.n == 0)
		return true;
	l->is_gone = &is_gone;
	l->h->line(l->arg, l, line);
	if (!is_gone)
		l->is_gone = NULL;
	return !is_gone;
}

/* The whole lines of in. */
static bool
deliver_lines(struct link *l)
{
	size_t at = 0;

	for (;;) {
		const char *p = (const char *)l->in.data + at;
		size_t n = l->in.len - at;
		const char *newline = l->seen < n ?
		    memchr(p + l->seen, '\n', n - l->seen) : NULL;

		if (newline == NULL)
			break;
		l->seen = 0;
		at += (size_t)(newline - p) + 1;
		if (!deliver(l, (struct slice){ p, (size_t)(newline - p) }))
			return false;
	}
	if (at > 0)
		buf_consume(&l->in, at);
	l->seen = l->in.len;
	if (l->in.len == 0 && l->in.cap > KEEP_BYTES) {
		buf_fini(&l->in);
		buf_init(&l->in, LINK_LINE_MAX);
	}
	return true;
}

/* Bytes into in: 1, 0 when there are none now, or why the link ends. */
static int
take_bytes(struct link *l)
{
	uint8_t *to = buf_reserve(&l->in, READ_BYTES);
	ssize_t got;

	if (to == NULL)
		return cause_set(&l->why, BM_ELIMIT, "a line of the daemon is "
		    "longer than %zu bytes", LINK_LINE_MAX);
	got = recv(l->fd, to, READ_BYTES, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got <= 0)
		return client_lost(&l->why);
	l->in.len += (size_t)got;
	return 1;
}

static void
on_readable(struct ev_loop *loop, struct ev_io *w, int events)
{
	struct link *l = w->data;
	int r = 1;

	ev_timer_again(loop, &l->silence);
	for (int i = 0; i < READS_A_TURN && r > 0; i++) {
		r = take_bytes(l);
		if (r > 0 && !deliver_lines(l))
			return;
	}
	if (r < 0)
		end(l);
}

static void
on_writable(struct ev_loop *loop, struct ev_io *w, int events)
{
	struct link *l = w->data;
	ssize_t sent = fd_send(l->fd, l->out.data, l->out.len, -1);

	if (sent > 0)
		buf_consume(&l->out, (size_t)sent);
	/* After an error the daemon may still have said why: keep reading. */
	if (l->out.len == 0 || (sent < 0 && errno != EAGAIN && errno != EINTR))
		ev_io_stop(loop, w);
}

/* Too long a silence, or the connection that failed at once. */
static void
on_silence(struct ev_loop *loop, struct ev_timer *w, int events)
{
	struct link *l = w->data;

	if (l->fd >= 0)
		cause_set(&l->why, BM_ETIMEOUT,
		    "the daemon is silent for %.3g s", w->repeat);
	end(l);
}

struct link *
link_new(struct ev_loop *loop, const char *path, const char *const *words,
    size_t n, uint64_t silence_ms, const struct link_handler *h, void *arg)
{
	struct link *l = xcalloc(1, sizeof(*l));

	l->loop = loop;
	l->h = h;
	l->arg = arg;
	buf_init(&l->out, SIZE_MAX / 2);
	buf_init(&l->in, LINK_LINE_MAX);
	words_join(words, n, &l->out);
	buf_put_u8(&l->out, '\n');
	ev_init(&l->silence, on_silence);
	l->silence.data = l->readable.data = l->writable.data = l;
	if (client_open(path, SOCK_NONBLOCK, &l->fd, &l->why) != 0) {
		l->fd = -1;
		ev_timer_set(&l->silence, 0, 0);
		ev_timer_start(loop, &l->silence);
		return l;
	}
	ev_io_init(&l->readable, on_readable, l->fd, EV_READ);
	ev_io_init(&l->writable, on_writable, l->fd, EV_WRITE);
	l->silence.data = l->readable.data = l->writable.data = l;
	ev_io_start(loop, &l->readable);
	ev_io_start(loop, &l->writable);
	l->silence.repeat = (double)silence_ms / 1000;
	ev_timer_again(loop, &l->silence);
	return l;
}

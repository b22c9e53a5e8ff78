/* SPDX-License-Identifier: MIT */
/*
 * Frames over a socket.  A descriptor is sent with the first byte of the frame
 * it belongs to, so a write never reaches across the begin of such a frame;
 * received descriptors wait in a queue until their frame is whole.
 */
#include "config.h"

#include "wire/chan_io.h"

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/fd_io.h"

#define CHAN_MAGIC	0x6368616e
#define READ_BYTES	65536
/* A peer of ours never has this much outstanding; see chan_backlog. */
#define OUT_MAX		((size_t)1 << 30)
#define FDS_WAITING	64

/* A descriptor to send and the place in the stream it rides on. */
struct out_fd {
	uint64_t	 at;
	int		 fd;
};

struct chan {
	unsigned	 magic;
	struct ev_loop	*loop;
	struct ev_io	 rd;
	struct ev_io	 wr;
	int		 fd;
	enum role	 me;
	enum role	 peer;
	const struct chan_handler *h;
	void		*arg;
	struct buf	 in;
	struct buf	 out;
	size_t		 out_at;	/* bytes of out already written */
	uint64_t	 written;	/* in the life of the channel */
	struct out_fd	*out_fds;
	size_t		 n_out_fds;
	int		 in_fds[FDS_WAITING];
	int		 n_in_fds;
	bool		*freed;		/* set when a handler frees us */
	int		 closing;	/* 0, or the reason (1: end of file) */
};

static void
trace(const struct chan *c, const char *arrow, const struct frame *f)
{
	struct buf text;

	if (log_get_level() < LOG_LEVEL_DEBUG)
		return;
	buf_init(&text, 4096);
	msg_print(f->type, f->body, &text);
	log_debug("%s %s seq=%u id=%llu %s", arrow, role_name(c->peer), f->seq,
	    (unsigned long long)f->id, buf_cstr(&text));
	buf_fini(&text);
}

/* ---- writing ---- */

/* Bytes that may go with the next write, and the descriptor among them. */
static size_t
next_write(const struct chan *c, int *fd)
{
	size_t n = c->out.len - c->out_at;

	*fd = -1;
	for (size_t i = 0; i < c->n_out_fds; i++) {
		if (c->out_fds[i].at == c->written) {
			*fd = c->out_fds[i].fd;
			continue;
		}
		/* Stop before the frame the next descriptor belongs to. */
		return MEM_MIN(n, (size_t)(c->out_fds[i].at - c->written));
	}
	return n;
}

static void
note_written(struct chan *c, size_t n)
{
	if (n > 0 && c->n_out_fds > 0 && c->out_fds[0].at == c->written) {
		close(c->out_fds[0].fd);
		c->n_out_fds--;
		memmove(c->out_fds, c->out_fds + 1,
		    c->n_out_fds * sizeof(*c->out_fds));
	}
	c->written += n;
	c->out_at += n;
	if (c->out_at == c->out.len) {
		buf_clear(&c->out);
		c->out_at = 0;
	} else if (c->out_at > c->out.len / 2) {
		buf_consume(&c->out, c->out_at);
		c->out_at = 0;
	}
}

/* Write until all is gone (0), the socket is full (-EAGAIN) or it failed. */
static int
write_some(struct chan *c)
{
	while (c->out.len > c->out_at) {
		int fd;
		size_t n = next_write(c, &fd);
		ssize_t sent = fd_send(c->fd, c->out.data + c->out_at, n, fd);

		if (sent < 0) {
			if (errno == EINTR)
				continue;
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
		}
		note_written(c, (size_t)sent);
	}
	return 0;
}

static void
on_writable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct chan *c = w->data;

	/* A failed write is reported by the read side, which sees the end. */
	if (write_some(c) != -EAGAIN)
		ev_io_stop(loop, w);
}

int
chan_put(struct chan *c, enum msg_type type, uint32_t seq, uint64_t id,
    const void *m)
{
	int r = frame_put(&c->out, type, seq, id, m);

	if (r != 0)
		c->out.failed = false;
	return r;
}

void
chan_push(struct chan *c)
{
	/* A socket that was full says when it takes more. */
	if (!ev_is_active(&c->wr) && write_some(c) == -EAGAIN)
		ev_io_start(c->loop, &c->wr);
}

int
chan_send_fd(struct chan *c, enum msg_type type, uint32_t seq, uint64_t id,
    const void *m, int pass_fd)
{
	uint64_t at = c->written + (c->out.len - c->out_at);
	int r = chan_put(c, type, seq, id, m);

	if (r != 0) {
		if (pass_fd != -1)
			close(pass_fd);
		return r;
	}
	if (pass_fd != -1) {
		c->out_fds = xreallocarray(c->out_fds, c->n_out_fds + 1,
		    sizeof(*c->out_fds));
		c->out_fds[c->n_out_fds++] = (struct out_fd){ at, pass_fd };
	}
	chan_push(c);
	return 0;
}

int
chan_send(struct chan *c, enum msg_type type, uint32_t seq, uint64_t id,
    const void *m)
{
	return chan_send_fd(c, type, seq, id, m, -1);
}

void
chan_send_result(struct chan *c, uint32_t seq, uint64_t id, int code,
    const char *text)
{
	struct msg_result m = { .code = code, .text = slice_of(text) };

	if (text == NULL && code != 0)
		m.text = slice_of(err_text(code));
	chan_send(c, MSG_RESULT, seq, id, &m);
}

size_t
chan_backlog(const struct chan *c)
{
	return c->out.len - c->out_at;
}

int
chan_flush(struct chan *c, int timeout_ms)
{
	uint64_t end = clock_now_ns() + (uint64_t)timeout_ms * CLOCK_NS_PER_MS;
	int r;

	while ((r = write_some(c)) == -EAGAIN) {
		struct pollfd p = { .fd = c->fd, .events = POLLOUT };
		uint64_t now = clock_now_ns();

		if (now >= end)
			return -EAGAIN;
		poll(&p, 1, (int)((end - now) / CLOCK_NS_PER_MS) + 1);
	}
	return r;
}

/* ---- reading ---- */

/* Hand over every whole frame; false when the channel was freed meanwhile. */
static bool
deliver(struct chan *c)
{
	size_t at = 0;
	bool freed = false;

	c->freed = &freed;
	while (!freed) {
		struct frame f;
		size_t used;
		int r = frame_get(c->in.data + at, c->in.len - at, c->peer,
		    c->me, &f, &used);

		if (r < 0)
			c->closing = r;
		if (r <= 0)
			break;
		if (msg_has_fd(f.type)) {
			if (c->n_in_fds == 0) {
				c->closing = BM_EPROTO;
				break;
			}
			f.fd = c->in_fds[0];
			memmove(c->in_fds, c->in_fds + 1,
			    (size_t)--c->n_in_fds * sizeof(int));
		}
		at += used;
		trace(c, "<-", &f);
		c->h->on_frame(c, &f, c->arg);
	}
	if (freed)
		return false;
	c->freed = NULL;
	buf_consume(&c->in, at);
	return true;
}

/* One read into c->in; false when there is no more for now. */
static bool
read_some(struct chan *c)
{
	uint8_t *to = buf_reserve(&c->in, READ_BYTES);
	ssize_t got;
	int n_fds;

	if (to == NULL) {
		c->closing = BM_EPROTO;
		return false;
	}
	got = fd_recv(c->fd, to, READ_BYTES, c->in_fds + c->n_in_fds,
	    FDS_WAITING - c->n_in_fds, &n_fds);
	if (got < 0) {
		if (errno != EAGAIN && errno != EINTR)
			c->closing = -errno;
		return false;
	}
	c->n_in_fds += n_fds;
	c->in.len += (size_t)got;
	if (got == 0)
		c->closing = 1;
	return got == READ_BYTES;
}

static void
on_readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct chan *c = w->data;
	bool more;

	do {
		more = read_some(c);
		if (!deliver(c))
			return;
	} while (more && c->closing == 0);
	if (c->closing != 0) {
		ev_io_stop(loop, &c->rd);
		ev_io_stop(loop, &c->wr);
		c->h->on_close(c, c->closing == 1 ? 0 : c->closing, c->arg);
	}
}

/* ---- life ---- */

struct chan *
chan_new(struct ev_loop *loop, int fd, enum role me, enum role peer,
    const struct chan_handler *h, void *arg)
{
	struct chan *c = xcalloc(1, sizeof(*c));

	c->magic = CHAN_MAGIC;
	c->loop = loop;
	c->fd = fd;
	c->me = me;
	c->peer = peer;
	c->h = h;
	c->arg = arg;
	buf_init(&c->in, FRAME_BODY_MAX + FRAME_HEADER + READ_BYTES);
	buf_init(&c->out, OUT_MAX);
	if (fd_set_nonblocking(fd) != 0)
		fatal("a channel's socket");
	ev_io_init(&c->rd, on_readable, fd, EV_READ);
	ev_io_init(&c->wr, on_writable, fd, EV_WRITE);
	c->rd.data = c->wr.data = c;
	ev_io_start(loop, &c->rd);
	return c;
}

void
chan_free(struct chan **cp)
{
	struct chan *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	if (c->freed != NULL)
		*c->freed = true;
	ev_io_stop(c->loop, &c->rd);
	ev_io_stop(c->loop, &c->wr);
	close(c->fd);
	for (size_t i = 0; i < c->n_out_fds; i++)
		close(c->out_fds[i].fd);
	for (int i = 0; i < c->n_in_fds; i++)
		close(c->in_fds[i]);
	free(c->out_fds);
	buf_fini(&c->in);
	buf_fini(&c->out);
	c->magic = 0;
	free(c);
}

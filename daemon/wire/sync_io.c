/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "wire/sync_io.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "wire/fd_io.h"

#define READ_BYTES 65536

void
sync_init(struct sync_io *s, int fd, enum role me, enum role peer)
{
	*s = (struct sync_io){ .fd = fd, .me = me, .peer = peer };
	buf_init(&s->in, FRAME_BODY_MAX + FRAME_HEADER + READ_BYTES);
}

void
sync_fini(struct sync_io *s)
{
	close(s->fd);
	for (int i = 0; i < s->n_in_fds; i++)
		close(s->in_fds[i]);
	buf_fini(&s->in);
	s->n_in_fds = 0;
}

int
sync_send(struct sync_io *s, enum msg_type type, uint32_t seq, uint64_t id,
    const void *m, int pass_fd)
{
	struct buf b;
	size_t at = 0;
	int r;

	buf_init(&b, FRAME_BODY_MAX + FRAME_HEADER);
	r = frame_put(&b, type, seq, id, m);
	while (r == 0 && at < b.len) {
		ssize_t sent = fd_send(s->fd, b.data + at, b.len - at,
		    at == 0 ? pass_fd : -1);

		if (sent >= 0)
			at += (size_t)sent;
		else if (errno != EINTR)
			r = errno == EPIPE ? BM_EWORKER : -errno;
	}
	buf_fini(&b);
	return r;
}

/* Wait for bytes and take them: 0, BM_ETIMEOUT, BM_EWORKER or -errno. */
static int
read_more(struct sync_io *s, int timeout_ms)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	uint8_t *to;
	ssize_t got;
	int n_fds, r;

	if ((r = poll(&p, 1, timeout_ms)) <= 0)
		return r == 0 ? BM_ETIMEOUT : errno == EINTR ? 0 : -errno;
	if ((to = buf_reserve(&s->in, READ_BYTES)) == NULL)
		return BM_EPROTO;
	got = fd_recv(s->fd, to, READ_BYTES, s->in_fds + s->n_in_fds,
	    (int)N_ELEMENTS(s->in_fds) - s->n_in_fds, &n_fds);
	if (got < 0)
		return errno == EINTR || errno == EAGAIN ? 0 :
		    errno == ECONNRESET ? BM_EWORKER : -errno;
	s->n_in_fds += n_fds;
	s->in.len += (size_t)got;
	return got == 0 ? BM_EWORKER : 0;
}

int
sync_recv(struct sync_io *s, struct frame *f, int timeout_ms)
{
	for (;;) {
		size_t used;
		/* Before the first byte there is no memory to point into. */
		int r = s->in.len == 0 ? 0 : frame_get(s->in.data + s->in_at,
		    s->in.len - s->in_at, s->peer, s->me, f, &used);

		if (r < 0)
			return r;
		if (r == 1) {
			s->in_at += used;
			break;
		}
		buf_consume(&s->in, s->in_at);
		s->in_at = 0;
		if ((r = read_more(s, timeout_ms)) != 0)
			return r;
	}
	if (msg_has_fd(f->type)) {
		if (s->n_in_fds == 0)
			return BM_EPROTO;
		f->fd = s->in_fds[0];
		memmove(s->in_fds, s->in_fds + 1,
		    (size_t)--s->n_in_fds * sizeof(int));
	}
	return 0;
}

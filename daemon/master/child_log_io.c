/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "master/child_log_io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <stdlib.h>

#include <ev.h>

#include "base/log.h"
#include "base/mem.h"

/* PIPE_BUF: writes up to that size do not mix. */
#define LINE_BYTES	4096

struct child_log {
	struct ev_loop	*loop;
	struct ev_io	 rd;
	int		 ends[2];
	int		 to_fd;
	char		 line[LINE_BYTES];
	size_t		 n;
};

/* The first n bytes and a line end; line[n] is given up. */
static void
write_line(struct child_log *l, char *line, size_t n)
{
	if (l->to_fd == -1) {
		line[n] = '\0';
		syslog(LOG_INFO, "%s", line);
		return;
	}
	line[n] = '\n';
	if (write(l->to_fd, line, n + 1) == -1)
		(void)0; /* there is nobody left to tell */
}

static void
put_line(struct child_log *l, size_t n)
{
	char wrapped[LINE_BYTES];

	/* A library or a sanitizer knows nothing of our format. */
	if (log_is_json() && l->line[0] != '{') {
		l->line[n] = '\0';
		n = log_wrap(wrapped, sizeof(wrapped), "child", l->line);
		write_line(l, wrapped, n - 1);
	} else {
		write_line(l, l->line, n);
	}
}

/* Hand on every whole line; one that fills the buffer is cut there. */
static void
put_lines(struct child_log *l)
{
	char *nl;

	while ((nl = memchr(l->line, '\n', l->n)) != NULL) {
		size_t used = (size_t)(nl - l->line) + 1;

		put_line(l, used - 1);
		l->n -= used;
		memmove(l->line, l->line + used, l->n);
	}
	if (l->n == sizeof(l->line) - 1) {
		put_line(l, l->n);
		l->n = 0;
	}
}

static void
on_readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct child_log *l = w->data;
	ssize_t got = read(l->ends[0], l->line + l->n,
	    sizeof(l->line) - 1 - l->n);

	if (got > 0) {
		l->n += (size_t)got;
		l->line[l->n] = '\0';
		put_lines(l);
	}
}

struct child_log *
child_log_new(struct ev_loop *loop)
{
	struct child_log *l = xcalloc(1, sizeof(*l));

	/* Only our end must not wait. */
	if (pipe2(l->ends, O_CLOEXEC) == -1 ||
	    fcntl(l->ends[0], F_SETFL, O_NONBLOCK) == -1)
		fatal("a pipe for the children's log");
	l->loop = loop;
	l->to_fd = -1;
	ev_io_init(&l->rd, on_readable, l->ends[0], EV_READ);
	l->rd.data = l;
	ev_io_start(loop, &l->rd);
	return l;
}

void
child_log_free(struct child_log **lp)
{
	struct child_log *l = *lp;

	if (l == NULL)
		return;
	*lp = NULL;
	/* What the last child said. */
	on_readable(l->loop, &l->rd, EV_READ);
	ev_io_stop(l->loop, &l->rd);
	close(l->ends[0]);
	close(l->ends[1]);
	free(l);
}

void
child_log_set_fd(struct child_log *l, int fd)
{
	l->to_fd = fd;
}

int
child_log_fd(const struct child_log *l)
{
	return l != NULL ? l->ends[1] : -1;
}

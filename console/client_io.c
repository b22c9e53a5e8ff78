/* SPDX-License-Identifier: MIT */
/*
 * The client's end of the admin socket.  Blocking, with poll before every
 * read, so that a silent daemon never holds the operator for ever.
 */
#include "config.h"

#include "console/client_io.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/fd_io.h"

#define READ_BYTES	65536
#define LINE_MAX_BYTES	((size_t)256 << 20)
#define TICK_MS		500

struct client {
	int		 fd;
	struct buf	 in;
	size_t		 at;		/* bytes of in already handed out */
	const struct client_exchange *x;
};

int
client_socket_path(const struct ctl *ctl, char out[PATH_SIZE],
    struct cause *cause)
{
	char dir[PATH_SIZE];
	const char *other = getenv("BIGMODELCTL_SOCKET");
	int r = 0;

	if (ctl->socket == NULL && ctl->state_dir == NULL && other != NULL &&
	    other[0] != '\0') {
		if (str_copy(out, other, PATH_SIZE) >= PATH_SIZE)
			r = -ENAMETOOLONG;
	} else if (ctl->socket != NULL) {
		if (str_copy(out, ctl->socket, PATH_SIZE) >= PATH_SIZE)
			r = -ENAMETOOLONG;
	} else if (ctl->state_dir != NULL) {
		r = path_join(out, ctl->state_dir, PATH_ADMIN_SOCKET);
	} else {
		path_default_state_dir(dir);
		r = path_join(out, dir, PATH_ADMIN_SOCKET);
	}
	if (r != 0)
		return cause_set(cause, r, "the path of the admin socket is "
		    "longer than %d bytes", PATH_SIZE - 1);
	return 0;
}

static int
connect_failed(const char *path, int error, struct cause *cause)
{
	if (error == ENOENT || error == ECONNREFUSED)
		return cause_set(cause, BM_ENODAEMON,
		    "no daemon listens on %s", path);
	if (error == EAGAIN)
		return cause_set(cause, BM_EOVERLOAD,
		    "too many wait to be heard on %s", path);
	if (error == EACCES || error == EPERM)
		return cause_set(cause, -EACCES, "not allowed to use %s",
		    path);
	return cause_set(cause, -error, "%s: %s", path, strerror(error));
}

int
client_open(const char *path, int flags, int *out, struct cause *cause)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (str_copy(sa.sun_path, path, sizeof(sa.sun_path)) >=
	    sizeof(sa.sun_path))
		return cause_set(cause, -ENAMETOOLONG,
		    "%s: longer than the %zu bytes of a socket's path", path,
		    sizeof(sa.sun_path) - 1);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags,
	    0)) < 0)
		return cause_set(cause, -errno, "socket: %s",
		    strerror(errno));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		int error = errno;

		close(fd);
		return connect_failed(path, error, cause);
	}
	*out = fd;
	return 0;
}

int
client_probe(const char *path)
{
	struct cause why;
	int fd, r;

	if ((r = client_open(path, 0, &fd, &why)) == 0)
		close(fd);
	return r;
}

int
client_lost(struct cause *cause)
{
	return cause_set(cause, -ECONNRESET,
	    "the daemon closed the connection before it had answered");
}

static int
send_text(struct client *c, struct slice text, struct cause *cause)
{
	size_t at = 0;

	while (at < text.n) {
		ssize_t sent = fd_send(c->fd, text.p + at, text.n - at, -1);

		if (sent >= 0)
			at += (size_t)sent;
		else if (errno == EPIPE || errno == ECONNRESET)
			/* It may have said why; reading finds out. */
			break;
		else if (errno != EINTR)
			return cause_set(cause, -errno, "sending: %s",
			    strerror(errno));
	}
	return 0;
}

/* Wait for bytes, ticking; 0, or the reason why there are none. */
static int
read_more(struct client *c, struct cause *cause)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	uint64_t start = clock_now_ns(), silence_ms = c->x->silence_ms;
	uint8_t *to;
	ssize_t got;
	int r;

	while ((r = poll(&p, 1, silence_ms > 0 && silence_ms < TICK_MS ?
	    (int)silence_ms : TICK_MS)) <= 0) {
		if (r < 0 && errno != EINTR)
			return cause_set(cause, -errno, "poll: %s",
			    strerror(errno));
		progress_tick(c->x->progress);
		if (c->x->say != NULL && (r = send_text(c,
		    c->x->say(c->x->arg), cause)) != 0)
			return r;
		if (silence_ms > 0 && clock_ms_between(start,
		    clock_now_ns()) >= (double)silence_ms)
			return cause_set(cause, BM_ETIMEOUT, "no answer "
			    "within %.3g s", (double)silence_ms / 1000);
	}
	if ((to = buf_reserve(&c->in, READ_BYTES)) == NULL)
		return cause_set(cause, BM_ELIMIT,
		    "a line of the answer is longer than %zu bytes",
		    LINE_MAX_BYTES);
	if ((got = recv(c->fd, to, READ_BYTES, 0)) > 0)
		c->in.len += (size_t)got;
	else if (got == 0 || errno != EINTR)
		return client_lost(cause);
	return 0;
}

/* The next line, without its end; valid until the next call. */
static int
read_line(struct client *c, struct slice *line, struct cause *cause)
{
	size_t seen = 0;
	int r;

	for (;;) {
		size_t have = c->in.len - c->at;
		const uint8_t *p = NULL, *end = NULL;

		if (have > 0)
			p = c->in.data + c->at;
		if (have > seen)
			end = memchr(p + seen, '\n', have - seen);
		if (end != NULL) {
			*line = (struct slice){ (const char *)p,
			    (size_t)(end - p) };
			c->at += line->n + 1;
			if (line->n > 0 && line->p[line->n - 1] == '\r')
				line->n--;
			return 0;
		}
		buf_consume(&c->in, c->at);
		c->at = 0;
		seen = have;
		if ((r = read_more(c, cause)) != 0)
			return r;
	}
}

/* The value behind key in line up to the next space; empty when not there. */
static struct slice
value_of(struct slice line, const char *key)
{
	size_t n = strlen(key), at = 0;
	const char *p = memmem(line.p, line.n, key, n);

	if (p == NULL)
		return (struct slice){ "", 0 };
	p += n;
	while (p + at < line.p + line.n && p[at] != ' ')
		at++;
	return (struct slice){ p, at };
}

int
client_parse_end(struct slice line, struct cause *cause)
{
	struct slice name;
	char word[32];
	json_t *message = NULL;
	const char *p;
	int code;

	if (slice_eq(line, "ok"))
		return 0;
	if (line.n < 6 || memcmp(line.p, "error ", 6) != 0)
		return 1;
	name = value_of(line, " code=");
	snprintf(word, sizeof(word), "%.*s", (int)MEM_MIN(name.n, 31u),
	    name.p);
	code = err_from_name(word);
	if ((p = memmem(line.p, line.n, " message=", 9)) != NULL)
		message = json_loadb(p + 9, line.n - (size_t)(p + 9 - line.p),
		    JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, NULL);
	cause_set(cause, code, "%s", json_is_string(message) ?
	    json_string_value(message) : err_text(code));
	json_decref(message);
	return code;
}

int
client_exchange(const char *path, const struct client_exchange *x,
    struct cause *cause)
{
	struct client c = { .x = x };
	struct slice line;
	int r;

	if ((r = client_open(path, 0, &c.fd, cause)) != 0)
		return r;
	buf_init(&c.in, LINE_MAX_BYTES);
	r = send_text(&c, x->request, cause);
	if (r == 0)
		do {
			if ((r = read_line(&c, &line, cause)) == 0)
				r = x->take(x->arg, line, cause);
		} while (r > 0);
	progress_end(x->progress);
	buf_fini(&c.in);
	close(c.fd);
	return r;
}

/* ---- commands ---- */

struct answer {
	client_line_fn	 each;
	void		*arg;
};

static int
take_answer(void *arg, struct slice line, struct cause *cause)
{
	const struct answer *a = arg;
	char shown[80];
	int r;

	if ((r = client_parse_end(line, cause)) <= 0)
		return r;
	if (line.n > 0 && line.p[0] == '{')
		a->each(a->arg, line);
	else if (line.n > 0)
		return cause_set(cause, BM_EPROTO,
		    "the daemon sent what is no answer: %s",
		    str_vis(shown, sizeof(shown), line.p, line.n));
	return 1;
}

int
client_run(const char *path, const char *const *words, size_t n,
    uint64_t silence_ms, struct progress *progress, client_line_fn each,
    void *arg, struct cause *cause)
{
	struct answer answer = { each, arg };
	struct client_exchange x = { .silence_ms = silence_ms,
	    .progress = progress, .take = take_answer, .arg = &answer };
	struct buf b;
	int r;

	buf_init(&b, SIZE_MAX / 2);
	words_join(words, n, &b);
	buf_put_u8(&b, '\n');
	x.request = (struct slice){ (const char *)b.data, b.len };
	r = client_exchange(path, &x, cause);
	buf_fini(&b);
	return r;
}

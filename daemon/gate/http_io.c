/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd without a thread of its own: its epoll descriptor is an ev_io,
 * its timeout an ev_timer, and MHD_run is called from one place only, the
 * ev_prepare before the loop sleeps.  So whatever the core reports in one turn
 * of the loop is sent in one go, and nothing of an exchange is ever freed
 * beneath a callback of the core's.
 *
 *	access handler -> route -> answered at once: queue the response
 *	                        -> later: suspend;  http_reply resumes
 *	                        -> stream: the content reader suspends whenever
 *	                           it has nothing;  http_stream_flush resumes
 *
 * The library does not look at a suspended connection, so an epoll set of ours
 * watches the sockets of all working exchanges for a client that went away.
 */
#include "config.h"

#include "gate/http_io.h"

#include <sys/epoll.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <ev.h>
#include <microhttpd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"
#include "base/str.h"
#include "gate/gate.h"
#include "gate/openai.h"
#include "gate/routes.h"

#define CONNECTION_BYTES 16384	/* request head and write buffer */
#define STREAM_BLOCK	4096
#define DISCARD_TIMES	8	/* read and drop so many times the limit */
#define RUNS_AT_ONCE	8
#define WATCH_EVENTS	64

struct connection {
	struct http	*h;
	int		 fd;
	bool		 is_unix;
	char		 client[HTTP_CLIENT_SIZE];
};

struct exchange {
	struct http_call c;		/* first: handlers know only this */
	struct http	*h;
	struct MHD_Connection *mhd;
	struct connection *connection;
	const char	*method;
	struct buf	 body;
	uint64_t	 body_bytes;	/* received, also what was dropped */
	char		 allow[ROUTE_ALLOW_SIZE];
	bool		 is_started;	/* the route was called */
	bool		 is_suspended;
	bool		 is_gone;	/* the client; answer nothing more */
	bool		 is_watched;
	bool		 is_stream;
	bool		 is_ended;	/* the stream: no more will come */
	struct MHD_Response *response;
	unsigned	 status;
	const char	*type;
	struct buf	 out;		/* of a stream */
	size_t		 out_at;
	uint64_t	 progress_ns;	/* the client last took something */
	TAILQ_ENTRY(exchange) entry;
};
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
static void
make_id(struct http *h, char text[UUID_TEXT_SIZE])
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

/* ---- suspended connections ---- */

static void
wake(struct exchange *x)
{
	if (!x->is_suspended)
		return;
	x->is_suspended = false;
	MHD_resume_connection(x->mhd);
	x->h->must_run = true;
}

/* The handler's work ends; called from the loop only. */
static void
end_work(struct exchange *x)
{
	void (*on_end)(void *) = x->c.on_end;

	x->c.on_end = NULL;
	if (on_end != NULL)
		on_end(x->c.arg);
}

/* Make the library notice and close; it then tells on_completed. */
static void
drop_client(struct exchange *x)
{
	if (x->is_gone)
		return;
	x->is_gone = true;
	shutdown(x->connection->fd, SHUT_RDWR);
	wake(x);
}

static void
watch_add(struct exchange *x)
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

static void
on_watch(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct http *h = w->data;
	struct epoll_event e[WATCH_EVENTS];
	int n = epoll_wait(h->watch_fd, e, WATCH_EVENTS, 0);

	for (int i = 0; i < n; i++) {
		struct exchange *x = e[i].data.ptr;

		drop_client(x);
		end_work(x);
	}
}

/* Streams whose client takes nothing although there is something to take. */
static void
on_sweep(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct http *h = w->data;
	uint64_t now = clock_now_ns();
	struct exchange *x;

	if (TAILQ_EMPTY(&h->working))
		ev_timer_stop(loop, w);
	TAILQ_FOREACH(x, &h->working, entry)
		if (x->is_stream && !x->is_suspended && !x->is_gone &&
		    clock_ms_between(x->progress_ns, now) >
		    (double)h->g->conf.limits_stall)
			drop_client(x);
}

/* ---- answers ---- */

static void
set_response(struct exchange *x, int status, const char *type,
    struct MHD_Response *response)
{
	if (x->response != NULL || response == NULL) {
		if (response != NULL)
			MHD_destroy_response(response);
		return;
	}
	x->response = response;
	x->status = (unsigned)status;
	x->type = type;
	wake(x);
}

void
http_reply(struct http_call *c, int status, const char *type,
    struct buf *body)
{
	size_t n = body->len;
	char *text = buf_take(body);

	set_response((struct exchange *)c, status, type,
	    MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_FREE));
}

void
http_reply_static(struct http_call *c, int status, const char *type,
    const char *text)
{
	set_response((struct exchange *)c, status, type,
	    MHD_create_response_from_buffer(strlen(text),
	    (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT));
}

static ssize_t
read_stream(void *cls, uint64_t pos, char *to, size_t max)
{
	struct exchange *x = cls;
	size_t n = MEM_MIN(x->out.len - x->out_at, max);

	if (x->is_gone)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	x->progress_ns = clock_now_ns();
	if (n > 0) {
		memcpy(to, x->out.data + x->out_at, n);
		x->out_at += n;
		return (ssize_t)n;
	}
	buf_clear(&x->out);
	x->out_at = 0;
	if (x->is_ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	x->is_suspended = true;
	MHD_suspend_connection(x->mhd);
	return 0;
}

struct buf *
http_stream(struct http_call *c)
{
	struct exchange *x = (struct exchange *)c;

	if (x->is_gone)
		buf_clear(&x->out);
	if (!x->is_stream && x->response == NULL) {
		x->is_stream = true;
		x->progress_ns = clock_now_ns();
		set_response(x, 200, "text/event-stream",
		    MHD_create_response_from_callback(MHD_SIZE_UNKNOWN,
		    STREAM_BLOCK, read_stream, x, NULL));
	}
	return &x->out;
}

void
http_stream_flush(struct http_call *c)
{
	struct exchange *x = (struct exchange *)c;

	if (x->out.failed ||
	    x->out.len - x->out_at > x->h->g->conf.limits_output_backlog) {
		drop_client(x);
		return;
	}
	if (x->out_at > x->out.len / 2) {
		buf_consume(&x->out, x->out_at);
		x->out_at = 0;
	}
	/* It is unread from now on, whatever happened before. */
	if (x->is_suspended)
		x->progress_ns = clock_now_ns();
	wake(x);
}

void
http_stream_end(struct http_call *c)
{
	struct exchange *x = (struct exchange *)c;

	x->is_ended = true;
	http_stream_flush(c);
}

/* Hand the answer to the library. */
static enum MHD_Result
queue_response(struct exchange *x)
{
	struct MHD_Response *r = x->response;
	enum MHD_Result ok;
	char seconds[16];

	MHD_add_response_header(r, "Content-Type", x->type);
	MHD_add_response_header(r, "X-Request-Id", x->c.id);
	if (x->is_stream)
		MHD_add_response_header(r, "Cache-Control", "no-cache");
	if (x->c.allow != NULL)
		MHD_add_response_header(r, "Allow", x->c.allow);
	if (x->status == 401)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
	if (x->c.retry_s > 0) {
		snprintf(seconds, sizeof(seconds), "%u", x->c.retry_s);
		MHD_add_response_header(r, "Retry-After", seconds);
	}
	if (x->h->g->is_draining)
		MHD_add_response_header(r, "Connection", "close");
	ok = MHD_queue_response(x->mhd, x->status, r);
	MHD_destroy_response(r);
	return ok;
}

/* ---- from the head of a request to its route ---- */

static const char *
header(const struct exchange *x, const char *name)
{
	return MHD_lookup_connection_value(x->mhd, MHD_HEADER_KIND, name);
}

/* Does the client show a key, if one is needed? */
static bool
check_key(struct exchange *x)
{
	const char *key = header(x, "Authorization");
	const struct conf_tenant *tenant;
	bool is_needed = false;

	if (key != NULL && strncasecmp(key, "Bearer ", 7) == 0)
		key += 7;
	else
		key = header(x, "x-api-key");
	tenant = gate_tenant(x->c.g, slice_of(key), &is_needed);
	if (tenant != NULL)
		x->c.tenant = tenant->name;
	return tenant != NULL || !is_needed;
}

static void
refuse(struct exchange *x, int code)
{
	char text[256], path[128];

	str_vis(path, sizeof(path), x->c.path, strlen(x->c.path));
	if (code == BM_ENOTFOUND)
		snprintf(text, sizeof(text), "there is no %s", path);
	else if (code == BM_EMETHOD) {
		x->c.allow = x->allow;
		snprintf(text, sizeof(text), "%s takes %s", path, x->allow);
	} else if (code == BM_ENOAUTH)
		snprintf(text, sizeof(text), "a valid key is needed: "
		    "Authorization: Bearer KEY");
	else if (code == BM_ELIMIT)
		snprintf(text, sizeof(text), "the body is larger than %llu "
		    "bytes", (unsigned long long)
		    x->c.g->conf.limits_line_bytes);
	else
		snprintf(text, sizeof(text), "the server is shutting down");
	openai_error(&x->c, code, NULL, 0, text);
}

static void
start(struct exchange *x)
{
	const struct route *route = NULL;
	int r = route_find(x->method, x->c.path, &route, &x->c.rest,
	    x->allow);

	if (strcmp(x->method, "OPTIONS") == 0 && r != BM_ENOTFOUND) {
		x->c.allow = x->allow;
		http_reply_static(&x->c, 204, HTTP_TEXT, "");
		return;
	}
	if (r == 0 && route->is_logged)
		x->c.endpoint = route->path;
	if (r == 0 && route->needs_key && !check_key(x))
		r = BM_ENOAUTH;
	if (r == 0 && x->body_bytes > x->c.g->conf.limits_line_bytes)
		r = BM_ELIMIT;
	if (r == 0 && route->needs_key && x->c.g->is_draining)
		r = BM_EOVERLOAD;
	if (r != 0) {
		refuse(x, r);
		return;
	}
	x->c.body = (struct slice){ .p = (const char *)x->body.data,
	    .n = x->body.len };
	route->fn(&x->c);
}

/* A body that would only be dropped is refused before it is sent, if the
 * client waits to hear, or is beyond all measure; else it is read first,
 * because many clients listen only when they have sent everything. */
static bool
is_refused_early(const struct exchange *x)
{
	const char *length = header(x, "Content-Length");
	uint64_t limit = x->c.g->conf.limits_line_bytes, n;

	if (length == NULL || str_to_u64(length, &n) != 0)
		return false;
	return n > limit * DISCARD_TIMES ||
	    (n > limit && header(x, "Expect") != NULL);
}

static struct exchange *
exchange_new(struct http *h, struct MHD_Connection *mhd, const char *path,
    const char *method)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd,
	    MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct exchange *x;

	if (info == NULL || info->socket_context == NULL)
		return NULL;
	x = xcalloc(1, sizeof(*x));
	x->h = h;
	x->mhd = mhd;
	x->connection = info->socket_context;
	x->method = method;
	x->c.g = h->g;
	x->c.path = path;
	x->c.rest = "";
	x->c.client = x->connection->client;
	make_id(h, x->c.id);
	buf_init(&x->body, h->g->conf.limits_line_bytes);
	buf_init(&x->out, h->g->conf.limits_output_backlog * 2);
	return x;
}

static enum MHD_Result
take_body(struct exchange *x, const char *p, size_t n)
{
	uint64_t limit = x->c.g->conf.limits_line_bytes;

	x->body_bytes += n;
	if (x->body_bytes > limit * DISCARD_TIMES)
		return MHD_NO;
	if (x->body_bytes > limit)
		buf_fini(&x->body);
	else
		buf_put(&x->body, p, n);
	return MHD_YES;
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *mhd, const char *url,
    const char *method, const char *version, const char *data, size_t *n,
    void **arg)
{
	struct exchange *x = *arg;

	if (x == NULL) {
		x = *arg = exchange_new(cls, mhd, url, method);
		if (x == NULL)
			return MHD_NO;
		if (!is_refused_early(x))
			return MHD_YES;
		refuse(x, BM_ELIMIT);
		return queue_response(x);
	}
	if (*n > 0) {
		enum MHD_Result ok = take_body(x, data, *n);

		*n = 0;
		return ok;
	}
	if (!x->is_started) {
		x->is_started = true;
		start(x);
		/* A failure of the library's own: no memory. */
		if (x->response == NULL && x->c.on_end == NULL)
			return MHD_NO;
	}
	if (x->is_gone)
		return MHD_NO;
	if (x->c.on_end != NULL)
		watch_add(x);
	if (x->response != NULL)
		return queue_response(x);
	x->is_suspended = true;
	MHD_suspend_connection(mhd);
	return MHD_YES;
}

static void
on_completed(void *cls, struct MHD_Connection *mhd, void **arg,
    enum MHD_RequestTerminationCode why)
{
	struct exchange *x = *arg;

	if (x == NULL)
		return;
	*arg = NULL;
	if (x->is_watched) {
		epoll_ctl(x->h->watch_fd, EPOLL_CTL_DEL, x->connection->fd,
		    NULL);
		TAILQ_REMOVE(&x->h->working, x, entry);
	}
	end_work(x);
	/* A stream that began before the drain could not announce its end. */
	if (x->h->g->is_draining)
		shutdown(x->connection->fd, SHUT_RD);
	buf_fini(&x->body);
	buf_fini(&x->out);
	free(x);
}

/* ---- connections ---- */

static void
on_connection(void *cls, struct MHD_Connection *mhd, void **arg,
    enum MHD_ConnectionNotificationCode what)
{
	struct http *h = cls;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*arg = h->adding;
		h->adding = NULL;
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

	c->h = h;
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

static void
on_readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	((struct http *)w->data)->must_run = true;
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	((struct http *)w->data)->must_run = true;
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
	const struct conf *conf = &h->g->conf;
	unsigned timeout_s = (unsigned)MEM_MIN((conf->limits_idle_timeout +
	    999) / 1000, 86400);

	h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ITC |
	    MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
	    on_request, h,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)conf->limits_connections,
	    MHD_OPTION_CONNECTION_TIMEOUT, timeout_s,
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
		drop_client(x);
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

/* SPDX-License-Identifier: MIT */
/*
 * One HTTP exchange, from the head of the request to the end of the answer.
 *
 *	access handler -> route -> answered at once: queue the response
 *	                        -> later: suspend;  http_reply resumes
 *	                        -> stream: the content reader suspends whenever
 *	                           it has nothing;  http_stream_flush resumes
 *
 * An exchange is freed in one place, when the library says that it is over.
 */
#include "config.h"

#include "gate/http_io.h"

#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <microhttpd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "gate/gate.h"
#include "gate/http_impl.h"
#include "gate/openai.h"
#include "gate/routes.h"

#define STREAM_BLOCK	4096
#define DISCARD_TIMES	8	/* read and drop so many times the limit */

/* ---- suspended connections ---- */

static void
wake(struct exchange *x)
{
	if (!x->is_suspended)
		return;
	x->is_suspended = false;
	MHD_resume_connection(x->mhd);
	http_run_soon(x->h);
}

void
exchange_end_work(struct exchange *x)
{
	void (*on_end)(void *) = x->c.on_end;

	x->c.on_end = NULL;
	if (on_end != NULL)
		on_end(x->c.arg);
}

void
exchange_drop_client(struct exchange *x)
{
	if (x->is_gone)
		return;
	x->is_gone = true;
	shutdown(x->connection->fd, SHUT_RDWR);
	wake(x);
}

bool
exchange_is_stalled(const struct exchange *x, uint64_t now_ns)
{
	return x->is_stream && !x->is_suspended && !x->is_gone &&
	    clock_ms_between(x->progress_ns, now_ns) >
	    (double)x->c.g->conf.limits_stall;
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
	    x->out.len - x->out_at > x->c.g->conf.limits_output_backlog) {
		exchange_drop_client(x);
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

static void
add_number(struct MHD_Response *r, const char *name, uint64_t n)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	MHD_add_response_header(r, name, digits);
}

/* Hand the answer to the library. */
static enum MHD_Result
queue_response(struct exchange *x)
{
	struct MHD_Response *r = x->response;
	enum MHD_Result ok;

	MHD_add_response_header(r, "Content-Type", x->type);
	MHD_add_response_header(r, "X-Request-Id", x->c.id);
	if (x->is_stream)
		MHD_add_response_header(r, "Cache-Control", "no-cache");
	if (x->c.allow != NULL)
		MHD_add_response_header(r, "Allow", x->c.allow);
	if (x->status == 401)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
	if (x->c.retry_s > 0)
		add_number(r, "Retry-After", x->c.retry_s);
	if (x->c.has_waited) {
		add_number(r, "X-Queue-Position", x->c.queue_position);
		add_number(r, "X-Queue-Wait-Ms", x->c.queue_wait_ms);
	}
	if (x->c.g->is_draining)
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
	x->c.g = x->connection->g;
	x->c.path = path;
	x->c.rest = "";
	x->c.client = x->connection->client;
	http_make_id(h, x->c.id);
	buf_init(&x->body, x->c.g->conf.limits_line_bytes);
	buf_init(&x->out, x->c.g->conf.limits_output_backlog * 2);
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

enum MHD_Result
exchange_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
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
		http_watch_add(x);
	if (x->response != NULL)
		return queue_response(x);
	x->is_suspended = true;
	MHD_suspend_connection(mhd);
	return MHD_YES;
}

void
exchange_on_completed(void *cls, struct MHD_Connection *mhd, void **arg,
    enum MHD_RequestTerminationCode why)
{
	struct exchange *x = *arg;

	if (x == NULL)
		return;
	*arg = NULL;
	http_watch_remove(x);
	exchange_end_work(x);
	/* A stream that began before the drain could not announce its end. */
	if (x->c.g->is_draining)
		shutdown(x->connection->fd, SHUT_RD);
	buf_fini(&x->body);
	buf_fini(&x->out);
	free(x);
}

/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "tests/unit/fake_http.h"

#include <string.h>

#include "gate/metrics.h"
#include "gate/routes.h"
#include "tests/unit/fake_core.h"

int
fake_http_call(struct fake_http *h, const char *method, const char *path,
    const void *body, size_t n)
{
	const struct route *route;
	char allow[ROUTE_ALLOW_SIZE];
	const char *rest;
	int r;

	memset(h, 0, sizeof(*h));
	buf_init(&h->out, (size_t)64 << 20);
	h->call.g = &fake.g;
	h->call.path = path;
	h->call.client = "127.0.0.1:5";
	h->call.body = (struct slice){ .p = body, .n = n };
	r = route_find(method, path, &route, &rest, allow);
	if (r == 0) {
		h->call.rest = rest;
		route->fn(&h->call);
	}
	return r;
}

void
fake_http_end(struct fake_http *h)
{
	if (h->call.on_end != NULL)
		h->call.on_end(h->call.arg);
	buf_fini(&h->out);
}

void
http_reply(struct http_call *c, int status, const char *type,
    struct buf *body)
{
	struct fake_http *h = (struct fake_http *)c;

	buf_put(&h->out, body->data, body->len);
	buf_fini(body);
	h->status = status;
}

void
http_reply_static(struct http_call *c, int status, const char *type,
    const char *text)
{
	struct fake_http *h = (struct fake_http *)c;

	buf_puts(&h->out, text);
	h->status = status;
}

struct buf *
http_stream(struct http_call *c)
{
	struct fake_http *h = (struct fake_http *)c;

	h->is_stream = true;
	h->status = 200;
	return &h->out;
}

void
http_stream_flush(struct http_call *c)
{
}

void
http_stream_end(struct http_call *c)
{
	((struct fake_http *)c)->is_ended = true;
}

void
metrics_write(struct gate *g, struct buf *out)
{
	buf_puts(out, "bigmodel_up 1\n");
}

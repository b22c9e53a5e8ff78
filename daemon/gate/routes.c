/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gate/routes.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "gate/gate.h"
#include "gate/http_io.h"
#include "gate/metrics.h"
#include "gate/openai.h"

#define METRICS_BYTES_MAX ((size_t)64 << 20)

enum { OPEN, KEY, RUN };

static const struct route routes[] = {
#define R(method, path, fn, who) { method, path, fn, who != OPEN,	\
	who == RUN },
#include "gate/routes.def"
#undef R
};

static bool
path_matches(const char *pattern, const char *path, const char **rest)
{
	size_t n = strlen(pattern);

	*rest = "";
	if (pattern[n - 1] != '*')
		return strcmp(pattern, path) == 0;
	if (strncmp(pattern, path, n - 1) != 0 || path[n - 1] == '\0')
		return false;
	*rest = path + n - 1;
	return true;
}

static bool
method_matches(const char *of_route, const char *method)
{
	return strcmp(of_route, method) == 0 ||
	    (strcmp(of_route, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

int
route_find(const char *method, const char *path, const struct route **out,
    const char **rest, char allow[ROUTE_ALLOW_SIZE])
{
	int r = BM_ENOTFOUND;

	for (size_t i = 0; i < N_ELEMENTS(routes); i++) {
		const char *after;

		if (!path_matches(routes[i].path, path, &after))
			continue;
		snprintf(allow, ROUTE_ALLOW_SIZE, "%s%s, OPTIONS",
		    routes[i].method,
		    strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
		if (!method_matches(routes[i].method, method)) {
			r = BM_EMETHOD;
			continue;
		}
		*out = &routes[i];
		*rest = after;
		return 0;
	}
	return r;
}

/* ---- handlers ---- */

void
route_root(struct http_call *c)
{
	http_reply_static(c, 200, HTTP_TEXT, PACKAGE_NAME " " PACKAGE_VERSION
	    "\n\nPOST /v1/chat/completions\nPOST /v1/completions\n"
	    "GET  /v1/models\nGET  /health\nGET  /metrics\n");
}

void
route_livez(struct http_call *c)
{
	http_reply_static(c, 200, HTTP_TEXT, "ok\n");
}

/* HAProxy's disable-on-404: a 404 takes us out of the balance gently. */
void
route_readyz(struct http_call *c)
{
	if (c->g->is_draining)
		http_reply_static(c, 404, HTTP_TEXT, "draining\n");
	else if (gate_is_ready(c->g))
		http_reply_static(c, 200, HTTP_TEXT, "ready\n");
	else
		http_reply_static(c, 503, HTTP_TEXT, "not ready\n");
}

void
route_health(struct http_call *c)
{
	if (gate_is_ready(c->g))
		http_reply_static(c, 200, HTTP_JSON, "{\"status\":\"ok\"}");
	else if (c->g->is_draining)
		http_reply_static(c, 503, HTTP_JSON, "{\"status\":"
		    "\"draining\",\"error\":{\"code\":503,\"message\":"
		    "\"Draining\",\"type\":\"unavailable_error\"}}");
	else
		http_reply_static(c, 503, HTTP_JSON, "{\"status\":"
		    "\"loading\",\"error\":{\"code\":503,\"message\":"
		    "\"Loading model\",\"type\":\"unavailable_error\"}}");
}

void
route_metrics(struct http_call *c)
{
	struct buf b;

	buf_init(&b, METRICS_BYTES_MAX);
	metrics_write(c->g, &b);
	http_reply(c, 200, METRICS_CONTENT_TYPE, &b);
}

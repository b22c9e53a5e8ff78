/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_ROUTES_H
#define BM_GATE_ROUTES_H

/* From method and path to a handler: routes.def. */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define ROUTE_ALLOW_SIZE 64

struct http_call;

typedef void (*route_fn)(struct http_call *c);

struct route {
	const char	*method;
	const char	*path;
	route_fn	 fn;
	bool		 needs_key;
	bool		 is_logged;	/* what is refused has a row too */
};

/*
 * BM_ENOTFOUND: no such path.  BM_EMETHOD: not with this method; allow holds
 * those that are ("GET, HEAD"), as it does after success.  *rest is what "*"
 * stood for.
 */
int	 route_find(const char *method, const char *path,
	    const struct route **out, const char **rest,
	    char allow[ROUTE_ALLOW_SIZE]) BM_MUST_CHECK;

/* The handlers that are no part of the OpenAI shapes. */
void	 route_root(struct http_call *c);
void	 route_health(struct http_call *c);
void	 route_livez(struct http_call *c);
void	 route_readyz(struct http_call *c);
void	 route_metrics(struct http_call *c);

#endif

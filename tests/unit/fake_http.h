/* SPDX-License-Identifier: MIT */
#ifndef BM_TESTS_FAKE_HTTP_H
#define BM_TESTS_FAKE_HTTP_H

/* http_io.h without sockets: what a handler answers is kept. */

#include <stdbool.h>

#include "gate/http_io.h"

struct fake_http {
	struct http_call call;
	int		 status;	/* 0: not answered yet */
	bool		 is_stream;
	bool		 is_ended;
	struct buf	 out;
};

/* Call the route of method and path; returns what routes.h returned. */
int	 fake_http_call(struct fake_http *h, const char *method,
	    const char *path, const void *body, size_t n);
/* The exchange is over. */
void	 fake_http_end(struct fake_http *h);

#endif

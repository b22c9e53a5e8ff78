/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_HTTP_IO_H
#define BM_GATE_HTTP_IO_H

/*
 * HTTP by libmicrohttpd inside the gate's loop.  A handler (routes.def) gets a
 * call with its whole body and answers now or later: once by http_reply, or
 * by http_stream, any number of appends and flushes, and http_stream_end.
 * on_end is called exactly once when the exchange is over, whether the answer
 * is out or the client has gone; the handler's work ends there.  It is called
 * from the loop, never from within the functions below.
 */

#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/uuid.h"

#define HTTP_JSON	"application/json; charset=utf-8"
#define HTTP_TEXT	"text/plain; charset=utf-8"
#define HTTP_CLIENT_SIZE 64

struct gate;
struct http;
struct http_call;

struct http_call {
	/* for the handler to read */
	struct gate	*g;
	const char	*path;
	const char	*rest;		/* of a path that ends in "*" */
	const char	*client;	/* "127.0.0.1:5123" */
	const char	*tenant;	/* NULL: none */
	const char	*endpoint;	/* a refusal gets a row of this name;
					 * NULL: it gets none */
	const char	*model;		/* for that row, as asked; or NULL */
	struct slice	 body;
	char		 id[UUID_TEXT_SIZE];	/* X-Request-Id; may be
					 * replaced before the answer */
	/* for the handler to set */
	void		(*on_end)(void *arg);
	void		*arg;
	unsigned	 retry_s;	/* Retry-After; 0: none */
	const char	*allow;		/* Allow; NULL: none */
	bool		 has_waited;	/* X-Queue-Position, -Wait-Ms: */
	size_t		 queue_position;
	uint64_t	 queue_wait_ms;
};

/* Takes the buffer. */
void		 http_reply(struct http_call *c, int status, const char *type,
		    struct buf *body);
/* text stays the caller's and must be static. */
void		 http_reply_static(struct http_call *c, int status,
		    const char *type, const char *text);
/* The buffer to append events to; the first call begins the answer. */
struct buf	*http_stream(struct http_call *c);
void		 http_stream_flush(struct http_call *c);
/* No more will come. */
void		 http_stream_end(struct http_call *c);

/* ---- for the clients' sockets (listen_io.c, client_io.c) ---- */

/* is_closed is told when a connection that http_add took has ended. */
struct http	*http_new(struct gate *g, void (*is_closed)(void *arg),
		    void *arg);
void		 http_free(struct http **h);
/* Take a connection whose first bytes are HTTP, unread; takes fd.  -errno
 * when that failed, and the descriptor is closed. */
int		 http_add(struct http *h, int fd, const struct sockaddr *sa,
		    socklen_t sa_len, const char *client);

#endif

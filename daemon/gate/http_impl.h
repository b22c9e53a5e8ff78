/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_HTTP_IMPL_H
#define BM_GATE_HTTP_IMPL_H

/*
 * What the files of HTTP share: http_io.c keeps the library and its connections
 * in the loop, http_exchange.c leads one request to its answer.
 */

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <microhttpd.h>

#include "base/buf.h"
#include "base/queue.h"
#include "gate/http_io.h"
#include "gate/routes.h"

struct connection {
	struct gate	*g;
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

/* ---- http_exchange.c: its first two are the library's callbacks ---- */

/* cls is the struct http, *arg the exchange, NULL before its head. */
enum MHD_Result	 exchange_on_request(void *cls, struct MHD_Connection *mhd,
		    const char *url, const char *method, const char *version,
		    const char *data, size_t *n, void **arg);
/* Frees the exchange. */
void		 exchange_on_completed(void *cls, struct MHD_Connection *mhd,
		    void **arg, enum MHD_RequestTerminationCode why);
/* Make the library notice and close; it then tells exchange_on_completed. */
void		 exchange_drop_client(struct exchange *x);
/* The handler's work ends; called from the loop only. */
void		 exchange_end_work(struct exchange *x);
/* A stream whose client takes nothing although there is something to take? */
bool		 exchange_is_stalled(const struct exchange *x,
		    uint64_t now_ns);

/* ---- http_io.c ---- */

/* Run the library before the loop sleeps. */
void		 http_run_soon(struct http *h);
/* The id of a new exchange, until its handler has a better one. */
void		 http_make_id(struct http *h, char text[UUID_TEXT_SIZE]);
/* Look after a working exchange until http_watch_remove: its client may go
 * away or stall.  Both may be called again without effect. */
void		 http_watch_add(struct exchange *x);
void		 http_watch_remove(struct exchange *x);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_CLIENT_IO_H
#define BM_GATE_CLIENT_IO_H

/*
 * What the files of clients' sockets share: listen_io.c accepts and looks at
 * all of them, client_io.c is about one.  Nobody else includes this.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "base/buf.h"
#include "base/queue.h"
#include "gate/http_io.h"

#define CLIENT_CHUNK_BYTES 65536
#define SWEEP_S		1.0
#define SWEEP_FAST_S	0.05

struct clients;
struct gate;
struct listener;
struct session;

union address {
	struct sockaddr	 sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

struct client {
	struct clients	*all;
	int		 fd;
	struct ev_io	 rd;
	struct ev_io	 wr;
	struct session	*session;	/* NULL until its protocol is known */
	struct buf	 out;
	size_t		 out_at;	/* bytes of out already written */
	uint64_t	 active_ns;	/* last byte in or out */
	bool		 is_unix;
	bool		 is_eof;	/* sends nothing more */
	bool		 is_closing;	/* close when all is written */
	bool		 is_lingering;	/* all is written; drop what comes */
	bool		 is_dead;
	bool		 is_dirty;
	bool		 is_undecided;	/* first bytes are no whole word yet */
	char		 name[HTTP_CLIENT_SIZE];
	TAILQ_ENTRY(client) entry;
	TAILQ_ENTRY(client) dirty;
};
TAILQ_HEAD(client_list, client);
TAILQ_HEAD(listener_list, listener);

struct clients {
	struct gate	*g;
	struct http	*http;
	struct listener_list listeners;
	struct client_list clients;
	struct client_list dirty;	/* for clients_settle */
	struct ev_prepare prepare;
	struct ev_timer	 sweep;
	bool		 is_paused;	/* accepting, for want of descriptors */
	uint64_t	 warned_ns;
	char		 chunk[CLIENT_CHUNK_BYTES];
};

/* ---- client_io.c ---- */

/* Take an accepted socket of that peer. */
void	 client_new(struct clients *all, int fd, const union address *a);
/* Time went by.  Returns whether the client wants to be looked at again
 * soon. */
bool	 client_sweep(struct client *c, uint64_t now);
/* Close if it has shut its side and waits for nothing. */
void	 client_drain(struct client *c);
/* Write what the socket takes at once, and let go of the client. */
void	 client_abandon(struct client *c);
/* Write what has gathered, and free the clients that are done with. */
void	 clients_settle(struct clients *all);

/* ---- listen_io.c ---- */

/* Look at the clients every so often; fast while one needs it. */
void	 clients_sweep_within(struct clients *all, double seconds);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_SESSION_H
#define BM_GATE_SESSION_H

/*
 * One client of the line protocol, bigmodel-protocol(7).  Pure: bytes go in by
 * session_feed, answers come out by session_io; sockets, backlogs and timeouts
 * are client_io.c's.
 */

#include <stdbool.h>
#include <stddef.h>

struct gate;
struct session;

struct session_io {
	/* Bytes for the client.  Must not call back into the session. */
	void	(*write)(void *arg, const void *p, size_t n);
	/* Close once everything written is out; the owner calls session_free
	 * later, never from here. */
	void	(*close)(void *arg);
};

/* client is kept, not copied: "127.0.0.1:5123", "unix:uid=1000,pid=77". */
struct session	*session_new(struct gate *g, const struct session_io *io,
		    void *arg, const char *client);
/* Abandons what is running. */
void		 session_free(struct session **s);
void		 session_feed(struct session *s, const void *p, size_t n);
/* No more bytes will come; running requests are still answered. */
void		 session_eof(struct session *s);
size_t		 session_n_running(const struct session *s);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_CLIENT_IO_H
#define BM_CONSOLE_CLIENT_IO_H

/*
 * The admin socket: a line of words out, JSON lines back, then "ok" or
 * "error code=NAME message=...".  One connection a command.
 */

#include "base/buf.h"
#include "console/progress.h"
#include "wire/paths.h"

/* One JSON line, without its end; borrowed for the call. */
typedef void (*client_line_fn)(void *arg, struct slice line);

/* Where the daemon's admin socket is, by options and environment. */
int	 client_socket_path(const struct ctl *ctl, char out[PATH_SIZE],
	    struct cause *cause) BM_MUST_CHECK;
/* A connection, with flags of socket(2); SOCK_NONBLOCK: never waits. */
int	 client_open(const char *path, int flags, int *fd,
	    struct cause *cause) BM_MUST_CHECK;
/* 0 if somebody listens there, else why not. */
int	 client_probe(const char *path) BM_MUST_CHECK;
/*
 * Run one command.  silence_ms bounds the wait between two lines (0: for
 * ever).  Fails with the daemon's own code and message; BM_ENODAEMON when
 * nobody listens; -EACCES; BM_ETIMEOUT; -ECONNRESET when the connection ended
 * before the answer did.
 */
int	 client_run(const char *path, const char *const *words, size_t n,
	    uint64_t silence_ms, struct progress *progress,
	    client_line_fn each, void *arg, struct cause *cause)
	    BM_MUST_CHECK;
/* A request and its answer on any socket of the daemon. */
struct client_exchange {
	struct slice	 request;	/* with its line end */
	uint64_t	 silence_ms;	/* 0: wait for ever */
	struct progress	*progress;
	/* Each line without its end: 1 for more, 0 was the last, else why the
	 * exchange ends. */
	int		(*take)(void *arg, struct slice line,
			    struct cause *cause);
	/* Asked at least twice a second and after signals; NULL: not.  What it
	 * returns, if anything, is sent. */
	struct slice	(*say)(void *arg);
	void		*arg;
};
int	 client_exchange(const char *path, const struct client_exchange *x,
	    struct cause *cause) BM_MUST_CHECK;
/* Read the last line of an answer: 1 for any other line, 0 for "ok", else
 * the error's code with its message as the cause. */
int	 client_parse_end(struct slice line, struct cause *cause);
/* The sentence for an answer that broke off; -ECONNRESET. */
int	 client_lost(struct cause *cause);

#endif

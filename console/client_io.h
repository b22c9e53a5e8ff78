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
/* Read the last line of an answer: 1 for any other line, 0 for "ok", else
 * the error's code with its message as the cause. */
int	 client_parse_end(struct slice line, struct cause *cause);

#endif

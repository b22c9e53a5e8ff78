/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_LINK_IO_H
#define BM_CONSOLE_TUI_LINK_IO_H

/*
 * A command of the daemon while a loop runs: a connection of its own, the
 * line of words out, lines back until "ok" or "error".  The subscription
 * (watch), the log that is followed and all single commands are such links.
 */

#include "base/buf.h"
#include "base/err.h"

/* The longest line that is taken; a longer one ends the link. */
#define LINK_LINE_MAX	((size_t)16 << 20)

struct ev_loop;
struct link;

struct link_handler {
	/* A line of the answer without its end, borrowed for the call. */
	void	(*line)(void *arg, struct link *l, struct slice line);
	/* It is over: 0, the daemon's error, or why the connection failed.
	 * The handler frees the link, in the call or later. */
	void	(*end)(void *arg, struct link *l, const struct cause *cause);
};

/* silence_ms: the longest time between two lines, 0: any.  Handlers are
 * called from the loop only; they may free any link.  What h and path point to
 * must live as long. */
struct link	*link_new(struct ev_loop *loop, const char *path,
		    const char *const *words, size_t n, uint64_t silence_ms,
		    const struct link_handler *h, void *arg);
/* Also in the middle of an answer; NULL is fine. */
void		 link_free(struct link *l);

#endif

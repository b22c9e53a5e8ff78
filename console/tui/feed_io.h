/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_FEED_IO_H
#define BM_CONSOLE_TUI_FEED_IO_H

/*
 * What the screen has from a daemon: the subscription and the log, which come
 * back by themselves when they are lost, and answers to single commands.  It
 * all goes to the tui; after each piece the caller hears that there is
 * something to paint.
 */

#include <stdbool.h>
#include <stddef.h>

struct ev_loop;
struct feed;
struct tui;

/* path, of the daemon's socket, must live as long. */
struct feed	*feed_new(struct ev_loop *loop, const char *path,
		    struct tui *tui, void (*changed)(void *arg), void *arg);
void		 feed_free(struct feed *f);

/* A snapshot so often, from now on; 0: none. */
void		 feed_interval(struct feed *f, unsigned interval_ms);
/* One now, if there are any. */
void		 feed_refresh(struct feed *f);
void		 feed_follow_log(struct feed *f, bool on);
/* The answer goes to tui_answer_line and tui_answer_end with the ticket. */
void		 feed_run(struct feed *f, unsigned ticket,
		    const char *const *words, size_t n);
/* Its answer isn't wanted any more. */
void		 feed_forget(struct feed *f, unsigned ticket);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_TUI_H
#define BM_CONSOLE_TUI_TUI_H

/*
 * The screen without a terminal: keys and lines of the daemon in, a canvas
 * and commands out.  Pure: time is a parameter, everything that touches a
 * descriptor is the host's.
 */

#include "console/ctl.h"
#include "console/tui/store.h"
#include "console/tui/canvas.h"
#include "console/tui/keys.h"
#include "console/tui/prompt.h"
#include "console/tui/view.h"

/* What the screen asks of the one that runs it. */
struct tui_host {
	void	*arg;
	/* Carry out a command of the daemon; lines of the answer come by
	 * tui_answer_line, the end by tui_answer_end with the ticket. */
	void	(*run)(void *arg, unsigned ticket, const char *const *words,
		    size_t n);
	/* Abandon it. */
	void	(*forget)(void *arg, unsigned ticket);
	/* Subscribe with this interval from now on; 0: end that. */
	void	(*interval)(void *arg, unsigned interval_ms);
	/* A snapshot at once: something was changed. */
	void	(*refresh)(void *arg);
	/* Deliver rows of the log by tui_log_line, or stop that. */
	void	(*follow_log)(void *arg, bool on);
	/* A command that is no daemon's (bench, inspect...) takes the terminal
	 * until it ends. */
	void	(*shell_out)(void *arg, const char *line);
	/* A command line was entered; may be NULL. */
	void	(*remember)(void *arg, const char *line);
	void	(*redraw_all)(void *arg);
	void	(*quit)(void *arg);
};

struct tui_options {
	bool	 ascii;
	bool	 readonly;	/* no action that changes anything */
	const char *where;	/* the daemon's socket, for the title */
};

struct tui	*tui_new(const struct tui_host *host,
		    const struct tui_options *options);
void		 tui_free(struct tui *t);

void		 tui_key(struct tui *t, int key);
/* A press (K_ENTER) or the wheel (K_UP, K_DOWN) at a cell of the canvas drawn
 * last. */
void		 tui_mouse(struct tui *t, int y, int x, int key);
void		 tui_snapshot(struct tui *t, struct slice line,
		    uint64_t now_ns);
void		 tui_log_line(struct tui *t, struct slice line);
/* The subscription is gone; it is tried again in retry_ms. */
void		 tui_lost(struct tui *t, const struct cause *why,
		    uint64_t now_ns, uint64_t retry_ms);
/* A command line of earlier times; the oldest first. */
void		 tui_history(struct tui *t, const char *line);
/* How often snapshots are wanted; 0 while paused. */
unsigned	 tui_interval_ms(const struct tui *t);
void		 tui_answer_line(struct tui *t, unsigned ticket,
		    struct slice line);
void		 tui_answer_end(struct tui *t, unsigned ticket, int code,
		    const char *text);
/* Draw at the canvas' size; returns false when nothing changed since the
 * last drawing of that canvas size. */
bool		 tui_draw(struct tui *t, struct canvas *c, uint64_t now_ns,
		    int64_t now_unix_ms);

/* ---- for views, dialogs and actions ---- */

const struct store *tui_store(const struct tui *t);
struct view	*tui_view(struct tui *t);	/* in front */
/* The line above the keys, until the next key. */
void		 tui_say(struct tui *t, enum role role, const char *fmt, ...)
		    BM_PRINTF(3, 4);
/* A line of input on the bottom; done gets NULL when given up, and must not
 * keep the text. */
void		 tui_ask(struct tui *t, const char *prompt, const char *initial,
		    void (*done)(struct tui *t, const char *text));

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_PAINT_H
#define BM_CONSOLE_TUI_PAINT_H

/*
 * The terminal: canvases to it, keys from it.  One in a process; whatever ends
 * the process gives the terminal back (rescue.h).  Writing may block for as
 * long as the terminal takes, reading never does.
 */

#include <stdbool.h>

#include "base/err.h"
#include "console/tui/canvas.h"

struct paint_options {
	bool	 color;
	bool	 mouse;		/* which takes selecting from the terminal */
};

/* Signal handlers that are there already stay.  BM_EUSAGE for a terminal that
 * can't show a screen. */
int	 paint_start(const struct paint_options *options, struct cause *cause);
/* Also at exit(3). */
void	 paint_stop(void);
/* Give the terminal away for a while and take it back; the next painting is
 * of everything. */
void	 paint_suspend(void);
void	 paint_resume(void);
/* Take over the terminal's size as it is now. */
void	 paint_resize(int *h, int *w);
/* Forget what the terminal shows. */
void	 paint_forget(void);
/* Bring the terminal to show c, by what changed since the last time. */
void	 paint_show(const struct canvas *c);

struct paint_input {
	int	 key;		/* keys.h; K_NONE: nothing more for now */
	bool	 is_mouse;	/* at y, x: K_ENTER a press, K_UP the wheel */
	int	 y, x;
};
struct paint_input paint_key(void);

#endif

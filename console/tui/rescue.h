/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_RESCUE_H
#define BM_CONSOLE_TUI_RESCUE_H

/*
 * The terminal comes back whatever ends the process: a handler for the signals
 * of crashes writes the given bytes and the modes of before and lets the
 * signal do its work; a guard process does the same when ours vanishes without
 * a word (SIGKILL: machines full of models have an OOM killer).  What
 * was written to stderr meanwhile is kept and shown once the screen is gone.
 */

#include <stddef.h>
#include <termios.h>

#define RESCUE_BYTES	256

struct rescue {
	int		 tty;		/* where the screen is */
	struct termios	 modes;		/* of before */
	char		 bytes[RESCUE_BYTES];	/* that end the screen */
	size_t		 n;
};

/* From now on; once in a process' life. */
void	 rescue_begin(const struct rescue *r);
/* The screen is left (over) or taken again by its owner. */
void	 rescue_pause(void);
void	 rescue_resume(void);
/* Over, the guard ends. */
void	 rescue_end(void);

#endif

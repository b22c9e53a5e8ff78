/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_PROGRESS_H
#define BM_CONSOLE_PROGRESS_H

/*
 * A line on stderr about something that takes longer than two seconds, when
 * stderr is a terminal.  Callers tick at least twice a second while they wait.
 */

#include "console/ctl.h"

struct progress {
	const char	*what;		/* NULL: never shown */
	uint64_t	 start_ns;
	uint64_t	 shown_ns;
	uint64_t	 done, total;	/* total 0: only time is told */
	const char	*unit;		/* " MiB", or NULL */
	bool		 is_shown;
};

/* what is kept, not copied. */
void	 progress_begin(struct progress *p, const struct ctl *ctl,
	    const char *what);
void	 progress_tick(struct progress *p);
/* Takes the line away. */
void	 progress_end(struct progress *p);

#endif

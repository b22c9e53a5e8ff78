/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_NAMES_IO_H
#define BM_CONSOLE_NAMES_IO_H

/* The names that live in the daemon, for completion. */

#include "console/ctl.h"
#include "console/words.h"

#define NAMES_MS 200	/* a line editor waits no longer */

/* Those of the kinds asked for (WORD_BIT); what the daemon does not tell in
 * time is left out. */
void	 names_fetch(const struct ctl *ctl, unsigned kinds,
	    struct names *out);
/* The daemon's state as a word for the prompt: "ready", "no daemon". */
void	 names_state(const struct ctl *ctl, char *out, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_CONFIRM_H
#define BM_CONSOLE_CONFIRM_H

/* Asking before a command that disturbs clients or ends the service. */

#include "console/ctl.h"

/* Must the operator be asked at all?  Risk 2 and 3, unless -y. */
bool	 confirm_is_needed(const struct ctl *ctl, const struct command *cmd);
/* Is there somebody who can answer?  If not: BM_EUSAGE with a sentence. */
int	 confirm_check(const struct ctl *ctl, const struct command *cmd,
	    struct cause *cause) BM_MUST_CHECK;
/* Ask on the terminal, saying the effect.  0, or BM_EUSAGE when the operator
 * did not agree. */
int	 confirm_ask(const struct command *cmd, const char *effect,
	    struct cause *cause) BM_MUST_CHECK;
/* Does this answer agree?  risk 2: y or yes; risk 3: yes in full. */
bool	 confirm_agrees(int risk, const char *answer);

#endif

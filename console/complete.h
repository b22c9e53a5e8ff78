/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_COMPLETE_H
#define BM_CONSOLE_COMPLETE_H

/* What Tab and ? do while a command line is edited. */

#include "console/ctl.h"

/* From now on (NULL: no longer) lines are commands of this console, which the
 * caller keeps. */
void	 complete_commands(const struct ctl *ctl);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_HELP_H
#define BM_CONSOLE_HELP_H

/* What the console says about itself, from its tables. */

#include <stdio.h>

#include "console/ctl.h"

void	 help_usage(FILE *to);
/* Options and all commands. */
void	 help_all(FILE *to);
/* Usage and the names of the commands. */
void	 help_short(FILE *to);
/* The table of commands as JSON, for programs. */
void	 help_json(FILE *to);
/* Syntax and purpose of the commands that the words begin; false and nothing
 * when there are none. */
bool	 help_command(const char *const *w, size_t n, FILE *to);

#endif

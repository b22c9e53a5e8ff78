/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_LINE_H
#define BM_CONSOLE_LINE_H

/* Editing a line on the terminal, and the lines of before: GNU readline. */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The history that shells share: $XDG_STATE_HOME/bigmodelctl/history. */
#define LINE_HISTORY_MAX 1000

/* What is edited: commands have a history in a file, what is said to a model
 * is remembered until the program ends. */
enum line_use { LINE_COMMANDS, LINE_CHAT };
/* Begin to edit, that is to have ^C end the line only. */
void	 line_begin(enum line_use use);
enum line_end_by { LINE_ENTERED, LINE_INTERRUPTED, LINE_ENDED };
/* A line without its end, to free; NULL unless LINE_ENTERED. */
char	*line_read(const char *prompt, enum line_end_by *by);
/* For one that edits otherwise: the history alone, read anew. */
void	 line_load_history(enum line_use use);
/* Its lines, oldest first; NULL behind the last. */
const char *line_history(size_t i);
/* Remember a line: not what begins with a blank, nor twice the same. */
void	 line_remember(const char *line);
void	 line_end(void);

#endif

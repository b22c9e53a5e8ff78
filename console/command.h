/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_COMMAND_H
#define BM_CONSOLE_COMMAND_H

/*
 * One command line carried out, wherever it came from: arguments of the
 * program, lines of stdin, of the shell or of the screen.  The same words,
 * help and exit codes everywhere; ctl->interactive allows words written short.
 */

#include "base/buf.h"
#include "console/ctl.h"

/* The command of n words, which this reorders; its exit code. */
int	 ctl_run_words(const struct ctl *ctl, const char **w, size_t n);

enum ctl_line { LINE_EMPTY, LINE_COMMAND, LINE_QUIT };
/* A line: nothing, a comment (#), a command, or quit, which is not carried
 * out. */
int	 ctl_run_line(const struct ctl *ctl, struct slice line,
	    enum ctl_line *what);
/* What kind of line it is, without carrying it out. */
enum ctl_line ctl_line_kind(const struct ctl *ctl, struct slice line);
/* The lines of stdin until one fails (unless ctl->keep_going) or says quit;
 * the exit code of the last. */
int	 ctl_run_stdin(const struct ctl *ctl);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * bigmodelctl shell.  Each command runs in a process of its own, as it would
 * from the command line: ^C ends it and not the shell, a crash neither, and
 * the terminal is set right behind it.
 */
#include "config.h"

#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "console/command.h"
#include "console/complete.h"
#include "console/line.h"
#include "console/names_io.h"

static void
set_signals(void (*handler)(int))
{
	signal(SIGINT, handler);
	signal(SIGQUIT, handler);
}

static int
wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return CTL_REFUSED;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (WTERMSIG(status) == SIGINT)
		fputc('\n', stderr);
	else
		fprintf(stderr, "bigmodelctl: the command was ended: %s\n",
		    strsignal(WTERMSIG(status)));
	return 128 + WTERMSIG(status);
}

static int
run_apart(const struct ctl *ctl, const char *line)
{
	struct termios terminal;
	bool has_terminal = tcgetattr(STDIN_FILENO, &terminal) == 0;
	enum ctl_line what;
	pid_t pid;
	int status;

	fflush(NULL);
	if ((pid = fork()) < 0) {
		fprintf(stderr, "bigmodelctl: fork: %s\n", strerror(errno));
		return CTL_REFUSED;
	}
	if (pid == 0) {
		set_signals(SIG_DFL);
		status = ctl_run_line(ctl, slice_of(line), &what);
		fflush(NULL);
		_exit(status);
	}
	set_signals(SIG_IGN);
	status = wait_for(pid);
	if (has_terminal)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal);
	return status;
}

/* The daemon's state stands in the prompt when it is not simply ready. */
static char *
read_command(const struct ctl *ctl, enum line_end_by *by)
{
	char state[32], prompt[64];

	names_state(ctl, state, sizeof(state));
	if (strcmp(state, "ready") == 0)
		snprintf(prompt, sizeof(prompt), "bigmodel> ");
	else
		snprintf(prompt, sizeof(prompt), "bigmodel (%s)> ", state);
	return line_read(prompt, by);
}

static int
run_lines(const struct ctl *ctl)
{
	enum line_end_by by;
	int status = CTL_DONE;
	char *line;

	for (;;) {
		enum ctl_line what;

		line_begin(LINE_COMMANDS);
		complete_commands(ctl);
		line = read_command(ctl, &by);
		if (line != NULL)
			line_remember(line);
		complete_commands(NULL);
		line_end();
		if (by == LINE_ENDED) {
			putchar('\n');
			return status;
		}
		if (by == LINE_INTERRUPTED)
			continue;
		what = ctl_line_kind(ctl, slice_of(line));
		if (what == LINE_COMMAND)
			status = run_apart(ctl, line);
		free(line);
		if (what == LINE_QUIT)
			return status;
	}
}

int
do_shell(const struct ctl *base, const struct command *cmd,
    const char *const *args, size_t n_args)
{
	struct ctl ctl = *base;
	struct cause cause = { 0 };

	if (ctl.interactive || ctl.from_stdin) {
		cause_set(&cause, BM_EUSAGE, "this is a shell already");
		return ctl_fail(&ctl, &cause);
	}
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return ctl_run_stdin(&ctl);
	ctl.interactive = true;
	return run_lines(&ctl);
}

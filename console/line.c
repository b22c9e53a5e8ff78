/* SPDX-License-Identifier: MIT */
/*
 * ^C ends the line, not the program: its handler, which stands in the place of
 * readline's, leaves a mark and wakes our way of reading a key, which then
 * tells readline that there are no more.  The history file is written after
 * every line, so that nothing is lost with the terminal; its mode is 0600, for
 * lines may hold prompts.
 */
#include "config.h"

#include "console/line.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/readline.h>
#include <readline/history.h>

#include "base/log.h"
#include "wire/paths.h"

static volatile sig_atomic_t is_interrupted;
static char history_path[PATH_SIZE];	/* empty: none is kept */
static struct sigaction before;

static int wake_fds[2] = { -1, -1 };	/* a byte for each interrupt */

static void
on_interrupt(int sig)
{
	int error = errno;

	is_interrupted = 1;
	/* A pipe that is full wakes as well. */
	if (write(wake_fds[1], "", 1) != 1)
		is_interrupted = 1;
	errno = error;
}

static void
forget_interrupts(void)
{
	char bytes[16];

	while (read(wake_fds[0], bytes, sizeof(bytes)) > 0)
		;
	is_interrupted = 0;
}

/* Readline has just put its own handler there. */
static int
take_interrupts(void)
{
	struct sigaction sa = { .sa_handler = on_interrupt };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	return 0;
}

static int
read_key(FILE *from)
{
	struct pollfd p[] = { { fileno(from), POLLIN, 0 },
	    { wake_fds[0], POLLIN, 0 } };
	unsigned char c;

	for (;;) {
		int n = poll(p, 2, -1);

		if (is_interrupted) {
			rl_echo_signal_char(SIGINT);
			rl_replace_line("", 0);
			return EOF;	/* of an empty line: the end */
		}
		if (n > 0 && p[0].revents != 0) {
			ssize_t got = read(p[0].fd, &c, 1);

			if (got == 1)
				return c;
			if (got == 0 || errno != EINTR)
				return EOF;
		}
		rl_check_signals();	/* a resize, a stop */
	}
}

/* mkdir -p of what is above the file; the last folder is ours alone. */
static void
make_folders(char *path)
{
	for (char *p = strchr(path + 1, '/'); p != NULL;
	    p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(path, 0700);
		*p = '/';
	}
}

static bool
find_history(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n = 0;

	if (state != NULL && state[0] == '/')
		n = snprintf(history_path, sizeof(history_path),
		    "%s/bigmodelctl/history", state);
	else if (home != NULL && home[0] == '/')
		n = snprintf(history_path, sizeof(history_path),
		    "%s/.local/state/bigmodelctl/history", home);
	if (n <= 0 || n >= (int)sizeof(history_path))
		history_path[0] = '\0';
	return history_path[0] != '\0';
}

/* Lines of another use are forgotten, those of before read again. */
void
line_load_history(enum line_use use)
{
	clear_history();
	history_path[0] = '\0';
	stifle_history(LINE_HISTORY_MAX);
	using_history();
	if (use == LINE_COMMANDS && find_history()) {
		make_folders(history_path);
		read_history(history_path);
	}
}

void
line_begin(enum line_use use)
{
	static enum line_use used = LINE_CHAT;

	if (wake_fds[0] < 0 && pipe2(wake_fds, O_CLOEXEC | O_NONBLOCK) != 0)
		fatal("pipe");
	sigaction(SIGINT, NULL, &before);
	take_interrupts();
	rl_readline_name = "bigmodelctl";
	rl_startup_hook = take_interrupts;
	rl_getc_function = read_key;
	/* Other shells add to the file meanwhile. */
	if (use == LINE_COMMANDS || use != used)
		line_load_history(use);
	used = use;
}

const char *
line_history(size_t i)
{
	const HIST_ENTRY *e = i < (size_t)history_length ?
	    history_get(history_base + (int)i) : NULL;

	return e != NULL ? e->line : NULL;
}

void
line_end(void)
{
	sigaction(SIGINT, &before, NULL);
}

/* Completion leaves a blank behind a word. */
static void
trim_end(char *line)
{
	size_t n = strlen(line);

	while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		line[--n] = '\0';
}

char *
line_read(const char *prompt, enum line_end_by *by)
{
	char *line;

	forget_interrupts();
	line = readline(prompt);
	if (line != NULL)
		trim_end(line);
	if (is_interrupted) {
		putchar('\n');
		free(line);
		line = NULL;
		*by = LINE_INTERRUPTED;
	} else {
		*by = line != NULL ? LINE_ENTERED : LINE_ENDED;
	}
	return line;
}

void
line_remember(const char *line)
{
	mode_t mask;

	if (line[0] == '\0' || line[0] == ' ')
		return;
	for (int i = history_length - 1; i >= 0; i--) {
		const HIST_ENTRY *e = history_get(history_base + i);

		if (e != NULL && strcmp(e->line, line) == 0)
			free_history_entry(remove_history(i));
	}
	add_history(line);
	if (history_path[0] == '\0')
		return;
	mask = umask(077);
	if (write_history(history_path) == 0)
		chmod(history_path, 0600);
	umask(mask);
}

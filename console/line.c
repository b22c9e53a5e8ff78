/* SPDX-License-Identifier: MIT */
/*
 * ^C ends the line, not the program: the handler only leaves a mark, and our
 * way of reading a key then tells readline that there are no more.  The
 * history file is written after every line, so that nothing is lost with the
 * terminal; its mode is 0600, for lines may hold prompts.
 */
#include "config.h"

#include "console/line.h"

#include <sys/stat.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/readline.h>
#include <readline/history.h>

#include "wire/paths.h"

static volatile sig_atomic_t is_interrupted;
static char history_path[PATH_SIZE];	/* empty: none is kept */
static struct sigaction before;

static void
on_interrupt(int sig)
{
	is_interrupted = 1;
}

static int
read_key(FILE *from)
{
	unsigned char c;
	ssize_t got;

	for (;;) {
		if ((got = read(fileno(from), &c, 1)) == 1)
			return c;
		if (got == 0 || errno != EINTR)
			return EOF;
		/* A resize is readline's to handle, an interrupt ends the
		 * line, and with nothing on it this is an end. */
		rl_check_signals();
		if (is_interrupted) {
			rl_replace_line("", 0);
			return EOF;
		}
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
	struct sigaction sa = { .sa_handler = on_interrupt };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, &before);	/* reads do not go on */
	rl_readline_name = "bigmodelctl";
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

char *
line_read(const char *prompt, enum line_end_by *by)
{
	char *line;

	is_interrupted = 0;
	line = readline(prompt);
	if (is_interrupted) {
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

/* SPDX-License-Identifier: MIT */
/*
 * From words to what carries them out.  Everything a command line means is
 * decided here, so that it means the same wherever it is said.
 */
#include "config.h"

#include "console/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "console/args.h"
#include "console/help.h"
#include "console/words.h"

static ctl_do_fn
doer_of(const struct command *cmd)
{
	switch (cmd->id) {
	case CMD_ID_BENCH:
		return do_bench;
	case CMD_ID_INSPECT:
		return do_inspect;
	case CMD_ID_LOGITS:
		return do_logits;
	case CMD_ID_QUANTIZE:
		return do_quantize;
	case CMD_ID_TOKENIZE:
		return do_tokenize;
	case CMD_ID_DETOKENIZE:
		return do_detokenize;
	case CMD_ID_CHAT:
		return do_chat;
	case CMD_ID_WATCH:
		return do_watch;
	case CMD_ID_SHELL:
		return do_shell;
	case CMD_ID_TOP:
		return do_top;
	default:
		return do_daemon;
	}
}

/* Is "--help" or "-h" among the words behind the command? */
static bool
wants_help(const char *const *w, size_t n)
{
	for (size_t i = 1; i < n && strcmp(w[i], "--") != 0; i++)
		if (strcmp(w[i], "--help") == 0 || strcmp(w[i], "-h") == 0)
			return true;
	return false;
}

static int
print_help(const struct ctl *ctl, const char *const *w, size_t n)
{
	if (n > 0 && !help_command(w, n, stdout)) {
		help_short(stderr);
		return CTL_USAGE;
	}
	if (n == 0 && ctl->json)
		help_json(stdout);
	else if (n == 0)
		help_all(stdout);
	return CTL_DONE;
}

/* What was printed must have arrived. */
static int
flush_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fputs("bigmodelctl: writing to standard output failed\n", stderr);
	return status == CTL_DONE ? CTL_REFUSED : status;
}

static int
dispatch(const struct ctl *ctl, const struct command *cmd,
    const char *const *args, size_t n)
{
	struct cause cause = { 0 };

	if (cmd->id == CMD_ID_HELP)
		return print_help(ctl, args, n);
	if (cmd->id == CMD_ID_QUIT)
		return CTL_DONE;
	if (ctl->readonly && cmd->risk >= 1) {
		cause_set(&cause, BM_EFORBID, "\"%s\" changes something and "
		    "this console may only read", cmd->words);
		return ctl_fail(ctl, &cause);
	}
	return doer_of(cmd)(ctl, cmd, args, n);
}

/* Common options taken out, words written out. */
static int
prepare(struct ctl *ctl, const char **w, size_t *n, struct words_list *full,
    struct cause *cause)
{
	int r;

	*full = (struct words_list){ 0 };
	if ((r = args_take_common(ctl, w, n, cause)) == 0 && ctl->interactive)
		r = words_expand(w, *n, full, cause);
	return r;
}

int
ctl_run_words(const struct ctl *base, const char **w, size_t n)
{
	struct ctl ctl = *base;
	struct cause cause = { 0 };
	struct words_list full;
	const struct command *cmd;
	size_t used;
	int status;

	if (prepare(&ctl, w, &n, &full, &cause) != 0)
		status = ctl_fail(&ctl, &cause);
	else if (wants_help(w, n))
		status = print_help(&ctl, w, n);
	else if (command_find(w, n, &cmd, &used, &cause) != 0)
		status = ctl_fail(&ctl, &cause);
	else
		status = dispatch(&ctl, cmd, w + used, n - used);
	words_free(&full);
	return flush_output(status);
}

/* The words of a line as an array that may be reordered; free it, then the
 * list.  NULL when it has none. */
static const char **
split_line(struct slice line, struct words_list *words, int *r,
    struct cause *cause)
{
	const char **w;

	*words = (struct words_list){ 0 };
	*r = 0;
	if (line.n > 0 && line.p[0] == '#')
		return NULL;
	if ((*r = words_split(line, words, cause)) != 0 || words->n == 0)
		return NULL;
	w = xcalloc(words->n + 1, sizeof(*w));
	for (size_t i = 0; i < words->n; i++)
		w[i] = words->w[i];
	return w;
}

enum ctl_line
ctl_line_kind(const struct ctl *ctl, struct slice line)
{
	struct words_list words, full = { 0 };
	struct cause cause;
	const char **w;
	enum ctl_line what = LINE_COMMAND;
	int r;

	w = split_line(line, &words, &r, &cause);
	if (w == NULL && r == 0)
		what = LINE_EMPTY;
	else if (w != NULL && words.n == 1 && (!ctl->interactive ||
	    words_expand(w, 1, &full, &cause) == 0) &&
	    (strcmp(w[0], "quit") == 0 || strcmp(w[0], "exit") == 0))
		what = LINE_QUIT;
	free(w);
	words_free(&full);
	words_free(&words);
	return what;
}

int
ctl_run_line(const struct ctl *ctl, struct slice line, enum ctl_line *what)
{
	struct words_list words;
	struct cause cause = { 0 };
	const char **w;
	int r, status = CTL_DONE;

	*what = ctl_line_kind(ctl, line);
	w = split_line(line, &words, &r, &cause);
	if (r != 0)
		status = ctl_fail(ctl, &cause);
	else if (*what == LINE_COMMAND)
		status = ctl_run_words(ctl, w, words.n);
	free(w);
	words_free(&words);
	return status;
}

int
ctl_run_stdin(const struct ctl *base)
{
	struct ctl ctl = *base;
	char *line = NULL;
	size_t size = 0, n_commands = 0;
	ssize_t got;
	int status = CTL_DONE;

	ctl.from_stdin = true;
	while ((status == CTL_DONE || ctl.keep_going) &&
	    (got = getline(&line, &size, stdin)) > 0) {
		enum ctl_line what;
		int one;

		while (got > 0 && strchr("\r\n", line[got - 1]) != NULL)
			got--;
		one = ctl_run_line(&ctl, (struct slice){ line, (size_t)got },
		    &what);
		n_commands += what != LINE_EMPTY;
		if (what == LINE_QUIT)
			break;
		if (what == LINE_COMMAND)
			status = one;
	}
	free(line);
	if (n_commands == 0) {
		help_short(stderr);
		return CTL_USAGE;
	}
	return status;
}

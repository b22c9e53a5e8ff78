/* SPDX-License-Identifier: MIT */
/*
 * bigmodelctl: options, then one command; or commands from stdin, one a line,
 * until the first that fails.
 */
#include "config.h"

#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "console/args.h"

static const char usage[] =
    "usage: bigmodelctl [-qVhy] [-s SOCKET | --state-dir DIR] [--json]\n"
    "                   [-t SECONDS] [--color=auto|always|never] COMMAND\n";

static const char options_help[] =
    "\nOptions:\n"
    "  -s, --socket SOCKET   the daemon's admin socket\n"
    "      --state-dir DIR   its state directory (holds admin.sock)\n"
    "      --json            one JSON value instead of text\n"
    "  -y, --yes             do not ask before a command that disturbs\n"
    "  -q, --quiet           no progress and no hints\n"
    "  -t, --timeout S       wait at most this long for an answer\n"
    "      --headers         column titles even into a pipe\n"
    "      --color WHEN      auto, always or never\n"
    "  -V, --version         the version\n"
    "  -h, --help            this text\n"
    "\nExit status: 0 done, 1 refused or failed, 2 usage, 3 no daemon,\n"
    "4 timed out or connection lost, 5 not allowed.\n";

enum { OPT_STATE_DIR = 256, OPT_JSON, OPT_COLOR, OPT_HEADERS };

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "yes", no_argument, NULL, 'y' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "timeout", required_argument, NULL, 't' },
	{ "color", required_argument, NULL, OPT_COLOR },
	{ "headers", no_argument, NULL, OPT_HEADERS },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

static void
print_commands(FILE *to, bool offline)
{
	for (size_t i = 0; i < CMD_N; i++) {
		const struct command *c = &commands[i];

		if ((c->where == CMD_OFFLINE) != offline)
			continue;
		fprintf(to, "  %s%s%s\n      %s\n", c->words,
		    c->args[0] != '\0' ? " " : "", c->args, c->help);
	}
}

static void
print_help(FILE *to)
{
	fputs(usage, to);
	fputs("\nCommands to the daemon:\n", to);
	print_commands(to, false);
	fputs("\nCommands on a model file, without a daemon:\n", to);
	print_commands(to, true);
	fputs(options_help, to);
}

static void
print_short_help(void)
{
	size_t column = 80;

	fprintf(stderr, "%sCommands:", usage);
	for (size_t i = 0; i < CMD_N; i++) {
		size_t n = strlen(commands[i].words) + 2;

		if (column + n > 78) {
			fputs("\n   ", stderr);
			column = 3;
		}
		fprintf(stderr, " %s%s", commands[i].words,
		    i + 1 < CMD_N ? "," : "\n");
		column += n;
	}
	fputs("More: bigmodelctl --help, bigmodelctl(1)\n", stderr);
}

/* The table of commands, for programs. */
static void
print_json_help(void)
{
	struct buf b;

	buf_init(&b, SIZE_MAX / 2);
	for (size_t i = 0; i < CMD_N; i++) {
		const struct command *c = &commands[i];

		buf_puts(&b, i == 0 ? "[{\"command\":" : ",\n{\"command\":");
		buf_put_json(&b, slice_of(c->words));
		buf_puts(&b, ",\"arguments\":");
		buf_put_json(&b, slice_of(c->args));
		buf_puts(&b, ",\"help\":");
		buf_put_json(&b, slice_of(c->help));
		buf_printf(&b, ",\"risk\":%d,\"needs_daemon\":%s}", c->risk,
		    c->where == CMD_OFFLINE ? "false" : "true");
	}
	buf_puts(&b, "]");
	puts(buf_cstr(&b));
	buf_fini(&b);
}

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

/* The usage of the commands that begin with the word. */
static int
print_command_help(const char *word)
{
	size_t n = strlen(word), found = 0;

	for (size_t i = 0; i < CMD_N; i++) {
		const struct command *c = &commands[i];

		if (strncmp(c->words, word, n) != 0 ||
		    (c->words[n] != '\0' && c->words[n] != ' '))
			continue;
		printf("%s%s%s\n    %s\n", c->words,
		    c->args[0] != '\0' ? " " : "", c->args, c->help);
		found++;
	}
	if (found == 0)
		print_short_help();
	return found == 0 ? CTL_USAGE : CTL_DONE;
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

/* Carry out the command of n words (reordered by this). */
static int
run_words(const struct ctl *base, const char **w, size_t n)
{
	struct ctl ctl = *base;
	struct cause cause = { 0 };
	const struct command *cmd;
	size_t used;

	if (args_take_common(&ctl, w, &n, &cause) != 0)
		return ctl_fail(&ctl, &cause);
	if (wants_help(w, n))
		return flush_output(print_command_help(w[0]));
	if (command_find(w, n, &cmd, &used, &cause) != 0)
		return ctl_fail(&ctl, &cause);
	if (cmd->id == CMD_ID_HELP) {
		if (ctl.json)
			print_json_help();
		else
			print_help(stdout);
		return flush_output(CTL_DONE);
	}
	return flush_output(doer_of(cmd)(&ctl, cmd, w + used, n - used));
}

/* One line of stdin: nothing, a comment (#), or a command. */
static int
run_line(const struct ctl *ctl, struct slice line, bool *was_command)
{
	struct words_list words;
	struct cause cause = { 0 };
	const char **w;
	int status;

	if (line.n > 0 && line.p[0] == '#')
		return CTL_DONE;
	if (words_split(line, &words, &cause) != 0)
		return ctl_fail(ctl, &cause);
	/* run_words reorders what it is given, and those must be freed. */
	w = xcalloc(words.n + 1, sizeof(*w));
	for (size_t i = 0; i < words.n; i++)
		w[i] = words.w[i];
	*was_command = words.n > 0;
	status = !*was_command ? CTL_DONE : run_words(ctl, w, words.n);
	free(w);
	words_free(&words);
	return status;
}

static int
run_stdin(struct ctl *ctl)
{
	char *line = NULL;
	size_t size = 0, n_commands = 0;
	ssize_t got;
	int status = CTL_DONE;

	ctl->from_stdin = true;
	while (status == CTL_DONE && (got = getline(&line, &size, stdin)) > 0) {
		bool was_command = false;

		while (got > 0 && strchr("\r\n", line[got - 1]) != NULL)
			got--;
		status = run_line(ctl, (struct slice){ line, (size_t)got },
		    &was_command);
		n_commands += was_command;
	}
	free(line);
	if (n_commands == 0 && status == CTL_DONE) {
		print_short_help();
		return CTL_USAGE;
	}
	return status;
}

/* One option of getopt; -1 to go on, else the exit code. */
static int
take_option(struct ctl *ctl, int opt, const char *arg)
{
	struct cause cause = { 0 };

	switch (opt) {
	case 's':
		ctl->socket = arg;
		return -1;
	case OPT_STATE_DIR:
		ctl->state_dir = arg;
		return -1;
	case OPT_JSON:
		ctl->json = true;
		return -1;
	case 'y':
		ctl->yes = true;
		return -1;
	case 'q':
		ctl->quiet = true;
		return -1;
	case OPT_HEADERS:
		ctl->headers = true;
		return -1;
	case 't':
		ctl->has_timeout = true;
		return args_ms("-t", arg, &ctl->timeout_ms, &cause) == 0 ?
		    -1 : ctl_fail(ctl, &cause);
	case OPT_COLOR:
		return args_color(arg, &ctl->color, &cause) == 0 ? -1 :
		    ctl_fail(ctl, &cause);
	case 'V':
		puts("bigmodelctl " PACKAGE_VERSION);
		return flush_output(CTL_DONE);
	case 'h':
		print_help(stdout);
		return flush_output(CTL_DONE);
	default:
		fputs(usage, stderr);
		return CTL_USAGE;
	}
}

int
main(int argc, char **argv)
{
	static char name[] = "bigmodelctl";
	struct ctl ctl = { 0 };
	int opt, status;

	/* getopt_long says who complains; the path does not matter. */
	if (argc > 0)
		argv[0] = name;
	/* Numbers stay in the C locale: JSON is printed here too. */
	setlocale(LC_CTYPE, "");
	while ((opt = getopt_long(argc, argv, "+s:t:yqVh", long_options,
	    NULL)) != -1)
		if ((status = take_option(&ctl, opt, optarg)) >= 0)
			return status;
	if (optind < argc)
		return run_words(&ctl, (const char **)argv + optind,
		    (size_t)(argc - optind));
	if (!isatty(STDIN_FILENO))
		return run_stdin(&ctl);
	print_short_help();
	return CTL_USAGE;
}

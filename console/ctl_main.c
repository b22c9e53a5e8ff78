/* SPDX-License-Identifier: MIT */
/*
 * bigmodelctl: options, then one command, a shell, or commands from stdin.
 */
#include "config.h"

#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "console/args.h"
#include "console/command.h"
#include "console/help.h"

/* The numbers of the options for getopt: behind all letters. */
enum {
	OPT_FIRST = 256,
#define OPTION(sym, name, letter, argument, behind, help) OPT_##sym,
#include "console/options.def"
#undef OPTION
};

static const struct option long_options[] = {
#define OPTION(sym, name, letter, argument, behind, help) \
	{ name, sizeof(argument) > 1 ? required_argument : no_argument, \
	    NULL, OPT_##sym },
#include "console/options.def"
#undef OPTION
	{ NULL, 0, NULL, 0 }
};

static const struct letter {
	char	letter;
	bool	has_argument;
	int	option;
} letters[] = {
#define OPTION(sym, name, letter, argument, behind, help) \
	{ letter, sizeof(argument) > 1, OPT_##sym },
#include "console/options.def"
#undef OPTION
};
#define N_LETTERS (sizeof(letters) / sizeof(letters[0]))

/* What to do when no command is given. */
struct choice {
	bool	 shell;
	bool	 batch;
	uint64_t count;
	uint64_t delay_ms;
};

/* "+s:t:..." */
static void
make_short_options(char out[2 * N_LETTERS + 2])
{
	size_t n = 0;

	out[n++] = '+';		/* the command's own options are not ours */
	for (size_t i = 0; i < N_LETTERS; i++) {
		if (letters[i].letter == 0)
			continue;
		out[n++] = letters[i].letter;
		if (letters[i].has_argument)
			out[n++] = ':';
	}
	out[n] = '\0';
}

static int
option_of_letter(int opt)
{
	for (size_t i = 0; i < N_LETTERS; i++)
		if (letters[i].letter != 0 && letters[i].letter == opt)
			return letters[i].option;
	return opt;
}

/* The options that print and end; -1 when opt is none. */
static int
take_last_option(int opt)
{
	if (opt == OPT_VERSION)
		puts("bigmodelctl " PACKAGE_VERSION);
	else if (opt == OPT_HELP)
		help_all(stdout);
	else
		return -1;
	return fflush(stdout) == 0 ? CTL_DONE : CTL_REFUSED;
}

/* One option of getopt; -1 to go on, else the exit code. */
static int
take_option(struct ctl *ctl, struct choice *choice, int opt, const char *arg)
{
	struct cause cause = { 0 };
	int r = 0;

	switch (option_of_letter(opt)) {
	case OPT_SOCKET:
		ctl->socket = arg;
		break;
	case OPT_STATE_DIR:
		ctl->state_dir = arg;
		break;
	case OPT_JSON:
		ctl->json = true;
		break;
	case OPT_YES:
		ctl->yes = true;
		break;
	case OPT_QUIET:
		ctl->quiet = true;
		break;
	case OPT_HEADERS:
		ctl->headers = true;
		break;
	case OPT_READONLY:
		ctl->readonly = true;
		break;
	case OPT_ASCII:
		ctl->ascii = true;
		break;
	case OPT_KEEP_GOING:
		ctl->keep_going = true;
		break;
	case OPT_INTERACTIVE:
		choice->shell = true;
		break;
	case OPT_BATCH:
		choice->batch = true;
		break;
	case OPT_COUNT:
		if (str_to_u64(arg, &choice->count) != 0)
			r = cause_set(&cause, BM_EUSAGE,
			    "-n wants a number, not %s", arg);
		break;
	case OPT_DELAY:
		r = args_ms("-d", arg, &choice->delay_ms, &cause);
		break;
	case OPT_TIMEOUT:
		ctl->has_timeout = true;
		r = args_ms("-t", arg, &ctl->timeout_ms, &cause);
		break;
	case OPT_COLOR:
		r = args_color(arg, &ctl->color, &cause);
		break;
	case OPT_VERSION:
	case OPT_HELP:
		return take_last_option(option_of_letter(opt));
	default:
		help_usage(stderr);
		return CTL_USAGE;
	}
	return r == 0 ? -1 : ctl_fail(ctl, &cause);
}

static int
run(const struct ctl *ctl, const struct choice *choice)
{
	const char *shell[] = { "shell", NULL }, *top[] = { "top", NULL };

	if (choice->batch)
		return watch_overview(ctl, choice->delay_ms, choice->count);
	if (choice->shell)
		return ctl_run_words(ctl, shell, 1);
	if (!isatty(STDIN_FILENO))
		return ctl_run_stdin(ctl);
	return ctl_run_words(ctl, top, 1);
}

int
main(int argc, char **argv)
{
	static char name[] = "bigmodelctl";
	char short_options[2 * N_LETTERS + 2];
	struct ctl ctl = { 0 };
	struct choice choice = { 0 };
	int opt, status;

	/* getopt_long says who complains; the path does not matter. */
	if (argc > 0)
		argv[0] = name;
	/* Numbers stay in the C locale: JSON is printed here too. */
	setlocale(LC_CTYPE, "");
	make_short_options(short_options);
	while ((opt = getopt_long(argc, argv, short_options, long_options,
	    NULL)) != -1)
		if ((status = take_option(&ctl, &choice, opt, optarg)) >= 0)
			return status;
	if (optind < argc)
		return ctl_run_words(&ctl, (const char **)argv + optind,
		    (size_t)(argc - optind));
	return run(&ctl, &choice);
}

/* SPDX-License-Identifier: MIT */
/* --help, help, COMMAND --help: everything from commands.def, options.def. */
#include "config.h"

#include "console/help.h"

#include <string.h>

#include "base/buf.h"

static const char usage[] =
    "usage: bigmodelctl [-hiqVy] [-s SOCKET | --state-dir DIR] [--json]\n"
    "                   [-t SECONDS] [--color=auto|always|never] "
    "[--readonly]\n"
    "                   [COMMAND]\n";

static const struct {
	const char	*name;
	int		 letter;
	const char	*argument;
	const char	*help;
} options[] = {
#define OPTION(sym, name, letter, argument, behind, help) \
	{ name, letter, argument, help },
#include "console/options.def"
#undef OPTION
};

static const struct {
	enum command_where	 first, last;
	const char		*title;
} groups[] = {
	{ CMD_GATE, CMD_REQLOG, "Commands to the daemon" },
	{ CMD_CONSOLE, CMD_CONSOLE, "Commands of the console" },
	{ CMD_OFFLINE, CMD_OFFLINE,
	    "Commands on a model file, without a daemon" },
};

void
help_usage(FILE *to)
{
	fputs(usage, to);
}

static void
print_command(const struct command *c, const char *indent, FILE *to)
{
	fprintf(to, "%s%s%s%s\n%s    %s\n", indent, c->words,
	    c->args[0] != '\0' ? " " : "", c->args, indent, c->help);
}

static void
print_options(FILE *to)
{
	char name[40];

	fputs("\nOptions:\n", to);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		snprintf(name, sizeof(name), "--%s %s", options[i].name,
		    options[i].argument);
		if (options[i].letter != 0)
			fprintf(to, "  -%c, %-18s%s\n", options[i].letter,
			    name, options[i].help);
		else
			fprintf(to, "      %-18s%s\n", name,
			    options[i].help);
	}
}

void
help_all(FILE *to)
{
	fputs(usage, to);
	for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
		fprintf(to, "\n%s:\n", groups[g].title);
		for (size_t i = 0; i < CMD_N; i++)
			if (commands[i].where >= groups[g].first &&
			    commands[i].where <= groups[g].last)
				print_command(&commands[i], "  ", to);
	}
	print_options(to);
	fputs("\nWithout a command: the screen (top) on a terminal, else "
	    "commands from\nstandard input, one a line.\n"
	    "Exit status: 0 done, 1 refused or failed, 2 usage, 3 no daemon,\n"
	    "4 timed out or connection lost, 5 not allowed.\n", to);
}

void
help_short(FILE *to)
{
	size_t column = 80;

	fprintf(to, "%sCommands:", usage);
	for (size_t i = 0; i < CMD_N; i++) {
		size_t n = strlen(commands[i].words) + 2;

		if (column + n > 78) {
			fputs("\n   ", to);
			column = 3;
		}
		fprintf(to, " %s%s", commands[i].words,
		    i + 1 < CMD_N ? "," : "\n");
		column += n;
	}
	fputs("More: bigmodelctl --help, bigmodelctl(1)\n", to);
}

static bool
needs_daemon(const struct command *c)
{
	return c->where != CMD_OFFLINE && c->where != CMD_CONSOLE;
}

void
help_json(FILE *to)
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
		    needs_daemon(c) ? "true" : "false");
	}
	buf_puts(&b, "]\n");
	fputs(buf_cstr(&b), to);
	buf_fini(&b);
}

/* Do the words, as far as the command has own ones, begin it? */
static bool
begins(const struct command *c, const char *const *w, size_t n)
{
	const char *p = c->words;

	for (size_t i = 0; i < n && *p != '\0'; i++) {
		size_t k = strcspn(p, " ");

		if (strlen(w[i]) != k || memcmp(w[i], p, k) != 0)
			return false;
		p += k + (p[k] == ' ');
	}
	return n > 0;
}

bool
help_command(const char *const *w, size_t n, FILE *to)
{
	bool any = false;

	/* Options may stand before their --help. */
	while (n > 0 && w[n - 1][0] == '-')
		n--;
	for (size_t i = 0; i < CMD_N; i++)
		if (begins(&commands[i], w, n)) {
			print_command(&commands[i], "", to);
			any = true;
		}
	return any;
}

/* SPDX-License-Identifier: MIT */
/*
 * words.c bound to readline.  Readline's own idea of words and quotes is not
 * used: it is told that the whole line is one word, and gets back whole lines
 * up to the cursor, so that quoting is decided in one place.
 */
#include "config.h"

#include "console/complete.h"

#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <readline/readline.h>

#include "base/mem.h"
#include "console/names_io.h"
#include "console/words.h"

static const struct ctl *console;
static struct candidates shown;		/* those of the last Tab */

static void
add_files(struct candidates *c)
{
	struct stat st;
	char *path;

	for (int i = 0; (path = rl_filename_completion_function(c->partial,
	    i)) != NULL; i++) {
		candidates_add(c, WORD_FILE, path,
		    stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? "/" : "");
		free(path);
	}
}

/* Candidates for the cursor, with the daemon's names where they could be. */
static void
find_candidates(struct candidates *c)
{
	struct slice line = { rl_line_buffer, (size_t)rl_end };
	size_t cursor = (size_t)rl_point;
	int max_risk = console->readonly ? 0 : 3;
	struct names names;

	words_complete(line, cursor, NULL, max_risk, c);
	if ((c->wants & WORD_LIVE) != 0) {
		names_fetch(console, c->wants, &names);
		candidates_fini(c);
		words_complete(line, cursor, &names, max_risk, c);
		names_fini(&names);
	}
	if ((c->wants & WORD_BIT(WORD_FILE)) != 0)
		add_files(c);
}

/* The line up to the cursor with its last word replaced. */
static char *
whole_line(const struct candidates *c, const char *word, size_t n)
{
	char *s = xmalloc(c->start + n + 1);

	memcpy(s, rl_line_buffer, c->start);
	memcpy(s + c->start, word, n);
	s[c->start + n] = '\0';
	return s;
}

/* How much all candidates begin with; never less than what was typed. */
static char *
common_line(const struct candidates *c)
{
	size_t typed = (size_t)rl_point - c->start;
	size_t n = strlen(c->v[0].text);

	for (size_t i = 1; i < c->n; i++) {
		size_t k = 0;

		while (k < n && c->v[i].text[k] == c->v[0].text[k])
			k++;
		n = k;
	}
	if (n < typed)
		return whole_line(c, rl_line_buffer + c->start, typed);
	return whole_line(c, c->v[0].text, n);
}

static char **
attempt(const char *text, int start, int end)
{
	char **found;

	rl_attempted_completion_over = 1;
	candidates_fini(&shown);
	find_candidates(&shown);
	if (shown.n == 0)
		return NULL;
	/* One that wants more behind it gets no blank. */
	rl_completion_append_character = shown.v[0].hint[0] == '/' ? '/' :
	    shown.v[0].text[strlen(shown.v[0].text) - 1] == '=' ? '\0' : ' ';
	/* Readline frees this; [0] is what the line becomes. */
	found = xcalloc(shown.n + 2, sizeof(*found));
	found[0] = common_line(&shown);
	for (size_t i = 0; shown.n > 1 && i < shown.n; i++)
		found[i + 1] = whole_line(&shown, shown.v[i].text,
		    strlen(shown.v[i].text));
	return found;
}

static void
print_candidates(const struct candidates *c)
{
	size_t width = 0;

	for (size_t i = 0; i < c->n; i++)
		width = MEM_MAX(width, strlen(c->v[i].text));
	for (size_t i = 0; i < c->n; i++) {
		const struct candidate *v = &c->v[i];

		if (v->hint[0] == '\0')
			fprintf(rl_outstream, "  %s\n", v->text);
		else
			fprintf(rl_outstream, "  %-*s  %s\n", (int)width,
			    v->text, v->hint);
	}
}

/* In the place of readline's columns of whole lines. */
static void
display(char **matches, int n, int longest)
{
	putc('\n', rl_outstream);
	print_candidates(&shown);
	rl_on_new_line();
	rl_forced_update_display();
}

/* Is the cursor within quotes, where ? is text? */
static bool
in_quotes(void)
{
	char quote = '\0';

	for (int i = 0; i < rl_point; i++) {
		char c = rl_line_buffer[i];

		if (quote == '"' && c == '\\' && i + 1 < rl_point)
			i++;
		else if (quote != '\0')
			quote = c == quote ? '\0' : quote;
		else if (c == '"' || c == '\'')
			quote = c;
	}
	return quote != '\0';
}

/* ?: what the command is for and what could stand here. */
static int
help_in_place(int count, int key)
{
	struct candidates c;

	if (in_quotes())
		return rl_insert(count, key);
	find_candidates(&c);
	rl_crlf();
	if (c.command != NULL)
		fprintf(rl_outstream, "%s%s%s: %s\n", c.command->words,
		    c.command->args[0] != '\0' ? " " : "", c.command->args,
		    c.command->help);
	print_candidates(&c);
	candidates_fini(&c);
	rl_on_new_line();
	rl_forced_update_display();
	return 0;
}

/* Where a name of no kind is wanted, Tab does nothing. */
static char *
no_completion(const char *text, int state)
{
	return NULL;
}

void
complete_commands(const struct ctl *ctl)
{
	/* A line has no such character, so that it is all one word. */
	static char no_break[] = "\n";

	console = ctl;
	candidates_fini(&shown);
	rl_attempted_completion_function = ctl != NULL ? attempt : NULL;
	rl_completion_entry_function = no_completion;
	rl_completion_display_matches_hook = ctl != NULL ? display : NULL;
	rl_completer_word_break_characters = no_break;
	rl_basic_word_break_characters = no_break;
	rl_completer_quote_characters = "";
	rl_sort_completion_matches = 0;
	rl_ignore_completion_duplicates = 0;
	rl_bind_key('?', ctl != NULL ? help_in_place : rl_insert);
}

/* SPDX-License-Identifier: MIT */
/*
 * The last step of an action: its lines of commands, what they would do, the
 * question, and on yes their run.
 */
#include "config.h"

#include <stdlib.h>

#include "base/mem.h"
#include "console/tui/act.h"

#define SHOWN_EFFECTS	6	/* of many commands at once */

/* ---- lines of commands ---- */

/* Words up to NULL, quoted as needed. */
void
act_add_line(struct tui_act *a, const char *const *words)
{
	struct buf b;
	size_t n = 0;

	while (words[n] != NULL)
		n++;
	buf_init(&b, SIZE_MAX / 2);
	words_join(words, n, &b);
	a->lines = xreallocarray(a->lines, a->n_lines + 1, sizeof(char *));
	a->lines[a->n_lines++] = buf_take(&b);
}

/* ---- the last step: what would happen ---- */

static struct facts
facts_of(const struct tui *t)
{
	return (struct facts){
		.status = store_status(&t->store),
		.models = store_list(&t->store, "models"),
		.variants = store_list(&t->store, "variants"),
		.workers = store_list(&t->store, "workers"),
		.requests = store_list(&t->store, "requests"),
	};
}

/* The effect of a line; returns the command's risk, or -1 with an error. */
static int
effect_of_line(const struct tui *t, const char *line, struct buf *out,
    struct cause *cause)
{
	struct facts f = facts_of(t);
	const struct command *cmd;
	struct words_list w;
	size_t used;
	int r;

	if ((r = words_split(slice_of(line), &w, cause)) != 0)
		return -1;
	r = command_find((const char *const *)w.w, w.n, &cmd, &used, cause);
	if (r == 0)
		effect_say(&f, cmd, (const char *const *)w.w + used,
		    w.n - used, out);
	words_free(&w);
	return r == 0 ? cmd->risk : -1;
}

/* The effects of all lines; the greatest risk, or -1. */
static int
put_effects(const struct tui *t, char *const *lines, size_t n,
    struct buf *out, struct cause *cause)
{
	int most = 0;

	for (size_t i = 0; i < n; i++) {
		struct buf one;
		int risk;

		buf_init(&one, SIZE_MAX / 2);
		risk = effect_of_line(t, lines[i], &one, cause);
		if (risk >= 0 && i < SHOWN_EFFECTS)
			buf_printf(out, "%s%s", i > 0 ? "\n" : "",
			    buf_cstr(&one));
		buf_fini(&one);
		if (risk < 0)
			return -1;
		most = MEM_MAX(most, risk);
	}
	if (n > SHOWN_EFFECTS)
		buf_printf(out, "\nand %zu more like these.",
		    n - SHOWN_EFFECTS);
	return most;
}

/* The lines are in t->act; ask, or run them. */
void
act_confirm(struct tui *t, const char *title, bool always)
{
	struct cause cause = { 0 };
	struct buf text;
	int risk;

	buf_init(&text, SIZE_MAX / 2);
	risk = put_effects(t, t->act.lines, t->act.n_lines, &text, &cause);
	if (risk < 0) {
		tui_say(t, ROLE_BAD, "%s", cause.text);
		act_end(t);
	} else if (risk > 0 && t->options.readonly) {
		tui_say(t, ROLE_BAD, "this console is read-only");
		act_end(t);
	} else if (risk >= 2 || always) {
		t->act.step = STEP_CONFIRM;
		dialog_confirm(&t->dialog, title, buf_cstr(&text), risk);
	} else {
		jobs_run(t, t->act.lines, t->act.n_lines);
		act_end(t);
	}
	buf_fini(&text);
}

void
act_propose(struct tui *t, const char *title, char **lines, size_t n,
    bool always)
{
	act_end(t);
	for (size_t i = 0; i < n; i++) {
		t->act.lines = xreallocarray(t->act.lines, t->act.n_lines + 1,
		    sizeof(char *));
		t->act.lines[t->act.n_lines++] = xstrdup(lines[i]);
	}
	act_confirm(t, title, always);
}


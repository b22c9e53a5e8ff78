/* SPDX-License-Identifier: MIT */
/*
 * What an action still has to know: menus of variants, types and shares, and
 * lines of input for numbers and paths.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/tui/act.h"
#include "console/words.h"

/* ---- menus ---- */

static void
put_bytes(struct buf *b, const json_t *row)
{
	double bytes = row_number(row, "file_bytes");
	char shown[32];

	buf_printf(b, "%10s", bytes > 0 ? str_from_bytes(shown, sizeof(shown),
	    (uint64_t)bytes) : "-");
}

static void
put_figure(struct buf *b, const json_t *row, const char *field)
{
	double v = row_number(row, field);

	if (v == v)
		buf_printf(b, " %9.4g", v);
	else
		buf_printf(b, " %9s", "-");
}

/* "q4  Q4_K  1.9 GiB  ppl 5.32  kl 0.021  41.0 tok/s  active" */
static void
add_variant(struct tui *t, const json_t *v)
{
	struct buf b;
	bool is_active = json_is_true(json_object_get(v, "active"));

	buf_init(&b, 4096);
	buf_printf(&b, "%-16.16s %-7.7s", row_text(v, "name"),
	    row_text(v, "type"));
	put_bytes(&b, v);
	put_figure(&b, v, "perplexity");
	put_figure(&b, v, "kl_divergence");
	buf_printf(&b, "  %s", is_active ? "active" : row_text(v, "state"));
	dialog_add(&t->dialog, row_text(v, "name"), buf_cstr(&b));
	buf_fini(&b);
}

void
act_choose_variant(struct tui *t, const char *model)
{
	const json_t *v, *all = store_list(&t->store, "variants");
	size_t i;

	dialog_menu(&t->dialog,
	    "Variant           type         size  perplex.       KL");
	json_array_foreach(all, i, v)
		if (strcmp(row_text(v, "model"), model) == 0)
			add_variant(t, v);
	t->act.step = STEP_CHOOSE;
}

void
act_choose_share(struct tui *t)
{
	dialog_menu(&t->dialog, "How much of the new requests");
	dialog_add(&t->dialog, "", "all of them, at once");
	dialog_add(&t->dialog, "verify",
	    "all of them, if its measured quality is good enough");
	dialog_add(&t->dialog, "1", "a canary:  1 %");
	dialog_add(&t->dialog, "5", "a canary:  5 %");
	dialog_add(&t->dialog, "10", "a canary: 10 %");
	dialog_add(&t->dialog, "25", "a canary: 25 %");
	dialog_add(&t->dialog, "50", "a canary: 50 %");
	t->act.step = STEP_SHARE;
}

void
act_choose_type(struct tui *t, const char *model)
{
	const json_t *v, *all = store_list(&t->store, "variants");
	size_t i;

	dialog_menu(&t->dialog, "A variant of which type");
	json_array_foreach(all, i, v)
		if (strcmp(row_text(v, "model"), model) == 0 &&
		    strcmp(row_text(v, "state"), "compressing") == 0)
			dialog_add(&t->dialog, "--cancel",
			    "end the one that is being made");
	for (i = 0; i < words_n_types; i++)
		dialog_add(&t->dialog, words_types[i], NULL);
	t->act.step = STEP_CHOOSE;
}

void
act_choose_when(struct tui *t, const char *title)
{
	dialog_menu(&t->dialog, title);
	dialog_add(&t->dialog, "", "when its requests have finished");
	dialog_add(&t->dialog, "--now", "now; requests are cut off");
	t->act.step = STEP_CHOOSE;
}

/* ---- questions ---- */

static void
on_workers(struct tui *t, const char *text)
{
	for (size_t i = 0; text != NULL && i < t->act.n_subjects; i++)
		ACT_ADD(t, "workers", t->act.subjects[i], text);
	if (text == NULL)
		act_end(t);
	else
		act_confirm(t, "Workers", true);
}

static void
on_threads(struct tui *t, const char *text)
{
	for (size_t i = 0; text != NULL && i < t->act.n_subjects; i++)
		ACT_ADD(t, "threads", t->act.subjects[i], text);
	if (text == NULL)
		act_end(t);
	else
		act_confirm(t, "Threads", true);
}

static void
on_load(struct tui *t, const char *text)
{
	struct words_list w;
	struct cause cause = { 0 };

	if (text == NULL) {
		act_end(t);
	} else if (words_split(slice_of(text), &w, &cause) != 0) {
		tui_say(t, ROLE_BAD, "%s", cause.text);
		act_end(t);
	} else {
		if (w.n == 2)
			ACT_ADD(t, "load", w.w[0], w.w[1]);
		words_free(&w);
		if (t->act.n_lines == 1) {
			act_confirm(t, "Load", true);
			return;
		}
		tui_say(t, ROLE_BAD, "a name and the path of a file");
		act_end(t);
	}
}

static void
ask_number(struct tui *t, const char *what, const char *initial,
    void (*done)(struct tui *, const char *))
{
	char label[160], vis[80];

	str_vis(vis, sizeof(vis), t->act.subjects[0],
	    strlen(t->act.subjects[0]));
	snprintf(label, sizeof(label), "%s of %s%s: ", what, vis,
	    t->act.n_subjects > 1 ? " and others" : "");
	t->act.step = STEP_ASK;
	tui_ask(t, label, initial, done);
}

void
act_ask_workers(struct tui *t)
{
	const json_t *m = act_model(t, t->act.subjects[0]);
	double min = row_number_in(m, "workers", "min");
	double max = row_number_in(m, "workers", "max");
	char now[64] = "";

	if (max > min)
		snprintf(now, sizeof(now), "%.0f..%.0f", min, max);
	else if (min == min)
		snprintf(now, sizeof(now), "%.0f", min);
	ask_number(t, "workers (N or MIN..MAX)", now, on_workers);
}

void
act_ask_threads(struct tui *t)
{
	double n = row_number(act_model(t, t->act.subjects[0]), "threads");
	char now[32] = "";

	if (n == n)
		snprintf(now, sizeof(now), "%.0f", n);
	ask_number(t, "threads (0: the CPUs granted)", now, on_threads);
}

void
act_ask_load(struct tui *t)
{
	t->act.step = STEP_ASK;
	tui_ask(t, "load (NAME PATH): ", "", on_load);
}

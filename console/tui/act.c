/* SPDX-License-Identifier: MIT */
/*
 * What a key does to the daemon: an action on the selected rows becomes lines
 * of commands, the same words as everywhere.  Steps in between ask what is
 * still unknown (a variant, a number); the last one says the effect in
 * numbers and waits for a yes.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "console/tui/act.h"

/* What an action takes as its subject. */
enum subject { OF_NOTHING, OF_MODEL, OF_WORKER, OF_REQUEST };

/* How the rows of each screen are named: the field of the id, and of the
 * model. */
static enum subject
subject_of(enum action action, enum key_context context)
{
	switch (action) {
	case ACT_WORKERS_MORE:
	case ACT_WORKERS_LESS:
	case ACT_WORKERS_SET:
	case ACT_THREADS:
	case ACT_SWAP:
	case ACT_ROLLBACK:
	case ACT_FINISH:
	case ACT_COMPRESS:
	case ACT_UNLOAD:
		return OF_MODEL;
	case ACT_DRAIN:
	case ACT_RESUME:
		return context == ON_WORKERS ? OF_WORKER : OF_MODEL;
	case ACT_CANCEL:
		return OF_REQUEST;
	default:
		return OF_NOTHING;
	}
}

static bool
changes_daemon(enum action action)
{
	return action >= ACT_WORKERS_MORE && action <= ACT_STOP;
}

/* ---- subjects ---- */

/* The word that names the row's subject; "" when it has none. */
static const char *
word_of(const struct tui *t, enum subject subject, const json_t *row,
    char number[24])
{
	enum key_context context = t->views[t->at].ops->context;

	switch (subject) {
	case OF_MODEL:
		return row_text(row, context == ON_MODELS ? "name" : "model");
	case OF_WORKER:
		snprintf(number, 24, "%.0f", row_number(row, "id"));
		return number;
	default:
		return row_text(row, "id");
	}
}

/* A finished request can't be cancelled. */
static bool
is_over(enum subject subject, const json_t *row)
{
	return subject == OF_REQUEST && row_text(row, "state")[0] == '\0';
}

static void
add_subject(struct tui_act *a, const char *word)
{
	for (size_t i = 0; i < a->n_subjects; i++)
		if (strcmp(a->subjects[i], word) == 0)
			return;
	a->subjects = xreallocarray(a->subjects, a->n_subjects + 1,
	    sizeof(char *));
	a->subjects[a->n_subjects++] = xstrdup(word);
}

static void
take_subjects(struct tui *t, enum subject subject)
{
	struct list *l = tui_view(t)->list;
	const json_t *rows[SUBJECTS_MAX];
	size_t n = l != NULL ? list_subjects(l, rows, SUBJECTS_MAX) : 0;
	char number[24];

	for (size_t i = 0; i < n; i++) {
		const char *word = word_of(t, subject, rows[i], number);

		if (word[0] != '\0' && !is_over(subject, rows[i]))
			add_subject(&t->act, word);
	}
}

static void
free_words(char ***words, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		free((*words)[i]);
	free(*words);
	*words = NULL;
	*n = 0;
}

void
act_end(struct tui *t)
{
	free_words(&t->act.subjects, &t->act.n_subjects);
	free_words(&t->act.lines, &t->act.n_lines);
	free(t->act.choice);
	t->act = (struct tui_act){ 0 };
	dialog_close(&t->dialog);
	t->is_dirty = true;
}

const json_t *
act_model(const struct tui *t, const char *name)
{
	return store_find(&t->store, "models", "name", name);
}

/* One worker more or less than now; a range moves its begin. */
static void
add_workers_step(struct tui *t, const char *model, int step)
{
	const json_t *m = act_model(t, model);
	double min = row_number_in(m, "workers", "min");
	double max = row_number_in(m, "workers", "max");
	double now = row_number_in(m, "workers", "now");
	char word[64];

	if (max > min && min + step <= max)
		snprintf(word, sizeof(word), "%.0f..%.0f",
		    MEM_MAX(min + step, 0), max);
	else
		snprintf(word, sizeof(word), "%.0f", MEM_MAX((max > 0 ? max :
		    now) + step, 0));
	ACT_ADD(t, "workers", model, word);
}

/* ---- begin and steps ---- */

/* Actions that need no question: a line for each subject. */
static void
each_subject(struct tui *t, const char *title, const char *verb,
    const char *option)
{
	for (size_t i = 0; i < t->act.n_subjects; i++)
		ACT_ADD(t, verb, t->act.subjects[i], option);
	act_confirm(t, title, true);
}

static void
step_workers(struct tui *t, int step)
{
	for (size_t i = 0; i < t->act.n_subjects; i++)
		add_workers_step(t, t->act.subjects[i], step);
	act_confirm(t, "Workers", true);
}

static void
begin(struct tui *t)
{
	switch (t->act.action) {
	case ACT_WORKERS_MORE:
		step_workers(t, 1);
		break;
	case ACT_WORKERS_LESS:
		step_workers(t, -1);
		break;
	case ACT_WORKERS_SET:
		act_ask_workers(t);
		break;
	case ACT_THREADS:
		act_ask_threads(t);
		break;
	case ACT_SWAP:
		act_choose_variant(t, t->act.subjects[0]);
		break;
	case ACT_COMPRESS:
		act_choose_type(t, t->act.subjects[0]);
		break;
	case ACT_ROLLBACK:
		each_subject(t, "Rollback", "rollback", NULL);
		break;
	case ACT_FINISH:
		each_subject(t, "Finish the swap", "swap", "--finish");
		break;
	case ACT_DRAIN:
		each_subject(t, "Drain", "drain", NULL);
		break;
	case ACT_RESUME:
		each_subject(t, "Resume", "resume", NULL);
		break;
	case ACT_CANCEL:
		each_subject(t, "Cancel", "cancel", NULL);
		break;
	case ACT_UNLOAD:
		act_choose_when(t, "Unload");
		break;
	case ACT_LOAD:
		act_ask_load(t);
		break;
	case ACT_RELOAD:
		ACT_ADD(t, "reload");
		act_confirm(t, "Reload", true);
		break;
	default:
		act_choose_when(t, "Stop the daemon");
		break;
	}
}

bool
act_begin(struct tui *t, enum action action)
{
	enum subject subject = subject_of(action,
	    tui_view(t)->ops->context);

	if (!changes_daemon(action))
		return false;
	act_end(t);
	t->act.action = action;
	if (subject != OF_NOTHING)
		take_subjects(t, subject);
	if (t->options.readonly)
		tui_say(t, ROLE_BAD, "this console is read-only");
	else if (t->store.link != LINK_LIVE)
		tui_say(t, ROLE_BAD, "no daemon to do that");
	else if (subject != OF_NOTHING && t->act.n_subjects == 0)
		tui_say(t, ROLE_WARN, "nothing is selected that this could "
		    "be done to");
	else {
		begin(t);
		return true;
	}
	act_end(t);
	return true;
}

/* swap MODEL VARIANT [...] by the choices made. */
static void
propose_swap(struct tui *t, const char *share)
{
	const char *model = t->act.subjects[0], *variant = t->act.choice;

	if (share[0] == '\0')
		ACT_ADD(t, "swap", model, variant);
	else if (strcmp(share, "verify") == 0)
		ACT_ADD(t, "swap", model, variant, "--verify");
	else
		ACT_ADD(t, "swap", model, variant, "--canary", share);
	act_confirm(t, "Swap", true);
}

static void
chosen(struct tui *t)
{
	const char *word = dialog_choice(&t->dialog);
	const char *now = word[0] != '\0' ? word : NULL;

	switch (t->act.action) {
	case ACT_SWAP:
		t->act.choice = xstrdup(word);
		act_choose_share(t);
		break;
	case ACT_COMPRESS:
		if (strcmp(word, "--cancel") == 0)
			ACT_ADD(t, "compress", t->act.subjects[0], word);
		else
			ACT_ADD(t, "compress", t->act.subjects[0], "--to",
			    word);
		act_confirm(t, "Compress", true);
		break;
	case ACT_UNLOAD:
		each_subject(t, "Unload", "unload", now);
		break;
	case ACT_STOP:
		ACT_ADD(t, "stop", now);
		act_confirm(t, "Stop the daemon", true);
		break;
	default: {
		/* The menu of actions: the word is the action's number. */
		enum action action = (enum action)strtoul(word, NULL, 10);

		act_end(t);
		act_begin(t, action);
		break;
	}
	}
}

void
act_answer(struct tui *t, bool yes)
{
	if (!yes) {
		if (t->act.step == STEP_CONFIRM)
			tui_say(t, ROLE_TEXT, "not done");
		act_end(t);
		return;
	}
	switch (t->act.step) {
	case STEP_CHOOSE:
		chosen(t);
		break;
	case STEP_SHARE: {
		char *share = xstrdup(dialog_choice(&t->dialog));

		propose_swap(t, share);
		free(share);
		break;
	}
	default:
		jobs_run(t, t->act.lines, t->act.n_lines);
		act_end(t);
		break;
	}
}

void
act_menu(struct tui *t)
{
	enum key_context context = tui_view(t)->ops->context;
	char word[16], label[160], key[16];

	act_end(t);
	dialog_menu(&t->dialog, "Actions");
	for (size_t i = 0; i < n_key_bindings; i++) {
		const struct key_binding *b = &key_bindings[i];

		if (b->context != context || !changes_daemon(b->action))
			continue;
		snprintf(word, sizeof(word), "%d", (int)b->action);
		snprintf(label, sizeof(label), "%-10s %-4s %s",
		    key_actions[b->action].name, keys_name(b->key, key),
		    key_actions[b->action].help);
		dialog_add(&t->dialog, word, label);
	}
	t->act.step = STEP_CHOOSE;
}

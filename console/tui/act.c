/* SPDX-License-Identifier: MIT */
/*
 * What a key does to the daemon: an action on the selected rows becomes lines
 * of commands, the same words as everywhere.  Steps in between ask what is
 * still unknown (a variant, a number); the last one says the effect in
 * numbers and waits for a yes.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/confirm.h"
#include "console/tui/tui_impl.h"

#define SHOWN_EFFECTS	6	/* of many commands at once */

/* Types that the quantiser writes, the usual ones first. */
static const char *const types[] = { "Q4_K", "Q8_0", "Q6_K", "Q5_K", "Q4_0",
    "IQ4_XS", "IQ4_NL", "Q3_K", "Q2_K", "Q4_1", "Q5_0", "Q5_1", "MXFP4",
    "F16", "BF16", "F32" };

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

/* ---- lines of commands ---- */

/* Words up to NULL, quoted as needed. */
static void
add_line(struct tui_act *a, const char *const *words)
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

#define ADD(t, ...) add_line(&(t)->act, (const char *const[]){ __VA_ARGS__, \
    NULL })

static const json_t *
model_of(const struct tui *t, const char *name)
{
	return store_find(&t->store, "models", "name", name);
}

/* One worker more or less than now; a range moves its begin. */
static void
add_workers_step(struct tui *t, const char *model, int step)
{
	const json_t *m = model_of(t, model);
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
	ADD(t, "workers", model, word);
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
static void
confirm(struct tui *t, const char *title, bool always)
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
	confirm(t, title, always);
}

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

static void
choose_variant(struct tui *t, const char *model)
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

static void
choose_share(struct tui *t)
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

static void
choose_type(struct tui *t, const char *model)
{
	const json_t *v, *all = store_list(&t->store, "variants");
	size_t i;

	dialog_menu(&t->dialog, "A variant of which type");
	json_array_foreach(all, i, v)
		if (strcmp(row_text(v, "model"), model) == 0 &&
		    strcmp(row_text(v, "state"), "compressing") == 0)
			dialog_add(&t->dialog, "--cancel",
			    "end the one that is being made");
	for (i = 0; i < N_ELEMENTS(types); i++)
		dialog_add(&t->dialog, types[i], NULL);
	t->act.step = STEP_CHOOSE;
}

static void
choose_when(struct tui *t, const char *title)
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
		ADD(t, "workers", t->act.subjects[i], text);
	if (text == NULL)
		act_end(t);
	else
		confirm(t, "Workers", true);
}

static void
on_threads(struct tui *t, const char *text)
{
	for (size_t i = 0; text != NULL && i < t->act.n_subjects; i++)
		ADD(t, "threads", t->act.subjects[i], text);
	if (text == NULL)
		act_end(t);
	else
		confirm(t, "Threads", true);
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
			ADD(t, "load", w.w[0], w.w[1]);
		words_free(&w);
		if (t->act.n_lines == 1) {
			confirm(t, "Load", true);
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

static void
ask_workers(struct tui *t)
{
	const json_t *m = model_of(t, t->act.subjects[0]);
	double min = row_number_in(m, "workers", "min");
	double max = row_number_in(m, "workers", "max");
	char now[64] = "";

	if (max > min)
		snprintf(now, sizeof(now), "%.0f..%.0f", min, max);
	else if (min == min)
		snprintf(now, sizeof(now), "%.0f", min);
	ask_number(t, "workers (N or MIN..MAX)", now, on_workers);
}

static void
ask_threads(struct tui *t)
{
	double n = row_number(model_of(t, t->act.subjects[0]), "threads");
	char now[32] = "";

	if (n == n)
		snprintf(now, sizeof(now), "%.0f", n);
	ask_number(t, "threads (0: the CPUs granted)", now, on_threads);
}

/* ---- begin and steps ---- */

/* Actions that need no question: a line for each subject. */
static void
each_subject(struct tui *t, const char *title, const char *verb,
    const char *option)
{
	for (size_t i = 0; i < t->act.n_subjects; i++)
		ADD(t, verb, t->act.subjects[i], option);
	confirm(t, title, true);
}

static void
step_workers(struct tui *t, int step)
{
	for (size_t i = 0; i < t->act.n_subjects; i++)
		add_workers_step(t, t->act.subjects[i], step);
	confirm(t, "Workers", true);
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
		ask_workers(t);
		break;
	case ACT_THREADS:
		ask_threads(t);
		break;
	case ACT_SWAP:
		choose_variant(t, t->act.subjects[0]);
		break;
	case ACT_COMPRESS:
		choose_type(t, t->act.subjects[0]);
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
		choose_when(t, "Unload");
		break;
	case ACT_LOAD:
		t->act.step = STEP_ASK;
		tui_ask(t, "load (NAME PATH): ", "", on_load);
		break;
	case ACT_RELOAD:
		ADD(t, "reload");
		confirm(t, "Reload", true);
		break;
	default:
		choose_when(t, "Stop the daemon");
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
		ADD(t, "swap", model, variant);
	else if (strcmp(share, "verify") == 0)
		ADD(t, "swap", model, variant, "--verify");
	else
		ADD(t, "swap", model, variant, "--canary", share);
	confirm(t, "Swap", true);
}

static void
chosen(struct tui *t)
{
	const char *word = dialog_choice(&t->dialog);
	const char *now = word[0] != '\0' ? word : NULL;

	switch (t->act.action) {
	case ACT_SWAP:
		t->act.choice = xstrdup(word);
		choose_share(t);
		break;
	case ACT_COMPRESS:
		if (strcmp(word, "--cancel") == 0)
			ADD(t, "compress", t->act.subjects[0], word);
		else
			ADD(t, "compress", t->act.subjects[0], "--to", word);
		confirm(t, "Compress", true);
		break;
	case ACT_UNLOAD:
		each_subject(t, "Unload", "unload", now);
		break;
	case ACT_STOP:
		ADD(t, "stop", now);
		confirm(t, "Stop the daemon", true);
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

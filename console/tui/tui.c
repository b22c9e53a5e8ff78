/* SPDX-License-Identifier: MIT */
/*
 * What has the keys: a dialog before an input line before the pager before
 * the view.  Everything that is shown comes from the store and this state, so
 * that a drawing can be made at any time and at any size.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/tui/tui_impl.h"

static const struct view_ops *const all_views[N_VIEWS] = { &view_overview,
    &view_models, &view_workers, &view_requests, &view_events, &view_config };

static const unsigned intervals_ms[] = { 250, 500, 1000, 2000, 5000, 10000 };
#define INTERVAL_DEFAULT 2	/* one second */

/* ---- life ---- */

struct tui *
tui_new(const struct tui_host *host, const struct tui_options *options)
{
	struct tui *t = xcalloc(1, sizeof(*t));

	t->host = *host;
	t->options = *options;
	t->interval = INTERVAL_DEFAULT;
	t->is_dirty = true;
	TAILQ_INIT(&t->jobs);
	store_init(&t->store);
	for (size_t i = 0; i < N_VIEWS; i++) {
		t->views[i].ops = all_views[i];
		all_views[i]->init(&t->views[i]);
	}
	return t;
}

void
tui_free(struct tui *t)
{
	jobs_fini(t);
	act_end(t);
	prompt_free(t->prompt);
	prompt_history_free(&t->commands);
	pager_close(&t->pager);
	for (size_t i = 0; i < N_VIEWS; i++)
		t->views[i].ops->fini(&t->views[i]);
	store_fini(&t->store);
	free(t);
}

const struct store *
tui_store(const struct tui *t)
{
	return &t->store;
}

struct view *
tui_view(struct tui *t)
{
	return &t->views[t->at];
}

unsigned
tui_interval_ms(const struct tui *t)
{
	return t->is_paused ? 0 : intervals_ms[t->interval];
}

void
tui_say(struct tui *t, enum role role, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->message, sizeof(t->message), fmt, ap);
	va_end(ap);
	t->message_role = role;
	t->is_dirty = true;
}

void
tui_update(struct tui *t)
{
	struct view *v = tui_view(t);

	if (v->ops->update != NULL)
		v->ops->update(v, &t->store);
	t->is_dirty = true;
}

/* ---- what the daemon says ---- */

void
tui_snapshot(struct tui *t, struct slice line, uint64_t now_ns)
{
	bool was_live = t->store.link == LINK_LIVE;

	if (t->is_paused)
		return;
	store_take_snapshot(&t->store, line, now_ns);
	if (!was_live && t->store.link == LINK_LIVE) {
		if (t->lost_ns != 0)
			tui_say(t, ROLE_GOOD, "connected again");
		t->lost_ns = 0;
		jobs_get_config(t);
	}
	tui_update(t);
}

void
tui_log_line(struct tui *t, struct slice line)
{
	store_take_log(&t->store, line);
}

void
tui_lost(struct tui *t, const struct cause *why, uint64_t now_ns,
    uint64_t retry_ms)
{
	if (t->lost_ns == 0)
		t->lost_ns = now_ns;
	t->retry_ns = now_ns + retry_ms * 1000000;
	store_lose(&t->store, why);
	t->is_dirty = true;
}

/* ---- input lines ---- */

void
tui_history(struct tui *t, const char *line)
{
	prompt_history_add(&t->commands, line);
}

static void
open_prompt(struct tui *t, int input, const char *label, const char *initial)
{
	bool is_command = input == INPUT_COMMAND;

	prompt_free(t->prompt);
	t->input = input;
	t->prompt = prompt_new(label, initial,
	    is_command ? &t->commands : NULL,
	    is_command ? tui_complete : NULL, t);
	t->message[0] = '\0';
	t->is_dirty = true;
}

void
tui_ask(struct tui *t, const char *label, const char *initial,
    void (*done)(struct tui *t, const char *text))
{
	open_prompt(t, INPUT_ASK, label, initial);
	t->asked = done;
}

void
tui_close_prompt(struct tui *t)
{
	prompt_free(t->prompt);
	t->prompt = NULL;
	t->is_dirty = true;
}

static void
set_filter(struct tui *t, const char *text)
{
	struct list *l = tui_view(t)->list;

	if (l != NULL)
		list_filter(l, text);
}

static void
input_done(struct tui *t, char *text)
{
	tui_close_prompt(t);
	switch (t->input) {
	case INPUT_COMMAND:
		if (text != NULL && text[0] != '\0') {
			prompt_history_add(&t->commands, text);
			if (t->host.remember != NULL)
				t->host.remember(t->host.arg, text);
			jobs_command(t, text);
		}
		break;
	case INPUT_FILTER:
		set_filter(t, text);
		break;
	case INPUT_SEARCH:
		if (text != NULL && !pager_search(&t->pager, text))
			tui_say(t, ROLE_WARN, "not found: %s", text);
		break;
	case INPUT_ASK:
		t->asked(t, text);
		break;
	}
}

static void
prompt_takes(struct tui *t, int key)
{
	char *text = NULL;

	switch (prompt_key(t->prompt, key)) {
	case PROMPT_CHANGED:
		if (t->input == INPUT_FILTER)
			set_filter(t, prompt_text(t->prompt));
		break;
	case PROMPT_DONE:
		text = xstrdup(prompt_text(t->prompt));
		input_done(t, text);
		break;
	case PROMPT_GIVEN_UP:
		input_done(t, NULL);
		break;
	default:
		break;
	}
	free(text);
}

/* ---- screens ---- */

static void
go_to(struct tui *t, size_t at)
{
	bool had_log = tui_view(t)->ops->context == ON_REQUESTS;
	bool has_log;

	pager_close(&t->pager);
	t->at = at;
	has_log = tui_view(t)->ops->context == ON_REQUESTS;
	if (has_log != had_log)
		t->host.follow_log(t->host.arg, has_log);
	if (tui_view(t)->ops->context == ON_MODELS &&
	    t->store.link == LINK_LIVE)
		jobs_scan_variants(t);
	t->message[0] = '\0';
	tui_update(t);
}

static void
show_help(struct tui *t)
{
	enum key_context contexts[] = { tui_view(t)->ops->context, ON_LIST,
	    ON_ALL };
	struct buf b;
	size_t from = tui_view(t)->list != NULL ? 0 : 1;

	if (t->pager.title != NULL) {
		contexts[1] = ON_PAGER;
		from = 1;
	} else if (from == 1) {
		contexts[1] = contexts[0];
	}
	buf_init(&b, PAGER_MAX);
	keys_help(contexts + from, N_ELEMENTS(contexts) - from, &b);
	pager_open(&t->pager, "Help", (struct slice){ (const char *)b.data,
	    b.len });
	buf_fini(&b);
}

static const json_t *
selected(struct tui *t)
{
	struct list *l = tui_view(t)->list;
	const json_t *row = l != NULL ? list_selected(l) : NULL;

	if (row == NULL)
		tui_say(t, ROLE_WARN, "no row is selected");
	return row;
}

static void
show_json(struct tui *t, const json_t *row)
{
	char *text = json_dumps(row, JSON_INDENT(2) | JSON_REAL_PRECISION(15));

	if (text != NULL)
		pager_open(&t->pager, "JSON", slice_of(text));
	free(text);
}

void
tui_show_detail(struct tui *t, const json_t *row)
{
	struct view *v = tui_view(t);
	struct buf b;

	if (v->ops->detail == NULL) {
		show_json(t, row);
		return;
	}
	buf_init(&b, PAGER_MAX);
	v->ops->detail(v, &t->store, row, &b);
	pager_open(&t->pager, v->ops->title, (struct slice){
	    (const char *)b.data, b.len });
	buf_fini(&b);
}

static void
open_detail(struct tui *t, const json_t *row)
{
	tui_show_detail(t, row);
	if (tui_view(t)->ops->context == ON_REQUESTS)
		jobs_get_request(t, row);
}

static void
choose_sort(struct tui *t)
{
	struct list *l = tui_view(t)->list;
	char word[24];

	if (l == NULL)
		return;
	act_end(t);
	dialog_menu(&t->dialog, "Sort by");
	for (size_t i = 0; i < l->n_columns; i++) {
		snprintf(word, sizeof(word), "%zu", i);
		dialog_add(&t->dialog, word, l->columns[i].column.title);
	}
	dialog_add(&t->dialog, "", "as they come");
	if (l->sort < l->n_columns)
		t->dialog.at = l->sort;
	t->act.action = ACT_SORT;
}

static void
sort_chosen(struct tui *t)
{
	struct list *l = tui_view(t)->list;
	const char *word = dialog_choice(&t->dialog);

	list_sort(l, word[0] != '\0' ? (size_t)strtoul(word, NULL, 10) :
	    l->n_columns, false);
	act_end(t);
}

/* Back: a filter first, then nothing; Esc never leaves. */
static void
back(struct tui *t)
{
	struct list *l = tui_view(t)->list;

	t->message[0] = '\0';
	if (t->pager.title != NULL)
		pager_close(&t->pager);
	else if (l != NULL && l->filter != NULL)
		list_filter(l, NULL);
	else if (tui_view(t)->ops->act != NULL)
		tui_view(t)->ops->act(tui_view(t), t, ACT_BACK);
}

static void
set_interval(struct tui *t, int step)
{
	if (step < 0 && t->interval > 0)
		t->interval--;
	if (step > 0 && t->interval + 1 < N_ELEMENTS(intervals_ms))
		t->interval++;
	t->host.interval(t->host.arg, tui_interval_ms(t));
	tui_say(t, ROLE_TEXT, "a snapshot every %.3g s",
	    intervals_ms[t->interval] / 1000.0);
}

static void
pause_or_go(struct tui *t)
{
	t->is_paused = !t->is_paused;
	t->host.interval(t->host.arg, tui_interval_ms(t));
	tui_say(t, ROLE_TEXT, t->is_paused ? "paused; Z goes on" : "live");
}

/* ---- keys ---- */

/* What is the same on every screen. */
static bool
act_anywhere(struct tui *t, enum action act)
{
	if (act >= ACT_SCREEN_1 && act <= ACT_SCREEN_6) {
		go_to(t, (size_t)(act - ACT_SCREEN_1));
		return true;
	}
	switch (act) {
	case ACT_HELP:
		show_help(t);
		return true;
	case ACT_LEAVE:
		t->host.quit(t->host.arg);
		return true;
	case ACT_QUIT:
		if (t->pager.title != NULL)
			pager_close(&t->pager);
		else
			t->host.quit(t->host.arg);
		return true;
	case ACT_BACK:
		back(t);
		return true;
	case ACT_NEXT_SCREEN:
		go_to(t, (t->at + 1) % N_VIEWS);
		return true;
	case ACT_PREV_SCREEN:
		go_to(t, (t->at + N_VIEWS - 1) % N_VIEWS);
		return true;
	case ACT_COMMAND:
		open_prompt(t, INPUT_COMMAND, ":", "");
		return true;
	case ACT_PAUSE:
		pause_or_go(t);
		return true;
	case ACT_FASTER:
	case ACT_SLOWER:
		set_interval(t, act == ACT_FASTER ? -1 : 1);
		return true;
	case ACT_REFRESH:
		t->host.redraw_all(t->host.arg);
		return true;
	case ACT_MENU:
		act_menu(t);
		return true;
	default:
		return false;
	}
}

static void
act_in_pager(struct tui *t, enum action act)
{
	if (act == ACT_FILTER)
		open_prompt(t, INPUT_SEARCH, "/", "");
	else
		pager_act(&t->pager, act);
}

static void
act_in_view(struct tui *t, enum action act)
{
	struct view *v = tui_view(t);
	const json_t *row;

	if (v->ops->act != NULL && v->ops->act(v, t, act))
		return;
	if (act_begin(t, act) || v->list == NULL)
		return;
	if (act == ACT_FILTER)
		open_prompt(t, INPUT_FILTER, "/", v->list->filter != NULL ?
		    v->list->filter : "");
	else if (act == ACT_SORT)
		choose_sort(t);
	else if (act == ACT_DETAIL || act == ACT_COPY) {
		if ((row = selected(t)) == NULL)
			return;
		if (act == ACT_COPY)
			show_json(t, row);
		else
			open_detail(t, row);
	} else {
		list_act(v->list, act);
	}
}

static void
dialog_takes(struct tui *t, int key)
{
	enum dialog_result r = dialog_key(&t->dialog, key);

	if (r == DIALOG_MORE)
		return;
	if (t->act.action == ACT_SORT && r == DIALOG_YES)
		sort_chosen(t);
	else
		act_answer(t, r == DIALOG_YES);
}

void
tui_key(struct tui *t, int key)
{
	enum key_context in_pager[] = { ON_PAGER, ON_ALL };
	enum key_context in_view[] = { tui_view(t)->ops->context, ON_LIST,
	    ON_ALL };
	enum action act;

	t->is_dirty = true;
	if (t->dialog.kind != DIALOG_NONE) {
		dialog_takes(t, key);
		return;
	}
	if (t->prompt != NULL) {
		prompt_takes(t, key);
		return;
	}
	act = t->pager.title != NULL ? keys_find(in_pager, 2, key) :
	    keys_find(in_view, 3, key);
	if (act != ACT_NONE)
		t->message[0] = '\0';
	if (act == ACT_NONE)
		tui_say(t, ROLE_DIM, "? shows the keys");
	else if (act_anywhere(t, act))
		return;
	else if (t->pager.title != NULL)
		act_in_pager(t, act);
	else
		act_in_view(t, act);
}

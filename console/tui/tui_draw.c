/* SPDX-License-Identifier: MIT */
/*
 * The frame around a view: title, tabs, the line for messages, the line of
 * keys; a notice where there is no room, a banner and a grey picture while
 * the daemon is away.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "console/tui/tui_impl.h"

#define LEAST_H		10
#define LEAST_W		40
#define TAB_WORDS_W	60	/* narrower: numbers, and the name in front */
#define FRAME_LINES	4	/* title, tabs, message, keys */

/* ---- title and tabs ---- */

static void
put_clock(const struct area *a, int64_t unix_ms)
{
	time_t s = (time_t)(unix_ms / 1000);
	struct tm tm;
	char text[16];

	if (localtime_r(&s, &tm) != NULL && a->w >= 50 &&
	    strftime(text, sizeof(text), "%H:%M:%S", &tm) > 0)
		area_puts(a, 0, a->w - 9, ROLE_TITLE, text);
}

static void
put_uptime(struct buf *b, const struct tui *t)
{
	static const struct column up = { "uptime_s", "", FORM_AGE, 0 };

	buf_puts(b, "  up ");
	view_cell(&up, store_status(&t->store), b);
}

static void
draw_title(const struct tui *t, const struct area *a, int64_t now_unix_ms)
{
	const json_t *status = store_status(&t->store);
	const char *state = row_text(status, "state");
	struct buf b;

	buf_init(&b, 4096);
	area_fill(a, ROLE_TITLE);
	buf_printf(&b, " bigmodel %s  %s", row_text(status, "version"),
	    t->store.link == LINK_CONNECTING ? "connecting" :
	    t->store.link == LINK_LOST ? "away" : state);
	if (t->store.snapshot != NULL)
		put_uptime(&b, t);
	if (t->is_paused)
		buf_puts(&b, "  PAUSED");
	if (t->options.readonly)
		buf_puts(&b, "  READONLY");
	if (a->w >= 100)
		buf_printf(&b, "  %s", t->options.where);
	area_puts(a, 0, 0, ROLE_TITLE, buf_cstr(&b));
	put_clock(a, now_unix_ms);
	buf_fini(&b);
}

/* Where the tab of view i begins; its width in *w. */
static int
tab_at(const struct tui *t, size_t i, int width, int *w)
{
	int x = 0;

	for (size_t k = 0;; k++) {
		const char *title = t->views[k].ops->title;

		*w = width >= TAB_WORDS_W || k == t->at ?
		    (int)strlen(title) + 4 : 3;
		if (k == i)
			return x;
		x += *w;
	}
}

static void
draw_tabs(const struct tui *t, const struct area *a)
{
	for (size_t i = 0; i < N_VIEWS; i++) {
		int w, x = tab_at(t, i, a->w, &w);
		enum role role = i == t->at ? ROLE_TAB_ON : ROLE_TAB;

		if (w > 3)
			area_printf(a, 0, x, role, " %zu %s ", i + 1,
			    t->views[i].ops->title);
		else
			area_printf(a, 0, x, role, " %zu ", i + 1);
	}
}

/* ---- message and keys ---- */

static void
draw_message(struct tui *t, const struct area *a, uint64_t now_ns)
{
	struct list *l = tui_view(t)->list;
	double away_s = (double)(now_ns - t->lost_ns) / 1e9;

	if (t->store.link == LINK_LOST && !t->is_paused) {
		area_fill(a, ROLE_BANNER);
		area_printf(a, 0, 0, ROLE_BANNER, " away for %.0f s, trying "
		    "again: %s", away_s > 0 ? away_s : 0, t->store.why.text);
	} else if (t->message[0] != '\0') {
		area_puts(a, 0, 0, t->message_role, t->message);
	} else if (l != NULL && l->filter != NULL && t->pager.title == NULL) {
		area_printf(a, 0, 0, ROLE_WARN, "filter: %s  (%zu of %zu; Esc "
		    "ends it)", l->filter, l->n_rows, l->n_all);
	}
}

/* Keys of a context, each action once, as many as fit. */
static int
draw_keys_of(const struct area *a, int x, enum key_context context)
{
	enum action last = ACT_NONE;
	char name[16];

	for (size_t i = 0; i < n_key_bindings; i++) {
		const struct key_binding *k = &key_bindings[i];
		const char *word = key_actions[k->action].name;

		if (k->context != context || k->action == last)
			continue;
		last = k->action;
		keys_name(k->key, name);
		if (x + (int)(strlen(name) + strlen(word)) + 2 > a->w)
			continue;
		x += area_puts(a, 0, x, ROLE_KEY, name);
		x += area_puts(a, 0, x, ROLE_HINT, word) + 1;
	}
	return x;
}

static void
draw_hint(const struct area *a, int *x, enum key_context context,
    enum action action)
{
	char name[16];

	for (size_t i = 0; i < n_key_bindings; i++) {
		const struct key_binding *k = &key_bindings[i];

		if (k->context != context || k->action != action)
			continue;
		*x += area_puts(a, 0, *x, ROLE_KEY, keys_name(k->key, name));
		*x += area_puts(a, 0, *x, ROLE_HINT,
		    key_actions[action].name) + 1;
		return;
	}
}

static void
draw_keys(struct tui *t, const struct area *a)
{
	enum key_context context = tui_view(t)->ops->context;
	int x = 0;

	draw_hint(a, &x, ON_ALL, ACT_HELP);
	draw_hint(a, &x, ON_ALL, ACT_QUIT);
	draw_hint(a, &x, ON_ALL, ACT_COMMAND);
	if (t->pager.title != NULL) {
		draw_hint(a, &x, ON_PAGER, ACT_FILTER);
		return;
	}
	x = draw_keys_of(a, x, context);
	if (tui_view(t)->list != NULL) {
		draw_hint(a, &x, ON_LIST, ACT_FILTER);
		draw_hint(a, &x, ON_LIST, ACT_DETAIL);
		draw_hint(a, &x, ON_LIST, ACT_SORT);
	}
}

/* ---- all ---- */

static void
draw_small(const struct area *a)
{
	area_printf(a, a->h / 2, 0, ROLE_WARN, "%dx%d: at least %dx%d", a->w,
	    a->h, LEAST_W, LEAST_H);
}

static void
draw_body(struct tui *t, const struct area *a, int64_t now_unix_ms)
{
	struct view *v = tui_view(t);

	if (t->pager.title != NULL) {
		pager_draw(&t->pager, a);
		return;
	}
	v->ops->draw(v, &t->store, a, now_unix_ms);
	if (t->store.link == LINK_LOST)
		for (int y = 0; y < a->h; y++)
			area_flag(a, y, 0, -1, CELL_STALE);
}

void
tui_paint(struct tui *t, struct canvas *c, uint64_t now_ns,
    int64_t now_unix_ms)
{
	struct area a = area_all(c), part, screen;

	canvas_clear(c);
	if (a.h < LEAST_H || a.w < LEAST_W) {
		draw_small(&a);
		return;
	}
	part = area_sub(&a, 0, 0, 1, a.w);
	draw_title(t, &part, now_unix_ms);
	part = area_sub(&a, 1, 0, 1, a.w);
	draw_tabs(t, &part);
	screen = area_sub(&a, 2, 0, a.h - FRAME_LINES, a.w);
	draw_body(t, &screen, now_unix_ms);
	part = area_sub(&a, a.h - 2, 0, 1, a.w);
	draw_message(t, &part, now_ns);
	part = area_sub(&a, a.h - 1, 0, 1, a.w);
	if (t->prompt == NULL)
		draw_keys(t, &part);
	else
		prompt_draw(t->prompt, &a);
	dialog_draw(&t->dialog, &screen);
}

bool
tui_draw(struct tui *t, struct canvas *c, uint64_t now_ns,
    int64_t now_unix_ms)
{
	uint64_t s = (uint64_t)now_unix_ms / 1000;

	if (!t->is_dirty && t->drawn_version == t->store.version &&
	    t->drawn_s == s && t->drawn_h == c->h && t->drawn_w == c->w)
		return false;
	/* Rows of the log come one by one; the view takes them at once. */
	if (t->drawn_version != t->store.version)
		tui_update(t);
	tui_paint(t, c, now_ns, now_unix_ms);
	t->is_dirty = false;
	t->drawn_version = t->store.version;
	t->drawn_s = s;
	t->drawn_h = c->h;
	t->drawn_w = c->w;
	return true;
}

/* ---- mouse ---- */

static bool
press_tab(struct tui *t, int x)
{
	for (size_t i = 0; i < N_VIEWS; i++) {
		int w, at = tab_at(t, i, t->drawn_w, &w);

		if (x >= at && x < at + w) {
			tui_key(t, '1' + (int)i);
			return true;
		}
	}
	return false;
}

void
tui_mouse(struct tui *t, int y, int x, int key)
{
	struct list *l = tui_view(t)->list;
	int row;

	if (t->dialog.kind != DIALOG_NONE || t->prompt != NULL)
		return;
	if (key != K_ENTER) {
		tui_key(t, key);
	} else if (y == 1) {
		press_tab(t, x);
	} else if (l != NULL && t->pager.title == NULL &&
	    (row = list_row_at(l, y)) >= 0) {
		list_select(l, (size_t)row);
		t->is_dirty = true;
	}
}

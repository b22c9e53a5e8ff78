/* SPDX-License-Identifier: MIT */
/*
 * Requests, newest last: the finished ones of the log, then the live ones.
 * The filters of this screen (model, tenant, status, slow) choose the rows
 * that the list gets; the list's own filter comes on top.
 */
#include "config.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/tui/parts.h"
#include "console/tui/tui.h"
#include "console/tui/view.h"
#include "console/tui/waterfall.h"

#define PANEL_FROM	17	/* lines of a screen with a waterfall */
#define TEXTS_FROM	32	/* and of one with texts, too */
#define TEXT_LINES	3	/* of each */

static const struct list_column columns[] = {
	{ .column = { "started_at", "TIME", FORM_CLOCK, 8 }, .priority = 3 },
	{ .column = { "status", "STATUS", FORM_STATE, 11 } },
	{ .column = { "model", "MODEL", FORM_TEXT, 7 }, .priority = 1,
	    .grows = true },
	{ .column = { "variant", "VARIANT", FORM_TEXT, 7 }, .priority = 7,
	    .grows = true },
	{ .column = { "tenant", "TENANT", FORM_TEXT, 6 }, .priority = 5,
	    .grows = true },
	{ .column = { "prompt_tokens", "IN", FORM_NUMBER, 5 },
	    .priority = 2 },
	{ .column = { "completion_tokens", "OUT", FORM_NUMBER, 5 },
	    .priority = 2 },
	{ .column = { "queue_ms", "QUEUE", FORM_MS, 7 }, .priority = 6 },
	{ .column = { "ttft_ms", "TTFT", FORM_MS, 7 }, .priority = 3 },
	{ .column = { "finished_at", "TOTAL", FORM_DURATION, 7 },
	    .priority = 1 },
	{ .column = { "worker", "WORKER", FORM_NUMBER, 6 }, .priority = 8 },
	{ .column = { "client", "CLIENT", FORM_TEXT, 12 }, .priority = 9,
	    .grows = true },
	{ .column = { "id", "ID", FORM_TEXT, 36 }, .priority = 10 },
};

enum { BY_MODEL, BY_TENANT, BY_STATUS, BY_N };
static const char *const by_fields[BY_N] = { "model", "tenant", "status" };

struct requests {
	char	*by[BY_N];	/* NULL: all */
	double	 slow_ms;	/* 0: all */
	size_t	 n_live;
};

static void
init(struct view *v)
{
	v->list = list_new(columns, N_ELEMENTS(columns), "id");
	v->list->follows = true;
	v->own = xcalloc(1, sizeof(struct requests));
}

static void
clear_filters(struct requests *own)
{
	for (size_t i = 0; i < BY_N; i++) {
		free(own->by[i]);
		own->by[i] = NULL;
	}
	own->slow_ms = 0;
}

static void
fini(struct view *v)
{
	clear_filters(v->own);
	free(v->own);
	list_free(v->list);
	v->list = NULL;
	v->own = NULL;
}

/* ---- which rows ---- */

static bool
is_shown(const struct requests *own, const json_t *row)
{
	double ms;

	for (size_t i = 0; i < BY_N; i++)
		if (own->by[i] != NULL &&
		    strcmp(row_text(row, by_fields[i]), own->by[i]) != 0)
			return false;
	if (own->slow_ms <= 0)
		return true;
	ms = row_number(row, "finished_at") - row_number(row, "started_at");
	return ms >= own->slow_ms;
}

/* As a row of the log looks that ended now. */
static json_t *
row_of_live(const json_t *live)
{
	static const char *const later[] = { "prefill_ms", "decode_ms",
	    "ttft_ms" };
	json_t *row = json_copy((json_t *)live);
	double ends = row_number(live, "started_at") +
	    row_number(live, "age_ms");

	if (isfinite(ends))
		json_object_set_new(row, "finished_at", json_real(ends));
	for (size_t i = 0; i < N_ELEMENTS(later); i++)
		if (row_number(row, later[i]) <= 0)
			json_object_del(row, later[i]);
	return row;
}

static int
compare_start(const void *a, const void *b)
{
	double x = row_number(*(json_t *const *)a, "started_at");
	double y = row_number(*(json_t *const *)b, "started_at");

	return (x > y) - (x < y);
}

/* The live rows that the log does not have yet (they may have ended since the
 * snapshot), newest last. */
static json_t *
live_rows(const struct store *s)
{
	const json_t *requests = store_list(s, "requests");
	size_t max = json_array_size(requests), n = 0, i;
	json_t **v = xcalloc(max + 1, sizeof(*v)), *rows = json_array(), *r;

	json_array_foreach(requests, i, r)
		if (!store_has_log(s, row_text(r, "id")))
			v[n++] = row_of_live(r);
	qsort(v, n, sizeof(*v), compare_start);
	for (i = 0; i < n; i++)
		json_array_append_new(rows, v[i]);
	free(v);
	return rows;
}

static void
update(struct view *v, const struct store *s)
{
	json_t *live = live_rows(s), *row;
	size_t max = s->log.n + json_array_size(live), n = 0, i;
	const json_t **rows = xcalloc(max + 1, sizeof(const json_t *));
	bool *is_live = xcalloc(max + 1, sizeof(*is_live));
	struct requests *own = v->own;

	for (i = 0; i < s->log.n; i++) {
		const json_t *done = store_ring_at(&s->log, i);

		if (is_shown(own, done))
			rows[n++] = done;
	}
	own->n_live = json_array_size(live);
	json_array_foreach(live, i, row) {
		if (!is_shown(own, row))
			continue;
		is_live[n] = true;
		rows[n++] = row;
	}
	list_set(v->list, rows, is_live, n);
	json_decref(live);
	free(is_live);
	free(rows);
}

/* ---- the filters ---- */

static void
set_by(struct tui *t, int which, const char *text)
{
	struct view *v = tui_view(t);
	struct requests *own = v->own;

	if (text == NULL)
		return;
	free(own->by[which]);
	own->by[which] = *text != '\0' ? xstrdup(text) : NULL;
	update(v, tui_store(t));
}

static void
set_model(struct tui *t, const char *text)
{
	set_by(t, BY_MODEL, text);
}

static void
set_tenant(struct tui *t, const char *text)
{
	set_by(t, BY_TENANT, text);
}

static void
set_status(struct tui *t, const char *text)
{
	set_by(t, BY_STATUS, text);
}

static void
set_slow(struct tui *t, const char *text)
{
	struct view *v = tui_view(t);
	struct requests *own = v->own;
	double ms = 0;

	if (text == NULL)
		return;
	if (*text != '\0' && (str_to_f64(text, &ms) != 0 || ms < 0)) {
		tui_say(t, ROLE_BAD, "not a number of milliseconds: %s",
		    text);
		return;
	}
	own->slow_ms = ms;
	update(v, tui_store(t));
}

static void
ask_by(struct view *v, struct tui *t, int which, const char *prompt,
    void (*done)(struct tui *t, const char *text))
{
	const struct requests *own = v->own;
	const json_t *row = list_selected(v->list);
	const char *initial = own->by[which] != NULL ? own->by[which] :
	    row_text(row, by_fields[which]);

	tui_ask(t, prompt, initial, done);
}

static void
ask_slow(struct view *v, struct tui *t)
{
	const struct requests *own = v->own;
	char initial[32] = "";

	if (own->slow_ms > 0)
		snprintf(initial, sizeof(initial), "%.10g", own->slow_ms);
	tui_ask(t, "Slower than, ms (empty: all): ", initial, set_slow);
}

/* Esc ends the filters of this screen. */
static bool
end_filters(struct view *v, struct tui *t)
{
	struct requests *own = v->own;
	bool had = own->slow_ms > 0;

	for (size_t i = 0; i < BY_N; i++)
		had |= own->by[i] != NULL;
	clear_filters(own);
	if (had)
		update(v, tui_store(t));
	return had;
}

static bool
act(struct view *v, struct tui *t, enum action action)
{
	switch (action) {
	case ACT_FOLLOW:
		list_follow(v->list, !v->list->follows);
		tui_say(t, ROLE_TEXT, v->list->follows ?
		    "stays at the newest request" : "stays at this request");
		return true;
	case ACT_BY_MODEL:
		ask_by(v, t, BY_MODEL, "Model (empty: all): ", set_model);
		return true;
	case ACT_BY_TENANT:
		ask_by(v, t, BY_TENANT, "Tenant (empty: all): ", set_tenant);
		return true;
	case ACT_BY_STATUS:
		ask_by(v, t, BY_STATUS, "Status (empty: all): ", set_status);
		return true;
	case ACT_BY_SLOW:
		ask_slow(v, t);
		return true;
	case ACT_BACK:
		return end_filters(v, t);
	default:
		return false;
	}
}

/* ---- drawing ---- */

static void
draw_summary(const struct view *v, const struct store *s,
    const struct area *a)
{
	const struct requests *own = v->own;
	double omitted = row_number(s->snapshot, "requests_omitted");
	int x = area_printf(a, 0, 0, ROLE_TEXT,
	    " %zu live, %zu finished, %zu shown", own->n_live, s->log.n,
	    v->list->n_rows) + 2;

	if (omitted > 0)
		x += area_printf(a, 0, x, ROLE_DIM, "%.0f live not told",
		    omitted) + 2;
	for (size_t i = 0; i < BY_N; i++)
		if (own->by[i] != NULL)
			x += area_printf(a, 0, x, ROLE_WARN, "%s %s",
			    by_fields[i], own->by[i]) + 2;
	if (own->slow_ms > 0)
		x += area_printf(a, 0, x, ROLE_WARN, "slower than %.10g ms",
		    own->slow_ms) + 2;
	if (v->list->follows)
		area_puts(a, 0, x, ROLE_GOOD, "follows");
}

static int
draw_text(const struct area *a, int y, const char *label, struct slice text)
{
	struct area lines = area_sub(a, y, WATERFALL_LABEL, TEXT_LINES,
	    a->w - WATERFALL_LABEL);

	area_puts(a, y, 0, ROLE_LABEL, label);
	if (text.n == 0)
		area_puts(&lines, 0, 0, ROLE_DIM, "-");
	else
		area_wrap(&lines, 0, 0, ROLE_TEXT, (struct slice){ text.p,
		    MEM_MIN(text.n, (size_t)(lines.w * TEXT_LINES * 4)) });
	return y + TEXT_LINES;
}

static void
draw_panel(const struct area *a, const json_t *row, bool has_texts)
{
	char title[128];
	int y = 1;

	snprintf(title, sizeof(title), "Request %.100s", row_text(row,
	    "id"));
	area_rule(a, 0, ROLE_RULE, title);
	y = waterfall_draw(a, y, row);
	if (!has_texts)
		return;
	y = draw_text(a, y, "prompt", row_slice(row, "prompt"));
	draw_text(a, y, "output", row_slice(row, "output"));
}

static void
draw(struct view *v, const struct store *s, const struct area *a,
    int64_t now_unix_ms)
{
	struct list *l = v->list;
	bool has_texts = a->h >= TEXTS_FROM;
	int panel = l->n_rows == 0 || a->h < PANEL_FROM ? 0 :
	    1 + WATERFALL_LINES + (has_texts ? 2 * TEXT_LINES : 0);
	struct area top = area_sub(a, 1, 0, a->h - 1 - panel, a->w);
	struct area below = area_sub(a, a->h - panel, 1, panel, a->w - 2);

	draw_summary(v, s, a);
	list_draw(l, &top, s->log.n + ((struct requests *)v->own)->n_live >
	    0 ? "no request passes the filter" : "no request yet");
	if (panel > 0)
		draw_panel(&below, list_selected(l), has_texts);
}

static void
detail(struct view *v, const struct store *s, const json_t *row,
    struct buf *out)
{
	static const char *const texts[] = { "prompt", "output", "params" };
	json_t *o = json_copy((json_t *)row);

	for (size_t i = 0; i < N_ELEMENTS(texts); i++)
		json_object_del(o, texts[i]);
	part_record(o, out);
	json_decref(o);
	buf_puts(out, "\nTime\n");
	waterfall_text(row, out);
	part_text(out, "Parameters", row_slice(row, "params"));
	part_text(out, "Prompt", row_slice(row, "prompt"));
	part_text(out, "Output", row_slice(row, "output"));
}

const struct view_ops view_requests = {
	.title = "Requests", .context = ON_REQUESTS, .init = init,
	.fini = fini, .update = update, .draw = draw, .act = act,
	.detail = detail,
};

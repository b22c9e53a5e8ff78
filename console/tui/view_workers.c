/* SPDX-License-Identifier: MIT */
/* The worker processes; below them, where there is room, what the selected
 * one has of memory and how it last died. */
#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "console/tui/parts.h"
#include "console/tui/view.h"

#define PANEL_LINES	5
#define PANEL_FROM	14	/* lines of a screen that has a panel */

static const struct list_column columns[] = {
	{ .column = { "id", "ID", FORM_NUMBER, 3 } },
	{ .column = { "pid", "PID", FORM_NUMBER, 7 }, .priority = 4 },
	{ .column = { "model", "MODEL", FORM_TEXT, 8 }, .priority = 1,
	    .grows = true },
	{ .column = { "variant", "VARIANT", FORM_TEXT, 7 }, .priority = 5,
	    .grows = true },
	{ .column = { "state", "STATE", FORM_STATE, 8 } },
	{ .column = { "threads", "THR", FORM_NUMBER, 3 }, .priority = 7 },
	{ .column = { "cpu_percent", "CPU%", FORM_RATE, 5 }, .priority = 2 },
	{ .column = { "rss_bytes", "RSS", FORM_SIZE, 5 }, .priority = 3 },
	{ .column = { "kv_pages_used", "KV PAGES", FORM_NUMBER, 9 },
	    .priority = 3, .total = "kv_pages" },
	{ .column = { "running", "RUN", FORM_NUMBER, 3 }, .priority = 2 },
	{ .column = { "tokens_per_s", "TOK/S", FORM_RATE, 6 },
	    .priority = 2 },
	{ .column = { "restarts", "RST", FORM_NUMBER, 3 }, .priority = 4 },
	{ .column = { "uptime_s", "UP", FORM_AGE, 6 }, .priority = 6 },
	{ .column = { "cpu_level", "LEVEL", FORM_TEXT, 6 }, .priority = 10 },
	{ .column = { "crash", "LAST CRASH", FORM_TEXT, 20 }, .priority = 9,
	    .grows = true },
};

static void
init(struct view *v)
{
	v->list = list_new(columns, N_ELEMENTS(columns), "id");
}

static void
fini(struct view *v)
{
	list_free(v->list);
	v->list = NULL;
}

/* A column shows one field, and the last crash is an object of two. */
static json_t *
row_of(const json_t *worker)
{
	json_t *row = json_copy((json_t *)worker);
	json_t *crash = json_object_get(json_object_get(worker,
	    "last_crash"), "text");

	if (json_is_string(crash))
		json_object_set(row, "crash", crash);
	return row;
}

static void
update(struct view *v, const struct store *s)
{
	json_t *rows = json_array(), *worker;
	size_t i;

	json_array_foreach(store_list(s, "workers"), i, worker)
		json_array_append_new(rows, row_of(worker));
	list_set_array(v->list, rows);
	json_decref(rows);
}

/* ---- the panel ---- */

static void
draw_memory(const struct area *a, int y, const json_t *w)
{
	static const struct {
		const char *label, *field;
	} parts[] = { { "weights", "weights_bytes" }, { "KV", "kv_bytes" },
	    { "scratch", "scratch_bytes" }, { "shared", "shared_bytes" },
	    { "resident", "rss_bytes" } };
	struct buf text;
	int x = 13;

	buf_init(&text, 4096);
	area_puts(a, y, 0, ROLE_LABEL, "memory");
	for (size_t i = 0; i < N_ELEMENTS(parts); i++)
		x += part_pair(a, y, x, parts[i].label, ROLE_TEXT,
		    part_number(FORM_SIZE, row_number(w, parts[i].field),
		    &text)) + 2;
	buf_fini(&text);
}

static void
draw_kv(const struct area *a, int y, const json_t *w)
{
	double used = row_number(w, "kv_pages_used");
	double all = row_number(w, "kv_pages");
	int bar = MEM_MIN(MEM_MAX(a->w - 13 - 34, 0), 60);

	area_puts(a, y, 0, ROLE_LABEL, "KV pages");
	if (!(all > 0)) {
		area_puts(a, y, 13, ROLE_DIM, "-");
		return;
	}
	area_bar(a, y, 13, bar, fill_role(used / all), used / all);
	area_printf(a, y, 13 + bar + 1, ROLE_TEXT,
	    "%.0f of %.0f used, %.0f %%", used, all, 100 * used / all);
}

static void
draw_guesses(const struct area *a, int y, const json_t *w)
{
	double drafted = row_number(w, "drafted_tokens");
	double accepted = row_number(w, "accepted_tokens");

	area_puts(a, y, 0, ROLE_LABEL, "guesses");
	if (drafted > 0)
		area_printf(a, y, 13, ROLE_TEXT,
		    "%.0f tokens, %.0f right, %.0f %%", drafted, accepted,
		    100 * accepted / drafted);
	else
		area_puts(a, y, 13, ROLE_DIM, "none");
}

static void
draw_crash(const struct area *a, int y, const json_t *w)
{
	const json_t *crash = json_object_get(w, "last_crash");
	struct slice text = row_slice(crash, "text");
	struct buf at;
	int x;

	area_puts(a, y, 0, ROLE_LABEL, "last crash");
	if (text.n == 0) {
		area_puts(a, y, 13, ROLE_DIM, "none");
		return;
	}
	buf_init(&at, 4096);
	x = 13 + area_put(a, y, 13, ROLE_TEXT, part_number(FORM_TIME,
	    row_number(crash, "at"), &at)) + 2;
	area_put(a, y, x, ROLE_BAD, text);
	buf_fini(&at);
}

static void
draw_panel(const struct area *a, const json_t *w)
{
	char title[64];

	snprintf(title, sizeof(title), "Worker %.0f", row_number(w, "id"));
	area_rule(a, 0, ROLE_RULE, title);
	draw_kv(a, 1, w);
	draw_memory(a, 2, w);
	draw_guesses(a, 3, w);
	draw_crash(a, 4, w);
}

static void
draw(struct view *v, const struct store *s, const struct area *a,
    int64_t now_unix_ms)
{
	int panel = a->h >= PANEL_FROM && v->list->n_rows > 0 ?
	    PANEL_LINES : 0;
	struct area top = area_sub(a, 0, 0, a->h - panel, a->w);
	struct area below = area_sub(a, a->h - panel, 1, panel, a->w - 2);

	list_draw(v->list, &top, v->list->n_all > 0 ?
	    "no worker passes the filter" : "no worker runs");
	if (panel > 0)
		draw_panel(&below, list_selected(v->list));
}

static void
detail(struct view *v, const struct store *s, const json_t *row,
    struct buf *out)
{
	part_record(row, out);
}

const struct view_ops view_workers = {
	.title = "Workers", .context = ON_WORKERS, .init = init, .fini = fini,
	.update = update, .draw = draw, .detail = detail,
};

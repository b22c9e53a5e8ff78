/* SPDX-License-Identifier: MIT */
/*
 * Everything at a glance.  Designed for 80x20 (a terminal of 24 lines):
 * processes beside the load, delays and memory, models, the last events.  With
 * more room the graphs get higher and every table longer; narrower than
 * BESIDE_W the processes shrink to a line.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "console/tui/parts.h"
#include "console/tui/view.h"

#define BESIDE_W	76	/* columns for processes beside the load */
#define BESIDE_H	16
#define PROCESSES_W	44	/* half of the screen when WIDE_W */
#define WIDE_W		120	/* columns for high graphs and all fields */
#define LOAD_LINES	6	/* least height of the load */
#define MIDDLE_LINES	4	/* delays, memory, log */
#define SPAN_MS		(5 * 60 * 1000.0)
#define LABEL_W		13
#define VALUE_W		7
#define GRAPH_X		16	/* behind label and value */

static const struct list_column process_columns[] = {
	{ .column = { "name", "PROCESS", FORM_TEXT, 9 } },
	{ .column = { "state", "STATE", FORM_STATE, 8 } },
	{ .column = { "pid", "PID", FORM_NUMBER, 7 }, .priority = 4 },
	{ .column = { "serves", "SERVES", FORM_TEXT, 12 }, .priority = 3,
	    .grows = true },
	{ .column = { "cpu_percent", "CPU%", FORM_RATE, 5 } },
	{ .column = { "rss_bytes", "RSS", FORM_SIZE, 5 } },
	{ .column = { "restarts", "RST", FORM_NUMBER, 3 }, .priority = 1 },
	{ .column = { "uptime_s", "UP", FORM_AGE, 6 }, .priority = 2 },
};

static const struct list_column model_columns[] = {
	{ .column = { "name", "MODEL", FORM_TEXT, 10 }, .grows = true },
	{ .column = { "variant", "VARIANT", FORM_TEXT, 8 }, .priority = 3,
	    .grows = true },
	{ .column = { "state", "STATE", FORM_STATE, 8 } },
	{ .column = { "workers", "WORKERS", FORM_RANGE, 7 } },
	{ .column = { "running", "RUN", FORM_NUMBER, 3 } },
	{ .column = { "queued", "QUEUE", FORM_NUMBER, 5 }, .priority = 1 },
	{ .column = { "tokens_per_s", "TOK/S", FORM_RATE, 7 },
	    .priority = 1 },
	{ .column = { "memory_bytes", "MEMORY", FORM_SIZE, 6 },
	    .priority = 4 },
	{ .column = { "note", "NOTE", FORM_TEXT, 10 }, .priority = 2,
	    .grows = true },
};

static const struct list_column event_columns[] = {
	{ .column = { "at", "TIME", FORM_CLOCK, 8 } },
	{ .column = { "kind", "EVENT", FORM_STATE, 12 } },
	{ .column = { "subject", "SUBJECT", FORM_TEXT, 8 }, .priority = 1,
	    .grows = true },
	{ .column = { "text", "WHAT", FORM_TEXT, 16 }, .grows = true },
};

/* What the load shows: what is now, by a field of the status, and the history
 * by a series. */
static const struct load {
	const char	*label, *object, *field;
	enum column_form form;
	enum store_series series;
	bool		 peaks;		/* else means */
	double		 per_s;		/* of a rate: in how many seconds */
} loads[] = {
	{ "tok/s", NULL, "tokens_per_s", FORM_COUNT, SERIES_TOKENS,
	    false, 1 },
	{ "req/s", NULL, "requests_per_s", FORM_RATE, SERIES_REQUESTS,
	    false, 1 },
	{ "queued", NULL, "queued", FORM_COUNT, SERIES_QUEUED, true, 0 },
	{ "TTFT95", "ttft_ms", "p95", FORM_MS, SERIES_TTFT_P95, true, 0 },
	{ "running", NULL, "running", FORM_COUNT, SERIES_RUNNING, true, 0 },
	{ "err/min", NULL, NULL, FORM_COUNT, SERIES_ERRORS, false, 60 },
};

struct overview {
	struct list	 processes, models, events;
	size_t		 n_workers, n_workers_ready;
};

static void
init(struct view *v)
{
	struct overview *own = xcalloc(1, sizeof(*own));

	list_init(&own->processes, process_columns,
	    N_ELEMENTS(process_columns), NULL);
	list_init(&own->models, model_columns, N_ELEMENTS(model_columns),
	    NULL);
	list_init(&own->events, event_columns, N_ELEMENTS(event_columns),
	    NULL);
	own->processes.is_still = own->models.is_still = true;
	own->events.is_still = own->events.follows = true;
	v->own = own;
}

static void
fini(struct view *v)
{
	struct overview *own = v->own;

	list_fini(&own->processes);
	list_fini(&own->models);
	list_fini(&own->events);
	free(own);
	v->own = NULL;
}

/* ---- rows ---- */

static bool
is_worker(const json_t *process)
{
	return strcmp(row_text(process, "role"), "worker") == 0;
}

static bool
is_ready(const json_t *process)
{
	return strcmp(row_text(process, "state"), "ready") == 0;
}

/* A process with a name for people and what it serves. */
static json_t *
row_of(const struct store *s, const json_t *process)
{
	json_t *row = json_copy((json_t *)process);
	char id[32];
	const json_t *worker;

	if (!is_worker(process)) {
		json_object_set(row, "name", json_object_get(process,
		    "role"));
		return row;
	}
	snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(
	    json_object_get(process, "worker")));
	json_object_set_new(row, "name", json_sprintf("worker %s", id));
	worker = store_find(s, "workers", "id", id);
	if (worker != NULL)
		json_object_set_new(row, "serves", json_sprintf("%s %s",
		    row_text(worker, "model"), row_text(worker, "variant")));
	return row;
}

/* The four kinds of processes in the order they come; among the workers those
 * that are not ready first, for they may not all fit. */
static int
pass_of(const json_t *process)
{
	return !is_worker(process) ? 0 : is_ready(process) ? 2 : 1;
}

static void
set_processes(struct overview *own, const struct store *s)
{
	json_t *rows = json_array(), *process;
	size_t i;

	own->n_workers = own->n_workers_ready = 0;
	for (int pass = 0; pass < 3; pass++) {
		json_array_foreach(store_list(s, "processes"), i, process) {
			if (pass_of(process) != pass)
				continue;
			own->n_workers += pass > 0;
			own->n_workers_ready += pass > 1;
			json_array_append_new(rows, row_of(s, process));
		}
	}
	list_set_array(&own->processes, rows);
	json_decref(rows);
}

/* A model with what is worth a note: why it fails, or its canary. */
static void
set_models(struct overview *own, const struct store *s)
{
	json_t *rows = json_array(), *model;
	size_t i;

	json_array_foreach(store_list(s, "models"), i, model) {
		json_t *row = json_copy(model), *reason;
		double percent = row_number(model, "canary_percent");

		reason = json_object_get(model, "reason");
		if (json_string_length(reason) > 0)
			json_object_set(row, "note", reason);
		else if (percent > 0)
			json_object_set_new(row, "note", json_sprintf(
			    "%d %% to %s", (int)MEM_MIN(percent, 100.0),
			    row_text(model, "next")));
		else
			json_object_set_new(row, "note", json_string(""));
		json_array_append_new(rows, row);
	}
	list_set_array(&own->models, rows);
	json_decref(rows);
}

static void
update(struct view *v, const struct store *s)
{
	struct overview *own = v->own;
	const json_t *events[STORE_EVENTS];

	for (size_t i = 0; i < s->events.n; i++)
		events[i] = store_ring_at(&s->events, i);
	list_set(&own->events, events, NULL, s->events.n);
	set_models(own, s);
	set_processes(own, s);
}

/* ---- the load ---- */

static double
step_s(const struct store *s)
{
	return s->step_ms > 0 ? s->step_ms / 1000 : 1;
}

/* What is now: of the status, else what the newest points make together. */
static double
value_now(const struct store *s, const struct load *l)
{
	double v;

	if (l->object != NULL) {
		v = row_number_in(store_status(s), l->object, l->field);
		return v > 0 ? v : NAN;	/* 0: none was measured */
	}
	if (l->field != NULL)
		return row_number(store_status(s), l->field);
	return part_series(s, l->series, l->per_s * 1000, false, &v, 1) > 0 ?
	    v * l->per_s / step_s(s) : NAN;
}

/* The history in w values, and the highest of them. */
static size_t
graph_of(const struct store *s, const struct load *l, double *v, int w,
    double *max)
{
	size_t n = part_series(s, l->series, SPAN_MS, l->peaks, v,
	    (size_t)MEM_MIN(MEM_MAX(w, 0), PART_SERIES_MAX));

	*max = 0;
	for (size_t i = 0; i < n; i++) {
		if (l->per_s > 0)
			v[i] *= l->per_s / step_s(s);
		if (v[i] > *max)
			*max = v[i];
	}
	return n;
}

/* "label  value  graph  scale" on a line. */
static void
draw_load_line(const struct area *a, int y, const struct store *s,
    const struct load *l)
{
	double v[PART_SERIES_MAX], max;
	int w = a->w - GRAPH_X - VALUE_W - 1;
	size_t n = graph_of(s, l, v, w, &max);
	struct buf text;

	buf_init(&text, 4096);
	area_puts(a, y, 0, ROLE_LABEL, l->label);
	area_fit(a, y, GRAPH_X - VALUE_W - 1, VALUE_W, ROLE_STRONG, true,
	    part_number(l->form, value_now(s, l), &text));
	area_spark(a, y, GRAPH_X, 1, w, ROLE_GRAPH, v, n, max);
	area_fit(a, y, a->w - VALUE_W, VALUE_W, ROLE_DIM, true,
	    part_number(l->form, max > 0 ? max : NAN, &text));
	buf_fini(&text);
}

/* A graph of several lines, its scale on the left. */
static void
draw_load_graph(const struct area *a, const struct store *s,
    const struct load *l)
{
	double v[PART_SERIES_MAX], max;
	int w = a->w - 10;
	size_t n = graph_of(s, l, v, w, &max);
	struct buf text;
	int x;

	buf_init(&text, 4096);
	x = area_puts(a, 0, 0, ROLE_LABEL, l->label) + 1;
	area_put(a, 0, x, ROLE_STRONG, part_number(l->form, value_now(s, l),
	    &text));
	area_fit(a, 1, 0, 8, ROLE_DIM, true, part_number(l->form,
	    max > 0 ? max : NAN, &text));
	area_fit(a, a->h - 1, 0, 8, ROLE_DIM, true, slice_of("0"));
	for (int y = 1; y < a->h; y++)
		area_glyph(a, y, 9, ROLE_RULE, GLYPH_VLINE);
	area_spark(a, 1, 10, a->h - 1, w, ROLE_GRAPH, v, n, max);
	buf_fini(&text);
}

/* Four graphs, two beside each other. */
static void
draw_graphs(const struct area *a, const struct store *s)
{
	int h = a->h / 2, w = a->w / 2;

	for (int i = 0; i < 4; i++) {
		struct area cell = area_sub(a, i / 2 * h, i % 2 * w, h,
		    w - 1);

		draw_load_graph(&cell, s, &loads[i]);
	}
}

static void
draw_load(const struct area *a, const struct store *s)
{
	struct area line = area_sub(a, 0, 0, 1, a->w);
	struct area rest = area_sub(a, 1, 0, a->h - 1, a->w);

	area_fill(&line, ROLE_HEAD);
	if (a->h >= 13 && a->w >= 60) {
		area_puts(&line, 0, 0, ROLE_HEAD, "LOAD, LAST 5 MINUTES");
		draw_graphs(&rest, s);
		return;
	}
	area_puts(&line, 0, 0, ROLE_HEAD, "LOAD");
	area_fit(&line, 0, GRAPH_X - VALUE_W - 1, VALUE_W, ROLE_HEAD, true,
	    slice_of("NOW"));
	area_puts(&line, 0, GRAPH_X, ROLE_HEAD, "5 MINUTES");
	area_fit(&line, 0, a->w - VALUE_W, VALUE_W, ROLE_HEAD, true,
	    slice_of("SCALE"));
	for (size_t i = 0; i < N_ELEMENTS(loads); i++)
		draw_load_line(&rest, (int)i, s, &loads[i]);
}

/* ---- the middle ---- */

static void
draw_memory(const struct area *a, int y, const struct store *s)
{
	const json_t *status = store_status(s);
	double limit = row_number_in(status, "memory", "limit");
	double committed = row_number_in(status, "memory", "committed");
	double available = row_number_in(status, "memory", "free");
	double share = limit > 0 ? committed / limit : 0;
	int bar = MEM_MIN(MEM_MAX(a->w / 5, 8), 40), x = LABEL_W;
	struct buf text;

	buf_init(&text, 4096);
	area_puts(a, y, 0, ROLE_LABEL, "memory");
	area_bar(a, y, x, bar, fill_role(share), share);
	x += bar + 1;
	x += area_put(a, y, x, ROLE_STRONG, part_number(FORM_BYTES,
	    committed, &text));
	if (limit > 0) {
		x += area_puts(a, y, x, ROLE_TEXT, " of ");
		x += area_put(a, y, x, ROLE_TEXT, part_number(FORM_BYTES,
		    limit, &text));
	}
	if (a->w >= BESIDE_W - 1)
		x += area_puts(a, y, x, ROLE_TEXT, " committed");
	x += area_puts(a, y, x, ROLE_TEXT, limit > 0 ? ", " :
	    ", no limit, ");
	x += area_put(a, y, x, ROLE_TEXT, part_number(FORM_BYTES, available,
	    &text));
	area_puts(a, y, x, ROLE_TEXT, " free");
	buf_fini(&text);
}

static void
draw_log(const struct area *a, int y, const struct store *s)
{
	const json_t *log = store_row_value(store_status(s), "log");
	struct slice state = row_slice(log, "state");
	struct slice message = row_slice(log, "message");
	double waiting = row_number(log, "pending_rows");
	double lost = row_number(log, "dropped_rows");
	int x = LABEL_W;

	area_puts(a, y, 0, ROLE_LABEL, "log");
	x += area_put(a, y, x, state_role(state), state);
	if (lost > 0)
		x += area_printf(a, y, x, ROLE_BAD, ", %.0f rows lost", lost);
	if (waiting > 0)
		x += area_printf(a, y, x, ROLE_WARN, ", %.0f rows wait",
		    waiting);
	if (message.n > 0) {
		x += area_puts(a, y, x, ROLE_TEXT, ": ");
		area_put(a, y, x, ROLE_TEXT, message);
	}
}

static void
draw_totals(const struct area *a, const struct store *s)
{
	static const struct {
		const char *label, *field;
	} totals[] = { { "requests", "requests_total" },
	    { "tokens", "tokens_total" }, { "clients", "connections" } };
	const json_t *status = store_status(s);
	struct buf text;

	buf_init(&text, 4096);
	for (int i = 0; i < (int)N_ELEMENTS(totals); i++) {
		area_puts(a, i, 0, ROLE_LABEL, totals[i].label);
		area_put(a, i, 10, ROLE_TEXT, part_number(FORM_COUNT,
		    row_number(status, totals[i].field), &text));
	}
	buf_fini(&text);
}

static void
draw_middle(const struct area *a, const struct store *s)
{
	const json_t *status = store_status(s);
	struct area in = area_sub(a, 0, 1, a->h, a->w - 1);
	struct area right = area_sub(a, 0, a->w - 19, a->h, 19);

	part_quantiles(&in, 0, "first token", status, "ttft_ms");
	part_quantiles(&in, 1, "next token", status, "gap_ms");
	draw_memory(&in, 2, s);
	draw_log(&in, 3, s);
	if (a->w >= BESIDE_W) {
		right.h = 2;
		draw_totals(&right, s);
	}
}

/* ---- layout ---- */

/* Lines for the tables of models and events, of those that are left. */
static void
draw_tables(struct overview *own, const struct area *a)
{
	int models = MEM_MAX((int)own->models.n_all, 1) + 1;
	int most = MEM_MAX(a->h <= 8 ? a->h - 2 : a->h * 3 / 5, 2);
	struct area top, below;

	models = MEM_MIN(models, most);
	top = area_sub(a, 0, 0, models, a->w);
	below = area_sub(a, models, 0, a->h - models, a->w);
	list_draw(&own->models, &top, "no model is loaded: L loads one");
	if (below.h >= 2)
		list_draw(&own->events, &below, "no events yet");
}

/* Where processes do not fit beside the load. */
static void
draw_narrow(struct overview *own, const struct store *s,
    const struct area *a)
{
	struct area head = area_sub(a, 0, 1, 2, a->w - 1);
	struct area middle = area_sub(a, 2, 0, MIDDLE_LINES, a->w);
	struct area rest = area_sub(a, 2 + MIDDLE_LINES, 0,
	    a->h - 2 - MIDDLE_LINES, a->w);
	const json_t *status = store_status(s);
	struct buf text;
	int x = 0;

	buf_init(&text, 4096);
	for (size_t i = 0; i < own->processes.n_all; i++) {
		const json_t *row = own->processes.all[i].json;

		if (is_worker(row))
			break;
		x += part_pair(&head, 0, x, row_text(row, "name"),
		    state_role(row_slice(row, "state")), row_slice(row,
		    "state")) + 2;
	}
	buf_printf(&text, "%zu/%zu ready", own->n_workers_ready,
	    own->n_workers);
	part_pair(&head, 0, x, "workers", own->n_workers_ready ==
	    own->n_workers ? ROLE_GOOD : ROLE_WARN, slice_of(buf_cstr(
	    &text)));
	x = 0;
	for (size_t i = 0; i < 5; i++)
		if (loads[i].object == NULL)
			x += part_pair(&head, 1, x, loads[i].label,
			    ROLE_STRONG, part_number(loads[i].form,
			    row_number(status, loads[i].field), &text)) + 2;
	buf_fini(&text);
	draw_middle(&middle, s);
	draw_tables(own, &rest);
}

/* Lines of processes and load. */
static int
upper_lines(const struct overview *own, const struct area *a)
{
	int h = a->h - MIDDLE_LINES;
	int wanted = MEM_MAX((int)own->processes.n_all, LOAD_LINES) + 1;

	if (a->w >= WIDE_W && h >= 30)
		return MEM_MAX(h * 2 / 5, MEM_MIN(wanted, h / 2));
	return MEM_MIN(wanted, MEM_MAX(h / 2, LOAD_LINES + 1));
}

static void
draw(struct view *v, const struct store *s, const struct area *a,
    int64_t now_unix_ms)
{
	struct overview *own = v->own;
	int h = upper_lines(own, a);
	int w = a->w < WIDE_W ? PROCESSES_W : a->w / 2;
	struct area left, right, middle, rest;

	if (a->w < BESIDE_W || a->h < BESIDE_H) {
		draw_narrow(own, s, a);
		return;
	}
	left = area_sub(a, 0, 0, h, w);
	right = area_sub(a, 0, w + 1, h, a->w - w - 1);
	middle = area_sub(a, h, 0, MIDDLE_LINES, a->w);
	rest = area_sub(a, h + MIDDLE_LINES, 0, a->h - h - MIDDLE_LINES,
	    a->w);
	list_draw(&own->processes, &left, "not connected yet");
	draw_load(&right, s);
	draw_middle(&middle, s);
	draw_tables(own, &rest);
}

const struct view_ops view_overview = {
	.title = "Overview", .context = ON_OVERVIEW, .init = init,
	.fini = fini, .update = update, .draw = draw,
};

/* SPDX-License-Identifier: MIT */
/* What operators did and what happened to processes, newest last. */
#include "config.h"

#include <stdlib.h>

#include "base/mem.h"
#include "console/tui/parts.h"
#include "console/tui/tui.h"
#include "console/tui/view.h"

static const struct list_column columns[] = {
	{ .column = { "at", "TIME", FORM_TIME, 19 } },
	{ .column = { "kind", "KIND", FORM_STATE, 14 } },
	{ .column = { "subject", "SUBJECT", FORM_TEXT, 10 }, .priority = 2,
	    .grows = true },
	{ .column = { "text", "WHAT", FORM_TEXT, 28 }, .grows = true },
	{ .column = { "uid", "UID", FORM_NUMBER, 5 }, .priority = 3 },
};

static void
init(struct view *v)
{
	v->list = list_new(columns, N_ELEMENTS(columns), "id");
	v->list->follows = true;
}

static void
fini(struct view *v)
{
	list_free(v->list);
	v->list = NULL;
}

static void
update(struct view *v, const struct store *s)
{
	const json_t **rows = xcalloc(s->events.n + 1,
	    sizeof(const json_t *));

	for (size_t i = 0; i < s->events.n; i++)
		rows[i] = store_ring_at(&s->events, i);
	list_set(v->list, rows, NULL, s->events.n);
	free(rows);
}

static void
draw(struct view *v, const struct store *s, const struct area *a,
    int64_t now_unix_ms)
{
	list_draw(v->list, a, "nothing happened since the daemon began");
}

static bool
act(struct view *v, struct tui *t, enum action action)
{
	if (action != ACT_FOLLOW)
		return false;
	list_follow(v->list, !v->list->follows);
	tui_say(t, ROLE_TEXT, v->list->follows ? "stays at the newest event" :
	    "stays at this event");
	return true;
}

static void
detail(struct view *v, const struct store *s, const json_t *row,
    struct buf *out)
{
	part_record(row, out);
}

const struct view_ops view_events = {
	.title = "Events", .context = ON_EVENTS, .init = init, .fini = fini,
	.update = update, .draw = draw, .act = act, .detail = detail,
};

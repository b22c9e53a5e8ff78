/* SPDX-License-Identifier: MIT */
/* The configuration in force; what differs from the defaults is strong. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "console/tui/parts.h"
#include "console/tui/view.h"

static const struct list_column columns[] = {
	{ .column = { "section", "SECTION", FORM_TEXT, 7 }, .priority = 2 },
	{ .column = { "name", "NAME", FORM_TEXT, 7 }, .priority = 1 },
	{ .column = { "key", "KEY", FORM_TEXT, 16 } },
	{ .column = { "value", "VALUE", FORM_TEXT, 12 }, .grows = true },
	{ .column = { "what", "WHAT", FORM_TEXT, 20 }, .priority = 3,
	    .grows = true },
	{ .column = { "default", "DEFAULT", FORM_TEXT, 8 }, .priority = 4,
	    .grows = true },
};

static void
init(struct view *v)
{
	v->list = list_new(columns, N_ELEMENTS(columns), NULL);
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
	const json_t *list = store_list(s, "config");
	size_t n = json_array_size(list);
	const json_t **rows = xcalloc(n + 1, sizeof(const json_t *));
	bool *is_set = xcalloc(n + 1, sizeof(*is_set));

	for (size_t i = 0; i < n; i++) {
		rows[i] = json_array_get(list, i);
		is_set[i] = strcmp(row_text(rows[i], "value"),
		    row_text(rows[i], "default")) != 0;
	}
	list_set(v->list, rows, is_set, n);
	free(is_set);
	free(rows);
}

static void
draw(struct view *v, const struct store *s, const struct area *a,
    int64_t now_unix_ms)
{
	list_draw(v->list, a, "not known yet");
}

static void
detail(struct view *v, const struct store *s, const json_t *row,
    struct buf *out)
{
	part_record(row, out);
}

const struct view_ops view_config = {
	.title = "Config", .context = ON_CONFIG, .init = init, .fini = fini,
	.update = update, .draw = draw, .detail = detail,
};

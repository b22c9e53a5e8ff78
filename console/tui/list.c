/* SPDX-License-Identifier: MIT */
/*
 * Rows as given (`all`) and, of those, the ones that pass the filter in the
 * order of the sort column (`rows`).  What the filter says of a row and its
 * sort key are taken once: the list holds a reference on each row, so a
 * pointer that comes again is the same row.  The selection is an id; the
 * number of its row is found again whenever rows changes.
 */
#include "config.h"

#include "console/tui/list.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "console/tui/store.h"

void
list_init(struct list *l, const struct list_column *columns, size_t n,
    const char *id_field)
{
	*l = (struct list){ .columns = columns, .n_columns = n,
	    .id_field = id_field, .sort = n, .page = 1 };
	l->tags = json_object();
	l->given = json_array();
	l->widths = xcalloc(n + 1, sizeof(*l->widths));
}

void
list_fini(struct list *l)
{
	for (size_t i = 0; i < l->n_all; i++)
		json_decref((json_t *)l->all[i].json);
	free(l->all);
	free(l->rows);
	free(l->filter);
	free(l->selected_id);
	free(l->widths);
	json_decref(l->tags);
	json_decref(l->given);
	*l = (struct list){ 0 };
}

struct list *
list_new(const struct list_column *columns, size_t n, const char *id_field)
{
	struct list *l = xcalloc(1, sizeof(*l));

	list_init(l, columns, n, id_field);
	return l;
}

void
list_free(struct list *l)
{
	if (l != NULL)
		list_fini(l);
	free(l);
}

/* ---- ids ---- */

/* The id of a row as text, "" without one. */
static const char *
id_of(const struct list *l, const struct list_row *row, char number[24])
{
	const json_t *v = l->id_field == NULL ? NULL :
	    store_row_value(row->json, l->id_field);

	if (json_is_string(v))
		return json_string_value(v);
	number[0] = '\0';
	if (json_is_integer(v))
		snprintf(number, 24, "%lld",
		    (long long)json_integer_value(v));
	return number;
}

static bool
has_id(const struct list *l, size_t i, const char *id)
{
	char number[24];

	return i < l->n_rows && strcmp(id_of(l, &l->rows[i], number),
	    id) == 0;
}

static void
keep_selected(struct list *l)
{
	char number[24];
	const char *id = l->n_rows == 0 ? "" : id_of(l,
	    &l->rows[l->selected], number);

	if (l->selected_id != NULL && strcmp(l->selected_id, id) == 0)
		return;
	free(l->selected_id);
	l->selected_id = *id != '\0' ? xstrdup(id) : NULL;
}

/* After rows changed. */
static void
find_selected(struct list *l)
{
	if (l->follows && l->n_rows > 0) {
		l->selected = l->n_rows - 1;
	} else if (l->selected_id != NULL &&
	    !has_id(l, l->selected, l->selected_id)) {
		for (size_t i = 0; i < l->n_rows; i++) {
			if (!has_id(l, i, l->selected_id))
				continue;
			l->selected = i;
			break;
		}
	}
	if (l->selected >= l->n_rows)
		l->selected = l->n_rows > 0 ? l->n_rows - 1 : 0;
	/* A row that is only hidden is selected again when it is back. */
	if (l->n_rows > 0)
		keep_selected(l);
}

/* ---- cells ---- */

struct slice
list_cell(const struct list_row *row, const struct column *c,
    struct buf *text)
{
	const json_t *v = store_row_value(row->json, c->field), *since;

	if (json_is_string(v))
		return (struct slice){ json_string_value(v),
		    json_string_length(v) };
	since = c->form == FORM_DURATION ?
	    store_row_value(row->json, "started_at") : NULL;
	buf_clear(text);
	view_value(c->form, v, since, text);
	return (struct slice){ (const char *)text->data, text->len };
}

/* ---- the filter ---- */

struct filter {
	bool		 inverts;
	size_t		 column;	/* n_columns: any */
	struct slice	 text;
};

static size_t
column_named(const struct list *l, struct slice name)
{
	for (size_t i = 0; i < l->n_columns; i++) {
		const struct column *c = &l->columns[i].column;

		if ((strlen(c->field) == name.n &&
		    strncasecmp(c->field, name.p, name.n) == 0) ||
		    (strlen(c->title) == name.n &&
		    strncasecmp(c->title, name.p, name.n) == 0))
			return i;
	}
	return l->n_columns;
}

static struct filter
filter_of(const struct list *l)
{
	struct filter f = { .column = l->n_columns };
	const char *p = l->filter != NULL ? l->filter : "", *colon;

	if (*p == '!' && p[1] != '\0') {
		f.inverts = true;
		p++;
	}
	if ((colon = strchr(p, ':')) != NULL) {
		f.column = column_named(l, (struct slice){ p,
		    (size_t)(colon - p) });
		if (f.column < l->n_columns)
			p = colon + 1;
	}
	f.text = slice_of(p);
	return f;
}

static char
folded(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
begins_with(const char *p, struct slice needle)
{
	for (size_t i = 0; i < needle.n; i++)
		if (folded(p[i]) != folded(needle.p[i]))
			return false;
	return true;
}

static bool
contains(struct slice s, struct slice needle)
{
	for (size_t i = 0; i + needle.n <= s.n; i++)
		if (begins_with(s.p + i, needle))
			return true;
	return needle.n == 0;
}

static bool
passes(const struct list *l, const struct filter *f,
    const struct list_row *row, struct buf *text)
{
	size_t first = f->column < l->n_columns ? f->column : 0;
	size_t end = f->column < l->n_columns ? first + 1 : l->n_columns;

	for (size_t i = first; i < end; i++)
		if (contains(list_cell(row, &l->columns[i].column, text),
		    f->text))
			return !f->inverts;
	return f->inverts;
}

/* ---- the order ---- */

static void
take_key(const struct list *l, struct list_row *row)
{
	const struct column *c;
	const json_t *v;

	row->number = NAN;
	row->text = NULL;
	if (l->sort >= l->n_columns)
		return;
	c = &l->columns[l->sort].column;
	v = store_row_value(row->json, c->field);
	if (json_is_object(v))
		v = json_object_get(v, "now");	/* FORM_RANGE */
	if (json_is_number(v))
		row->number = json_number_value(v);
	if (c->form == FORM_DURATION)
		row->number -= row_number(row->json, "started_at");
	row->text = json_string_value(v);
}

/* Numbers, then texts, then what has neither, whatever the direction. */
static int
kind_of(const struct list_row *row)
{
	return !isnan(row->number) ? 0 : row->text != NULL ? 1 : 2;
}

static int
compare(const void *pa, const void *pb, void *arg)
{
	const struct list_row *a = pa, *b = pb;
	const struct list *l = arg;
	int sign = l->is_reversed ? -1 : 1, d;

	if (l->sort < l->n_columns) {
		int kind = kind_of(a);

		if ((d = kind - kind_of(b)) != 0)
			return d;
		d = kind == 0 ? (a->number > b->number) -
		    (a->number < b->number) :
		    kind == 1 ? strcasecmp(a->text, b->text) : 0;
		if (d != 0)
			return d * sign;
		sign = 1;
	}
	return ((a->place > b->place) - (a->place < b->place)) * sign;
}

/* Make rows of all. */
static void
arrange(struct list *l)
{
	l->rows = xreallocarray(l->rows, l->n_all + 1, sizeof(*l->rows));
	l->n_rows = 0;
	for (size_t i = 0; i < l->n_all; i++)
		if (!l->all[i].is_hidden)
			l->rows[l->n_rows++] = l->all[i];
	if (l->sort < l->n_columns || l->is_reversed)
		qsort_r(l->rows, l->n_rows, sizeof(*l->rows), compare, l);
	find_selected(l);
}

/* ---- new rows ---- */

/* Look at the rows from this one on, of which nothing is known. */
static void
judge(struct list *l, size_t from)
{
	struct filter f = filter_of(l);
	struct buf text;

	buf_init(&text, SIZE_MAX / 8);
	for (size_t i = from; i < l->n_all; i++) {
		l->all[i].is_hidden = l->filter != NULL &&
		    !passes(l, &f, &l->all[i], &text);
		take_key(l, &l->all[i]);
	}
	buf_fini(&text);
}

/* Forget tags of rows that are gone, mark those that stay. */
static void
mark_tags(struct list *l)
{
	json_t *kept;
	char number[24];

	if (json_object_size(l->tags) == 0)
		return;
	kept = json_object();
	for (size_t i = 0; i < l->n_all; i++) {
		const char *id = id_of(l, &l->all[i], number);

		l->all[i].is_tagged = json_object_get(l->tags, id) != NULL;
		if (l->all[i].is_tagged)
			json_object_set_new(kept, id, json_true());
	}
	json_decref(l->tags);
	l->tags = kept;
}

/* Lists mostly lose rows at the begin and get new ones at the end: how many
 * of the new rows are, in order, those from old[*at] on. */
static size_t
known_rows(const struct list_row *old, size_t n_old,
    const json_t *const *rows, size_t n, size_t *at)
{
	size_t k = 0;

	*at = 0;
	while (n > 0 && *at < n_old && old[*at].json != rows[0])
		(*at)++;
	while (k < n && *at + k < n_old && old[*at + k].json == rows[k])
		k++;
	return k;
}

void
list_set(struct list *l, const json_t *const *rows, const bool *is_live,
    size_t n)
{
	struct list_row *old = l->all;
	size_t n_old = l->n_all, at, n_known;

	n_known = known_rows(old, n_old, rows, n, &at);
	l->all = xcalloc(n + 1, sizeof(*l->all));
	l->n_all = n;
	for (size_t i = 0; i < n; i++) {
		if (i < n_known)
			l->all[i] = old[at + i];
		l->all[i].json = json_incref((json_t *)rows[i]);
		l->all[i].is_live = is_live != NULL && is_live[i];
		l->all[i].is_tagged = false;
		l->all[i].place = i;
	}
	judge(l, n_known);
	mark_tags(l);
	arrange(l);
	for (size_t i = 0; i < n_old; i++)
		json_decref((json_t *)old[i].json);
	free(old);
}

void
list_set_array(struct list *l, const json_t *array)
{
	size_t n = json_array_size(array);
	const json_t **rows = xcalloc(n + 1, sizeof(const json_t *));

	for (size_t i = 0; i < n; i++)
		rows[i] = json_array_get(array, i);
	list_set(l, rows, NULL, n);
	free(rows);
}

void
list_follow(struct list *l, bool follows)
{
	l->follows = follows;
	find_selected(l);
}

void
list_filter(struct list *l, const char *text)
{
	free(l->filter);
	l->filter = text != NULL && *text != '\0' ? xstrdup(text) : NULL;
	memset(l->widths, 0, l->n_columns * sizeof(*l->widths));
	judge(l, 0);
	arrange(l);
}

void
list_sort(struct list *l, size_t column, bool reverse)
{
	l->sort = MEM_MIN(column, l->n_columns);
	l->is_reversed = reverse;
	for (size_t i = 0; i < l->n_all; i++)
		take_key(l, &l->all[i]);
	arrange(l);
}

/* ---- the selection ---- */

static const json_t *
give(struct list *l, const struct list_row *row)
{
	json_t *o = store_row_object(row->json);

	json_array_append_new(l->given, o);
	return o;
}

const json_t *
list_selected(struct list *l)
{
	json_array_clear(l->given);
	return l->n_rows > 0 ? give(l, &l->rows[l->selected]) : NULL;
}

size_t
list_subjects(struct list *l, const json_t **out, size_t max)
{
	size_t n = 0;

	json_array_clear(l->given);
	for (size_t i = 0; i < l->n_rows && n < max; i++)
		if (l->rows[i].is_tagged)
			out[n++] = give(l, &l->rows[i]);
	if (n == 0 && l->n_rows > 0 && max > 0)
		out[n++] = give(l, &l->rows[l->selected]);
	return n;
}

bool
list_select(struct list *l, size_t row)
{
	if (row >= l->n_rows)
		return false;
	l->selected = row;
	if (l->selected + 1 < l->n_rows)
		l->follows = false;
	keep_selected(l);
	return true;
}

static void
move(struct list *l, ptrdiff_t by)
{
	ptrdiff_t to = (ptrdiff_t)l->selected + by;
	ptrdiff_t last = (ptrdiff_t)l->n_rows - 1;

	(void)list_select(l, (size_t)(to < 0 ? 0 : to > last ? last : to));
}

static void
toggle_tag(struct list *l)
{
	char number[24];
	struct list_row *row;
	const char *id;

	if (l->n_rows == 0)
		return;
	row = &l->rows[l->selected];
	id = id_of(l, row, number);
	if (*id == '\0')
		return;
	row->is_tagged = !row->is_tagged;
	l->all[row->place].is_tagged = row->is_tagged;
	if (row->is_tagged)
		json_object_set_new(l->tags, id, json_true());
	else
		json_object_del(l->tags, id);
	move(l, 1);
}

static void
untag(struct list *l)
{
	json_object_clear(l->tags);
	for (size_t i = 0; i < l->n_all; i++)
		l->all[i].is_tagged = false;
	for (size_t i = 0; i < l->n_rows; i++)
		l->rows[i].is_tagged = false;
}

/* The sort column moves round through "as given". */
static void
sort_by_next(struct list *l, size_t by)
{
	list_sort(l, (l->sort + by) % (l->n_columns + 1), l->is_reversed);
}

bool
list_act(struct list *l, enum action act)
{
	ptrdiff_t page = (ptrdiff_t)MEM_MAX(l->page, (size_t)1);
	ptrdiff_t n = (ptrdiff_t)l->n_rows;

	switch (act) {
	case ACT_UP:
		move(l, -1);
		return true;
	case ACT_DOWN:
		move(l, 1);
		return true;
	case ACT_PAGE_UP:
		move(l, -page);
		return true;
	case ACT_PAGE_DOWN:
		move(l, page);
		return true;
	case ACT_TOP:
		move(l, -n);
		return true;
	case ACT_BOTTOM:
		move(l, n);
		return true;
	case ACT_LEFT:
		l->left -= l->left > 0;
		return true;
	case ACT_RIGHT:
		l->left += l->has_more && l->left + 2 < l->n_columns;
		return true;
	case ACT_SORT_LEFT:
		sort_by_next(l, l->n_columns);
		return true;
	case ACT_SORT_RIGHT:
		sort_by_next(l, 1);
		return true;
	case ACT_REVERSE:
		list_sort(l, l->sort, !l->is_reversed);
		return true;
	case ACT_TAG:
		toggle_tag(l);
		return true;
	case ACT_UNTAG:
		untag(l);
		return true;
	default:
		return false;
	}
}

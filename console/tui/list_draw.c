/* SPDX-License-Identifier: MIT */
/*
 * A list on an area: the title line, then a row a line.  In front is a column
 * for the tag mark.  Which columns are shown depends on their least widths
 * and the area alone, so that nothing jumps when a value gets longer; what
 * room is left then goes to those that hold more than fits.
 */
#include "config.h"

#include "console/tui/list.h"

#include <string.h>

#include "base/mem.h"
#include "console/tui/parts.h"
#include "console/tui/store.h"

#define COLUMNS_MAX	32
#define MARK		1	/* columns in front */
#define BAR		8	/* columns of the bar of a part */
#define WIDEST		512	/* bytes of a cell that are measured */

struct layout {
	size_t	 n;
	size_t	 column[COLUMNS_MAX];
	int	 width[COLUMNS_MAX];
	int	 gap;
};

static bool
is_right(const struct column *c)
{
	return c->form != FORM_TEXT && c->form != FORM_STATE &&
	    c->form != FORM_TIME && c->form != FORM_CLOCK;
}

static int
least_width(const struct list *l, size_t column)
{
	const struct column *c = &l->columns[column].column;
	size_t title = strlen(c->title) + (column == l->sort);

	return (int)MEM_MAX(c->width, title);
}

static int
total(const struct layout *lay, int gap)
{
	int sum = MARK;

	for (size_t i = 0; i < lay->n; i++)
		sum += lay->width[i] + (i > 0 ? gap : 0);
	return sum;
}

/* As total, were every column as wide as it would like to be. */
static int
wanted(const struct list *l, const struct layout *lay, int gap)
{
	int sum = total(lay, gap);

	for (size_t i = 0; i < lay->n; i++)
		sum += MEM_MAX((int)l->widths[lay->column[i]] - lay->width[i],
		    0);
	return sum;
}

/* The one that gives way first: the highest priority, the rightmost. */
static size_t
least_wanted(const struct list *l, const struct layout *lay)
{
	size_t worst = 0;

	for (size_t i = 1; i < lay->n; i++)
		if (l->columns[lay->column[i]].priority >=
		    l->columns[lay->column[worst]].priority)
			worst = i;
	return worst;
}

static void
drop(struct layout *lay, size_t i)
{
	lay->n--;
	for (; i < lay->n; i++) {
		lay->column[i] = lay->column[i + 1];
		lay->width[i] = lay->width[i + 1];
	}
}

/* Room that is left goes to the columns (that grow, or not) that want it. */
static void
widen(const struct list *l, struct layout *lay, int room, bool growing)
{
	bool any = true;

	while (any && room > 0) {
		any = false;
		for (size_t i = 0; i < lay->n && room > 0; i++) {
			size_t c = lay->column[i];

			if (l->columns[c].grows != growing ||
			    lay->width[i] >= (int)l->widths[c])
				continue;
			lay->width[i]++;
			room--;
			any = true;
		}
	}
}

static struct layout
lay_out(struct list *l, int w)
{
	struct layout lay = { 0 };

	l->has_more = false;
	for (size_t i = 0; i < l->n_columns && lay.n < COLUMNS_MAX; i++) {
		if (i > 0 && i <= l->left)
			continue;
		lay.column[lay.n] = i;
		lay.width[lay.n++] = least_width(l, i);
	}
	lay.gap = wanted(l, &lay, 2) <= w ? 2 : 1;
	while (lay.n > 1 && total(&lay, lay.gap) > w) {
		size_t i = least_wanted(l, &lay);

		if (l->columns[lay.column[i]].priority == 0)
			break;	/* the last is cut by the area */
		l->has_more = true;
		drop(&lay, i);
	}
	widen(l, &lay, w - total(&lay, lay.gap), false);
	widen(l, &lay, w - total(&lay, lay.gap), true);
	return lay;
}

/* ---- drawing ---- */

static void
draw_titles(const struct list *l, const struct layout *lay,
    const struct area *a)
{
	struct area line = area_sub(a, 0, 0, 1, a->w);
	int x = MARK;

	area_fill(&line, ROLE_HEAD);
	for (size_t i = 0; i < lay->n; i++) {
		const struct column *c = &l->columns[lay->column[i]].column;
		bool is_sorted = lay->column[i] == l->sort;
		enum role role = is_sorted ? ROLE_HEAD_SORT : ROLE_HEAD;
		int w = lay->width[i] - is_sorted;

		area_fit(a, 0, x, w, role, is_right(c), slice_of(c->title));
		if (is_sorted)
			area_glyph(a, 0, x + (is_right(c) ? w :
			    (int)strlen(c->title)), role, l->is_reversed ?
			    GLYPH_DOWN : GLYPH_UP);
		x += lay->width[i] + lay->gap;
	}
}

static enum role
cell_role(const struct list_row *row, const struct column *c, struct slice s)
{
	if (s.n == 1 && s.p[0] == '-')
		return ROLE_DIM;
	if (c->form == FORM_STATE)
		return state_role(s);
	return row->is_live ? ROLE_STRONG : ROLE_TEXT;
}

/* What the rows to be drawn would like to have. */
static void
measure(struct list *l, const struct canvas *canvas, size_t n)
{
	struct buf text;

	buf_init(&text, SIZE_MAX / 8);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < l->n_columns; k++) {
			struct slice s = list_cell(&l->rows[l->top + i],
			    &l->columns[k].column, &text);
			int w;

			s.n = MEM_MIN(s.n, (size_t)WIDEST);
			w = canvas_text_width(canvas, s);
			if (l->columns[k].total != NULL)
				w = w * 2 + 1 + BAR;
			l->widths[k] = MEM_MAX(l->widths[k], (size_t)w);
		}
	}
	buf_fini(&text);
}

/* A part of a whole: a bar, then "120/512". */
static void
draw_part(const struct area *a, int y, int x, int w,
    const struct list_row *row, const struct list_column *c, struct slice s)
{
	double part = row_number(row->json, c->column.field);
	double total = row_number(row->json, c->total);
	struct buf text;
	int bar;

	buf_init(&text, 4096);
	buf_put(&text, s.p, s.n);
	buf_put_u8(&text, '/');
	view_value(c->column.form, store_row_value(row->json, c->total),
	    NULL, &text);
	bar = MEM_MAX(w - (int)text.len - 1, 0);
	area_bar(a, y, x, bar, fill_role(part / total), part / total);
	area_fit(a, y, x + bar, w - bar, ROLE_TEXT, true,
	    (struct slice){ (const char *)text.data, text.len });
	buf_fini(&text);
}

static void
draw_cell(const struct area *a, int y, int x, int w,
    const struct list_row *row, const struct list_column *c, struct slice s)
{
	if (c->total != NULL && row_number(row->json, c->total) > 0)
		draw_part(a, y, x, w, row, c, s);
	else
		area_fit(a, y, x, w, cell_role(row, &c->column, s),
		    is_right(&c->column), s);
}

static void
draw_row(const struct list *l, const struct layout *lay,
    const struct area *a, int y, size_t i, struct buf *text)
{
	const struct list_row *row = &l->rows[i];
	int x = MARK;

	if (row->is_tagged)
		area_glyph(a, y, 0, ROLE_STRONG, GLYPH_TAG);
	for (size_t k = 0; k < lay->n; k++) {
		const struct column *c = &l->columns[lay->column[k]].column;
		struct slice s = list_cell(row, c, text);

		draw_cell(a, y, x, lay->width[k], row,
		    &l->columns[lay->column[k]], s);
		x += lay->width[k] + lay->gap;
	}
	if (row->is_tagged)
		area_flag(a, y, 0, -1, CELL_TAGGED);
	if (i == l->selected && !l->is_still)
		area_flag(a, y, 0, -1, CELL_SELECTED);
}

/* The selected row is in sight, and no room stays empty below. */
static void
scroll(struct list *l)
{
	if (l->selected < l->top)
		l->top = l->selected;
	if (l->selected >= l->top + l->page)
		l->top = l->selected + 1 - l->page;
	if (l->top + l->page > l->n_rows)
		l->top = l->n_rows > l->page ? l->n_rows - l->page : 0;
}

void
list_draw(struct list *l, const struct area *a, const char *empty)
{
	struct layout lay;
	struct buf text;
	size_t n;

	l->drawn_y = a->y;
	l->page = a->h > 2 ? (size_t)a->h - 1 : 1;
	scroll(l);
	n = MEM_MIN(l->page, l->n_rows - l->top);
	measure(l, a->canvas, n);
	lay = lay_out(l, a->w);
	draw_titles(l, &lay, a);
	if (l->n_rows == 0)
		area_puts(a, 1, MARK, ROLE_DIM, empty);
	buf_init(&text, SIZE_MAX / 8);
	/* A table cannot be scrolled: it says what it leaves out. */
	if (l->is_still && !l->follows && n < l->n_rows && n > 0) {
		n--;
		area_printf(a, (int)n + 1, MARK, ROLE_DIM, "%zu more",
		    l->n_rows - n);
	}
	for (size_t i = 0; i < n; i++)
		draw_row(l, &lay, a, (int)i + 1, l->top + i, &text);
	buf_fini(&text);
}

int
list_row_at(const struct list *l, int y)
{
	int line = y - l->drawn_y - 1;
	size_t i = l->top + (size_t)line;

	return line >= 0 && (size_t)line < l->page && i < l->n_rows ?
	    (int)i : -1;
}

/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_LIST_H
#define BM_CONSOLE_TUI_LIST_H

/*
 * A scrolling list of JSON rows: columns that give way by priority when it
 * gets narrow, sort, filter, tags, and a selection that stays with its row
 * (by id) while rows come and go.  With 10,000 rows an update must stay under
 * a few milliseconds: rows are formatted when drawn, sort keys are taken once.
 */

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "console/output.h"
#include "console/tui/canvas.h"
#include "console/tui/keys.h"

struct list_column {
	struct column	 column;	/* field, title, form, least width */
	int		 priority;	/* 0: stays; higher: goes first */
	bool		 grows;		/* takes the room that is left */
	const char	*total;		/* field of the whole of which this is
					 * a part: drawn as a bar, too */
};

struct list_row {
	const json_t	*json;		/* as store_row_value takes it; the
					 * list holds a reference */
	bool		 is_tagged;
	bool		 is_live;	/* drawn strong */
	bool		 is_hidden;	/* by the filter */
	double		 number;	/* of the sort column; NAN: text */
	const char	*text;
	size_t		 place;		/* as given */
};

struct list {
	const struct list_column *columns;
	size_t		 n_columns;
	const char	*id_field;
	struct list_row	*all;		/* as given */
	size_t		 n_all;
	struct list_row	*rows;		/* those that pass, in order */
	size_t		 n_rows;
	size_t		 selected;	/* row, when n_rows > 0 */
	size_t		 top;		/* first row that is shown */
	size_t		 page;		/* rows of the last drawing */
	size_t		 sort;		/* column; n_columns: as given */
	size_t		 left;		/* columns scrolled away */
	bool		 has_more;	/* columns that were not drawn */
	bool		 is_reversed;
	bool		 follows;	/* the last row stays selected */
	char		*filter;	/* NULL: none */
	char		*selected_id;
	json_t		*tags;		/* set of ids */
	json_t		*given;		/* objects handed out */
	size_t		*widths;	/* widest cell drawn of each column */
	int		 drawn_y;	/* line of the canvas of the titles */
	bool		 is_still;	/* a table: shows no selection */
};

void	 list_init(struct list *l, const struct list_column *columns, size_t n,
	    const char *id_field);
void	 list_fini(struct list *l);
/* The same on the heap. */
struct list *list_new(const struct list_column *columns, size_t n,
	    const char *id_field);
void	 list_free(struct list *l);
/* New rows, of which the list takes references; is_live may be NULL.  A row
 * that was there before keeps what is known of it. */
void	 list_set(struct list *l, const json_t *const *rows,
	    const bool *is_live, size_t n);
/* "text": rows of which some column contains it, letters of either case;
 * "!text": those of which none does; "field:text" in that column.  NULL or
 * "": all. */
void	 list_filter(struct list *l, const char *text);
/* column n_columns: as given. */
void	 list_sort(struct list *l, size_t column, bool reverse);
/* NULL: no rows.  An object, whatever the row was, good until the next call
 * of this, list_subjects or list_set. */
const json_t *list_selected(struct list *l);
/* The tagged rows that are shown, else the selected one; returns how many, at
 * most max. */
size_t	 list_subjects(struct list *l, const json_t **out, size_t max);
/* Moves, tags, sorts (not ACT_SORT, ACT_FILTER, ACT_DETAIL): true if done. */
bool	 list_act(struct list *l, enum action act);
/* Titles and rows; `empty` says why there are none. */
void	 list_draw(struct list *l, const struct area *a, const char *empty);
/* The row that the last drawing has on line y of the canvas; -1. */
int	 list_row_at(const struct list *l, int y);
/* Stay at the last row, or at this one. */
void	 list_follow(struct list *l, bool follows);
/* The rows of an array of objects. */
void	 list_set_array(struct list *l, const json_t *array);
/* False when there is no such row. */
bool	 list_select(struct list *l, size_t row);
/* What a column shows of a row; text is used where it must be made. */
struct slice list_cell(const struct list_row *row, const struct column *c,
	    struct buf *text);

#endif

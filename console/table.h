/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TABLE_H
#define BM_CONSOLE_TABLE_H

/*
 * Aligned columns on a terminal or into a pipe.  Cells are made printable
 * (str_vis) when they are added.  Knows neither JSON nor the terminal: the
 * caller gives the width.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"

struct table_column {
	char	*title;
	bool	 is_number;	/* aligned right */
	bool	 is_state;	/* coloured by its word */
	size_t	 width;		/* in columns of the terminal; only grows */
};

struct table {
	struct table_column	*columns;
	size_t	 n_columns;
	char	**cells;	/* n_rows * n_columns, row by row */
	size_t	 n_cells;
	size_t	 cap_cells;
	size_t	 max_width;	/* of a line; 0: no limit */
	bool	 has_titles;	/* print them (once) */
	bool	 has_color;
	bool	 titles_done;
};

/* No columns yet, no limit, no titles. */
void	 table_init(struct table *t);
void	 table_fini(struct table *t);
struct table_column *table_add_column(struct table *t, const char *title);
/* The next cell, row by row; foreign text is welcome. */
void	 table_add(struct table *t, struct slice text);
/* Write the rows added so far and forget them; widths stay, so that what is
 * written later lines up with it as far as it can. */
void	 table_flush(struct table *t, FILE *to);

/* Columns of the terminal that a printable UTF-8 string takes. */
size_t	 table_text_width(const char *s);
/* Shrink the widths of n columns until they and the gaps between them fit in
 * max: always the widest, none below 8; columns for which no room is left get
 * 0, from the right. */
void	 table_fit(size_t *widths, size_t n, size_t max);

#endif

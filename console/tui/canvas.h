/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_CANVAS_H
#define BM_CONSOLE_TUI_CANVAS_H

/*
 * A screen in memory.  Views draw on areas of it, paint.c brings the
 * differences to the terminal, tests dump it as text.  Whatever text comes
 * in, a cell only ever holds what a terminal shows in place: control
 * characters are escaped (text.h), wide characters take two cells or none,
 * combining marks stay with their base, directional controls are escaped,
 * and nothing is drawn outside the area.  Drawing a text costs no more than
 * what of it shows.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <wchar.h>

#include "base/buf.h"
#include "base/err.h"
#include "console/tui/theme.h"

#define CELL_CHARS	3	/* a base and its marks; more are dropped */

enum { CELL_SELECTED = 1, CELL_TAGGED = 2, CELL_STALE = 4 };

struct cell {
	wchar_t	 ch[CELL_CHARS];	/* 0: none */
	uint8_t	 width;			/* 0: right half of the one before */
	uint8_t	 role;
	uint8_t	 flags;
};

struct canvas {
	int		 h, w;
	struct cell	*cells;		/* h * w, row by row */
	bool		 ascii;		/* only ASCII leaves here */
	int		 cursor_y, cursor_x;	/* y < 0: hidden */
};

void	 canvas_init(struct canvas *c, bool ascii);
void	 canvas_fini(struct canvas *c);
/* Blank afterwards.  Sizes are cut to 1..1000. */
void	 canvas_resize(struct canvas *c, int h, int w);
void	 canvas_clear(struct canvas *c);
/*
 * The text of every line; with `looks` behind each a line of the letters of
 * roles (colour) or of attributes (mono: '.', 'b'old, 'd'im, 'u'nderline,
 * 'r'everse, by the last that holds), selected cells as '#', tagged '+',
 * stale ','.
 */
enum canvas_looks { LOOKS_NONE, LOOKS_COLOR, LOOKS_MONO };
void	 canvas_dump(const struct canvas *c, enum canvas_looks looks, FILE *to);

/* A part of a canvas, with its own coordinates; clips what is drawn. */
struct area {
	struct canvas	*canvas;
	int		 y, x, h, w;
};

struct area area_all(struct canvas *c);
/* The part of a that begins at y, x; cut to what a has. */
struct area area_sub(const struct area *a, int y, int x, int h, int w);

/* Text from y, x to the right edge; returns the columns that it took. */
int	 area_put(const struct area *a, int y, int x, enum role role,
	    struct slice text);
int	 area_puts(const struct area *a, int y, int x, enum role role,
	    const char *text);
int	 area_printf(const struct area *a, int y, int x, enum role role,
	    const char *fmt, ...) BM_PRINTF(5, 6);
/* Exactly w columns: padded, or cut with an ellipsis. */
void	 area_fit(const struct area *a, int y, int x, int w, enum role role,
	    bool right, struct slice text);
/* Text wrapped at words into the area from line y on, newlines kept, tabs to
 * multiples of 8; returns the lines that it takes, also beyond the area (so
 * this one reads the whole text).  skip lines first. */
int	 area_wrap(const struct area *a, int y, int skip, enum role role,
	    struct slice text);
void	 area_glyph(const struct area *a, int y, int x, enum role role,
	    enum glyph g);
/* Blanks of a role over the whole area. */
void	 area_fill(const struct area *a, enum role role);
/* Add flags to what is drawn on w columns of line y, -1: to the edge. */
void	 area_flag(const struct area *a, int y, int x, int w, int flags);
/* Where the terminal's cursor is; hidden until the next canvas_clear if that is
 * outside. */
void	 area_cursor(const struct area *a, int y, int x);
void	 area_rule(const struct area *a, int y, enum role role,
	    const char *title);
/* A frame at the area's edge; the inside. */
struct area area_box(const struct area *a, enum role role, const char *title);
/* A bar of w columns filled by fraction (0..1). */
void	 area_bar(const struct area *a, int y, int x, int w, enum role role,
	    double fraction);
/* The last values that fit in w columns of h lines, newest right; max <= 0:
 * by the values.  NAN: no value. */
void	 area_spark(const struct area *a, int y, int x, int h, int w,
	    enum role role, const double *v, size_t n, double max);

/* Columns that a text takes when drawn; reads on until a million. */
int	 canvas_text_width(const struct canvas *c, struct slice text);

#endif

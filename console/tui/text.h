/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_TEXT_H
#define BM_CONSOLE_TUI_TEXT_H

/*
 * Foreign text as what a terminal shows in place: the one reader behind
 * everything that is drawn or measured.  Bytes that are no UTF-8 and control
 * characters become the escapes of str_vis (a backslash stays one), and so
 * that what is read is what is there,
 *
 *   directional controls, invisible characters, and what this system knows no
 *   width of become \uNNNN;
 *   joiners and variation selectors are left out, because terminals disagree
 *   on the width of what they join;
 *   marks stay with the base before them; without one, or more than
 *   TEXT_MARKS in a row, they become \uNNNN: so the cost of a line is bounded
 *   by its columns, whatever the text holds.
 *
 * In ASCII every other character is a '?' for each of its columns.
 */

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

#include "base/buf.h"
#include "base/str.h"

#define TEXT_MARKS	16

struct text {
	const char	*p;		/* what is left */
	size_t		 n;
	bool		 ascii;
	bool		 tabs;		/* to the next multiple of 8 */
	int		 column;	/* columns so far */
	int		 n_marks;	/* since the base; < 0: no base */
};

/* What comes next: a character of 1 or 2 columns, a mark (0 columns), an
 * escape of ASCII characters (ch 0), or nothing at all (ch 0, 0 columns). */
struct text_unit {
	wchar_t		 ch;
	int		 width;
	char		 escape[STR_VIS_ONE];
};

struct text text_of(struct slice s, bool ascii, bool tabs);
/* False at the end. */
bool	 text_next(struct text *t, struct text_unit *u);
/* Columns of all that is left, but stops beyond max. */
int	 text_width(struct text t, int max);

#endif

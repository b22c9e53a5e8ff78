/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_THEME_H
#define BM_CONSOLE_TUI_THEME_H

/*
 * Roles instead of colours, glyphs instead of characters: views say what
 * something means, roles.def and the terminal decide how it looks.
 */

#include <stdbool.h>
#include <stdint.h>
#include <wchar.h>

enum role {
#define ROLE(sym, letter, fg, bg, attrs, mono) ROLE_##sym,
#include "console/tui/roles.def"
#undef ROLE
	ROLE_N
};

enum color { COLOR_IS_DEFAULT = -1, COLOR_IS_BLACK, COLOR_IS_RED,
    COLOR_IS_GREEN, COLOR_IS_YELLOW, COLOR_IS_BLUE, COLOR_IS_MAGENTA,
    COLOR_IS_CYAN, COLOR_IS_WHITE };

enum { ATTR_BOLD = 1, ATTR_DIM = 2, ATTR_UNDERLINE = 4, ATTR_REVERSE = 8 };

struct role_look {
	char		 letter;
	signed char	 fg, bg;	/* enum color */
	uint8_t		 attrs;		/* ATTR_* */
	uint8_t		 mono_attrs;
};

extern const struct role_look role_looks[ROLE_N];

/* Drawing characters, in UTF-8 or in ASCII. */
enum glyph {
	GLYPH_HLINE, GLYPH_VLINE,
	GLYPH_TOP_LEFT, GLYPH_TOP_RIGHT, GLYPH_BOTTOM_LEFT, GLYPH_BOTTOM_RIGHT,
	GLYPH_ELLIPSIS,		/* a text was cut here */
	GLYPH_UP, GLYPH_DOWN,	/* sorted so */
	GLYPH_TAG, GLYPH_ACTIVE,	/* marks before a row */
	GLYPH_BAR_FULL, GLYPH_BAR_EMPTY,
	GLYPH_SPARK_0,		/* nine heights */
	GLYPH_SPARK_8 = GLYPH_SPARK_0 + 8,
	GLYPH_N
};

/* One column wide each. */
wchar_t	 glyph_of(enum glyph g, bool ascii);

#endif

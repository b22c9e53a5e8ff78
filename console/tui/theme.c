/* SPDX-License-Identifier: MIT */
/* The tables behind theme.h: looks of roles, glyphs in both alphabets. */
#include "config.h"

#include "console/tui/theme.h"

#include <assert.h>

const struct role_look role_looks[ROLE_N] = {
#define ROLE(sym, letter, fg, bg, attrs, mono) \
	[ROLE_##sym] = { letter, COLOR_IS_##fg, COLOR_IS_##bg, attrs, mono },
#include "console/tui/roles.def"
#undef ROLE
};

static const struct {
	wchar_t	 wide;
	char	 ascii;
} glyphs[GLYPH_N] = {
	[GLYPH_HLINE] = { 0x2500, '-' },
	[GLYPH_VLINE] = { 0x2502, '|' },
	[GLYPH_TOP_LEFT] = { 0x250c, '+' },
	[GLYPH_TOP_RIGHT] = { 0x2510, '+' },
	[GLYPH_BOTTOM_LEFT] = { 0x2514, '+' },
	[GLYPH_BOTTOM_RIGHT] = { 0x2518, '+' },
	[GLYPH_ELLIPSIS] = { 0x2026, '~' },
	[GLYPH_UP] = { 0x25b2, '^' },
	[GLYPH_DOWN] = { 0x25bc, 'v' },
	[GLYPH_TAG] = { 0x2022, '*' },
	[GLYPH_ACTIVE] = { 0x25ba, '>' },
	[GLYPH_BAR_FULL] = { 0x2588, '#' },
	[GLYPH_BAR_EMPTY] = { 0x2591, '.' },
	[GLYPH_SPARK_0] = { ' ', ' ' },
	[GLYPH_SPARK_0 + 1] = { 0x2581, '.' },
	[GLYPH_SPARK_0 + 2] = { 0x2582, ',' },
	[GLYPH_SPARK_0 + 3] = { 0x2583, ':' },
	[GLYPH_SPARK_0 + 4] = { 0x2584, ';' },
	[GLYPH_SPARK_0 + 5] = { 0x2585, '+' },
	[GLYPH_SPARK_0 + 6] = { 0x2586, '*' },
	[GLYPH_SPARK_0 + 7] = { 0x2587, '%' },
	[GLYPH_SPARK_8] = { 0x2588, '#' },
};

wchar_t
glyph_of(enum glyph g, bool ascii)
{
	assert(g < GLYPH_N);
	return ascii ? (wchar_t)glyphs[g].ascii : glyphs[g].wide;
}

/* SPDX-License-Identifier: MIT */
/*
 * Foreign text, one unit of columns after another; see text.h for the policy.
 * The only place that asks the system how wide a character is.
 */
#include "config.h"

#include "console/tui/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

static bool
is_joiner(uint32_t c)
{
	return c == 0x200c || c == 0x200d || (c >= 0xfe00 && c <= 0xfe0f);
}

struct text
text_of(struct slice s, bool ascii, bool tabs)
{
	return (struct text){ .p = s.p, .n = s.n, .ascii = ascii,
	    .tabs = tabs, .n_marks = -1 };
}

static void
escape_code(struct text_unit *u, uint32_t c)
{
	u->ch = 0;
	u->width = snprintf(u->escape, sizeof(u->escape),
	    c < 0x100 ? "\\x%02x" : c > 0xffff ? "\\U%06x" : "\\u%04x",
	    (unsigned)c);
}

static void
take_tab(const struct text *t, struct text_unit *u)
{
	u->ch = 0;
	u->width = 8 - t->column % 8;
	memset(u->escape, ' ', (size_t)u->width);
}

/* A character that is neither ASCII nor a control. */
static void
take_wide(struct text *t, struct text_unit *u, uint32_t c)
{
	int width = utf8_is_hidden(c) ? -1 : is_joiner(c) ? 0 :
	    wcwidth((wchar_t)c);

	if (width == 0 && t->n_marks >= 0 && t->n_marks < TEXT_MARKS) {
		t->n_marks++;
		u->width = 0;
		u->ch = t->ascii || is_joiner(c) ? 0 : (wchar_t)c;
	} else if (width <= 0 || width > 2) {
		t->n_marks = -1;
		escape_code(u, c);
	} else {
		t->n_marks = 0;
		u->width = width;
		u->ch = t->ascii ? 0 : (wchar_t)c;
		if (t->ascii)
			memset(u->escape, '?', (size_t)width);
	}
}

bool
text_next(struct text *t, struct text_unit *u)
{
	uint32_t c = 0;
	size_t used;

	if (t->n == 0)
		return false;
	used = utf8_decode(t->p, t->n, &c);
	if (used == 1 && c >= ' ' && c < 0x7f) {
		u->ch = (wchar_t)c;
		u->width = 1;
		t->n_marks = 0;
	} else if (used == 1 && c == '\t' && t->tabs) {
		take_tab(t, u);
		t->n_marks = -1;
	} else if (used > 1 && c >= 0xa0) {
		take_wide(t, u, c);
	} else {
		u->ch = 0;
		u->width = (int)str_vis_one(u->escape, t->p, t->n, &used);
		t->n_marks = -1;
	}
	t->p += used;
	t->n -= used;
	t->column += u->width;
	return true;
}

int
text_width(struct text t, int max)
{
	struct text_unit u;
	int start = t.column;

	while (t.column - start <= max && text_next(&t, &u))
		;
	return t.column - start;
}

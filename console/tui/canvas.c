/* SPDX-License-Identifier: MIT */
/*
 * Cells and how text and figures get into them.  Invariants: a cell of width 2
 * is followed by one of width 0 in the same line, and no cell of width 0 is
 * anywhere else, so whoever overwrites one half blanks the other; every write
 * goes through at(), which clips.
 */
#include "config.h"

#include "console/tui/canvas.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "console/tui/text.h"

#define CANVAS_MAX	1000	/* lines, columns */
#define PRINTF_BYTES	4096

static const struct cell blank = { .ch = { ' ' }, .width = 1,
    .role = ROLE_TEXT };

static int
clamp(int v, int min, int max)
{
	return v < min ? min : v > max ? max : v;
}

/* ---- the canvas ---- */

void
canvas_init(struct canvas *c, bool ascii)
{
	*c = (struct canvas){ .ascii = ascii };
	canvas_resize(c, 1, 1);
}

void
canvas_fini(struct canvas *c)
{
	free(c->cells);
	c->cells = NULL;
	c->h = c->w = 0;
}

void
canvas_resize(struct canvas *c, int h, int w)
{
	h = clamp(h, 1, CANVAS_MAX);
	w = clamp(w, 1, CANVAS_MAX);
	if (h != c->h || w != c->w)
		c->cells = xreallocarray(c->cells, (size_t)h * (size_t)w,
		    sizeof(*c->cells));
	c->h = h;
	c->w = w;
	canvas_clear(c);
}

void
canvas_clear(struct canvas *c)
{
	size_t n = (size_t)c->h * (size_t)c->w;

	for (size_t i = 0; i < n; i++)
		c->cells[i] = blank;
	c->cursor_y = c->cursor_x = -1;
}

/* ---- areas and single cells ---- */

struct area
area_all(struct canvas *c)
{
	return (struct area){ c, 0, 0, c->h, c->w };
}

struct area
area_sub(const struct area *a, int y, int x, int h, int w)
{
	y = clamp(y, 0, a->h);
	x = clamp(x, 0, a->w);
	return (struct area){ a->canvas, a->y + y, a->x + x,
	    clamp(h, 0, a->h - y), clamp(w, 0, a->w - x) };
}

/* The cell, or NULL outside of the area (or of a canvas that shrank). */
static struct cell *
at(const struct area *a, int y, int x)
{
	struct canvas *c = a->canvas;

	if (y < 0 || x < 0 || y >= a->h || x >= a->w ||
	    a->y + y >= c->h || a->x + x >= c->w)
		return NULL;
	return &c->cells[(a->y + y) * c->w + a->x + x];
}

/* One column of something; what it cuts in half goes. */
static void
put_cell(const struct area *a, int y, int x, enum role role, wchar_t ch)
{
	struct cell *cell = at(a, y, x);

	if (cell == NULL)
		return;
	if (cell->width == 0)
		cell[-1] = blank;
	else if (cell->width == 2)
		cell[1] = blank;
	*cell = (struct cell){ .ch = { ch }, .width = 1,
	    .role = (uint8_t)role };
}

/* Two columns, or blanks in what there is of them. */
static void
put_wide(const struct area *a, int y, int x, enum role role, wchar_t ch)
{
	struct cell *left = at(a, y, x), *right = at(a, y, x + 1);

	put_cell(a, y, x, role, ' ');
	put_cell(a, y, x + 1, role, ' ');
	if (left == NULL || right == NULL)
		return;
	left->ch[0] = ch;
	left->width = 2;
	right->ch[0] = 0;
	right->width = 0;
}

static void
put_mark(const struct area *a, int y, int x, wchar_t ch)
{
	struct cell *cell = at(a, y, x);

	if (cell != NULL && cell->width == 0)
		cell--;
	for (int i = 1; cell != NULL && i < CELL_CHARS; i++) {
		if (cell->ch[i] == 0) {
			cell->ch[i] = ch;
			return;
		}
	}
}

void
area_glyph(const struct area *a, int y, int x, enum role role, enum glyph g)
{
	put_cell(a, y, x, role, glyph_of(g, a->canvas->ascii));
}

void
area_fill(const struct area *a, enum role role)
{
	for (int y = 0; y < a->h; y++)
		for (int x = 0; x < a->w; x++)
			put_cell(a, y, x, role, ' ');
}

void
area_flag(const struct area *a, int y, int x, int w, int flags)
{
	int end = w < 0 || w > a->w - x ? a->w : x + w;

	for (x = MEM_MAX(x, 0); x < end; x++) {
		struct cell *cell = at(a, y, x);

		if (cell != NULL)
			cell->flags |= (uint8_t)flags;
	}
}

void
area_cursor(const struct area *a, int y, int x)
{
	if (at(a, y, x) == NULL)
		return;
	a->canvas->cursor_y = a->y + y;
	a->canvas->cursor_x = a->x + x;
}

/* ---- text ---- */

static void
put_unit(const struct area *a, int y, int x, enum role role,
    const struct text_unit *u)
{
	if (u->ch != 0 && u->width == 2) {
		put_wide(a, y, x, role, u->ch);
		return;
	}
	for (int i = 0; i < u->width; i++)
		put_cell(a, y, x + i, role, u->ch != 0 ? u->ch :
		    (wchar_t)u->escape[i]);
}

/* Columns from x to end, which must not be beyond the area; returns how many
 * the text took.  Nothing is read behind the first unit that doesn't fit. */
static int
put_text(const struct area *a, int y, int x, int end, enum role role,
    struct text t)
{
	struct area clipped = area_sub(a, 0, 0, a->h, end);
	struct text_unit u;
	int at_x = x;

	if (y < 0 || y >= a->h)
		return 0;
	while (at_x <= end && text_next(&t, &u)) {
		if (u.width == 0) {
			if (u.ch != 0)
				put_mark(&clipped, y, at_x - 1, u.ch);
			continue;
		}
		if (at_x >= end)
			break;
		put_unit(&clipped, y, at_x, role, &u);
		at_x += u.width;
	}
	return at_x > end ? end - x : at_x - x;
}

static struct text
reader(const struct area *a, struct slice s)
{
	return text_of(s, a->canvas->ascii, false);
}

int
area_put(const struct area *a, int y, int x, enum role role, struct slice text)
{
	if (x >= a->w)
		return 0;
	return put_text(a, y, x, a->w, role, reader(a, text));
}

int
area_puts(const struct area *a, int y, int x, enum role role, const char *text)
{
	return area_put(a, y, x, role, slice_of(text));
}

int
area_printf(const struct area *a, int y, int x, enum role role,
    const char *fmt, ...)
{
	char text[PRINTF_BYTES];
	va_list ap;
	int k;
	size_t n;

	va_start(ap, fmt);
	k = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (k < 0)
		return 0;
	n = (size_t)k;
	if (n >= sizeof(text)) {
		n = sizeof(text) - 1;
		n -= utf8_incomplete_tail(text, n);
	}
	return area_put(a, y, x, role, (struct slice){ text, n });
}

void
area_fit(const struct area *a, int y, int x, int w, enum role role, bool right,
    struct slice text)
{
	struct area in = area_sub(a, 0, x, a->h, w);
	struct text t = reader(a, text);
	int need = text_width(t, in.w), from;

	if (in.w == 0)
		return;
	if (need > in.w) {
		from = put_text(&in, y, 0, in.w - 1, role, t);
		for (; from < in.w - 1; from++)
			put_cell(&in, y, from, role, ' ');
		area_glyph(&in, y, in.w - 1, role, GLYPH_ELLIPSIS);
		return;
	}
	from = right ? in.w - need : 0;
	for (int i = 0; i < from; i++)
		put_cell(&in, y, i, role, ' ');
	put_text(&in, y, from, in.w, role, t);
	for (int i = from + need; i < in.w; i++)
		put_cell(&in, y, i, role, ' ');
}

int
canvas_text_width(const struct canvas *c, struct slice text)
{
	return text_width(text_of(text, c->ascii, false), CANVAS_MAX * 1000);
}

/* ---- wrapping ---- */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* Take one line of at most w columns from *s; spaces where it breaks go. */
static struct slice
next_line(struct slice *s, int w)
{
	struct text t = text_of(*s, false, true);
	struct slice line = *s;
	struct text_unit u;
	const char *rest = NULL;	/* where the next line begins */
	bool has_word = false;		/* spaces before it are no break */
	int column = 0;

	for (;;) {
		const char *before = t.p;

		if (t.n == 0) {
			line.n = s->n;
			rest = s->p + s->n;
			break;
		}
		if (*t.p == '\n' || (t.n > 1 && memcmp(t.p, "\r\n", 2) == 0)) {
			line.n = (size_t)(t.p - s->p);
			rest = t.p + (*t.p == '\n' ? 1 : 2);
			break;
		}
		text_next(&t, &u);
		if (column > 0 && column + u.width > w && !is_space(*before)) {
			if (rest == NULL) {
				line.n = (size_t)(before - s->p);
				rest = before;
			}
			break;
		}
		column += u.width;
		if (!is_space(*before)) {
			has_word = true;
		} else if (has_word) {
			if (!is_space(before[-1]))
				line.n = (size_t)(before - s->p);
			rest = t.p;
		}
	}
	s->n -= (size_t)(rest - s->p);
	s->p = rest;
	return line;
}

int
area_wrap(const struct area *a, int y, int skip, enum role role,
    struct slice text)
{
	int n = 0;

	if (a->w == 0)
		return 0;
	for (; text.n > 0; n++) {
		struct slice line = next_line(&text, a->w);
		long long at_y = (long long)y + n - skip;

		if (n >= skip && at_y < a->h)
			put_text(a, (int)at_y, 0, a->w, role,
			    text_of(line, a->canvas->ascii, true));
	}
	return n;
}

/* ---- figures ---- */

/* A line from x to end; a title in it if there is room. */
static void
rule(const struct area *a, int y, int x, int end, enum role role,
    const char *title)
{
	struct area in;

	for (int i = x; i < end; i++)
		area_glyph(a, y, i, role, GLYPH_HLINE);
	if (title == NULL || title[0] == '\0' || end - x < 5)
		return;
	in = area_sub(a, y, x + 1, 1, end - x - 2);
	put_cell(&in, 0, 0, role, ' ');
	x = 1 + area_put(&in, 0, 1, role == ROLE_RULE ? ROLE_STRONG : role,
	    slice_of(title));
	put_cell(&in, 0, MEM_MIN(x, in.w - 1), role, ' ');
}

void
area_rule(const struct area *a, int y, enum role role, const char *title)
{
	rule(a, y, 0, a->w, role, title);
}

struct area
area_box(const struct area *a, enum role role, const char *title)
{
	int bottom = a->h - 1, right = a->w - 1;

	if (bottom < 1 || right < 1)
		return area_sub(a, 0, 0, 0, 0);
	rule(a, 0, 1, right, role, title);
	rule(a, bottom, 1, right, role, NULL);
	for (int y = 1; y < bottom; y++) {
		area_glyph(a, y, 0, role, GLYPH_VLINE);
		area_glyph(a, y, right, role, GLYPH_VLINE);
	}
	area_glyph(a, 0, 0, role, GLYPH_TOP_LEFT);
	area_glyph(a, 0, right, role, GLYPH_TOP_RIGHT);
	area_glyph(a, bottom, 0, role, GLYPH_BOTTOM_LEFT);
	area_glyph(a, bottom, right, role, GLYPH_BOTTOM_RIGHT);
	return area_sub(a, 1, 1, a->h - 2, a->w - 2);
}

/* What is not nothing shows, what is not all leaves room. */
void
area_bar(const struct area *a, int y, int x, int w, enum role role,
    double fraction)
{
	struct area in = area_sub(a, 0, x, a->h, w);
	int n = 0;

	if (in.w == 0)
		return;
	if (fraction >= 1)
		n = in.w;
	else if (fraction > 0)
		n = clamp((int)lround(fraction * in.w), 1,
		    MEM_MAX(in.w - 1, 1));
	for (int i = 0; i < in.w; i++)
		area_glyph(&in, y, i, i < n ? role : ROLE_DIM,
		    i < n ? GLYPH_BAR_FULL : GLYPH_BAR_EMPTY);
}

static double
largest(const double *v, size_t n)
{
	double max = 0;

	for (size_t i = 0; i < n; i++)
		if (isfinite(v[i]) && v[i] > max)
			max = v[i];
	return max;
}

/* Eighths of a line, of h lines; more than 0 is at least one. */
static int
eighths(double v, double max, int h)
{
	if (!(v > 0) || !(max > 0))
		return 0;
	return v >= max ? 8 * h : MEM_MAX((int)lround(v / max * 8 * h), 1);
}

void
area_spark(const struct area *a, int y, int x, int h, int w, enum role role,
    const double *v, size_t n, double max)
{
	struct area in = area_sub(a, y, x, h, w);
	size_t shown = MEM_MIN(n, (size_t)in.w);

	area_fill(&in, role);
	v += n - shown;
	if (!(max > 0))
		max = largest(v, shown);
	for (size_t i = 0; i < shown; i++) {
		int high = eighths(v[i], max, in.h);

		for (int line = in.h - 1; high > 0; line--, high -= 8)
			area_glyph(&in, line, in.w - (int)(shown - i), role,
			    GLYPH_SPARK_0 + MEM_MIN(high, 8));
	}
}

/* ---- for tests ---- */

static void
dump_char(wchar_t ch, FILE *to)
{
	char bytes[4];

	fwrite(bytes, 1, utf8_encode((uint32_t)ch, bytes), to);
}

static char
look_of(const struct cell *cell, enum canvas_looks looks)
{
	static const char letters[] = "bdur";
	const struct role_look *look = &role_looks[cell->role];
	char letter = '.';

	if (cell->flags & CELL_SELECTED)
		return '#';
	if (cell->flags & CELL_TAGGED)
		return '+';
	if (cell->flags & CELL_STALE)
		return ',';
	if (looks == LOOKS_COLOR)
		return look->letter;
	for (int i = 0; i < 4; i++)
		if (look->mono_attrs & 1 << i)
			letter = letters[i];
	return letter;
}

static void
dump_line(const struct cell *cells, int w, FILE *to)
{
	while (w > 0 && cells[w - 1].ch[0] == ' ' && cells[w - 1].ch[1] == 0)
		w--;
	for (int x = 0; x < w; x++)
		for (int i = 0; i < CELL_CHARS && cells[x].ch[i] != 0; i++)
			dump_char(cells[x].ch[i], to);
	fputc('\n', to);
}

static void
dump_looks(const struct cell *cells, int w, enum canvas_looks looks, FILE *to)
{
	while (w > 0 && look_of(&cells[w - 1], looks) == '.')
		w--;
	for (int x = 0; x < w; x++)
		fputc(look_of(&cells[x], looks), to);
	fputc('\n', to);
}

void
canvas_dump(const struct canvas *c, enum canvas_looks looks, FILE *to)
{
	for (int y = 0; y < c->h; y++) {
		const struct cell *line = &c->cells[y * c->w];

		dump_line(line, c->w, to);
		if (looks != LOOKS_NONE)
			dump_looks(line, c->w, looks, to);
	}
}

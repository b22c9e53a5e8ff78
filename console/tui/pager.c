/* SPDX-License-Identifier: MIT */
/*
 * The text is made printable once, line by line, so that wrapping only has to
 * count columns; it is wrapped again when the width changes.
 */
#include "config.h"

#include "console/tui/pager.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/table.h"

/* ---- text ---- */

/* Every line printable, tabs as spaces. */
static void
make_printable(struct slice text, struct buf *out)
{
	while (text.n > 0) {
		const char *nl = memchr(text.p, '\n', text.n);
		size_t n = nl != NULL ? (size_t)(nl - text.p) : text.n;
		size_t size = n * 4 + 4;
		char *line = xmalloc(size);

		buf_puts(out, str_vis(line, size, text.p, n));
		buf_put_u8(out, '\n');
		free(line);
		n += nl != NULL;
		text.p += n;
		text.n -= n;
	}
}

void
pager_open(struct pager *p, const char *title, struct slice text)
{
	struct buf b;

	pager_close(p);
	text.n = MEM_MIN(text.n, PAGER_MAX);
	buf_init(&b, PAGER_MAX * 5);
	make_printable(text, &b);
	p->n_text = b.len;
	p->text = buf_take(&b);
	p->title = xstrdup(title);
}

void
pager_close(struct pager *p)
{
	free(p->title);
	free(p->text);
	free(p->lines);
	free(p->pattern);
	*p = (struct pager){ 0 };
}

/* ---- lines ---- */

/* Bytes of the character at s. */
static size_t
char_bytes(const char *s)
{
	size_t n = 1;

	while (((unsigned char)s[n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* How many bytes of a line of n fit in width columns; cut behind the last
 * space if that leaves at least half of the line full. */
static size_t
bytes_that_fit(const struct canvas *c, const char *s, size_t n, int width)
{
	size_t at = 0, space = 0;
	int used = 0;

	while (at < n) {
		size_t more = char_bytes(s + at);

		used += canvas_text_width(c, (struct slice){ s + at, more });
		if (used > width)
			break;
		at += more;
		if (s[at - 1] == ' ')
			space = at;
	}
	if (at < n && space * 2 > at)
		return space;
	return at < n && at == 0 ? char_bytes(s) : at;
}

static void
wrap(struct pager *p, const struct canvas *c, int width)
{
	size_t cap = 0, at = 0, old_at = 0;

	if (p->width == width)
		return;
	if (p->top < p->n_lines)
		old_at = p->lines[p->top].at;
	p->width = width;
	p->n_lines = p->top = 0;
	while (at < p->n_text) {
		const char *nl = memchr(p->text + at, '\n', p->n_text - at);
		size_t end = (size_t)(nl - p->text);
		size_t n = bytes_that_fit(c, p->text + at, end - at, width);

		if (p->n_lines == cap) {
			cap = cap * 2 + 64;
			p->lines = xreallocarray(p->lines, cap,
			    sizeof(*p->lines));
		}
		if (at <= old_at)
			p->top = p->n_lines;
		p->lines[p->n_lines++] = (struct pager_line){ (uint32_t)at,
		    (uint32_t)n };
		at += n;
		if (at == end)
			at++;
	}
}

static void
scroll_to(struct pager *p, size_t line)
{
	size_t last = p->n_lines > p->page ? p->n_lines - p->page : 0;

	p->top = MEM_MIN(line, last);
}

/* ---- search ---- */

static bool
line_has(const struct pager *p, size_t i)
{
	char *line = slice_dup((struct slice){ p->text + p->lines[i].at,
	    p->lines[i].n });
	bool has = strcasestr(line, p->pattern) != NULL;

	free(line);
	return has;
}

/* The next line from `from` on in steps of +1 or -1, around the end. */
static bool
find(struct pager *p, size_t from, bool backwards)
{
	for (size_t i = 0; i < p->n_lines; i++) {
		size_t at = backwards ? from + p->n_lines - i : from + i;

		if (line_has(p, at % p->n_lines)) {
			scroll_to(p, at % p->n_lines);
			return true;
		}
	}
	return false;
}

bool
pager_search(struct pager *p, const char *pattern)
{
	free(p->pattern);
	p->pattern = pattern[0] != '\0' ? xstrdup(pattern) : NULL;
	return p->pattern == NULL || find(p, p->top, false);
}

bool
pager_act(struct pager *p, enum action act)
{
	size_t page = p->page > 1 ? p->page - 1 : 1;

	switch (act) {
	case ACT_UP:
		scroll_to(p, p->top > 0 ? p->top - 1 : 0);
		return true;
	case ACT_DOWN:
		scroll_to(p, p->top + 1);
		return true;
	case ACT_PAGE_UP:
		scroll_to(p, p->top > page ? p->top - page : 0);
		return true;
	case ACT_PAGE_DOWN:
		scroll_to(p, p->top + page);
		return true;
	case ACT_TOP:
		scroll_to(p, 0);
		return true;
	case ACT_BOTTOM:
		scroll_to(p, p->n_lines);
		return true;
	case ACT_NEXT_MATCH:
	case ACT_PREV_MATCH:
		if (p->pattern != NULL && p->n_lines > 0)
			find(p, act == ACT_NEXT_MATCH ? p->top + 1 :
			    p->top + p->n_lines - 1, act == ACT_PREV_MATCH);
		return true;
	default:
		return false;
	}
}

/* ---- drawing ---- */

/* Show where the line has the pattern. */
static void
mark_matches(const struct pager *p, const struct area *a, int y,
    const char *line)
{
	const char *at = line;
	size_t n = p->pattern != NULL ? strlen(p->pattern) : 0;

	while (n > 0 && (at = strcasestr(at, p->pattern)) != NULL) {
		int x = canvas_text_width(a->canvas, (struct slice){ line,
		    (size_t)(at - line) });

		area_put(a, y, x, ROLE_MATCH, (struct slice){ at, n });
		at += n;
	}
}

void
pager_draw(struct pager *p, const struct area *a)
{
	struct area body = area_sub(a, 1, 0, a->h - 1, a->w);
	char where[256];

	wrap(p, a->canvas, MEM_MAX(a->w, 1));
	p->page = (size_t)MEM_MAX(body.h, 0);
	scroll_to(p, p->top);
	snprintf(where, sizeof(where), " %.180s, lines %zu-%zu of %zu ",
	    p->title, p->n_lines > 0 ? p->top + 1 : 0,
	    MEM_MIN(p->top + p->page, p->n_lines), p->n_lines);
	area_rule(a, 0, ROLE_RULE, where);
	for (int y = 0; y < body.h && p->top + (size_t)y < p->n_lines; y++) {
		const struct pager_line *l = &p->lines[p->top + (size_t)y];
		char *line = slice_dup((struct slice){ p->text + l->at,
		    l->n });

		area_puts(&body, y, 0, ROLE_TEXT, line);
		mark_matches(p, &body, y, line);
		free(line);
	}
}

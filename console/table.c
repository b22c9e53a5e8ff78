/* SPDX-License-Identifier: MIT */
/*
 * Tables of text.  A cell is cut only when the line must fit a terminal; into
 * a pipe everything goes whole, the last column unpadded.
 */
#include "config.h"

#include "console/table.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

#define GAP		2
#define WIDTH_MIN	8

void
table_init(struct table *t)
{
	*t = (struct table){ 0 };
}

static void
drop_cells(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	t->n_cells = 0;
}

void
table_fini(struct table *t)
{
	drop_cells(t);
	free(t->cells);
	for (size_t i = 0; i < t->n_columns; i++)
		free(t->columns[i].title);
	free(t->columns);
	table_init(t);
}

struct table_column *
table_add_column(struct table *t, const char *title)
{
	struct table_column *c;
	char shown[128];

	t->columns = xreallocarray(t->columns, t->n_columns + 1,
	    sizeof(*t->columns));
	c = &t->columns[t->n_columns++];
	*c = (struct table_column){ .title = xstrdup(str_vis(shown,
	    sizeof(shown), title, strlen(title))) };
	return c;
}

void
table_add(struct table *t, struct slice text)
{
	/* str_vis makes four bytes of one at worst. */
	size_t size = text.n * 4 + 4, width;
	char *cell = xmalloc(size);

	str_vis(cell, size, text.p, text.n);
	if (t->n_cells == t->cap_cells) {
		t->cap_cells = t->cap_cells == 0 ? 64 : t->cap_cells * 2;
		t->cells = xreallocarray(t->cells, t->cap_cells,
		    sizeof(*t->cells));
	}
	width = table_text_width(cell);
	if (width > t->columns[t->n_cells % t->n_columns].width)
		t->columns[t->n_cells % t->n_columns].width = width;
	t->cells[t->n_cells++] = cell;
}

/* One character: its bytes and its columns. */
static size_t
step(const char *s, size_t n, size_t *columns)
{
	uint32_t cp;
	size_t k = utf8_decode(s, n, &cp);
	int w = k == 0 ? 1 : wcwidth((wchar_t)cp);

	*columns = w < 0 ? 1 : (size_t)w;
	return k == 0 ? 1 : k;
}

size_t
table_text_width(const char *s)
{
	size_t n = strlen(s), width = 0, w;

	for (size_t i = 0; i < n; width += w)
		i += step(s + i, n - i, &w);
	return width;
}

static size_t
total_width(const size_t *widths, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += widths[i] + (i + 1 < n ? GAP : 0);
	return sum;
}

void
table_fit(size_t *widths, size_t n, size_t max)
{
	for (size_t i = 0; i < n; i++)
		widths[i] = MEM_MIN(widths[i], max);
	while (n > 0 && total_width(widths, n) > max) {
		size_t widest = 0;

		for (size_t i = 1; i < n; i++)
			if (widths[i] > widths[widest])
				widest = i;
		if (widths[widest] <= WIDTH_MIN)
			break;
		widths[widest]--;
	}
	while (n > 1 && total_width(widths, n) > max)
		widths[--n] = 0;
}

static const char *
color_of(const char *state)
{
	static const struct {
		const char	*word;
		const char	*color;
	} map[] = {
		{ "ready", "\033[32m" }, { "ok", "\033[32m" },
		{ "running", "\033[32m" }, { "failed", "\033[31m" },
		{ "backoff", "\033[31m" }, { "crashed", "\033[31m" },
		{ "internal", "\033[31m" }, { "worker_lost", "\033[31m" },
	};

	for (size_t i = 0; i < N_ELEMENTS(map); i++)
		if (strcmp(map[i].word, state) == 0)
			return map[i].color;
	return "\033[33m";
}

static void
put_spaces(FILE *to, size_t n)
{
	fprintf(to, "%*s", (int)n, "");
}

/* s in width columns, cut with '>' at the end where it is longer. */
static void
put_cell(FILE *to, const char *s, size_t width, bool right, bool pad)
{
	size_t have = table_text_width(s), n = strlen(s), at = 0, w = 0;

	if (have <= width) {
		if (right)
			put_spaces(to, width - have);
		fputs(s, to);
		if (!right && pad)
			put_spaces(to, width - have);
		return;
	}
	while (at < n) {
		size_t one, k = step(s + at, n - at, &one);

		if (w + one + 1 > width)
			break;
		w += one;
		at += k;
	}
	fwrite(s, 1, at, to);
	fputc('>', to);
	if (pad)
		put_spaces(to, width - w - 1);
}

static void
put_line(const struct table *t, FILE *to, char *const *cells,
    const size_t *widths, bool is_title)
{
	for (size_t i = 0; i < t->n_columns; i++) {
		const struct table_column *c = &t->columns[i];
		const char *s = is_title ? c->title : cells[i];
		const char *color = !t->has_color ? NULL :
		    is_title ? "\033[1m" : c->is_state ? color_of(s) : NULL;
		bool last = i + 1 == t->n_columns || widths[i + 1] == 0;

		if (widths[i] == 0)
			break;
		if (i > 0)
			put_spaces(to, GAP);
		if (color != NULL)
			fputs(color, to);
		put_cell(to, s, widths[i], c->is_number, !last);
		if (color != NULL)
			fputs("\033[0m", to);
	}
	fputc('\n', to);
}

void
table_flush(struct table *t, FILE *to)
{
	size_t *widths = xcalloc(t->n_columns + 1, sizeof(*widths));

	for (size_t i = 0; i < t->n_columns; i++) {
		struct table_column *c = &t->columns[i];

		if (t->has_titles)
			c->width = MEM_MAX(c->width,
			    table_text_width(c->title));
		/* A column of empty cells still is one. */
		widths[i] = MEM_MAX(c->width, (size_t)1);
	}
	if (t->max_width > 0)
		table_fit(widths, t->n_columns, t->max_width);
	if (t->has_titles && !t->titles_done && t->n_columns > 0)
		put_line(t, to, NULL, widths, true);
	t->titles_done = true;
	for (size_t i = 0; i + t->n_columns <= t->n_cells && t->n_columns > 0;
	    i += t->n_columns)
		put_line(t, to, t->cells + i, widths, false);
	drop_cells(t);
	free(widths);
}

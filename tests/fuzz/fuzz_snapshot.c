/* SPDX-License-Identifier: MIT */
/*
 * A daemon that lies to the console.  Lines, by their first byte: L a row of
 * the log, C of the configuration, K keys, X the link is lost, anything else
 * a snapshot.  After each the screen is drawn, at another size every time,
 * and holds nothing but what a terminal shows in place.
 */
#include "config.h"

#include "fuzz.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "base/mem.h"
#include "tests/tui/stage.h"

static const struct {
	int	 h, w;
} sizes[] = { { 24, 80 }, { 16, 60 }, { 43, 132 }, { 12, 41 }, { 3, 7 },
    { 60, 200 } };

static void
check(const struct canvas *c)
{
	size_t n = (size_t)c->h * (size_t)c->w;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < CELL_CHARS && c->cells[i].ch[k] != 0;
		    k++)
			if (!iswprint((wint_t)c->cells[i].ch[k]))
				abort();
}

/* No action that leaves the process: keys only move and look. */
static void
press(struct stage *s, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		tui_key(s->tui, (unsigned char)p[i] < 0x80 ?
		    (unsigned char)p[i] : K_UP + (p[i] & 0x1f));
}

static void
take(struct stage *s, struct slice line)
{
	struct slice rest = { line.p + 1, line.n - 1 };

	switch (line.p[0]) {
	case 'L':
		tui_log_line(s->tui, rest);
		break;
	case 'C':
		stage_config(s, rest);
		break;
	case 'K':
		press(s, rest.p, rest.n);
		break;
	case 'X':
		tui_lost(s->tui, NULL, 0, 1000);
		break;
	default:
		tui_snapshot(s->tui, line, 0);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *p = (const char *)data, *end = p + n, *lf;
	struct stage s;
	size_t n_lines = 0;

	setlocale(LC_CTYPE, "C.UTF-8");
	stage_init(&s);
	for (; p < end; p = lf + 1, n_lines++) {
		size_t i = n_lines % N_ELEMENTS(sizes);

		if ((lf = memchr(p, '\n', (size_t)(end - p))) == NULL)
			lf = end;
		if (lf > p)
			take(&s, (struct slice){ p, (size_t)(lf - p) });
		stage_draw(&s, sizes[i].h, sizes[i].w, n_lines % 2 == 1);
		check(&s.canvas);
	}
	stage_fini(&s);
	return 0;
}

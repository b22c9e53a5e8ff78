/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "console/tui/waterfall.h"

#include <math.h>

#include "base/mem.h"
#include "console/tui/parts.h"

#define VALUE_W		9	/* columns behind the bars */
#define TEXT_W		48	/* of the bars in text */

struct phase {
	const char	*label, *field;
	enum role	 role;
};

static const struct phase phases[WATERFALL_LINES] = {
	{ "queue", "queue_ms", ROLE_WARN },
	{ "prefill", "prefill_ms", ROLE_LABEL },
	{ "decode", "decode_ms", ROLE_GRAPH },
};

static double
ms_of(const json_t *row, size_t i)
{
	double ms = row_number(row, phases[i].field);

	return ms > 0 && ms < 1e15 ? ms : 0;
}

/* Columns [*from, *end) of w for a phase; something for whatever took time. */
static void
span(const json_t *row, size_t i, int w, int *from, int *end)
{
	double total = 0, before = 0;

	for (size_t k = 0; k < WATERFALL_LINES; k++) {
		total += ms_of(row, k);
		before += k < i ? ms_of(row, k) : 0;
	}
	*from = *end = 0;
	if (!(ms_of(row, i) > 0) || w <= 0)
		return;
	*from = (int)(before / total * w);
	*end = (int)lround((before + ms_of(row, i)) / total * w);
	if (*from >= w)
		*from = w - 1;
	if (*end <= *from)
		*end = *from + 1;
}

int
waterfall_draw(const struct area *a, int y, const json_t *row)
{
	int w = a->w - WATERFALL_LABEL - VALUE_W - 1;
	struct buf text;

	buf_init(&text, 4096);
	for (size_t i = 0; i < WATERFALL_LINES; i++, y++) {
		int from, end;

		span(row, i, w, &from, &end);
		area_puts(a, y, 0, ROLE_LABEL, phases[i].label);
		if (end > from)
			area_bar(a, y, WATERFALL_LABEL + from, end - from,
			    phases[i].role, 1);
		area_fit(a, y, a->w - VALUE_W, VALUE_W, ROLE_TEXT, true,
		    part_number(FORM_MS, row_number(row, phases[i].field),
		    &text));
	}
	buf_fini(&text);
	return y;
}

void
waterfall_text(const json_t *row, struct buf *out)
{
	struct buf text;

	buf_init(&text, 4096);
	for (size_t i = 0; i < WATERFALL_LINES; i++) {
		int from, end;

		span(row, i, TEXT_W, &from, &end);
		(void)part_number(FORM_MS, row_number(row, phases[i].field),
		    &text);
		buf_printf(out, "  %-8s %9s  |%*s", phases[i].label,
		    buf_cstr(&text), from, "");
		for (int x = 0; x < TEXT_W - from; x++)
			buf_put_u8(out, x < end - from ? '#' : ' ');
		buf_puts(out, "|\n");
	}
	buf_fini(&text);
}

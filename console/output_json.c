/* SPDX-License-Identifier: MIT */
/*
 * For programs: one JSON value, kept until it is whole.  Rows are passed on
 * as the daemon wrote them, so that no number is rounded on the way.
 */
#include "config.h"

#include "console/output.h"

static void
json_begin(struct output *o)
{
	o->n_rows = 0;
	buf_clear(&o->text);
}

static void
json_row(struct output *o, const json_t *row, struct slice raw)
{
	(void)row;
	if (o->shape == OUTPUT_STREAM) {
		fwrite(raw.p, 1, raw.n, o->to);
		fputc('\n', o->to);
		fflush(o->to);
		return;
	}
	if (o->shape == OUTPUT_OBJECT)
		buf_clear(&o->text);
	else if (o->n_rows > 0)
		buf_puts(&o->text, ",\n");
	buf_put(&o->text, raw.p, raw.n);
	o->n_rows++;
}

static void
json_end(struct output *o)
{
	if (o->shape == OUTPUT_STREAM)
		return;
	if (o->shape == OUTPUT_OBJECT && o->n_rows == 0)
		buf_puts(&o->text, "{\"ok\":true}");
	if (o->shape == OUTPUT_LIST)
		fputc('[', o->to);
	fputs(buf_cstr(&o->text), o->to);
	fputs(o->shape == OUTPUT_LIST ? "]\n" : "\n", o->to);
}

const struct output_ops output_json = { json_begin, json_row, json_end };

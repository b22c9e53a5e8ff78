/* SPDX-License-Identifier: MIT */
/*
 * For people: lists as tables, objects as blocks.  A list whose columns are
 * not known beforehand (sql, config, kernels) takes those of its first row.
 */
#include "config.h"

#include "console/output.h"

#include <sys/ioctl.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* Columns of the terminal; 0 when there is none. */
static size_t
terminal_width(int fd)
{
	struct winsize ws;

	if (!isatty(fd))
		return 0;
	if (ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
		return ws.ws_col;
	return 80;
}

void
output_init(struct output *o, const struct ctl *ctl,
    const struct command *cmd, enum output_shape shape)
{
	*o = (struct output){ .shape = shape, .to = stdout };
	o->ops = ctl->json ? &output_json : &output_text;
	o->one_line = ctl->one_line;
	o->columns = view_columns(cmd->id, &o->n_columns);
	buf_init(&o->text, SIZE_MAX / 2);
	table_init(&o->table);
	o->table.max_width = terminal_width(STDOUT_FILENO);
	o->table.has_titles = ctl->headers || o->table.max_width > 0;
	o->table.has_color = ctl_wants_color(ctl, STDOUT_FILENO);
}

void
output_fini(struct output *o)
{
	table_fini(&o->table);
	buf_fini(&o->text);
	json_decref(o->fields);
	o->fields = NULL;
}

static void
text_begin(struct output *o)
{
	o->n_rows = 0;
	for (size_t i = 0; i < o->n_columns; i++) {
		const struct column *c = &o->columns[i];
		struct table_column *t = table_add_column(&o->table,
		    c->title);

		t->is_state = c->form == FORM_STATE;
		t->is_number = c->form != FORM_TEXT && !t->is_state &&
		    c->form != FORM_TIME;
		t->width = o->shape == OUTPUT_STREAM ? c->width : 0;
	}
}

/* The first row of a generic list says its columns. */
static void
take_columns(struct output *o, const json_t *row)
{
	const char *key;
	json_t *v;

	o->fields = json_array();
	json_object_foreach((json_t *)row, key, v) {
		struct table_column *t = table_add_column(&o->table, key);

		t->is_number = json_is_number(v);
		json_array_append_new(o->fields, json_string(key));
	}
}

static void
table_row(struct output *o, const json_t *row)
{
	size_t n;

	if (o->columns == NULL && o->fields == NULL)
		take_columns(o, row);
	n = o->columns != NULL ? o->n_columns : json_array_size(o->fields);
	for (size_t i = 0; i < n; i++) {
		struct column generic = { NULL, NULL, FORM_TEXT, 0 };

		if (o->columns == NULL)
			generic.field = json_string_value(
			    json_array_get(o->fields, i));
		buf_clear(&o->text);
		view_cell(o->columns != NULL ? &o->columns[i] : &generic, row,
		    &o->text);
		table_add(&o->table, (struct slice){
		    (const char *)o->text.data, o->text.len });
	}
}

static void
text_row(struct output *o, const json_t *row, struct slice raw)
{
	(void)raw;
	o->n_rows++;
	if (o->shape == OUTPUT_OBJECT) {
		view_block(row, o->to);
		return;
	}
	table_row(o, row);
	if (o->shape == OUTPUT_STREAM) {
		table_flush(&o->table, o->to);
		fflush(o->to);
	}
}

static void
text_end(struct output *o)
{
	if (o->shape == OUTPUT_LIST || o->shape == OUTPUT_TREE)
		table_flush(&o->table, o->to);
}

const struct output_ops output_text = { text_begin, text_row, text_end };

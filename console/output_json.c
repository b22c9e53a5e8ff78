/* SPDX-License-Identifier: MIT */
/*
 * For programs: one JSON value, kept until it is whole.  Rows are passed on
 * as the daemon wrote them, so that no number is rounded on the way.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "console/output.h"
#include "wire/conf.h"

static void
json_begin(struct output *o)
{
	o->n_rows = 0;
	if (o->shape == OUTPUT_TREE)
		o->fields = json_object();
	buf_clear(&o->text);
}

static json_t *
child(json_t *o, const char *name)
{
	json_t *found = json_object_get(o, name);

	if (found == NULL) {
		found = json_object();
		json_object_set_new(o, name, found);
	}
	return found;
}

static bool
is_count(const char *section, const char *key)
{
	for (size_t i = 0; i < conf_n_keys; i++)
		if (strcmp(conf_keys[i].section, section) == 0 &&
		    strcmp(conf_keys[i].key, key) == 0)
			return conf_keys[i].type == CONF_U64;
	return false;
}

/* A setting: {section, name, key, value}; name is empty where there is one
 * section of the kind.  Counts become numbers. */
static void
tree_row(struct output *o, const json_t *row)
{
	const char *section = json_string_value(json_object_get(row,
	    "section"));
	const char *name = json_string_value(json_object_get(row, "name"));
	const char *key = json_string_value(json_object_get(row, "key"));
	const char *value = json_string_value(json_object_get(row, "value"));
	json_t *at;

	if (section == NULL || key == NULL || value == NULL)
		return;
	at = child(o->fields, section);
	if (name != NULL && name[0] != '\0')
		at = child(at, name);
	json_object_set_new(at, key, is_count(section, key) ?
	    json_integer(strtoll(value, NULL, 10)) : json_string(value));
	o->n_rows++;
}

static void
tree_end(struct output *o)
{
	json_dumpf(o->fields, o->to, JSON_COMPACT);
	fputc('\n', o->to);
}

static void
json_row(struct output *o, const json_t *row, struct slice raw)
{
	if (o->shape == OUTPUT_TREE) {
		tree_row(o, row);
		return;
	}
	if (o->shape == OUTPUT_STREAM) {
		fwrite(raw.p, 1, raw.n, o->to);
		fputc('\n', o->to);
		fflush(o->to);
		return;
	}
	if (o->shape == OUTPUT_OBJECT)
		buf_clear(&o->text);
	else if (o->n_rows > 0)
		buf_puts(&o->text, o->one_line ? "," : ",\n");
	buf_put(&o->text, raw.p, raw.n);
	o->n_rows++;
}

static void
json_end(struct output *o)
{
	if (o->shape == OUTPUT_STREAM)
		return;
	if (o->shape == OUTPUT_TREE) {
		tree_end(o);
		return;
	}
	if (o->shape == OUTPUT_OBJECT && o->n_rows == 0)
		buf_puts(&o->text, "{\"ok\":true}");
	if (o->shape == OUTPUT_LIST)
		fputc('[', o->to);
	fputs(buf_cstr(&o->text), o->to);
	fputs(o->shape == OUTPUT_LIST ? "]\n" : "\n", o->to);
}

const struct output_ops output_json = { json_begin, json_row, json_end };

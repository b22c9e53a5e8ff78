/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "console/names.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

const struct names_list names_lists[NAMES_N_LISTS] = {
	{ WORD_MODEL, "models", "name",
	    { "state", "variant", "architecture" } },
	{ WORD_VARIANT, "variants", "name", { "model", "type", "state" } },
	{ WORD_WORKER, "workers", "id", { "model", "variant", "state" } },
	{ WORD_REQUEST, "requests", "id", { "state", "model", "client" } },
};

void
names_add_row(struct names *s, const struct names_list *l, const json_t *row)
{
	const json_t *id = json_object_get(row, l->id);
	const char *text = json_string_value(id);
	char number[24], hint[128] = "";

	if (json_is_integer(id)) {
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
		    json_integer_value(id));
		text = number;
	}
	for (size_t i = 0; i < N_ELEMENTS(l->hints); i++) {
		const char *v = json_string_value(json_object_get(row,
		    l->hints[i]));
		size_t n = strlen(hint);

		if (v != NULL)
			snprintf(hint + n, sizeof(hint) - n, "%s%s",
			    n > 0 ? ", " : "", v);
	}
	if (text != NULL)
		names_add(s, l->kind, text, l->kind == WORD_VARIANT ?
		    json_string_value(json_object_get(row, "model")) : NULL,
		    hint);
}

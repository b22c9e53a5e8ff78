/* SPDX-License-Identifier: MIT */
/* Completion of the command line by the words of the shell and the names of
 * the last snapshot. */
#include "config.h"

#include <string.h>

#include "base/mem.h"
#include "console/names.h"
#include "console/tui/tui_impl.h"

static void
collect_names(const struct store *store, struct names *out)
{
	for (size_t i = 0; i < NAMES_N_LISTS; i++) {
		const json_t *rows = store_list(store, names_lists[i].list);

		for (size_t k = 0; k < json_array_size(rows); k++)
			names_add_row(out, &names_lists[i],
			    json_array_get(rows, k));
	}
}

void
tui_complete(void *arg, const char *line, size_t cursor,
    struct prompt_candidates *out)
{
	const struct tui *t = arg;
	struct names names = { 0 };
	struct candidates c;

	collect_names(&t->store, &names);
	words_complete(slice_of(line), cursor, &names,
	    t->options.readonly ? 0 : 3, &c);
	out->words = xcalloc(c.n + 1, sizeof(*out->words));
	out->hints = xcalloc(c.n + 1, sizeof(*out->hints));
	out->n = c.n;
	out->begin = c.start;
	out->end = cursor;
	for (size_t i = 0; i < c.n; i++) {
		out->words[i] = xstrdup(c.v[i].text);
		out->hints[i] = xstrdup(c.v[i].hint != NULL ? c.v[i].hint :
		    "");
	}
	candidates_fini(&c);
	names_fini(&names);
}

/* SPDX-License-Identifier: MIT */
/* Asking for names is best effort: whatever fails, there are just fewer. */
#include "config.h"

#include "console/names_io.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/str.h"
#include "console/client_io.h"
#include "console/names.h"

struct fetch {
	const struct names_list	*list;
	struct names		*out;
};

static void
on_name(void *arg, struct slice line)
{
	struct fetch *f = arg;
	json_t *row = json_loadb(line.p, line.n, 0, NULL);

	names_add_row(f->out, f->list, row);
	json_decref(row);
}

void
names_fetch(const struct ctl *ctl, unsigned kinds, struct names *out)
{
	uint64_t start = clock_now_ns();
	struct progress silent = { 0 };
	char path[PATH_SIZE];

	*out = (struct names){ 0 };
	if (client_socket_path(ctl, path, NULL) != 0)
		return;
	for (size_t i = 0; i < NAMES_N_LISTS; i++) {
		struct fetch f = { &names_lists[i], out };
		const char *const words[] = { "show", f.list->list };
		double spent = clock_ms_between(start, clock_now_ns());

		if ((kinds & WORD_BIT(f.list->kind)) == 0)
			continue;
		if (spent >= NAMES_MS - 1)
			return;
		if (client_run(path, words, 2, NAMES_MS - (uint64_t)spent,
		    &silent, on_name, &f, NULL) != 0)
			return;
	}
}

struct state {
	char	*out;
	size_t	 size;
};

static void
on_state(void *arg, struct slice line)
{
	struct state *s = arg;
	json_t *row = json_loadb(line.p, line.n, 0, NULL);
	const char *v = json_string_value(json_object_get(row, "state"));

	if (v != NULL)
		str_vis(s->out, s->size, v, strlen(v));
	json_decref(row);
}

void
names_state(const struct ctl *ctl, char *out, size_t size)
{
	static const char *const words[] = { "show", "status" };
	struct state s = { out, size };
	struct progress silent = { 0 };
	char path[PATH_SIZE];
	int r;

	str_copy(out, "no answer", size);
	if ((r = client_socket_path(ctl, path, NULL)) == 0)
		r = client_run(path, words, 2, NAMES_MS, &silent, on_state,
		    &s, NULL);
	if (r == BM_ENODAEMON)
		str_copy(out, "no daemon", size);
}

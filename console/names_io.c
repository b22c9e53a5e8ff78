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

struct fetch {
	enum word_kind	 kind;
	const char	*field;		/* of the name */
	const char	*words[2];	/* the command that tells */
	const char	*hints[3];	/* fields that make the hint */
	struct names	*out;
};

static const struct fetch fetches[] = {
	{ WORD_MODEL, "name", { "show", "models" },
	    { "state", "variant", "architecture" }, NULL },
	{ WORD_VARIANT, "name", { "show", "variants" },
	    { "model", "type", "state" }, NULL },
	{ WORD_WORKER, "id", { "show", "workers" },
	    { "model", "variant", "state" }, NULL },
	{ WORD_REQUEST, "id", { "show", "requests" },
	    { "state", "model", "client" }, NULL },
};

static void
on_name(void *arg, struct slice line)
{
	struct fetch *f = arg;
	json_t *row = json_loadb(line.p, line.n, 0, NULL);
	const json_t *name = json_object_get(row, f->field);
	char number[24], hint[128] = "";
	const char *text = json_string_value(name);

	if (json_is_integer(name)) {
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
		    json_integer_value(name));
		text = number;
	}
	for (size_t i = 0; i < 3; i++) {
		const char *v = json_string_value(json_object_get(row,
		    f->hints[i]));
		size_t n = strlen(hint);

		if (v != NULL)
			snprintf(hint + n, sizeof(hint) - n, "%s%s",
			    n > 0 ? ", " : "", v);
	}
	if (text != NULL)
		names_add(f->out, f->kind, text, f->kind == WORD_VARIANT ?
		    json_string_value(json_object_get(row, "model")) : NULL,
		    hint);
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
	for (size_t i = 0; i < sizeof(fetches) / sizeof(fetches[0]); i++) {
		struct fetch f = fetches[i];
		double spent = clock_ms_between(start, clock_now_ns());

		if ((kinds & WORD_BIT(f.kind)) == 0)
			continue;
		if (spent >= NAMES_MS - 1)
			return;
		f.out = out;
		if (client_run(path, f.words, 2, NAMES_MS - (uint64_t)spent,
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

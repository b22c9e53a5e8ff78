/* SPDX-License-Identifier: MIT */
/*
 * What must hold of every screen at every size, whatever the daemon says: no
 * crash, and nothing on the canvas that a terminal would not show in place.
 * The data are the golden ones and forgeries of them, in which every string
 * and every number is hostile.
 */
#include "config.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wctype.h>

#include "base/mem.h"
#include "tests/tui/stage.h"

#define LONG_BYTES	((size_t)1 << 20)

static const int heights[] = { 1, 2, 3, 5, 9, 11, 15, 16, 17, 20, 24, 33, 43,
    60 };
static const int widths[] = { 1, 2, 3, 7, 13, 20, 39, 40, 41, 60, 75, 76, 77,
    80, 100, 119, 120, 132, 200 };

static const char *const hostile[] = {
	"\033[2J\033]0;owned\007",
	"\033[31mred\033[0m\r\nnew line\ttab\b\b\b",
	"\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97\xe7\xac\xa6",	/* wide */
	"e\xcc\x81\xcc\x82\xcc\x83\xcc\x84\xcc\x85\xcc\x86 \xcc\x80",
	"\xe2\x80\xae" "evil\xe2\x81\xa6\xe2\x80\x8f",		/* bidi */
	"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d",			/* Hebrew */
	"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb",		/* joined */
	"\xc2\x9b" "31m\xc2\x90",				/* C1 */
	"", " ", "%s%n%d", "-",
};

static unsigned n_tests, n_failed;

static void
report(bool is_ok, const char *name)
{
	n_tests++;
	n_failed += !is_ok;
	printf("%sok %u - %s\n", is_ok ? "" : "not ", n_tests, name);
	fflush(stdout);
}

/* ---- forgeries ---- */

struct forger {
	unsigned	 next;
	bool		 is_long;	/* every 16th string is 1 MB */
};

static json_t *
forged_string(struct forger *f)
{
	unsigned i = f->next++;
	const char *s = hostile[i % N_ELEMENTS(hostile)];
	struct buf b;
	json_t *v;

	if (!f->is_long || i % 16 != 3)
		return json_string(s);
	buf_init(&b, LONG_BYTES + 64);
	while (b.len < LONG_BYTES)
		buf_puts(&b, *s != '\0' ? s : "long ");
	v = json_stringn((const char *)b.data, b.len);
	buf_fini(&b);
	return v;
}

static json_t *
forged_number(struct forger *f)
{
	static const double wild[] = { 1e308, -1e308, 0, -1, 1e-300, 1e18,
	    0.5, 4294967296.0 };

	return json_real(wild[f->next++ % N_ELEMENTS(wild)]);
}

static json_t *
forge(struct forger *f, json_t *v)
{
	json_t *made, *inner;
	const char *key;
	size_t i;

	if (json_is_string(v))
		return forged_string(f);
	if (json_is_number(v))
		return forged_number(f);
	if (json_is_array(v)) {
		made = json_array();
		json_array_foreach(v, i, inner)
			json_array_append_new(made, forge(f, inner));
		return made;
	}
	if (!json_is_object(v))
		return f->next++ % 3 == 0 ? forged_string(f) :
		    json_incref(v);
	made = json_object();
	json_object_foreach(v, key, inner)
		json_object_set_new(made, key, forge(f, inner));
	json_object_set_new(made, hostile[f->next % N_ELEMENTS(hostile)],
	    forged_string(f));
	return made;
}

/* Lists that belong together must still find each other. */
static void
keep_names(json_t *row, json_t *made)
{
	static const char *const names[] = { "name", "model", "worker", "id",
	    "role", "active" };

	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (json_object_get(row, names[i]) != NULL)
			json_object_set(made, names[i],
			    json_object_get(row, names[i]));
}

static void
feed(struct stage *s, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);

	if (json_object_get(o, "status") != NULL)
		tui_snapshot(s->tui, slice_of(text), 0);
	else
		tui_log_line(s->tui, slice_of(text));
	free(text);
}

static void
load_forged(struct stage *s, const char *data, bool is_long, bool names)
{
	struct forger f = { .is_long = is_long };
	json_t *o = stage_snapshot(data), *made = forge(&f, o), *list, *row;
	const char *key;
	size_t i;

	json_object_foreach(o, key, list) {
		json_t *forged = json_object_get(made, key);

		for (i = 0; names && i < json_array_size(forged); i++) {
			row = json_array_get(list, i);
			keep_names(row, json_array_get(forged, i));
		}
	}
	feed(s, made);
	for (i = 0; i < 50; i++) {
		row = json_pack("{s:s, s:i, s:i}", "id", "x", "started_at",
		    (int)i, "finished_at", 7);
		json_object_update(row, json_array_get(json_object_get(made,
		    "requests"), i % MEM_MAX(json_array_size(
		    json_object_get(made, "requests")), (size_t)1)));
		feed(s, row);
		json_decref(row);
	}
	json_decref(made);
	json_decref(o);
}

/* ---- what must hold ---- */

static bool
is_fit(const struct canvas *c, const struct cell *cell, int x)
{
	for (size_t k = 0; k < CELL_CHARS && cell->ch[k] != 0; k++)
		if (!iswprint((wint_t)cell->ch[k]) ||
		    (c->ascii && cell->ch[k] > '~'))
			return false;
	if (cell->width == 2)
		return x + 1 < c->w && cell[1].width == 0;
	return cell->width == 1 ? cell->ch[0] != 0 : x > 0;
}

static bool
holds(const struct canvas *c)
{
	for (int y = 0; y < c->h; y++)
		for (int x = 0; x < c->w; x++)
			if (!is_fit(c, &c->cells[y * c->w + x], x)) {
				printf("# bad cell at %d,%d of %dx%d\n", y,
				    x, c->w, c->h);
				return false;
			}
	return true;
}

static bool
holds_at_all_sizes(struct stage *s)
{
	bool is_ok = true;

	for (size_t i = 0; i < N_ELEMENTS(heights); i++) {
		for (size_t k = 0; k < N_ELEMENTS(widths); k++) {
			stage_draw(s, heights[i], widths[k], (i + k) % 3 ==
			    0);
			is_ok &= holds(&s->canvas);
		}
	}
	return is_ok;
}

/* Move about, look at the detail and leave it again. */
static bool
holds_under_keys(struct stage *s)
{
	static const int keys[] = { K_DOWN, K_RIGHT, K_RIGHT, ' ', '>', '>',
	    'r', K_PAGE_DOWN, K_ENTER, K_DOWN, K_END, 'q', 'G', 'g', 'y',
	    'q', '?', 'q', K_LEFT, '<' };
	bool is_ok = true;

	for (size_t i = 0; i < N_ELEMENTS(keys); i++) {
		tui_key(s->tui, keys[i]);
		stage_draw(s, 24, 80, i % 2 == 0);
		is_ok &= holds(&s->canvas);
	}
	return is_ok;
}

static void
check_views(struct stage *s, const char *data, bool all_sizes)
{
	char name[128];
	bool is_ok = true;

	for (size_t v = 0; v < STAGE_VIEWS; v++) {
		stage_show(s, v);
		is_ok = !all_sizes || holds_at_all_sizes(s);
		is_ok &= holds_under_keys(s);
		snprintf(name, sizeof(name), "%s, %s", data,
		    stage_view_name(s, v));
		report(is_ok, name);
	}
}

int
main(void)
{
	static const char *const data[] = { "idle", "busy", "broken" };
	struct stage s;

	setlocale(LC_CTYPE, "C.UTF-8");
	setenv("TZ", "UTC", 1);
	tzset();
	stage_init(&s);
	check_views(&s, "nothing", true);
	stage_fini(&s);
	for (size_t i = 0; i < N_ELEMENTS(data); i++) {
		char name[64];

		stage_init(&s);
		stage_load(&s, data[i]);
		check_views(&s, data[i], true);
		snprintf(name, sizeof(name), "%s, forged", data[i]);
		load_forged(&s, data[i], false, true);
		check_views(&s, name, true);
		load_forged(&s, data[i], false, false);
		check_views(&s, name, false);
		stage_fini(&s);
	}
	stage_init(&s);
	load_forged(&s, "busy", true, true);
	check_views(&s, "busy, forged, 1 MB", false);
	stage_fini(&s);
	printf("1..%u\n", n_tests);
	return n_failed > 0;
}

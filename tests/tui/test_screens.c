/* SPDX-License-Identifier: MIT */
/*
 * Golden screens: what the console draws of fixed snapshots, compared with
 * golden/DATA-VIEW-HxW.txt.  UPDATE_GOLDEN=1 writes those files anew; read
 * the difference before it is committed.
 */
#include "config.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "tests/tui/stage.h"

static const char *const data_names[] = { "idle", "busy", "broken" };
static const struct {
	int	 h, w;
} sizes[] = { { 24, 80 }, { 43, 132 }, { 16, 60 }, { 60, 200 } };

static unsigned n_tests, n_failed;

static void
report(bool is_ok, const char *name)
{
	n_tests++;
	n_failed += !is_ok;
	printf("%sok %u - %s\n", is_ok ? "" : "not ", n_tests, name);
	fflush(stdout);
}

/* ---- golden files ---- */

static void
golden_path(const char *name, char *out, size_t size)
{
	snprintf(out, size, "%s/tests/tui/golden/%s.txt", stage_srcdir(),
	    name);
}

/* The next line of a text, without its end. */
static struct slice
line_of(const char **p)
{
	const char *end = strchrnul(*p, '\n');
	struct slice s = { *p, (size_t)(end - *p) };

	*p = *end != '\0' ? end + 1 : end;
	return s;
}

static void
say_difference(const char *want, const char *got)
{
	int n = 0, line = 0;

	while ((*want != '\0' || *got != '\0') && n < 40) {
		struct slice a = line_of(&want), b = line_of(&got);

		line++;
		if (a.n == b.n && memcmp(a.p, b.p, a.n) == 0)
			continue;
		n++;
		printf("# %4d -%.*s\n# %4d +%.*s\n", line, (int)a.n, a.p,
		    line, (int)b.n, b.p);
	}
}

static void
compare(const char *name, const char *got)
{
	char path[4096];
	char *want;
	FILE *f;
	bool is_same;

	golden_path(name, path, sizeof(path));
	if (getenv("UPDATE_GOLDEN") != NULL) {
		f = fopen(path, "w");
		is_same = f != NULL && fputs(got, f) >= 0;
		if (f != NULL)
			is_same &= fclose(f) == 0;
		report(is_same, name);
		return;
	}
	want = stage_read(path, NULL);
	is_same = want != NULL && strcmp(want, got) == 0;
	report(is_same, name);
	if (!is_same)
		say_difference(want != NULL ? want : "", got);
	free(want);
}

/* UTF-8 with colours, then ASCII without. */
static void
check_screen(struct stage *s, const char *name, int h, int w)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	stage_draw(s, h, w, false);
	fprintf(f, "UTF-8, colours\n");
	canvas_dump(&s->canvas, LOOKS_COLOR, f);
	stage_draw(s, h, w, true);
	fprintf(f, "ASCII, mono\n");
	canvas_dump(&s->canvas, LOOKS_MONO, f);
	fclose(f);
	compare(name, text);
	free(text);
}

static void
check_views(struct stage *s, const char *data)
{
	char name[128];

	for (size_t v = 0; v < STAGE_VIEWS; v++) {
		stage_show(s, v);
		for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
			snprintf(name, sizeof(name), "%s-%s-%dx%d", data,
			    stage_view_name(s, v), sizes[i].w, sizes[i].h);
			check_screen(s, name, sizes[i].h, sizes[i].w);
		}
	}
}

/* What keys bring up, of the busy daemon at 80x24. */
static const struct {
	const char	*name;
	size_t		 view;
	const char	*keys;
	bool		 is_lost;
} scenes[] = {
	{ "help", 3, "?", false },
	{ "model-detail", 1, "\r", false },
	{ "worker-detail", 2, "j\r", false },
	{ "request-detail", 3, "g\r", false },
	{ "request-json", 3, "gy", false },
	{ "requests-of-a-model", 3, "m\r", false },
	{ "requests-tagged-sorted", 3, "g  >>", false },
	{ "requests-filtered", 3, "/timeout\r", false },
	{ "requests-none", 3, "/nothing\r", false },
	{ "menu", 1, "x", false },
	{ "command", 0, ":workers tale 3", false },
	{ "away", 0, "", true },
};

static void
check_scenes(void)
{
	struct cause why = { .text = "no daemon listens there" };
	char name[128];

	for (size_t i = 0; i < N_ELEMENTS(scenes); i++) {
		struct stage s;

		stage_init(&s);
		stage_load(&s, "busy");
		stage_show(&s, scenes[i].view);
		stage_draw(&s, 24, 80, false);
		for (const char *k = scenes[i].keys; *k != '\0'; k++)
			tui_key(s.tui, *k);
		if (scenes[i].is_lost)
			tui_lost(s.tui, &why, 0, 1000);
		snprintf(name, sizeof(name), "scene-%s", scenes[i].name);
		check_screen(&s, name, 24, 80);
		stage_fini(&s);
	}
}

int
main(void)
{
	setlocale(LC_CTYPE, "C.UTF-8");
	setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i < N_ELEMENTS(data_names); i++) {
		struct stage s;

		stage_init(&s);
		stage_load(&s, data_names[i]);
		check_views(&s, data_names[i]);
		stage_fini(&s);
	}
	check_scenes();
	printf("1..%u\n", n_tests);
	return n_failed > 0;
}

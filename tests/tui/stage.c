/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "tests/tui/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PATH_BYTES	4096

const char *
stage_srcdir(void)
{
	const char *dir = getenv("top_srcdir");

	return dir != NULL ? dir : ".";
}

char *
stage_read(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	char *text = NULL;
	size_t len = 0, got;

	if (f == NULL)
		return NULL;
	do {
		text = xrealloc(text, len + 65536 + 1);
		got = fread(text + len, 1, 65536, f);
		len += got;
	} while (got > 0);
	fclose(f);
	text[len] = '\0';
	if (n != NULL)
		*n = len;
	return text;
}

/* ---- a host that writes down what it is asked ---- */

static bool
is_show(const char *const *words, size_t n, const char *what)
{
	return n == 2 && strcmp(words[0], "show") == 0 &&
	    strcmp(words[1], what) == 0;
}

static void
host_run(void *arg, unsigned ticket, const char *const *words, size_t n)
{
	struct stage *s = arg;

	if (is_show(words, n, "config")) {
		s->config_ticket = ticket;
	} else if (!is_show(words, n, "variants")) {
		s->ticket = ticket;
		buf_puts(&s->asked, "run ");
		words_join(words, n, &s->asked);
		buf_puts(&s->asked, "\n");
	}
}

static void
host_forget(void *arg, unsigned ticket)
{
	struct stage *s = arg;

	if (ticket == s->config_ticket)
		s->config_ticket = 0;
}

static void
host_interval(void *arg, unsigned interval_ms)
{
	buf_printf(&((struct stage *)arg)->asked, "interval %u\n",
	    interval_ms);
}

static void
host_follow_log(void *arg, bool on)
{
	buf_printf(&((struct stage *)arg)->asked, "log %d\n", on);
}

static void
host_shell_out(void *arg, const char *line)
{
	buf_printf(&((struct stage *)arg)->asked, "shell %s\n", line);
}

static void
host_refresh(void *arg)
{
}

static void
host_redraw_all(void *arg)
{
	buf_puts(&((struct stage *)arg)->asked, "redraw\n");
}

static void
host_quit(void *arg)
{
	buf_puts(&((struct stage *)arg)->asked, "quit\n");
}

static void
init(struct stage *s, bool is_readonly)
{
	struct tui_options options = { .where = "/run/bigmodel/admin.sock",
	    .readonly = is_readonly };
	struct tui_host host = { .arg = s, .run = host_run,
	    .forget = host_forget, .interval = host_interval,
	    .refresh = host_refresh, .follow_log = host_follow_log,
	    .shell_out = host_shell_out, .redraw_all = host_redraw_all,
	    .quit = host_quit };

	*s = (struct stage){ .ticket = 0 };
	buf_init(&s->asked, 1 << 20);
	s->tui = tui_new(&host, &options);
	canvas_init(&s->canvas, false);
}

void
stage_init(struct stage *s)
{
	init(s, false);
}

void
stage_init_readonly(struct stage *s)
{
	init(s, true);
}

void
stage_fini(struct stage *s)
{
	tui_free(s->tui);
	canvas_fini(&s->canvas);
	buf_fini(&s->asked);
}

/* ---- data ---- */

static char *
read_data(const char *name)
{
	char path[PATH_BYTES];
	char *text;

	snprintf(path, sizeof(path), "%s/tests/tui/data/%s", stage_srcdir(),
	    name);
	text = stage_read(path, NULL);
	if (text == NULL) {
		printf("Bail out! cannot read %s\n", path);
		exit(99);
	}
	return text;
}

static void
each_line(const char *name, void (*take)(struct stage *s, struct slice line),
    struct stage *s)
{
	char *text = read_data(name);

	for (char *p = text, *end; *p != '\0'; p = end) {
		end = strchrnul(p, '\n');
		take(s, (struct slice){ p, (size_t)(end - p) });
		end += *end != '\0';
	}
	free(text);
}

static void
take_snapshot(struct stage *s, struct slice line)
{
	tui_snapshot(s->tui, line, 0);
}

static void
take_log(struct stage *s, struct slice line)
{
	tui_log_line(s->tui, line);
}

void
stage_config(struct stage *s, struct slice line)
{
	if (s->config_ticket != 0)
		tui_answer_line(s->tui, s->config_ticket, line);
}

json_t *
stage_snapshot(const char *name)
{
	char file[64];
	char *text;
	json_t *o;

	snprintf(file, sizeof(file), "%s.json", name);
	text = read_data(file);
	o = json_loads(text, 0, NULL);
	free(text);
	return o;
}

void
stage_load(struct stage *s, const char *name)
{
	char file[64];

	snprintf(file, sizeof(file), "%s.json", name);
	each_line(file, take_snapshot, s);
	each_line("log.jsonl", take_log, s);
}

void
stage_show(struct stage *s, size_t view)
{
	tui_key(s->tui, '1' + (int)view);
	if (s->config_ticket == 0)
		return;
	each_line("config.jsonl", stage_config, s);
	tui_answer_end(s->tui, s->config_ticket, 0, "");
	s->config_ticket = 0;
}

const char *
stage_view_name(struct stage *s, size_t view)
{
	static const char *const names[STAGE_VIEWS] = { "overview", "models",
	    "workers", "requests", "events", "config" };

	return names[view];
}

void
stage_draw(struct stage *s, int h, int w, bool ascii)
{
	if (ascii != s->canvas.ascii) {
		/* Of another size it is drawn anew. */
		s->canvas.ascii = ascii;
		canvas_resize(&s->canvas, 1, 1);
		(void)tui_draw(s->tui, &s->canvas, 0, STAGE_NOW_MS);
	}
	if (h != s->canvas.h || w != s->canvas.w)
		canvas_resize(&s->canvas, h, w);
	(void)tui_draw(s->tui, &s->canvas, 0, STAGE_NOW_MS);
}

/* SPDX-License-Identifier: MIT */
/*
 * Commands under way.  What an action runs is reported in the message line,
 * all of one confirmation together; what was typed behind ":" answers in the
 * pager when it has anything to say.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/output.h"
#include "console/tui/tui_impl.h"

#define ANSWER_MAX	((size_t)64 << 20)

/* ---- begin ---- */

static struct tui_job *
begin(struct tui *t, enum job_use use, const char *line,
    const struct command *cmd)
{
	struct tui_job *j = xcalloc(1, sizeof(*j));

	j->ticket = ++t->last_ticket;
	j->line = xstrdup(line);
	j->cmd = cmd;
	j->use = use;
	j->batch = t->batch.id;
	buf_init(&j->answer, ANSWER_MAX);
	TAILQ_INSERT_TAIL(&t->jobs, j, entry);
	return j;
}

static void
end(struct tui *t, struct tui_job *j)
{
	TAILQ_REMOVE(&t->jobs, j, entry);
	buf_fini(&j->answer);
	free(j->line);
	free(j);
}

/* A path of `load` is one of the console's machine and directory. */
static void
make_absolute(const struct command *cmd, struct words_list *w, size_t used)
{
	char *path;

	if (cmd->id != CMD_ID_LOAD || w->n < used + 2 ||
	    (path = realpath(w->w[used + 1], NULL)) == NULL)
		return;
	free(w->w[used + 1]);
	w->w[used + 1] = path;
}

/* Start a line; NULL with a message when it is none of the daemon's. */
static struct tui_job *
start(struct tui *t, enum job_use use, const char *line, struct cause *cause)
{
	const struct command *cmd;
	struct words_list w;
	struct tui_job *j = NULL;
	size_t used;

	if (words_split(slice_of(line), &w, cause) != 0)
		return NULL;
	if (command_find((const char *const *)w.w, w.n, &cmd, &used,
	    cause) == 0) {
		make_absolute(cmd, &w, used);
		j = begin(t, use, line, cmd);
		t->host.run(t->host.arg, j->ticket,
		    (const char *const *)w.w, w.n);
	}
	words_free(&w);
	return j;
}

void
jobs_run(struct tui *t, char *const *lines, size_t n)
{
	struct cause cause = { 0 };

	t->batch = (struct tui_batch){ .id = t->batch.id + 1, .n = n };
	tui_say(t, ROLE_TEXT, "%s%s ...", lines[0], n > 1 ? " and more" : "");
	for (size_t i = 0; i < n; i++) {
		if (start(t, JOB_ACTION, lines[i], &cause) != NULL)
			continue;
		t->batch.n--;
		tui_say(t, ROLE_BAD, "%s", cause.text);
	}
}

void
jobs_get_config(struct tui *t)
{
	struct cause cause = { 0 };

	if (start(t, JOB_CONFIG, "show config", &cause) != NULL)
		store_begin_config(&t->store);
}

/* Files that were laid beside the others since are known after this. */
void
jobs_scan_variants(struct tui *t)
{
	struct cause cause = { 0 };

	(void)start(t, JOB_SCAN, "show variants", &cause);
}

void
jobs_get_request(struct tui *t, const json_t *row)
{
	const char *id = row_text(row, "id");
	struct cause cause = { 0 };
	char line[160];

	if (row_text(row, "state")[0] != '\0' || strlen(id) > 64 ||
	    id[strspn(id, "0123456789abcdef-")] != '\0')
		return;
	snprintf(line, sizeof(line),
	    "sql \"SELECT * FROM requests WHERE id = '%s'\"", id);
	(void)start(t, JOB_DETAIL, line, &cause);
}

/* ---- what is typed ---- */

static bool
is_word(const struct words_list *w, const char *a, const char *b)
{
	return w->n == 1 && (strcmp(w->w[0], a) == 0 ||
	    strcmp(w->w[0], b) == 0);
}

/* log --follow never ends, and the screen follows anyway. */
static bool
never_ends(const struct command *cmd, const struct words_list *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->w[i], "--follow") == 0)
			return true;
	return cmd->where != CMD_GATE && cmd->where != CMD_MASTER &&
	    cmd->where != CMD_REQLOG;
}

static void
run_command(struct tui *t, const char *line, const struct words_list *w)
{
	const struct command *cmd;
	struct cause cause = { 0 };
	size_t used;

	if (command_find((const char *const *)w->w, w->n, &cmd, &used,
	    &cause) != 0) {
		tui_say(t, ROLE_BAD, "%s", cause.text);
	} else if (never_ends(cmd, w) || cmd->id == CMD_ID_WATCH) {
		t->host.shell_out(t->host.arg, line);
	} else if (cmd->risk >= 1) {
		char *lines[1] = { (char *)line };

		act_propose(t, cmd->words, lines, 1, false);
	} else if (start(t, JOB_SHOWN, line, &cause) == NULL) {
		tui_say(t, ROLE_BAD, "%s", cause.text);
	} else {
		tui_say(t, ROLE_TEXT, "%s ...", line);
	}
}

void
jobs_command(struct tui *t, const char *line)
{
	struct words_list w;
	struct cause cause = { 0 };

	if (words_split(slice_of(line), &w, &cause) != 0) {
		tui_say(t, ROLE_BAD, "%s", cause.text);
		return;
	}
	if (is_word(&w, "q", "quit"))
		t->host.quit(t->host.arg);
	else if (w.n > 0)
		run_command(t, line, &w);
	words_free(&w);
}

/* ---- answers ---- */

static struct tui_job *
find(struct tui *t, unsigned ticket)
{
	struct tui_job *j;

	TAILQ_FOREACH(j, &t->jobs, entry)
		if (j->ticket == ticket)
			return j;
	return NULL;
}

void
tui_answer_line(struct tui *t, unsigned ticket, struct slice line)
{
	struct tui_job *j = find(t, ticket);

	if (j == NULL)
		return;
	if (j->use == JOB_CONFIG) {
		store_take_config(&t->store, line);
	} else if (j->use == JOB_SHOWN) {
		buf_put(&j->answer, line.p, line.n);
		buf_put_u8(&j->answer, '\n');
	} else {
		/* Of the others the last line is the one that counts. */
		buf_clear(&j->answer);
		buf_put(&j->answer, line.p, line.n);
	}
}

/* The lines as the shell would print them. */
static void
print_rows(struct output *o, struct slice lines)
{
	o->ops->begin(o);
	while (lines.n > 0) {
		const char *nl = memchr(lines.p, '\n', lines.n);
		size_t n = nl != NULL ? (size_t)(nl - lines.p) : lines.n;
		json_t *row = json_loadb(lines.p, n, JSON_ALLOW_NUL, NULL);

		if (json_is_object(row))
			o->ops->row(o, row, (struct slice){ lines.p, n });
		json_decref(row);
		n += nl != NULL;
		lines.p += n;
		lines.n -= n;
	}
	o->ops->end(o);
}

static void
show_answer(struct tui *t, const struct tui_job *j)
{
	static const struct ctl plain = { .color = COLOR_NEVER,
	    .headers = true };
	struct output o;
	char *text = NULL;
	size_t n = 0;

	output_init(&o, &plain, j->cmd, view_shape(j->cmd->id));
	o.table.max_width = 0;
	if ((o.to = open_memstream(&text, &n)) == NULL)
		abort();
	print_rows(&o, (struct slice){ (const char *)j->answer.data,
	    j->answer.len });
	fclose(o.to);
	if (n > 0)
		pager_open(&t->pager, j->line, (struct slice){ text, n });
	tui_say(t, ROLE_GOOD, "%s: done", j->line);
	output_fini(&o);
	free(text);
}

static json_t *
last_row(const struct tui_job *j)
{
	return j->answer.len == 0 ? NULL : json_loadb((const char *)
	    j->answer.data, j->answer.len, JSON_ALLOW_NUL, NULL);
}

/* The whole row instead of what was known of it, if it is still looked at. */
static void
show_row(struct tui *t, const struct tui_job *j)
{
	json_t *row = last_row(j);

	if (json_is_object(row) && j->ticket == t->last_ticket &&
	    t->pager.title != NULL && t->pager.top == 0)
		tui_show_detail(t, row);
	json_decref(row);
}

/* {"message":"..."} of an action; "done" when it says nothing. */
static void
say_done(struct tui *t, const struct tui_job *j)
{
	json_t *row = last_row(j);
	const char *s = json_string_value(json_object_get(row, "message"));

	tui_say(t, ROLE_GOOD, "%s: %s", j->line, s != NULL ? s : "done");
	json_decref(row);
}

static void
say_failed(struct tui *t, const struct tui_job *j, int code, const char *text)
{
	tui_say(t, ROLE_BAD, "%s: %s", j->line, text != NULL &&
	    text[0] != '\0' ? text : err_text(code));
}

/* An action of a batch that was followed by another one. */
static void
say_late(struct tui *t, const struct tui_job *j, int code, const char *text)
{
	if (code == 0)
		say_done(t, j);
	else
		say_failed(t, j, code, text);
}

/* One of a batch has ended; say it when it was the last. */
static void
count_in(struct tui *t, const struct tui_job *j, int code, const char *text)
{
	struct tui_batch *b = &t->batch;

	if (j->batch != b->id) {
		say_late(t, j, code, text);
		return;
	}
	b->n_done++;
	if (code != 0 && b->n_failed++ == 0) {
		say_failed(t, j, code, text);
		str_copy(b->failure, t->message, sizeof(b->failure));
	}
	if (b->n_done < b->n)
		return;
	/* The next question is asked by the facts of now. */
	t->host.refresh(t->host.arg);
	if (b->n == 1 && code == 0)
		say_done(t, j);
	else if (b->n > 1 && b->n_failed == 0)
		tui_say(t, ROLE_GOOD, "%zu done", b->n);
	else if (b->n > 1)
		tui_say(t, ROLE_BAD, "%zu of %zu failed: %s", b->n_failed,
		    b->n, b->failure);
}

void
tui_answer_end(struct tui *t, unsigned ticket, int code, const char *text)
{
	struct tui_job *j = find(t, ticket);

	if (j == NULL)
		return;
	switch (j->use) {
	case JOB_ACTION:
		count_in(t, j, code, text);
		break;
	case JOB_SHOWN:
		if (code == 0)
			show_answer(t, j);
		else
			say_failed(t, j, code, text);
		break;
	case JOB_CONFIG:
		tui_update(t);
		break;
	case JOB_SCAN:
		t->host.refresh(t->host.arg);
		break;
	case JOB_DETAIL:
		show_row(t, j);
		break;
	}
	if (j->cmd->id == CMD_ID_RELOAD && code == 0)
		jobs_get_config(t);
	end(t, j);
	t->is_dirty = true;
}

void
jobs_fini(struct tui *t)
{
	struct tui_job *j;

	while ((j = TAILQ_FIRST(&t->jobs)) != NULL) {
		t->host.forget(t->host.arg, j->ticket);
		end(t, j);
	}
}

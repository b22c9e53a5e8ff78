/* SPDX-License-Identifier: MIT */
/*
 * chat NAME: questions from the terminal or from stdin, answers as they come
 * over client.sock.  ^C ends the answer, not the chat: the daemon is asked to
 * cancel and says so itself; a second one does not wait for that.
 */
#include "config.h"

#include <errno.h>
#include <langinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "console/chat.h"
#include "console/client_io.h"
#include "console/line.h"

#define LOOK_MS 30000		/* for the daemon to name its models */

struct talk {
	const struct ctl	*ctl;
	struct chat		 chat;
	char			 path[PATH_SIZE];	/* client.sock */
	bool			 typed;		/* on a terminal */
	char			 prompt[96];
	/* of the answer that comes */
	struct chat_answer	 answer;
	struct chat_safe	 safe;
	struct buf		 shown;
	uint64_t		 asked_ns;
	int			 n_heard;	/* interrupts acted on */
};

static volatile sig_atomic_t n_interrupts;

static void
on_interrupt(int sig)
{
	n_interrupts++;
}

/* ---- the model ---- */

struct look {
	const char	*name;
	bool		 found;
	struct buf	 all;
};

static void
on_model(void *arg, struct slice line)
{
	struct look *l = arg;
	json_t *row = json_loadb(line.p, line.n, 0, NULL);
	const char *name = json_string_value(json_object_get(row, "name"));

	if (name != NULL) {
		l->found |= strcmp(name, l->name) == 0;
		buf_printf(&l->all, "%s%s", l->all.len > 0 ? ", " : "", name);
	}
	json_decref(row);
}

/* Is there such a model?  And where the clients' socket is: beside ours. */
static int
look_up(struct talk *t, const char *name, struct cause *cause)
{
	static const char *const words[] = { "show", "models" };
	struct look l = { .name = name };
	struct progress silent = { 0 };
	char admin[PATH_SIZE], *slash;
	int r;

	if ((r = client_socket_path(t->ctl, admin, cause)) != 0)
		return r;
	buf_init(&l.all, 4096);
	r = client_run(admin, words, 2, t->ctl->has_timeout ?
	    t->ctl->timeout_ms : LOOK_MS, &silent, on_model, &l, cause);
	if (r == 0 && !l.found)
		r = cause_set(cause, BM_ENOMODEL, "there is no model %s; "
		    "there are: %s", name, buf_cstr(&l.all));
	buf_fini(&l.all);
	if (r != 0)
		return r;
	slash = strrchr(admin, '/');
	if (slash != NULL)
		*slash = '\0';
	r = path_join(t->path, slash == NULL ? "." : admin,
	    PATH_CLIENT_SOCKET);
	return r == 0 ? 0 : cause_set(cause, r, "the socket's path is too "
	    "long");
}

/* ---- an answer ---- */

static int
take_event(void *arg, struct slice line, struct cause *cause)
{
	struct talk *t = arg;
	struct slice piece;
	int r = chat_answer_take(&t->answer, line, clock_ms_between(
	    t->asked_ns, clock_now_ns()), &piece, cause);

	if (piece.n > 0 && !t->ctl->json) {
		buf_clear(&t->shown);
		chat_put_safe(&t->safe, piece, &t->shown);
		fwrite(t->shown.data, 1, t->shown.len, stdout);
		if (fflush(stdout) != 0)
			return cause_set(cause, BM_EIO,
			    "writing to standard output failed");
	}
	return r;
}

/* What interrupts make us say. */
static struct slice
say_cancel(void *arg)
{
	struct talk *t = arg;

	if (n_interrupts <= t->n_heard)
		return (struct slice){ "", 0 };
	t->n_heard = n_interrupts;
	return slice_of("{\"op\":\"cancel\",\"id\":\"1\"}\n");
}

static void
tell_figures(struct talk *t)
{
	bool dim = ctl_wants_color(t->ctl, STDERR_FILENO);

	buf_clear(&t->shown);
	if (t->ctl->json) {
		chat_answer_json(&t->answer, &t->shown);
		puts(buf_cstr(&t->shown));
		return;
	}
	putchar('\n');
	fflush(stdout);
	chat_answer_tell(&t->answer, &t->shown);
	ctl_hint(t->ctl, "%s[%s]%s", dim ? "\033[2m" : "",
	    buf_cstr(&t->shown), dim ? "\033[0m" : "");
}

/* Ask, print, remember; 0 or the code of what went wrong, which is told. */
static int
ask(struct talk *t, const char *text)
{
	struct sigaction sa = { .sa_handler = on_interrupt }, before;
	struct progress progress = { 0 };
	struct client_exchange x = { .progress = &progress,
	    .take = take_event, .say = say_cancel, .arg = t };
	struct cause cause = { 0 };
	struct buf request;
	int r;

	buf_init(&request, SIZE_MAX / 2);
	chat_request(&t->chat, text, &request);
	x.request = (struct slice){ (const char *)request.data, request.len };
	x.silence_ms = t->ctl->has_timeout ? t->ctl->timeout_ms : 0;
	chat_answer_init(&t->answer);
	t->safe.n_marks = -1;
	t->n_heard = n_interrupts = 0;
	sigemptyset(&sa.sa_mask);
	if (t->typed)
		sigaction(SIGINT, &sa, &before);
	t->asked_ns = clock_now_ns();
	r = client_exchange(t->path, &x, &cause);
	if (t->typed)
		sigaction(SIGINT, &before, NULL);
	if (r == 0) {
		tell_figures(t);
		chat_keep(&t->chat, text, (struct slice){
		    (const char *)t->answer.text.data, t->answer.text.len });
	} else {
		if (t->answer.text.len > 0 && !t->ctl->json)
			putchar('\n');
		ctl_fail(t->ctl, &cause);
	}
	chat_answer_fini(&t->answer);
	buf_fini(&request);
	return r;
}

/* ---- the conversation ---- */

/* A line from where questions come from; NULL at the end. */
static char *
next_line(struct talk *t, bool goes_on, enum line_end_by *by)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t got;

	if (t->typed)
		return line_read(goes_on ? "... " : t->prompt, by);
	got = getline(&line, &size, stdin);
	*by = got > 0 ? LINE_ENTERED : LINE_ENDED;
	if (got <= 0) {
		free(line);
		return NULL;
	}
	line[strcspn(line, "\r\n")] = '\0';
	return line;
}

/* A whole prompt in p->text; what ended it if there is none. */
static enum line_end_by
next_prompt(struct talk *t, struct chat_prompt *p)
{
	enum line_end_by by;
	bool is_whole = false;

	p->goes_on = false;
	if (t->typed)
		line_begin(LINE_CHAT);
	while (!is_whole) {
		char *line = next_line(t, p->goes_on, &by);

		if (line == NULL)
			break;
		if (t->typed)
			line_remember(line);
		is_whole = chat_prompt_take(p, slice_of(line));
		free(line);
	}
	if (t->typed)
		line_end();
	return by;
}

/* One prompt; -1 to go on, else the exit code so far. */
static int
take_prompt(struct talk *t, const char *text, int *status)
{
	enum chat_did did;
	struct cause cause = { 0 };
	struct buf said;
	int r;

	if (text[strspn(text, " \t\n")] == '\0')
		return -1;
	buf_init(&said, 1 << 20);
	if ((r = chat_command(&t->chat, text, &did, &said, &cause)) != 0)
		*status = ctl_fail(t->ctl, &cause);
	else if (did == CHAT_SAY)
		*status = ctl_exit_status(r = ask(t, text));
	else if (said.len > 0)
		ctl_hint(t->ctl, "%s", buf_cstr(&said));
	buf_fini(&said);
	if (r == 0 && did == CHAT_QUIT)
		return *status;
	return r != 0 && !t->typed && !t->ctl->keep_going ? *status : -1;
}

static int
converse(struct talk *t)
{
	struct chat_prompt p = { .goes_on = false };
	int status = CTL_DONE, end = -1;

	buf_init(&p.text, SIZE_MAX / 2);
	ctl_hint(t->ctl, "/help tells what else can be said, ^D leaves");
	while (end < 0) {
		enum line_end_by by = next_prompt(t, &p);

		if (by == LINE_ENTERED)
			end = take_prompt(t, buf_cstr(&p.text), &status);
		else if (by == LINE_ENDED)
			end = status;
	}
	buf_fini(&p.text);
	return end;
}

int
do_chat(const struct ctl *ctl, const struct command *cmd,
    const char *const *args, size_t n_args)
{
	struct talk t = { .ctl = ctl };
	struct cause cause = { 0 };
	int status;

	if (look_up(&t, args[0], &cause) != 0)
		return ctl_fail(ctl, &cause);
	t.typed = !ctl->from_stdin && isatty(STDIN_FILENO) &&
	    isatty(STDOUT_FILENO);
	t.safe.ascii = ctl->ascii ||
	    strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
	str_vis(t.prompt, sizeof(t.prompt) - 3, args[0], strlen(args[0]));
	strncat(t.prompt, "> ", 3);
	chat_init(&t.chat, args[0]);
	buf_init(&t.shown, SIZE_MAX / 2);
	status = converse(&t);
	buf_fini(&t.shown);
	chat_fini(&t.chat);
	return status;
}

/* SPDX-License-Identifier: MIT */
/*
 * The screen on a terminal: a loop between keys, what comes from the daemon and
 * the canvas.  A key is painted at once, data at most FRAMES_A_SECOND times.
 */
#include "config.h"

#include <sys/wait.h>

#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "base/mem.h"
#include "console/args.h"
#include "console/client_io.h"
#include "console/ctl.h"
#include "console/line.h"
#include "console/tui/feed_io.h"
#include "console/tui/paint.h"
#include "console/tui/tui.h"

#define FRAMES_A_SECOND	10

extern char **environ;

struct top {
	const struct ctl *ctl;
	char		 socket[PATH_SIZE];
	struct ev_loop	*loop;
	struct tui	*tui;
	struct feed	*feed;
	struct canvas	 canvas;

	struct ev_io	 keys;
	struct ev_signal resized, stopped, continued;
	struct ev_signal ended[4];
	struct ev_timer	 frame;		/* painting that waits */
	struct ev_timer	 second;	/* clocks and ages */
	uint64_t	 painted_ns;

	int		 signal;	/* that ended the loop; 0: the user */
};

/* ---- painting ---- */

/* all: also what did not change. */
static void
paint_now(struct top *t, bool all)
{
	uint64_t now = clock_now_ns();

	ev_timer_stop(t->loop, &t->frame);
	t->painted_ns = now;
	if (tui_draw(t->tui, &t->canvas, now, clock_unix_ms()) || all)
		paint_show(&t->canvas);
}

/* Soon: data that comes in bursts is painted once. */
static void
paint_soon(struct top *t)
{
	double since = clock_ms_between(t->painted_ns, clock_now_ns()) / 1000;
	double wait = 1.0 / FRAMES_A_SECOND - since;

	if (ev_is_active(&t->frame))
		return;
	ev_timer_set(&t->frame, wait > 0 ? wait : 0, 0);
	ev_timer_start(t->loop, &t->frame);
}

static void
on_frame(struct ev_loop *loop, struct ev_timer *w, int events)
{
	paint_now(w->data, false);
}

static void
data_changed(void *arg)
{
	paint_soon(arg);
}

static void
on_second(struct ev_loop *loop, struct ev_timer *w, int events)
{
	paint_soon(w->data);
}

static void
take_size(struct top *t)
{
	int h, w;

	paint_resize(&h, &w);
	if (h != t->canvas.h || w != t->canvas.w)
		canvas_resize(&t->canvas, h, w);
	paint_now(t, true);
}

/* ---- what the screen asks for ---- */

static void
host_run(void *arg, unsigned ticket, const char *const *words, size_t n)
{
	feed_run(((struct top *)arg)->feed, ticket, words, n);
}

static void
host_forget(void *arg, unsigned ticket)
{
	feed_forget(((struct top *)arg)->feed, ticket);
}

static void
host_interval(void *arg, unsigned interval_ms)
{
	feed_interval(((struct top *)arg)->feed, interval_ms);
}

static void
host_refresh(void *arg)
{
	feed_refresh(((struct top *)arg)->feed);
}

static void
host_follow_log(void *arg, bool on)
{
	feed_follow_log(((struct top *)arg)->feed, on);
}

/* Into the history of the shell, and that of others into ours. */
static void
host_remember(void *arg, const char *line)
{
	line_remember(line);
}

static void
load_history(struct top *t)
{
	const char *line;

	line_load_history(LINE_COMMANDS);
	for (size_t i = 0; (line = line_history(i)) != NULL; i++)
		tui_history(t->tui, line);
}

static void
host_redraw_all(void *arg)
{
	struct top *t = arg;

	paint_forget();
	paint_show(&t->canvas);
}

static void
host_quit(void *arg)
{
	struct top *t = arg;

	ev_break(t->loop, EVBREAK_ALL);
}

/* ---- a command that takes the terminal ---- */

static void
ignore(int sig)
{
}

/* This program again, with the options that matter and the words. */
static int
run_self(struct top *t, const struct words_list *words)
{
	const char **w = xcalloc(words->n + 4, sizeof(*w));
	size_t n = 0;
	pid_t pid;
	int r;

	w[n++] = "bigmodelctl";
	w[n++] = "-s";
	w[n++] = t->socket;
	for (size_t i = 0; i < words->n; i++)
		w[n++] = words->w[i];
	r = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, (char **)w,
	    environ);
	free(w);
	if (r != 0)
		return r;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static void
wait_for_enter(void)
{
	char c;

	fputs("\nPress Enter to return. ", stdout);
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		;
}

/* ^C is for the command, and ends the waiting for Enter. */
static void
host_shell_out(void *arg, const char *line)
{
	struct top *t = arg;
	struct sigaction sa = { .sa_handler = ignore }, old_int, old_quit;
	struct words_list words;
	struct cause cause;
	int r;

	if (words_split(slice_of(line), &words, &cause) != 0) {
		tui_say(t->tui, ROLE_BAD, "%s", cause.text);
		return;
	}
	paint_suspend();
	sigaction(SIGINT, &sa, &old_int);
	sigaction(SIGQUIT, &sa, &old_quit);
	if ((r = run_self(t, &words)) != 0)
		fprintf(stderr, "bigmodelctl: %s\n", strerror(r));
	wait_for_enter();
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGQUIT, &old_quit, NULL);
	words_free(&words);
	load_history(t);
	paint_resume();
	ev_feed_signal_event(t->loop, SIGWINCH);
}

/* ---- keys and signals ---- */

static void
suspend(struct top *t)
{
	paint_suspend();
	/* The whole job stops, as for ^Z; without job control nothing does. */
	ev_signal_stop(t->loop, &t->stopped);
	ev_signal_stop(t->loop, &t->continued);
	kill(0, SIGTSTP);
	ev_signal_start(t->loop, &t->stopped);
	ev_signal_start(t->loop, &t->continued);
	paint_resume();
	take_size(t);
}

static void
on_stopped(struct ev_loop *loop, struct ev_signal *w, int events)
{
	suspend(w->data);
}

/* After a stop that nobody announced the terminal may be anyhow. */
static void
on_continued(struct ev_loop *loop, struct ev_signal *w, int events)
{
	paint_suspend();
	paint_resume();
	take_size(w->data);
}

static void
on_resized(struct ev_loop *loop, struct ev_signal *w, int events)
{
	take_size(w->data);
}

static void
on_ended(struct ev_loop *loop, struct ev_signal *w, int events)
{
	struct top *t = w->data;

	t->signal = w->signum;
	ev_break(loop, EVBREAK_ALL);
}

static bool
is_hung_up(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0 &&
	    (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

static void
on_keys(struct ev_loop *loop, struct ev_io *w, int events)
{
	struct top *t = w->data;
	struct paint_input in;

	while ((in = paint_key()).key != K_NONE) {
		if (in.is_mouse)
			tui_mouse(t->tui, in.y, in.x, in.key);
		else if (in.key == K_CTRL('Z'))
			suspend(t);
		else
			tui_key(t->tui, in.key);
	}
	if (is_hung_up(STDIN_FILENO)) {
		t->signal = SIGHUP;
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	paint_now(t, false);
}

static void
start_signals(struct top *t)
{
	static const int ends[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT };

	signal(SIGPIPE, SIG_IGN);
	ev_signal_init(&t->resized, on_resized, SIGWINCH);
	ev_signal_init(&t->stopped, on_stopped, SIGTSTP);
	ev_signal_init(&t->continued, on_continued, SIGCONT);
	t->resized.data = t->stopped.data = t->continued.data = t;
	ev_signal_start(t->loop, &t->resized);
	ev_signal_start(t->loop, &t->stopped);
	ev_signal_start(t->loop, &t->continued);
	for (size_t i = 0; i < N_ELEMENTS(ends); i++) {
		ev_signal_init(&t->ended[i], on_ended, ends[i]);
		t->ended[i].data = t;
		ev_signal_start(t->loop, &t->ended[i]);
	}
}

static void
start_timers(struct top *t)
{
	ev_init(&t->frame, on_frame);
	ev_timer_init(&t->second, on_second, 1, 1);
	t->frame.data = t->second.data = t;
	ev_timer_start(t->loop, &t->second);
	ev_io_init(&t->keys, on_keys, STDIN_FILENO, EV_READ);
	t->keys.data = t;
	ev_io_start(t->loop, &t->keys);
}

/* ---- start and end ---- */

static void
start_screen(struct top *t)
{
	const struct tui_host host = { .arg = t, .run = host_run,
	    .forget = host_forget, .interval = host_interval,
	    .refresh = host_refresh,
	    .follow_log = host_follow_log, .shell_out = host_shell_out,
	    .remember = host_remember, .redraw_all = host_redraw_all,
	    .quit = host_quit };
	const struct tui_options options = { .ascii = t->canvas.ascii,
	    .readonly = t->ctl->readonly, .where = t->socket };

	t->tui = tui_new(&host, &options);
	t->feed = feed_new(t->loop, t->socket, t->tui, data_changed, t);
	load_history(t);
	start_timers(t);
	feed_interval(t->feed, tui_interval_ms(t->tui));
	take_size(t);
}

static void
end_screen(struct top *t)
{
	paint_stop();
	tui_free(t->tui);
	feed_free(t->feed);
	canvas_fini(&t->canvas);
}

/* Die of the signal, as whoever sent it expects. */
static void
repeat_signal(struct top *t)
{
	ev_loop_destroy(t->loop);
	signal(t->signal, SIG_DFL);
	raise(t->signal);
}

static int
check_place(struct top *t, struct cause *cause)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return cause_set(cause, BM_EUSAGE, "the screen needs a "
		    "terminal; elsewhere use --batch, or a command with "
		    "--json");
	return client_socket_path(t->ctl, t->socket, cause);
}

int
do_top(const struct ctl *ctl, const struct command *cmd,
    const char *const *args, size_t n_args)
{
	struct top t = { .ctl = ctl };
	struct paint_options options = {
	    .color = ctl_wants_color(ctl, STDOUT_FILENO) };
	const struct arg spec[] = { { "--mouse", NULL, &options.mouse } };
	struct cause cause = { 0 };

	if (args_parse(args, n_args, spec, N_ELEMENTS(spec), NULL, 0,
	    &cause) != 0 || check_place(&t, &cause) != 0)
		return ctl_fail(ctl, &cause);
	t.loop = ev_default_loop(0);
	/* Before curses, which leaves handlers alone that it finds. */
	start_signals(&t);
	if (paint_start(&options, &cause) != 0)
		return ctl_fail(ctl, &cause);
	canvas_init(&t.canvas, ctl->ascii ||
	    strcmp(nl_langinfo(CODESET), "UTF-8") != 0);
	start_screen(&t);
	ev_run(t.loop, 0);
	end_screen(&t);
	if (t.signal != 0)
		repeat_signal(&t);
	return CTL_DONE;
}

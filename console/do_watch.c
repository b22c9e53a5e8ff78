/* SPDX-License-Identifier: MIT */
/*
 * What is looked at again and again: "watch COMMAND" repeats a command that
 * only reads, "watch" alone follows the daemon's snapshots, --batch prints the
 * overview.  On a terminal the screen is cleared before every turn; what is
 * printed goes out at once, so that nothing flickers.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "console/args.h"
#include "console/client_io.h"
#include "console/command.h"
#include "console/output.h"
#include "console/words.h"

#define INTERVAL_MS	2000
#define INTERVAL_MAX_MS	(24u * 3600 * 1000)
#define SILENCE_MS	30000	/* beyond the interval of snapshots */
#define PAGE_BYTES	65536

struct watch {
	struct ctl	 ctl;
	const char	**w;		/* the command */
	size_t		 n;
	const char	*title;
	uint64_t	 interval_ms;
	uint64_t	 count;		/* 0: without end */
	bool		 clears;
	bool		 ends_on_failure;
};

/* ---- turns ---- */

static bool
can_clear(const struct ctl *ctl)
{
	const char *term = getenv("TERM");

	return !ctl->json && isatty(STDOUT_FILENO) && term != NULL &&
	    strcmp(term, "dumb") != 0;
}

/* When, and what is shown; a line of its own for programs that cut at it. */
static void
print_head(const struct watch *w, uint64_t turn)
{
	time_t now = (time_t)(clock_unix_ms() / 1000);
	char when[32] = "", title[128];
	struct tm tm;

	if (w->ctl.json)
		return;
	if (localtime_r(&now, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	if (w->clears)
		fputs("\033[H\033[J", stdout);
	else if (turn > 0)
		fputc('\n', stdout);
	printf("%s  every %.3gs: %s\n", when, (double)w->interval_ms / 1000,
	    str_vis(title, sizeof(title), w->title, strlen(w->title)));
	if (w->clears)
		fputc('\n', stdout);
}

static void
sleep_until(uint64_t at_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(at_ns / CLOCK_NS_PER_S),
	    .tv_nsec = (long)(at_ns % CLOCK_NS_PER_S) };

	while (clock_now_ns() < at_ns)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* Run one turn after another, each when the interval since the begin of the
 * one before is over. */
static int
run_turns(struct watch *w, int (*turn)(struct watch *w))
{
	static char page[PAGE_BYTES];
	int status = CTL_DONE;

	w->clears = can_clear(&w->ctl);
	if (w->clears)
		setvbuf(stdout, page, _IOFBF, sizeof(page));
	for (uint64_t i = 0; w->count == 0 || i < w->count; i++) {
		uint64_t start = clock_now_ns();

		print_head(w, i);
		status = turn(w);
		if (fflush(stdout) != 0)
			return CTL_REFUSED;
		if (status != CTL_DONE && w->ends_on_failure)
			break;
		if (i + 1 != w->count)
			sleep_until(start + w->interval_ms * CLOCK_NS_PER_MS);
	}
	return status;
}

/* ---- a command again and again ---- */

static int
command_turn(struct watch *w)
{
	/* It may be put in another order. */
	const char **words = xcalloc(w->n + 1, sizeof(*words));
	int status;

	memcpy(words, w->w, w->n * sizeof(*words));
	status = ctl_run_words(&w->ctl, words, w->n);
	free(words);
	return status;
}

/* A command may be watched that reads and comes to an end by itself. */
static int
check_command(const struct watch *w, struct cause *cause)
{
	const char **words = xcalloc(w->n + 1, sizeof(*words));
	struct words_list full = { 0 };
	const struct command *cmd;
	size_t used;
	int r = 0;

	memcpy(words, w->w, w->n * sizeof(*words));
	if (w->ctl.interactive)
		r = words_expand(words, w->n, &full, cause);
	if (r == 0)
		r = command_find(words, w->n, &cmd, &used, cause);
	if (r == 0 && (cmd->risk > 0 || cmd->where == CMD_CONSOLE ||
	    cmd->id == CMD_ID_WATCH))
		r = cause_set(cause, BM_EUSAGE, "watch repeats what only "
		    "reads and then ends, not \"%s\"", cmd->words);
	words_free(&full);
	free(words);
	return r;
}

static int
watch_command(struct watch *w)
{
	struct cause cause = { 0 };
	struct buf title;
	int status;

	if (check_command(w, &cause) != 0)
		return ctl_fail(&w->ctl, &cause);
	buf_init(&title, SIZE_MAX / 2);
	words_join(w->w, w->n, &title);
	w->title = buf_cstr(&title);
	w->ctl.one_line = true;
	status = run_turns(w, command_turn);
	buf_fini(&title);
	return status;
}

/* ---- the daemon's snapshots ---- */

struct snapshots {
	struct output	 out;
	bool		 is_bad;
};

/* For people a line of the figures that tell most. */
static void
on_snapshot(void *arg, struct slice line)
{
	struct snapshots *s = arg;
	json_t *all = json_loadb(line.p, line.n, JSON_ALLOW_NUL, NULL);
	json_t *row = json_copy(json_object_get(all, "status"));

	if (row == NULL) {
		s->is_bad = true;
	} else {
		json_object_set(row, "at", json_object_get(all, "at"));
		json_object_set(row, "ttft_p95_ms", json_object_get(
		    json_object_get(row, "ttft_ms"), "p95"));
		s->out.ops->row(&s->out, row, line);
	}
	json_decref(row);
	json_decref(all);
}

/* How long the daemon may be silent: its interval and some. */
static int
silence_of(const struct ctl *ctl, const char *const *args, size_t n,
    uint64_t *out, struct cause *cause)
{
	static const char key[] = "interval_ms=";
	uint64_t ms = 1000;

	if (n > 1 || (n == 1 && (strncmp(args[0], key, sizeof(key) - 1) != 0 ||
	    str_to_u64(args[0] + sizeof(key) - 1, &ms) != 0 ||
	    ms > INTERVAL_MAX_MS)))
		return cause_set(cause, BM_EUSAGE, "usage: watch "
		    "[interval_ms=MS]");
	*out = ctl->has_timeout ? ctl->timeout_ms : ms + SILENCE_MS;
	return 0;
}

static int
watch_snapshots(const struct ctl *ctl, const struct command *cmd,
    const char *const *args, size_t n)
{
	const char *words[] = { "watch", n > 0 ? args[0] : NULL };
	struct snapshots s = { .is_bad = false };
	struct progress silent = { 0 };
	struct cause cause = { 0 };
	char path[PATH_SIZE];
	uint64_t silence_ms = 0;
	int r;

	if ((r = silence_of(ctl, args, n, &silence_ms, &cause)) != 0 ||
	    (r = client_socket_path(ctl, path, &cause)) != 0)
		return ctl_fail(ctl, &cause);
	output_init(&s.out, ctl, cmd, OUTPUT_STREAM);
	s.out.ops->begin(&s.out);
	r = client_run(path, words, 1 + n, silence_ms, &silent, on_snapshot,
	    &s, &cause);
	if (r == 0 && s.is_bad)
		r = cause_set(&cause, BM_EPROTO,
		    "the daemon sent what is no snapshot");
	output_fini(&s.out);
	return r == 0 ? CTL_DONE : ctl_fail(ctl, &cause);
}

/* ---- the overview ---- */

struct gather {
	struct buf	 text;
	size_t		 n_rows;
};

static void
on_row(void *arg, struct slice line)
{
	struct gather *g = arg;

	buf_puts(&g->text, g->n_rows++ > 0 ? "," : "");
	buf_put(&g->text, line.p, line.n);
}

/* The three lists as one object, so that a turn is a line. */
static int
json_overview(const struct ctl *ctl)
{
	static const char *const lists[][2] = { { "show", "status" },
	    { "show", "models" }, { "show", "workers" } };
	struct gather g;
	struct cause cause = { 0 };
	char path[PATH_SIZE];
	int r;

	if ((r = client_socket_path(ctl, path, &cause)) != 0)
		return ctl_fail(ctl, &cause);
	buf_init(&g.text, SIZE_MAX / 2);
	buf_printf(&g.text, "{\"at\":%" PRId64, clock_unix_ms());
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(lists); i++) {
		g.n_rows = 0;
		buf_printf(&g.text, ",\"%s\":%s", lists[i][1],
		    i == 0 ? "" : "[");
		r = client_run(path, lists[i], 2, ctl->has_timeout ?
		    ctl->timeout_ms : SILENCE_MS, &(struct progress){ 0 },
		    on_row, &g, &cause);
		buf_puts(&g.text, i == 0 ? "" : "]");
	}
	buf_puts(&g.text, "}");
	if (r == 0)
		puts(buf_cstr(&g.text));
	buf_fini(&g.text);
	return r == 0 ? CTL_DONE : ctl_fail(ctl, &cause);
}

static int
overview_turn(struct watch *w)
{
	static const char *const whats[] = { "status", "models", "workers" };
	int status = CTL_DONE;

	if (w->ctl.json)
		return json_overview(&w->ctl);
	for (size_t i = 0; status == CTL_DONE && i < N_ELEMENTS(whats); i++) {
		const char *words[] = { "show", whats[i], NULL };

		if (i > 0)
			fputc('\n', stdout);
		status = ctl_run_words(&w->ctl, words, 2);
	}
	return status;
}

int
watch_overview(const struct ctl *ctl, uint64_t interval_ms, uint64_t count)
{
	struct watch w = { .ctl = *ctl, .title = "overview",
	    .interval_ms = interval_ms > 0 ? interval_ms : INTERVAL_MS,
	    .count = count, .ends_on_failure = true };

	w.ctl.headers = true;
	return run_turns(&w, overview_turn);
}

/* ---- the command ---- */

/* Its own options, up to the command's first word; how many words they are. */
static int
take_options(struct watch *w, const char *const *args, size_t n, size_t *used,
    struct cause *cause)
{
	const char *interval = NULL, *count = NULL;
	const struct arg spec[] = {
		{ "--interval", &interval, NULL },
		{ "--count", &count, NULL },
	};
	size_t k = 0;
	int r;

	while (k < n && args[k][0] == '-')
		k += strchr(args[k], '=') != NULL ? 1 : 2;
	k = MEM_MIN(k, n);
	if ((r = args_parse(args, k, spec, N_ELEMENTS(spec), NULL, 0,
	    cause)) != 0)
		return r;
	*used = k;
	w->interval_ms = INTERVAL_MS;
	if (interval != NULL && ((r = args_ms("--interval", interval,
	    &w->interval_ms, cause)) != 0))
		return r;
	if (w->interval_ms < 10 || w->interval_ms > INTERVAL_MAX_MS)
		return cause_set(cause, BM_EUSAGE,
		    "--interval is from 0.01 to %u seconds",
		    INTERVAL_MAX_MS / 1000);
	if (count != NULL && str_to_u64(count, &w->count) != 0)
		return cause_set(cause, BM_EUSAGE,
		    "--count wants a number, not %s", count);
	return 0;
}

int
do_watch(const struct ctl *ctl, const struct command *cmd,
    const char *const *args, size_t n_args)
{
	struct watch w = { .ctl = *ctl };
	struct cause cause = { 0 };
	size_t used;

	if (n_args == 0 || strncmp(args[0], "interval_ms=", 12) == 0)
		return watch_snapshots(ctl, cmd, args, n_args);
	if (take_options(&w, args, n_args, &used, &cause) != 0)
		return ctl_fail(ctl, &cause);
	w.w = (const char **)args + used;
	w.n = n_args - used;
	if (w.n == 0) {
		cause_set(&cause, BM_EUSAGE, "watch what?  A COMMAND is "
		    "missing");
		return ctl_fail(ctl, &cause);
	}
	return watch_command(&w);
}

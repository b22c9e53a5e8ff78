/* SPDX-License-Identifier: MIT */
/*
 * The commands that a daemon carries out.  Most go over the socket as they
 * are; here is what the operator's side adds: absolute paths, the question
 * before a risky command, waiting for a daemon that is not there yet.
 */
#include "config.h"

#include <sys/syscall.h>

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
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
#include "console/confirm.h"
#include "console/effect.h"
#include "console/output.h"

#define ANSWER_MS	30000	/* of commands that only read */
#define WAIT_MS		60000	/* of "wait ready" */
#define WAIT_GRACE_MS	1000	/* for the daemon to say why not */
#define RETRY_MS	50
#define ARGS_MAX	250	/* what a line of the daemon takes */

/* One command on its way to the daemon. */
struct job {
	const struct ctl	*ctl;
	const struct command	*cmd;
	const char		*words[ARGS_MAX + 4];
	size_t			 n_words;
	size_t			 n_own;	/* of the command itself */
	char			*made;	/* a word that we wrote */
	char			 path[PATH_SIZE];
	struct progress		 progress;
	struct output		 out;
	bool			 bad_json;
};

/* compress says how far it is, time and again: no part of the answer. */
static bool
is_progress(struct job *j, const json_t *row)
{
	const json_t *total = json_object_get(row, "total_bytes");

	if (j->cmd->id != CMD_ID_COMPRESS || total == NULL)
		return false;
	j->progress.done = (uint64_t)json_integer_value(json_object_get(row,
	    "done_bytes")) >> 20;
	j->progress.total = (uint64_t)json_integer_value(total) >> 20;
	j->progress.unit = " MiB";
	progress_tick(&j->progress);
	return true;
}

static void
on_line(void *arg, struct slice line)
{
	struct job *j = arg;
	json_t *row = json_loadb(line.p, line.n, JSON_ALLOW_NUL, NULL);

	if (!json_is_object(row)) {
		j->bad_json = true;
	} else if (!is_progress(j, row)) {
		progress_end(&j->progress);
		j->out.ops->row(&j->out, row, line);
	}
	json_decref(row);
}

static bool
has_word(const struct job *j, const char *word)
{
	for (size_t i = j->n_own; i < j->n_words; i++)
		if (strcmp(j->words[i], word) == 0)
			return true;
	return false;
}

static enum output_shape
shape_of(const struct job *j)
{
	if (j->cmd->id == CMD_ID_LOG && has_word(j, "--follow"))
		return OUTPUT_STREAM;
	return view_shape(j->cmd->id);
}

/* How long the daemon may be silent: reading is quick, the rest is not ours
 * to bound. */
static uint64_t
silence_of(const struct job *j)
{
	if (j->ctl->has_timeout)
		return j->ctl->timeout_ms;
	if (j->cmd->id == CMD_ID_WAIT_READY || has_word(j, "--follow"))
		return 0;
	return j->cmd->where == CMD_GATE ? ANSWER_MS : 0;
}

/* load: the daemon's directory is not the operator's. */
static int
make_absolute(struct job *j, struct cause *cause)
{
	const char **path = &j->words[j->n_own + 1];

	if ((j->made = realpath(*path, NULL)) == NULL)
		return cause_set(cause, -errno, "%s: %s", *path,
		    strerror(errno));
	*path = j->made;
	return 0;
}

/* sql: a query may have line ends, a command may not.  A comment up to the
 * line's end would then swallow the rest. */
static int
make_one_line(struct job *j, struct cause *cause)
{
	const char **query = &j->words[j->n_own];

	if (strpbrk(*query, "\r\n") == NULL)
		return 0;
	if (strstr(*query, "--") != NULL)
		return cause_set(cause, BM_EUSAGE,
		    "a query of several lines can't have -- comments");
	j->made = xstrdup(*query);
	for (char *p = j->made; *p != '\0'; p++)
		if (*p == '\r' || *p == '\n')
			*p = ' ';
	*query = j->made;
	return 0;
}

static int
check_words(const struct job *j, struct cause *cause)
{
	for (size_t i = j->n_own; i < j->n_words; i++)
		if (strpbrk(j->words[i], "\r\n") != NULL)
			return cause_set(cause, BM_EUSAGE,
			    "a word of a command can't have a line end");
	return 0;
}

/* ---- what it would do ---- */

static void
on_fact(void *arg, struct slice line)
{
	json_array_append_new(arg, json_loadb(line.p, line.n, JSON_ALLOW_NUL,
	    NULL));
}

/* The rows of "show what"; an array, empty when the daemon does not tell. */
static json_t *
get_facts(struct job *j, const char *what)
{
	const char *const words[] = { "show", what };
	json_t *rows = json_array();

	if (client_run(j->path, words, 2, ANSWER_MS, &j->progress, on_fact,
	    rows, NULL) != 0)
		json_array_clear(rows);
	return rows;
}

/* What the command will do to those who are using the daemon now. */
static void
say_effect(struct job *j, struct buf *out)
{
	static const char *const lists[] = { "status", "models", "variants",
	    "workers", "requests" };
	unsigned needs = effect_needs(j->cmd);
	json_t *rows[N_ELEMENTS(lists)] = { NULL };
	struct facts f;

	for (size_t i = 0; i < N_ELEMENTS(lists); i++)
		if (needs & (1u << i))
			rows[i] = get_facts(j, lists[i]);
	f = (struct facts){ json_array_get(rows[0], 0), rows[1], rows[2],
	    rows[3], rows[4] };
	effect_say(&f, j->cmd, j->words + j->n_own, j->n_words - j->n_own,
	    out);
	for (size_t i = 0; i < N_ELEMENTS(lists); i++)
		json_decref(rows[i]);
}

static int
ask_first(struct job *j, struct cause *cause)
{
	struct buf effect;
	int r;

	if (!confirm_is_needed(j->ctl, j->cmd))
		return 0;
	if ((r = confirm_check(j->ctl, j->cmd, cause)) != 0)
		return r;
	buf_init(&effect, SIZE_MAX / 2);
	say_effect(j, &effect);
	r = confirm_ask(j->cmd, buf_cstr(&effect), cause);
	buf_fini(&effect);
	return r;
}

static int
run_once(struct job *j, struct cause *cause)
{
	char what[64];
	int r;

	snprintf(what, sizeof(what), "%s %s", j->cmd->words,
	    j->n_words > j->n_own ? j->words[j->n_own] : "");
	progress_begin(&j->progress, j->ctl,
	    j->cmd->where == CMD_MASTER ? what : NULL);
	r = client_run(j->path, j->words, j->n_words, silence_of(j),
	    &j->progress, on_line, j, cause);
	/* A daemon that ends may close before it says so. */
	if (r == -ECONNRESET && j->cmd->id == CMD_ID_STOP)
		r = 0;
	if (r == 0 && j->bad_json)
		r = cause_set(cause, BM_EPROTO,
		    "the daemon sent a line that is no JSON object");
	return r;
}

static void
sleep_ms(unsigned ms)
{
	struct timespec ts = { .tv_sec = ms / 1000,
	    .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&ts, NULL);
}

/* One try of "wait ready", with what is left of the time; 0 when ready. */
static int
wait_try(struct job *j, uint64_t left_ms, struct cause *cause)
{
	const char *words[] = { "wait", "ready", "--timeout", j->made };

	/* The daemon knows what it still waits for, so it speaks first. */
	snprintf(j->made, 24, "%" PRIu64 "ms", left_ms);
	return client_run(j->path, words, 4, left_ms + WAIT_GRACE_MS,
	    &j->progress, on_line, j, cause);
}

/* The daemon may not be there yet, or its gate may be starting anew. */
static int
wait_ready(struct job *j, struct cause *cause)
{
	const char *word = NULL;
	const struct arg spec[] = { { "--timeout", &word, NULL } };
	uint64_t limit_ms = WAIT_MS, start = clock_now_ns();
	int r;

	if ((r = args_parse(j->words + j->n_own, j->n_words - j->n_own, spec,
	    1, NULL, 0, cause)) != 0)
		return r;
	if (j->ctl->has_timeout)
		limit_ms = j->ctl->timeout_ms;
	if (word != NULL && (r = args_ms("--timeout", word, &limit_ms,
	    cause)) != 0)
		return r;
	j->made = xmalloc(24);
	progress_begin(&j->progress, j->ctl, "wait ready");
	for (;;) {
		double spent = clock_ms_between(start, clock_now_ns());
		uint64_t left = (double)limit_ms > spent ?
		    limit_ms - (uint64_t)spent : 1;

		r = wait_try(j, left, cause);
		if (r != BM_ENODAEMON && r != -ECONNRESET &&
		    r != BM_EOVERLOAD)
			return r;
		if (clock_ms_between(start, clock_now_ns()) + RETRY_MS >
		    (double)limit_ms)
			break;
		sleep_ms(RETRY_MS);
		progress_tick(&j->progress);
	}
	cause_prefix(cause, "not ready within %.3g s", (double)limit_ms /
	    1000);
	cause->code = BM_ETIMEOUT;
	return BM_ETIMEOUT;
}

/* ---- stop ---- */

static void
on_pid(void *arg, struct slice line)
{
	json_t *row = json_loadb(line.p, line.n, JSON_ALLOW_NUL, NULL);

	*(json_int_t *)arg = json_integer_value(json_object_get(row, "pid"));
	json_decref(row);
}

/* A descriptor that becomes readable when the daemon ends; -1 when its process
 * can't be watched. */
static int
open_process(struct job *j)
{
	static const char *const status[] = { "show", "status" };
	json_int_t pid = 0;

	if (client_run(j->path, status, 2, ANSWER_MS, &j->progress, on_pid,
	    &pid, NULL) != 0 || pid <= 0)
		return -1;
	return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
}

/* Look once more, at the end of RETRY_MS at the latest. */
static bool
has_ended(const struct job *j, int pid_fd)
{
	struct pollfd p = { .fd = pid_fd, .events = POLLIN };

	if (pid_fd != -1)
		return poll(&p, 1, RETRY_MS) > 0;
	sleep_ms(RETRY_MS);
	return client_probe(j->path) == BM_ENODAEMON;
}

/* Done when the daemon is gone, for that is what was asked for. */
static int
stop(struct job *j, struct cause *cause)
{
	uint64_t start = clock_now_ns();
	int pid_fd = open_process(j), r;

	r = run_once(j, cause);
	progress_begin(&j->progress, j->ctl, "stop");
	while (r == 0 && !has_ended(j, pid_fd)) {
		progress_tick(&j->progress);
		if (j->ctl->has_timeout && clock_ms_between(start,
		    clock_now_ns()) > (double)j->ctl->timeout_ms)
			r = cause_set(cause, BM_ETIMEOUT, "the daemon is "
			    "ending, but has not within %.3g s",
			    (double)j->ctl->timeout_ms / 1000);
	}
	if (pid_fd != -1)
		close(pid_fd);
	return r;
}

static int
run(struct job *j, struct cause *cause)
{
	int r = 0;

	if ((r = client_socket_path(j->ctl, j->path, cause)) != 0)
		return r;
	if (j->cmd->id == CMD_ID_LOAD)
		r = make_absolute(j, cause);
	else if (j->cmd->id == CMD_ID_SQL)
		r = make_one_line(j, cause);
	if (r == 0)
		r = check_words(j, cause);
	if (r == 0)
		r = ask_first(j, cause);
	if (r != 0)
		return r;
	j->out.shape = shape_of(j);
	j->out.ops->begin(&j->out);
	if (j->cmd->id == CMD_ID_WAIT_READY)
		r = wait_ready(j, cause);
	else if (j->cmd->id == CMD_ID_STOP)
		r = stop(j, cause);
	else
		r = run_once(j, cause);
	progress_end(&j->progress);
	if (r == 0)
		j->out.ops->end(&j->out);
	return r;
}

/* What takes back a command that can be taken back. */
static void
hint_undo(const struct job *j)
{
	const char *name = j->n_words > j->n_own ? j->words[j->n_own] : "";

	if (j->cmd->id == CMD_ID_COMPRESS && !has_word(j, "--cancel"))
		ctl_hint(j->ctl, "it serves no request yet: bigmodelctl swap "
		    "%s VARIANT", name);
	if (j->cmd->id == CMD_ID_LOAD)
		ctl_hint(j->ctl, "serving it; undo: bigmodelctl unload %s",
		    name);
}

int
do_daemon(const struct ctl *ctl, const struct command *cmd,
    const char *const *args, size_t n_args)
{
	struct job j = { .ctl = ctl, .cmd = cmd };
	struct words_list own;
	struct cause cause = { 0 };
	int r, status;

	if (n_args > ARGS_MAX)
		r = cause_set(&cause, BM_EUSAGE, "more than %d words",
		    ARGS_MAX);
	else
		r = words_split(slice_of(cmd->words), &own, &cause);
	if (r != 0)
		return ctl_fail(ctl, &cause);
	for (j.n_own = 0; j.n_own < own.n; j.n_own++)
		j.words[j.n_words++] = own.w[j.n_own];
	for (size_t i = 0; i < n_args; i++)
		j.words[j.n_words++] = args[i];
	output_init(&j.out, ctl, cmd, OUTPUT_OBJECT);
	r = run(&j, &cause);
	if (r == 0)
		hint_undo(&j);
	status = r == 0 ? CTL_DONE : ctl_fail(ctl, &cause);
	output_fini(&j.out);
	words_free(&own);
	free(j.made);
	return status;
}

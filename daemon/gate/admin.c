/* SPDX-License-Identifier: MIT */
/*
 * What every command does.  A command ends in `finish` exactly once, at once
 * or when the process asked has answered; only then is the next line taken.
 */
#include "config.h"

#include "gate/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "gate/admin_impl.h"
#include "gate/core.h"
#include "gate/show.h"

#define WAIT_MS		50
#define WAIT_DEFAULT_MS	60000

void
admin_init(struct admin *a, struct gate *g, const struct admin_host *host)
{
	*a = (struct admin){ .gate = g, .host = host, .uid = -1 };
	buf_init(&a->out, ADMIN_OUT_MAX);
}

/* Its client is gone before the answer has come: the master may care. */
static void
abandon(struct admin *a)
{
	if (a->ticket != 0 && a->cmd != NULL && a->cmd->where == CMD_MASTER &&
	    a->gate->master != NULL)
		chan_send(a->gate->master, MSG_DO_FORGET, a->ticket, 0,
		    &(struct msg_do_forget){ 0 });
}

static void
reset(struct admin *a)
{
	gate_ask_forget(a->gate, a->ticket);
	a->ticket = 0;
	words_free(&a->words);
	free(a->line);
	free(a->last_id);
	a->line = a->last_id = NULL;
	procs_fini(&a->procs);
	watch_leave(a->gate, &a->watch);
	a->follow = FOLLOW_NO;
	a->is_busy = false;
	a->cmd = NULL;
}

void
admin_fini(struct admin *a)
{
	abandon(a);
	reset(a);
	buf_fini(&a->out);
}

/* ---- the end of a command ---- */

static void
put_outcome(struct buf *out, int code, const char *text)
{
	if (code == 0) {
		buf_puts(out, "ok");
		return;
	}
	if (text == NULL || *text == '\0')
		text = err_text(code);
	buf_printf(out, "error code=%s message=", err_name(code));
	buf_put_json(out, slice_of(text));
}

/* Who changed what, and how it went. */
static void
record(struct admin *a, int code, const char *text)
{
	const char *subject = a->n_cmd < a->words.n ?
	    a->words.w[a->n_cmd] : "";
	struct buf b;

	buf_init(&b, ADMIN_LINE_MAX * 2);
	buf_printf(&b, "%s: ", a->line);
	put_outcome(&b, code, text);
	gate_event(a->gate, a->cmd->words, subject, buf_cstr(&b), a->uid);
	buf_fini(&b);
}

void
admin_finish(struct admin *a, int code, const char *text)
{
	if (a->cmd != NULL && a->cmd->risk >= 1)
		record(a, code, text);
	put_outcome(&a->out, code, text);
	buf_put_u8(&a->out, '\n');
	reset(a);
	a->host->wake(a);
}

void
admin_refuse(struct admin *a, int code, const char *text)
{
	put_outcome(&a->out, code, text);
	buf_put_u8(&a->out, '\n');
}

/* ---- show ---- */

static void
on_proc(void *arg, unsigned type, struct cur body)
{
	struct admin *a = arg;

	procs_add(&a->procs, type, body);
}

static void
on_procs_end(void *arg, int code, const char *text)
{
	struct admin *a = arg;

	/* Without new figures of the master the rest is worth showing. */
	a->ticket = 0;
	procs_replace(&a->gate->procs, &a->procs, clock_now_ns(),
	    clock_unix_ms());
	switch (a->cmd->id) {
	case CMD_ID_SHOW_STATUS:
		show_status(a->gate, &a->out);
		break;
	case CMD_ID_SHOW_MODELS:
		show_models(a->gate, &a->out);
		break;
	case CMD_ID_SHOW_VARIANTS:
		show_variants(a->gate, &a->out);
		break;
	default:
		show_workers(a->gate, &a->out);
		break;
	}
	admin_finish(a, 0, NULL);
}

static void
on_kernel(void *arg, unsigned type, struct cur body)
{
	struct admin *a = arg;

	show_kernel(a->worker, type, body, &a->out);
}

static void
on_end(void *arg, int code, const char *text)
{
	struct admin *a = arg;

	a->ticket = 0;
	if (code == 0 && text != NULL && *text != '\0')
		show_message(text, &a->out);
	admin_finish(a, code, text);
}

static void
ask_kernels(struct admin *a)
{
	struct gate_worker *w;

	TAILQ_FOREACH(w, &a->gate->workers, entry) {
		if (w->is_ready) {
			a->worker = w->id;
			break;
		}
	}
	a->ticket = gate_ask_worker(a->gate, MSG_KERNELS,
	    &(struct msg_kernels){ 0 }, on_kernel, on_end, a);
}

/* ---- what the master carries out ---- */

/* How far it is, and what came of it. */
static void
on_master_says(void *arg, unsigned type, struct cur body)
{
	struct admin *a = arg;

	show_compress(a->words.w[a->n_cmd], type, body, &a->out);
	a->host->wake(a);
}

static void
ask_master(struct admin *a)
{
	struct msg_do m = { .uid = (uint32_t)a->uid, .pid = a->pid };
	struct buf list;

	buf_init(&list, ADMIN_LINE_MAX * 8);
	for (size_t i = 0; i < a->words.n; i++)
		strs_put(&list, slice_of(a->words.w[i]));
	m.words = (struct slice){ (const char *)list.data, list.len };
	a->ticket = gate_ask(a->gate, R_MASTER, MSG_DO, &m, on_master_says,
	    on_end, a);
	buf_fini(&list);
}

/* ---- cancel, wait ---- */

static void
do_cancel(struct admin *a)
{
	const char *id = a->words.w[a->n_cmd];
	struct request *r = core_find_uuid(a->gate, id);

	if (r == NULL) {
		admin_finish(a, BM_ENOTFOUND,
		    "no request of that id waits or runs");
		return;
	}
	request_cancel(a->gate, r);
	admin_finish(a, 0, NULL);
}

static void
say_unready(struct admin *a)
{
	const struct gate_model *m = gate_unready_model(a->gate);
	char text[512];

	if (m == NULL)
		snprintf(text, sizeof(text), "no model is loaded");
	else
		snprintf(text, sizeof(text), "model %s is %s%s%s", m->name,
		    m->state, m->reason[0] != '\0' ? ": " : "", m->reason);
	admin_finish(a, BM_ETIMEOUT, text);
}

static void
wait_more(struct admin *a)
{
	if (gate_is_ready(a->gate))
		admin_finish(a, 0, NULL);
	else if (a->gate->is_draining)
		admin_finish(a, BM_EOVERLOAD, "the daemon is shutting down");
	else if (clock_now_ns() >= a->end_ns)
		say_unready(a);
	else
		a->host->later(a, WAIT_MS);
}

static void
do_wait(struct admin *a)
{
	size_t n_args = a->words.n - a->n_cmd;
	uint64_t ms = WAIT_DEFAULT_MS;

	if (n_args != 0 && (n_args != 2 ||
	    strcmp(a->words.w[a->n_cmd], "--timeout") != 0 ||
	    str_to_ms(a->words.w[a->n_cmd + 1], &ms) != 0)) {
		admin_finish(a, BM_EUSAGE, "usage: wait ready [--timeout S]");
		return;
	}
	a->end_ns = clock_now_ns() + ms * CLOCK_NS_PER_MS;
	wait_more(a);
}

/* ---- watch ---- */

static void
watch_later(struct admin *a)
{
	a->host->later(a, watch_delay_ms(&a->watch, clock_now_ns()));
}

static void
on_watch_due(void *arg)
{
	struct admin *a = arg;

	watch_put(a->gate, &a->watch, &a->out);
	if (a->is_eof) {
		admin_finish(a, 0, NULL);
		return;
	}
	a->host->wake(a);
	watch_later(a);
}

/* Who reads slowly gets fewer: there is another one only when the last one has
 * been taken. */
static void
watch_more(struct admin *a)
{
	if (!a->host->is_behind(a)) {
		watch_join(a->gate, &a->watch);
		return;
	}
	watch_skip(&a->watch);
	watch_later(a);
}

/* The whole word must be interval_ms=MS. */
static int
parse_interval(const char *word, unsigned *ms)
{
	static const char key[] = "interval_ms=";
	size_t n = sizeof(key) - 1;
	uint64_t value;

	if (strncmp(word, key, n) != 0 || str_to_u64(word + n, &value) != 0 ||
	    value < WATCH_MS_MIN || value > WATCH_MS_MAX)
		return BM_EUSAGE;
	*ms = (unsigned)value;
	return 0;
}

static void
do_watch(struct admin *a)
{
	size_t n_args = a->words.n - a->n_cmd;
	const char *word = a->words.w[a->n_cmd];
	unsigned ms = WATCH_MS_DEFAULT;

	if (n_args > 0 && strchr(word, '=') == NULL) {
		admin_finish(a, BM_EUSAGE, "a command is watched by "
		    "bigmodelctl; here: watch [interval_ms=MS]");
		return;
	}
	if (n_args > 1 || (n_args == 1 && parse_interval(word, &ms) != 0)) {
		admin_finish(a, BM_EUSAGE, "usage: watch [interval_ms=MS], "
		    "MS from 100 to 60000");
		return;
	}
	a->watch = (struct watch){ .interval_ms = ms, .due = on_watch_due,
	    .arg = a };
	watch_join(a->gate, &a->watch);
}

/* ---- a line ---- */

static void
run_gate_command(struct admin *a)
{
	switch (a->cmd->id) {
	case CMD_ID_SHOW_STATUS:
	case CMD_ID_SHOW_MODELS:
	case CMD_ID_SHOW_WORKERS:
		a->ticket = gate_ask(a->gate, R_MASTER, MSG_PROCS,
		    &(struct msg_procs){ 0 }, on_proc, on_procs_end, a);
		return;
	case CMD_ID_SHOW_VARIANTS:
		a->ticket = gate_ask(a->gate, R_MASTER, MSG_SCAN,
		    &(struct msg_scan){ 0 }, on_proc, on_procs_end, a);
		return;
	case CMD_ID_SHOW_KERNELS:
		ask_kernels(a);
		return;
	case CMD_ID_CANCEL:
		do_cancel(a);
		return;
	case CMD_ID_WAIT_READY:
		do_wait(a);
		return;
	case CMD_ID_WATCH:
		do_watch(a);
		return;
	case CMD_ID_SHOW_REQUESTS:
		show_requests(a->gate, &a->out);
		break;
	case CMD_ID_SHOW_CONFIG:
		show_config(a->gate, &a->out);
		break;
	default:
		show_commands(&a->out);
		break;
	}
	admin_finish(a, 0, NULL);
}

static void
run(struct admin *a)
{
	switch (a->cmd->where) {
	case CMD_GATE:
		run_gate_command(a);
		break;
	case CMD_MASTER:
		ask_master(a);
		break;
	case CMD_REQLOG:
		admin_query(a);
		break;
	case CMD_OFFLINE:
	case CMD_CONSOLE:
		admin_finish(a, BM_EUSAGE, "this command needs no daemon: "
		    "say it to bigmodelctl");
		break;
	}
}

void
admin_line(struct admin *a, struct slice line)
{
	struct cause cause = { 0 };
	int r;

	a->is_busy = true;
	a->line = slice_dup(line);
	r = words_split(line, &a->words, &cause);
	if (r == 0 && a->words.n == 0) {
		reset(a);	/* an empty line is no command */
		return;
	}
	if (r == 0)
		r = command_find((const char *const *)a->words.w, a->words.n,
		    &a->cmd, &a->n_cmd, &cause);
	if (r != 0)
		admin_finish(a, r, cause.text);
	else
		run(a);
}

bool
admin_needs_client(const struct admin *a)
{
	return a->is_busy && a->cmd != NULL &&
	    (a->cmd->id == CMD_ID_COMPRESS || a->cmd->id == CMD_ID_WATCH);
}

void
admin_eof(struct admin *a)
{
	a->is_eof = true;
	/* Everybody gets one snapshot. */
	if (a->is_busy && a->cmd != NULL && a->cmd->id == CMD_ID_WATCH &&
	    a->watch.seq > 0)
		admin_finish(a, 0, NULL);
}

void
admin_time(struct admin *a)
{
	if (!a->is_busy || a->cmd == NULL)
		return;
	if (a->cmd->id == CMD_ID_WAIT_READY)
		wait_more(a);
	else if (a->cmd->id == CMD_ID_WATCH)
		watch_more(a);
	else if (a->follow != FOLLOW_NO)
		admin_query_more(a);
}

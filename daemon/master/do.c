/* SPDX-License-Identifier: MIT */
/* Operators' commands, as the gate hands them on. */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "master/compress_args.h"
#include "master/conf_parse.h"
#include "master/master.h"
#include "wire/model_file.h"
#include "wire/commands.h"

#define WORDS_MAX	16
#define WORKERS_MAX	64
#define THREADS_MAX	1024

/* DONE_LATER: an ask was noted and models_settle answers it. */
enum { DONE_LATER = 1 };

struct command_call {
	struct master	*m;
	const struct frame *f;
	const char *const *args;
	size_t		 n_args;
	struct cause	*why;
};

static int
ask(const struct command_call *call, struct model *model, enum ask_kind kind)
{
	struct ask *a = xcalloc(1, sizeof(*a));

	a->kind = kind;
	a->seq = call->f->seq;
	a->id = call->f->id;
	TAILQ_INSERT_TAIL(&model->asks, a, entry);
	return DONE_LATER;
}

static int
find(const struct command_call *call, struct model **out)
{
	char shown[80];
	const char *name = call->args[0];
	struct model *model = model_find(call->m, name);

	if (model == NULL)
		return cause_set(call->why, BM_ENOMODEL, "no model \"%s\"",
		    str_vis(shown, sizeof(shown), name, strlen(name)));
	if (model->is_going)
		return cause_set(call->why, BM_EOVERLOAD,
		    "model %s is being unloaded", name);
	*out = model;
	return 0;
}

static int
do_load(const struct command_call *call)
{
	const char *name = call->args[0];
	struct conf one;
	struct conf_model *conf;
	struct model_file file;
	struct account_cost cost;
	struct model *model;
	int r;

	if (!conf_name_is_valid(name))
		return cause_set(call->why, BM_EBADREQ, "a model's name is "
		    "1 to 64 of the characters A-Z a-z 0-9 . _ : -");
	if ((model = model_find(call->m, name)) != NULL)
		return cause_set(call->why, BM_EEXIST,
		    "model %s is %s already", name, model->state);
	conf_init(&one);
	conf = conf_add_model(&one, name);
	free(conf->path);
	conf->path = conf_path_from(call->m->conf.state_dir, call->args[1]);
	if ((r = model_file_open(conf->path, &file, call->why)) == 0) {
		cost = memory_expected(conf, file.n_bytes);
		model_file_close(&file);
		r = memory_check(call->m, name, &cost, 0, 1, call->why);
	}
	if (r == 0) {
		model = model_new(call->m, conf);
		model->is_trial = true;
		r = ask(call, model, ASK_LOAD);
	}
	conf_fini(&one);
	return r;
}

static int
do_unload(const struct command_call *call)
{
	bool is_now = call->n_args == 2;
	struct model *model;
	int r;

	if (is_now && strcmp(call->args[1], "--now") != 0)
		return cause_set(call->why, BM_EUSAGE,
		    "usage: unload NAME [--now]");
	/* One that waits for its requests may be told not to. */
	model = is_now ? model_find(call->m, call->args[0]) : NULL;
	if (model == NULL && (r = find(call, &model)) != 0)
		return r;
	model_unload(model, call->m, is_now);
	return ask(call, model, ASK_UNLOAD);
}

/* "3", or "1..3" for as many as the load wants. */
static int
parse_range(const struct command_call *call, int *min, int *max)
{
	char least[16];
	const char *word = call->args[1], *dots = strstr(word, "..");
	size_t n = dots != NULL ? (size_t)(dots - word) : strlen(word);

	if (n < sizeof(least)) {
		memcpy(least, word, n);
		least[n] = '\0';
		if (str_to_int(least, dots == NULL, WORKERS_MAX, min) == 0 &&
		    str_to_int(dots != NULL ? dots + 2 : least, 1,
		    WORKERS_MAX, max) == 0 && *min <= *max)
			return 0;
	}
	return cause_set(call->why, BM_EBADREQ, "the number of workers is "
	    "from 1 to %d, or a range such as 0..3", WORKERS_MAX);
}

/* Beyond the least load decides, and stops where memory does. */
static int
check_workers(const struct command_call *call, const struct model *model,
    size_t min)
{
	size_t n = workers_count(model, model->active, false);

	return min <= n ? 0 : memory_check_more(call->m, model,
	    model->active, min - n, call->why);
}

static int
do_workers(const struct command_call *call)
{
	struct model *model;
	int min, max, r;

	if ((r = find(call, &model)) != 0 ||
	    (r = parse_range(call, &min, &max)) != 0 ||
	    (r = check_workers(call, model, (size_t)min)) != 0)
		return r;
	model_set_workers(model, (uint64_t)min, (uint64_t)max,
	    "set by an operator");
	workers_retry(model);
	return ask(call, model, ASK_WORKERS);
}

static int
do_threads(const struct command_call *call)
{
	struct model *model;
	int n, r;

	if ((r = find(call, &model)) != 0)
		return r;
	if (str_to_int(call->args[1], 0, THREADS_MAX, &n) != 0)
		return cause_set(call->why, BM_EBADREQ,
		    "the number of threads is from 0 to %d", THREADS_MAX);
	if (model->conf.threads == (uint64_t)n)
		return 0;
	/* New workers come before the old ones go. */
	if ((r = memory_check_more(call->m, model, model->active,
	    model->n_workers, call->why)) != 0)
		return r;
	model->conf.threads = (uint64_t)n;
	model->generation++;
	model->has_crashed = false;
	model->is_told = false;
	return ask(call, model, ASK_WORKERS);
}

/* ---- swap ---- */

static int
swap_options(const struct command_call *call, int *percent, bool *verify)
{
	for (size_t i = 2; i < call->n_args; i++) {
		const char *word = call->args[i];

		if (strcmp(word, "--verify") == 0)
			*verify = true;
		else if (strcmp(word, "--canary") != 0 ||
		    ++i == call->n_args ||
		    str_to_int(call->args[i], 1, 99, percent) != 0)
			return cause_set(call->why, BM_EUSAGE, "usage: swap "
			    "NAME VARIANT [--canary 1-99] [--verify], or "
			    "swap NAME --finish");
	}
	return 0;
}

static int
do_swap(const struct command_call *call)
{
	struct model *model;
	bool verify = false;
	int percent = 0, r;

	if ((r = find(call, &model)) != 0 ||
	    (r = swap_options(call, &percent, &verify)) != 0)
		return r;
	if (strcmp(call->args[1], "--finish") == 0)
		r = swap_finish(model, call->why);
	else
		r = swap_begin(call->m, model, call->args[1],
		    (unsigned)percent, verify, call->why);
	return r == 0 ? ask(call, model, ASK_SWAP) : r;
}

static int
do_rollback(const struct command_call *call)
{
	struct model *model;
	bool was_under_way;
	int r;

	if ((r = find(call, &model)) != 0)
		return r;
	was_under_way = model->swap.next != NULL;
	if ((r = swap_rollback(call->m, model, call->why)) != 0 ||
	    was_under_way)
		return r;
	return ask(call, model, ASK_SWAP);
}

/* ---- compress ---- */

static int
do_compress(const struct command_call *call)
{
	struct compress_args args;
	struct model *model;
	int r;

	if ((r = find(call, &model)) != 0 ||
	    (r = compress_args_parse(&args, call->args + 1, call->n_args - 1,
	    call->why)) != 0)
		return r;
	if (!args.is_cancel)
		r = compress_begin(call->m, model, &args, call->f->seq,
		    call->f->id, call->why);
	else if (!compress_cancel(call->m, model, "cancelled by an operator"))
		return cause_set(call->why, BM_ENOTFOUND,
		    "model %s is not being compressed", model->conf.name);
	return r == 0 && !args.is_cancel ? DONE_LATER : r;
}

/* ---- drain, resume ---- */

static struct child *
find_worker(struct master *m, const char *word)
{
	struct child *c = NULL;
	uint64_t id;

	if (str_to_u64(word, &id) != 0)
		return NULL;
	while ((c = child_next(m, c)) != NULL)
		if (c->role == R_WORKER && c->id == id)
			return c;
	return NULL;
}

static int
do_hold(const struct command_call *call, bool is_held)
{
	struct model *model = model_find(call->m, call->args[0]);
	struct child *w;
	char shown[80];

	if (model != NULL) {
		model->is_held = is_held;
		model->is_told = false;
		return 0;
	}
	if ((w = find_worker(call->m, call->args[0])) == NULL)
		return cause_set(call->why, BM_ENOTFOUND,
		    "no model or worker \"%s\"", str_vis(shown, sizeof(shown),
		    call->args[0], strlen(call->args[0])));
	w->is_held = is_held;
	w->told[0] = '\0';
	return 0;
}

static int
do_stop(const struct command_call *call)
{
	bool is_now = call->n_args == 1;

	if (is_now && strcmp(call->args[0], "--now") != 0)
		return cause_set(call->why, BM_EUSAGE, "usage: stop [--now]");
	/* Answered first: afterwards there may be nobody to do it. */
	chan_send_result(call->m->gate.chan, call->f->seq, call->f->id, 0,
	    "");
	stop_begin(call->m, is_now);
	return DONE_LATER;
}

static int
carry_out(const struct command *c, const struct command_call *call)
{
	if (call->m->phase > PHASE_RUN && c->id != CMD_ID_STOP)
		return cause_set(call->why, BM_EOVERLOAD,
		    "the daemon is stopping");
	switch (c->id) {
	case CMD_ID_LOAD:
		return do_load(call);
	case CMD_ID_UNLOAD:
		return do_unload(call);
	case CMD_ID_WORKERS:
		return do_workers(call);
	case CMD_ID_THREADS:
		return do_threads(call);
	case CMD_ID_SWAP:
		return do_swap(call);
	case CMD_ID_ROLLBACK:
		return do_rollback(call);
	case CMD_ID_COMPRESS:
		return do_compress(call);
	case CMD_ID_DRAIN:
	case CMD_ID_RESUME:
		return do_hold(call, c->id == CMD_ID_DRAIN);
	case CMD_ID_RELOAD:
		return reload(call->m, call->why);
	case CMD_ID_STOP:
		return do_stop(call);
	default:
		return cause_set(call->why, BM_EUNSUP,
		    "\"%s\" is not the master's to do", c->words);
	}
}

static void
log_command(const char *const *w, size_t n, const struct msg_do *cmd)
{
	char shown[256];
	struct buf line;

	buf_init(&line, 64 * 1024);
	words_join(w, n, &line);
	log_info("command: %s uid=%u pid=%u", str_vis(shown, sizeof(shown),
	    (const char *)line.data, line.len), cmd->uid, cmd->pid);
	buf_fini(&line);
}

void
do_command(struct master *m, const struct frame *f)
{
	struct msg_do cmd;
	struct cause why = { .code = BM_EPROTO };
	char *w[WORDS_MAX] = { NULL };
	const struct command *c;
	struct slice s;
	struct cur list;
	size_t n = 0, used;
	int r = BM_EPROTO;

	if (msg_get_do(f->body, &cmd) != 0)
		goto out;
	list = strs_of(cmd.words);
	while (n < WORDS_MAX && strs_next(&list, &s))
		w[n++] = slice_dup(s);
	r = command_find((const char *const *)w, n, &c, &used, &why);
	if (r == 0) {
		struct command_call call = { .m = m, .f = f,
		    .args = (const char *const *)w + used,
		    .n_args = n - used, .why = &why };

		log_command((const char *const *)w, n, &cmd);
		r = carry_out(c, &call);
	}
out:
	if (r != DONE_LATER && m->gate.chan != NULL)
		chan_send_result(m->gate.chan, f->seq, f->id, r,
		    r == 0 ? "" : why.text);
	for (size_t i = 0; i < n; i++)
		free(w[i]);
}

/* ---- show: what only the master can see ---- */

void
do_scan(struct master *m, const struct frame *f)
{
	struct model *model;
	struct variant *v;

	TAILQ_FOREACH(model, &m->models, entry) {
		variants_scan(m, model);
		TAILQ_FOREACH(v, &model->variants, entry)
			if (!v->is_told)
				tell_variant(m, model, v);
	}
	compress_tell(m);
	chan_send_result(m->gate.chan, f->seq, f->id, 0, "");
}

/* Resident memory, and what of it is of files or shared. */
static void
read_memory(pid_t pid, struct msg_proc *p)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t size, rss, shared;
	char path[64], text[128];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) != -1) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (n <= 0)
		return;
	text[n] = '\0';
	if (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &size, &rss,
	    &shared) != 3)
		return;
	p->rss_bytes = rss * page_bytes;
	p->shared_bytes = shared * page_bytes;
}

/* Everything it used, all threads; 0 when it is gone. */
static uint64_t
read_cpu_ns(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 ||
	    clock_gettime(clock, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}

static void
look_at(pid_t pid, struct msg_proc *p)
{
	if (pid == 0)
		return;
	read_memory(pid, p);
	p->cpu_ns = read_cpu_ns(pid);
}

void
do_procs(struct master *m, const struct frame *f)
{
	struct msg_proc self = { .role = R_MASTER, .pid = (uint32_t)getpid(),
	    .state = slice_of(m->told), .started_ms = m->started_ms };
	struct account a = memory_account(m);
	struct msg_memory memory = { a.limit_bytes, a.committed_bytes,
	    account_left(&a) };
	struct child *c = NULL;

	chan_send(m->gate.chan, MSG_MEMORY, f->seq, f->id, &memory);
	look_at(getpid(), &self);
	chan_send(m->gate.chan, MSG_PROC, f->seq, f->id, &self);
	while ((c = child_next(m, c)) != NULL) {
		struct msg_proc p = { .role = (uint8_t)c->role,
		    .worker = c->id, .pid = (uint32_t)c->pid,
		    .state = slice_of(sup_state_name(c->sup.state)),
		    .restarts = c->sup.restarts,
		    .started_ms = c->started_ms };

		look_at(c->pid, &p);
		chan_send(m->gate.chan, MSG_PROC, f->seq, f->id, &p);
	}
	chan_send_result(m->gate.chan, f->seq, f->id, 0, "");
}

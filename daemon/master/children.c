/* SPDX-License-Identifier: MIT */
/*
 * One child: its start, its link and its end.  A child is gone when it has
 * been waited for and its link has been read to the end, whichever comes
 * last: its last words (why a model can't be loaded) come before its death.
 */
#include "config.h"

#include <sys/wait.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/granted.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "master/child_log_io.h"
#include "master/master.h"
#include "master/spawn.h"
#include "wire/model_file.h"

void
child_limits(const struct child *c, struct sup_limits *l)
{
	const struct conf *conf = &c->master->conf;

	*l = (struct sup_limits){
	    .start_timeout_ms = conf->worker_start_timeout,
	    .backoff_min_ms = conf->worker_backoff_min,
	    .backoff_max_ms = conf->worker_backoff_max,
	    .backoff_reset_ms = conf->worker_backoff_reset };
}

void
child_init(struct child *c, struct master *m, enum role role, uint32_t id)
{
	memset(c, 0, sizeof(*c));
	c->master = m;
	c->role = role;
	c->id = id;
	sup_init(&c->sup);
}

const char *
child_name(const struct child *c, char out[32])
{
	if (c->role == R_WORKER)
		snprintf(out, 32, "worker %u", c->id);
	else
		snprintf(out, 32, "%s", role_name(c->role));
	return out;
}

struct child *
child_next(struct master *m, struct child *c)
{
	struct model *model;
	struct child *next = NULL;

	if (c == NULL)
		return &m->gate;
	if (c == &m->gate)
		return &m->reqlog;
	if (c != &m->reqlog && (next = TAILQ_NEXT(c, entry)) != NULL)
		return next;
	model = c == &m->reqlog ? TAILQ_FIRST(&m->models) :
	    TAILQ_NEXT(c->model, entry);
	while (model != NULL &&
	    (next = TAILQ_FIRST(&model->workers)) == NULL)
		model = TAILQ_NEXT(model, entry);
	return next;
}

struct child *
child_find(struct master *m, pid_t pid)
{
	struct child *c = NULL;

	while ((c = child_next(m, c)) != NULL)
		if (c->sup.has_process && c->pid == pid)
			return c;
	return NULL;
}

/* ---- the end ---- */

void
child_status_text(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(out, size, "killed by signal %d (%s)%s",
		    WTERMSIG(status), strsignal(WTERMSIG(status)),
		    WCOREDUMP(status) ? ", core dumped" : "");
	else
		snprintf(out, size, "ended with status %d",
		    WEXITSTATUS(status));
}

static void
note_crash(struct child *c, const char *why)
{
	struct model *model = c->model;

	swap_note_crash(model, c->variant, why);
	if (c->variant != model->active)
		return;
	model->has_crashed = true;
	str_copy(model->reason, why, sizeof(model->reason));
	model->is_told = false;
}

static void
report_crash(struct child *c)
{
	char name[32], how[640], next[64] = "";
	char kind[32];
	uint64_t now_ns = clock_now_ns();

	child_status_text(c->status, how, sizeof(how));
	if (c->role != R_REQLOG)
		health_end(c, WIFSIGNALED(c->status) ? WTERMSIG(c->status) :
		    0, how + strlen(how), sizeof(how) - strlen(how));
	if (c->sup.state == SUP_BACKOFF)
		snprintf(next, sizeof(next), "; starts again in %.0f ms",
		    clock_ms_between(now_ns, c->sup.wake_ns));
	log_warnx("%s %s%s pid=%d restarts=%u", child_name(c, name), how,
	    next, (int)c->pid, c->sup.restarts);
	snprintf(kind, sizeof(kind), "%s_died", role_name(c->role));
	tell_event(c->master, kind, name, "%s%s", how, next);
	c->crashed_ms = clock_unix_ms();
	str_copy(c->crash, how, sizeof(c->crash));
	if (c->model != NULL) {
		char why[sizeof(c->model->reason)];

		snprintf(why, sizeof(why), "%s %.200s", name, how);
		note_crash(c, why);
	}
}

/* Without the gate nothing waits or runs, and nobody waits for answers. */
static void
gate_is_gone(struct master *m)
{
	struct model *model;
	struct variant *v;
	struct child *w;

	TAILQ_FOREACH(model, &m->models, entry) {
		model->is_idle = true;
		model->load = (struct autoscale_load){ 0 };
		model_forget_asks(model);
		TAILQ_FOREACH(w, &model->workers, entry)
			w->is_idle = true;
		TAILQ_FOREACH(v, &model->variants, entry)
			v->is_idle = true;
	}
	m->service.has_answered = true;
	m->is_drained = true;
	compress_gate_gone(m);
}

static void
gone(struct child *c)
{
	struct sup_limits l;
	bool was_crash;

	child_limits(c, &l);
	c->is_reaped = false;
	was_crash = sup_exited(&c->sup, &l, clock_now_ns());
	if (was_crash && c->master->phase < PHASE_QUIT)
		report_crash(c);
	if (c->role == R_GATE)
		gate_is_gone(c->master);
	c->pid = 0;
}

void
child_reaped(struct child *c, int status)
{
	c->status = status;
	c->is_reaped = true;
	if (c->chan == NULL)
		gone(c);
}

/* ---- its link ---- */

static void
on_frame(struct chan *chan, const struct frame *f, void *arg)
{
	struct child *c = arg;
	struct msg_hello hello;
	char name[32];

	if (f->fd != -1)
		close(f->fd);
	if (f->type == MSG_HELLO) {
		if (msg_get_hello(f->body, &hello) == 0 &&
		    hello.version != WIRE_VERSION)
			log_warnx("%s speaks version %u, we speak %u",
			    child_name(c, name), hello.version, WIRE_VERSION);
		return;
	}
	hear_frame(c, f);
}

static void
on_close(struct chan *chan, int err, void *arg)
{
	struct child *c = arg;
	char name[32];

	if (err == BM_EPROTO) {
		log_warnx("%s broke the protocol; killed",
		    child_name(c, name));
		kill(c->pid, SIGKILL);
	}
	chan_free(&c->chan);
	if (c->is_reaped)
		gone(c);
	else
		sup_link_lost(&c->sup, clock_now_ns());
}

static const struct chan_handler handler = { on_frame, on_close };

/* ---- the start ---- */

void
child_send_conf(struct child *c)
{
	struct buf b;
	struct msg_conf m;

	if (c->chan == NULL)
		return;
	buf_init(&b, FRAME_BODY_MAX);
	conf_put(&b, &c->master->conf);
	m.conf = (struct slice){ (const char *)b.data, b.len };
	chan_send(c->chan, MSG_CONF, 0, 0, &m);
	buf_fini(&b);
}

void
child_send_parts(struct chan *chan, struct model_file *file)
{
	for (size_t i = 0; i < file->n_parts; i++) {
		struct msg_model_part part = {
		    .name = slice_of(file->parts[i].name) };

		chan_send_fd(chan, MSG_MODEL_PART, 0, 0, &part,
		    file->parts[i].fd);
		file->parts[i].fd = -1;
	}
	model_file_close(file);
}

/* Give a worker its files and settings; false when they can't be opened. */
static bool
give_model(struct child *c)
{
	const struct conf_model *conf = &c->model->conf;
	struct model_file file;
	struct cause why;
	struct msg_model m = model_message(conf, c->id);

	m.variant = slice_of(c->variant->name);
	m.n_sharing = (uint32_t)numa_sharing(&c->master->numa,
	    c->model->n_workers, (size_t)granted_cpus());
	if (model_file_open(c->variant->path, &file, &why) != 0) {
		struct msg_result r = { .code = why.code,
		    .text = slice_of(why.text) };

		hear_failure(c, &r);
		return false;
	}
	memory_grant(c, &m);
	store_give(c, file.parts[0].fd);
	child_send_parts(c->chan, &file);
	chan_send(c->chan, MSG_MODEL, 1, 0, &m);
	return true;
}

static void
start_talking(struct child *c, int fd)
{
	struct master *m = c->master;

	c->chan = chan_new(m->loop, fd, R_MASTER, c->role, &handler, c);
	child_send_conf(c);
	if (c->role != R_REQLOG)
		health_begin(c);
	if (c->role == R_WORKER) {
		if (give_model(c))
			sup_loading(&c->sup);
		return;
	}
	sup_ready(&c->sup, clock_now_ns());
	if (c->role == R_GATE)
		tell_all(m);
	else
		tell_link(&m->gate, c);
}

/* Workers of a model take turns on the nodes. */
static const struct numa_node *
node_for(const struct child *c)
{
	const struct numa *n = &c->master->numa;
	size_t n_workers[NUMA_NODES_MAX] = { 0 };
	const struct child *w;

	if (c->model == NULL)
		return NULL;
	TAILQ_FOREACH(w, &c->model->workers, entry)
		if (w != c && w->node != NULL && !w->is_surplus)
			n_workers[w->node - n->node]++;
	return numa_place(n, n_workers);
}

static void
start(struct child *c)
{
	struct master *m = c->master;
	struct spawn s = { .name = role_name(c->role),
	    .dir = m->conf.state_dir, .stderr_fd = child_log_fd(m->child_log),
	    .wants_many_fds = c->role == R_GATE };
	struct sup_limits l;
	struct cause why;
	int fd;

	s.node = c->node = node_for(c);
	child_limits(c, &l);
	c->started_ms = clock_unix_ms();
	c->is_reaped = false;
	c->is_idle = false;
	if (spawn(&s, &c->pid, &fd, &why) != 0) {
		log_warnx("%s", why.text);
		if (c->model != NULL)
			note_crash(c, why.text);
		sup_spawn_failed(&c->sup, &l, clock_now_ns());
		return;
	}
	sup_spawned(&c->sup, &l, clock_now_ns());
	start_talking(c, fd);
}

void
child_act(struct child *c, enum sup_action action)
{
	struct msg_quit quit = { 0 };
	char name[32];

	switch (action) {
	case SUP_SPAWN:
		start(c);
		break;
	case SUP_QUIT:
		if (c->chan != NULL)
			chan_send(c->chan, MSG_QUIT, 0, 0, &quit);
		break;
	case SUP_KILL:
		log_warnx("%s does not %s in time; killed pid=%d",
		    child_name(c, name), c->sup.state == SUP_STOPPING ?
		    "end" : "start or answer", (int)c->pid);
		kill(c->pid, SIGKILL);
		break;
	case SUP_NOTHING:
		break;
	}
}

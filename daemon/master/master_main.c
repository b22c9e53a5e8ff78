/* SPDX-License-Identifier: MIT */
/*
 * The loop.  Callbacks note events; on_prepare, which libev calls before it
 * sleeps, lets everything settle and sets the one timer to the next moment
 * somebody waits for.
 */
#include "config.h"

#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "master/child_log_io.h"
#include "master/master.h"

/* How often the numbers of workers are thought over. */
#define SCALE_NS	(CLOCK_NS_PER_S / 5)
/* Nothing is so far away that we would not look once in a while. */
#define LOOK_S	60.0
#define SCAN_NS	(60 * CLOCK_NS_PER_S)

struct watchers {
	struct ev_signal	 sig[5];
	struct ev_prepare	 prepare;
	struct ev_timer		 timer;
};

static void
reap(struct master *m)
{
	struct child *c;
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if ((c = child_find(m, pid)) != NULL)
			child_reaped(c, status);
		else
			(void)compress_reaped(m, pid, status);
}

static void
on_signal(struct ev_loop *loop, struct ev_signal *w, int revents)
{
	struct master *m = w->data;
	struct cause why;

	switch (w->signum) {
	case SIGCHLD:
		reap(m);
		break;
	case SIGTERM:
	case SIGINT:
		stop_begin(m, m->phase >= PHASE_DRAIN);
		break;
	case SIGHUP:
		/* reload has logged a failure. */
		(void)(reload(m, &why) == 0);
		break;
	case SIGUSR1:
		master_reopen_log(m);
		break;
	}
}

/* Files come and go without our doing. */
static void
scan(struct master *m, uint64_t now_ns)
{
	struct model *model;

	if (now_ns - m->scanned_ns < SCAN_NS)
		return;
	m->scanned_ns = now_ns;
	TAILQ_FOREACH(model, &m->models, entry)
		variants_scan(m, model);
}

/* Everyone whose time has come. */
static void
tick(struct master *m)
{
	struct child *c = NULL;
	uint64_t now_ns = clock_now_ns();

	scan(m, now_ns);
	while ((c = child_next(m, c)) != NULL) {
		health_look(c, now_ns);
		child_act(c, sup_tick(&c->sup, now_ns));
	}
}

static uint64_t
next_wake_ns(struct master *m)
{
	uint64_t wake = service_wake_ns(m);
	const struct model *model;
	struct child *c = NULL;

	if (m->phase == PHASE_DRAIN)
		wake = MEM_MIN(wake, m->drain_until_ns);
	while ((c = child_next(m, c)) != NULL)
		wake = MEM_MIN(wake, MEM_MIN(c->sup.wake_ns,
		    health_wake_ns(c)));
	TAILQ_FOREACH(model, &m->models, entry) {
		if (model->is_short)
			wake = MEM_MIN(wake, clock_now_ns() + CLOCK_NS_PER_S);
		else if (!model->is_going && model_is_scaled(model))
			wake = MEM_MIN(wake, clock_now_ns() + SCALE_NS);
	}
	return wake;
}

static void
on_prepare(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	struct master *m = w->data;
	struct watchers *ws = (struct watchers *)(void *)((char *)w -
	    offsetof(struct watchers, prepare));
	uint64_t wake_ns, now_ns;
	double after;

	tick(m);
	do {
		m->is_unsettled = false;
		models_settle(m);
		phase_settle(m);
	} while (m->is_unsettled);
	if (m->phase == PHASE_OVER) {
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	now_ns = clock_now_ns();
	service_tick(m, now_ns);
	wake_ns = next_wake_ns(m);
	after = wake_ns == SUP_NEVER ? LOOK_S :
	    clock_ms_between(now_ns, wake_ns) / 1000 + 0.001;
	ev_timer_stop(loop, &ws->timer);
	ev_timer_set(&ws->timer, MEM_MIN(after, LOOK_S), 0.);
	ev_timer_start(loop, &ws->timer);
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	/* Waking up was all; on_prepare does the rest. */
}

/* ---- the log ---- */

static bool
is_to_syslog(const struct master *m)
{
	const char *to = m->conf.log_to;

	return strcmp(to, "syslog") == 0 ||
	    (strcmp(to, "auto") == 0 && !m->options->is_foreground);
}

void
master_reopen_log(struct master *m)
{
	const char *path = m->conf.log_file;
	bool to_syslog = is_to_syslog(m);
	int fd = -1;

	log_configure(m->conf.log_level, m->conf.log_format);
	if (path[0] != '\0' && (fd = open(path, O_WRONLY | O_CREAT |
	    O_APPEND | O_CLOEXEC, 0640)) == -1) {
		log_warn("%s", path);
		return;
	}
	log_set_fd(fd);
	log_set_syslog(to_syslog);
	if (m->child_log == NULL && (fd != -1 || to_syslog || log_is_json()))
		m->child_log = child_log_new(m->loop);
	if (m->child_log != NULL)
		child_log_set_fd(m->child_log, fd != -1 ? fd : to_syslog ?
		    -1 : STDERR_FILENO);
	if (m->log_fd != -1)
		close(m->log_fd);
	m->log_fd = fd;
}

/* ---- begin and end ---- */

static void
watch(struct master *m, struct watchers *ws)
{
	static const int signals[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP,
	    SIGUSR1 };

	for (size_t i = 0; i < N_ELEMENTS(signals); i++) {
		ev_signal_init(&ws->sig[i], on_signal, signals[i]);
		ws->sig[i].data = m;
		ev_signal_start(m->loop, &ws->sig[i]);
	}
	ev_prepare_init(&ws->prepare, on_prepare);
	ws->prepare.data = m;
	ev_prepare_start(m->loop, &ws->prepare);
	ev_timer_init(&ws->timer, on_timer, 0., 0.);
}

int
master_run(struct master *m)
{
	struct watchers ws;

	signal(SIGPIPE, SIG_IGN);
	/* Not the default loop: that one would wait for our children. */
	if ((m->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV)) == NULL)
		fatalx("no event loop");
	m->started_ms = clock_unix_ms();
	m->log_fd = -1;
	numa_read(&m->numa);
	TAILQ_INIT(&m->models);
	TAILQ_INIT(&m->events);
	master_reopen_log(m);
	log_info("bigmodeld %s starts pid=%d state_dir=%s", PACKAGE_VERSION,
	    (int)getpid(), m->conf.state_dir);
	child_init(&m->gate, m, R_GATE, 0);
	child_init(&m->reqlog, m, R_REQLOG, 0);
	compress_clean(m);
	for (size_t i = 0; i < m->conf.n_models; i++)
		model_new(m, &m->conf.models[i]);
	service_begin(m);
	watch(m, &ws);
	child_act(&m->reqlog, sup_start(&m->reqlog.sup));
	child_act(&m->gate, sup_start(&m->gate.sup));
	ev_run(m->loop, 0);

	(void)compress_cancel(m, NULL, "the daemon has ended");
	listen_close(&m->listeners);
	chan_free(&m->gate.chan);
	chan_free(&m->reqlog.chan);
	models_free(m);
	tell_events_free(m);
	log_info("stopped status=%d", m->exit_status);
	child_log_free(&m->child_log);
	log_set_fd(-1);
	if (m->log_fd != -1)
		close(m->log_fd);
	ev_loop_destroy(m->loop);
	if (m->failure[0] == '\0')
		str_copy(m->failure, "stopped before it was ready",
		    sizeof(m->failure));
	tell_parent(m);
	return m->exit_status;
}

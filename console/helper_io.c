/* SPDX-License-Identifier: MIT */
/*
 * Starting, asking and ending a worker.  It gets one end of a socketpair as
 * descriptor 3 and the model as open descriptors, as a worker of the daemon
 * does; its death is told as what the operator can act on.
 */
#include "config.h"

#include "console/helper_io.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "wire/fd_io.h"
#include "wire/model_file.h"
#include "wire/paths.h"

#define WORKER_FD	3
#define TICK_MS		500
#define END_MS		2000	/* for a worker to end by itself */

extern char **environ;

/* Open the model's files and hand them to the worker. */
static int
send_parts(struct helper *h, const char *file, struct cause *cause)
{
	struct model_file f;
	struct stat st;
	int r;

	if ((r = model_file_open(file, &f, cause)) != 0)
		return r;
	h->n_parts = (int)f.n_parts;
	for (size_t i = 0; i < f.n_parts && r == 0; i++) {
		struct msg_model_part m = {
		    .name = slice_of(f.parts[i].name) };

		if (fstat(f.parts[i].fd, &st) == 0)
			h->file_bytes += (uint64_t)st.st_size;
		r = sync_send(&h->io, MSG_MODEL_PART, 0, 0, &m,
		    f.parts[i].fd);
	}
	model_file_close(&f);
	/* A worker that is gone says why by its exit. */
	return r == 0 || r == BM_EWORKER ? 0 :
	    cause_set(cause, r, "%s: %s", file, err_text(r));
}

/* stdin is ours (it may hold the text to tokenize), stdout too. */
static int
spawn_worker(const char *path, int fd, pid_t *pid)
{
	char *argv[] = { (char *)"worker", NULL };
	posix_spawn_file_actions_t fa;
	int r;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, STDIN_FILENO, "/dev/null",
	    O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, STDERR_FILENO, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&fa, fd, WORKER_FD);
	r = posix_spawn(pid, path, &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	return r;
}

static int
start(struct helper *h, struct cause *cause)
{
	char path[PATH_SIZE];
	int fds[2], r;

	if ((r = path_helper(path, "worker")) != 0)
		return cause_set(cause, r, "the worker's path is too long");
	if ((r = fd_socketpair(fds)) != 0)
		return cause_set(cause, r, "socketpair: %s", err_text(r));
	r = spawn_worker(path, fds[1], &h->pid);
	close(fds[1]);
	if (r != 0) {
		close(fds[0]);
		h->pid = 0;
		return cause_set(cause, BM_EINTERNAL, "can't start %s: %s",
		    path, strerror(r));
	}
	sync_init(&h->io, fds[0], R_CONSOLE, R_WORKER);
	return 0;
}

int
helper_start(struct helper *h, const struct ctl *ctl, const char *file,
    struct cause *cause)
{
	struct msg_hello hello = { .version = WIRE_VERSION,
	    .role = R_CONSOLE, .pid = (uint32_t)getpid() };
	int r;

	*h = (struct helper){ 0 };
	if (ctl->has_timeout)
		h->timeout_ms = ctl->timeout_ms;
	progress_begin(&h->progress, ctl, file);
	if (access(file, R_OK) != 0)
		return cause_set(cause, -errno, "%s: %s", file,
		    strerror(errno));
	if ((r = start(h, cause)) != 0)
		return r;
	r = sync_send(&h->io, MSG_HELLO, 0, 0, &hello, -1);
	if (r == 0 || r == BM_EWORKER)
		r = send_parts(h, file, cause);
	else
		cause_set(cause, r, "the worker: %s", err_text(r));
	if (r != 0)
		helper_stop(h);
	return r;
}

/* Wait for the worker's end, at most END_MS, then end it; its status. */
static int
reap(struct helper *h)
{
	const struct timespec step = { .tv_nsec = 2000000 };
	uint64_t begin = clock_now_ns();
	int status = 0;

	while (waitpid(h->pid, &status, WNOHANG) == 0) {
		if (clock_ms_between(begin, clock_now_ns()) > END_MS) {
			kill(h->pid, SIGKILL);
			waitpid(h->pid, &status, 0);
			break;
		}
		nanosleep(&step, NULL);
	}
	h->pid = 0;
	return status;
}

void
helper_stop(struct helper *h)
{
	struct msg_quit quit = { 0 };

	progress_end(&h->progress);
	if (h->pid != 0 &&
	    sync_send(&h->io, MSG_QUIT, 0, 0, &quit, -1) != 0)
		kill(h->pid, SIGTERM);
	if (h->io.in.max != 0)
		sync_fini(&h->io);
	if (h->pid != 0)
		(void)reap(h);
	*h = (struct helper){ 0 };
}

/* The worker closed the link: how did it end? */
static int
died(struct helper *h, struct cause *cause)
{
	int status = h->pid != 0 ? reap(h) : 0;

	if (WIFSIGNALED(status))
		return cause_set(cause, BM_EWORKER,
		    "the worker died of signal %d (%s)", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	return cause_set(cause, BM_EWORKER, "the worker ended with status %d "
	    "before it had answered", WEXITSTATUS(status));
}

int
helper_ask(struct helper *h, enum msg_type type, const void *m,
    struct cause *cause)
{
	return helper_ask_fd(h, type, m, -1, cause);
}

int
helper_ask_fd(struct helper *h, enum msg_type type, const void *m, int fd,
    struct cause *cause)
{
	int r = sync_send(&h->io, type, ++h->seq, 0, m, fd);

	/* A worker that has gone may have said why: helper_next finds out. */
	if (r == 0 || r == BM_EWORKER)
		return 0;
	return cause_set(cause, r, "the worker: %s", err_text(r));
}

static int
receive(struct helper *h, struct frame *f, struct cause *cause)
{
	uint64_t begin = clock_now_ns();
	int r;

	while ((r = sync_recv(&h->io, f, TICK_MS)) == BM_ETIMEOUT) {
		progress_tick(&h->progress);
		if (h->timeout_ms == 0 || clock_ms_between(begin,
		    clock_now_ns()) < (double)h->timeout_ms)
			continue;
		/* It is busy with what nobody waits for any more. */
		kill(h->pid, SIGKILL);
		return cause_set(cause, BM_ETIMEOUT, "no answer of the "
		    "worker within %.3g s", (double)h->timeout_ms / 1000);
	}
	if (r == BM_EWORKER)
		return died(h, cause);
	return r == 0 ? 0 : cause_set(cause, r, "the worker: %s",
	    err_text(r));
}

int
helper_next(struct helper *h, struct frame *f, struct cause *cause)
{
	struct msg_result m;
	int r;

	do {
		if ((r = receive(h, f, cause)) != 0)
			return r;
		progress_tick(&h->progress);
	} while (f->type == MSG_HELLO);
	if (f->type != MSG_RESULT)
		return 0;
	if (msg_get_result(f->body, &m) != 0)
		return cause_set(cause, BM_EPROTO, "the worker: %s",
		    err_text(BM_EPROTO));
	if (m.code == 0)
		return 0;
	if (m.text.n == 0)
		m.text = slice_of(err_text(m.code));
	return cause_set(cause, m.code, "%.*s",
	    (int)(m.text.n < 250 ? m.text.n : 250), m.text.p);
}

int
helper_call(struct helper *h, enum msg_type type, const void *m,
    enum msg_type want, struct frame *f, struct cause *cause)
{
	int r;

	if ((r = helper_ask(h, type, m, cause)) != 0 ||
	    (r = helper_next(h, f, cause)) != 0)
		return r;
	if (f->type == want)
		return 0;
	return cause_set(cause, BM_EPROTO, "the worker answered %s with %s",
	    msg_name(type), msg_name(f->type));
}

int
helper_load_vocab(struct helper *h, struct cause *cause)
{
	struct msg_model m = { .vocab_only = 1, .n_parallel = 1,
	    .n_threads = 1 };
	struct frame f;

	return helper_call(h, MSG_MODEL, &m, MSG_MODEL_INFO, &f, cause);
}

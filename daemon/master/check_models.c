/* SPDX-License-Identifier: MIT */
/*
 * For --check: is every model one that a worker can load?  Each is given to a
 * worker of its own, as it would be in service; here alone the master waits
 * for one.
 */
#include "config.h"

#include <sys/wait.h>

#include <signal.h>
#include <unistd.h>

#include "master/master.h"
#include "master/spawn.h"
#include "wire/model_file.h"
#include "wire/sync_io.h"

static int
send_model(struct sync_io *io, const struct conf_model *conf,
    struct cause *cause)
{
	struct msg_hello hello = { WIRE_VERSION, R_MASTER,
	    (uint32_t)getpid() };
	struct msg_model m = model_message(conf, 1);
	struct model_file file;
	int r;

	if ((r = model_file_open(conf->path, &file, cause)) != 0)
		return r;
	r = sync_send(io, MSG_HELLO, 0, 0, &hello, -1);
	for (size_t i = 0; i < file.n_parts && r == 0; i++) {
		struct msg_model_part part = {
		    .name = slice_of(file.parts[i].name) };

		r = sync_send(io, MSG_MODEL_PART, 0, 0, &part,
		    file.parts[i].fd);
	}
	model_file_close(&file);
	if (r == 0)
		r = sync_send(io, MSG_MODEL, 1, 0, &m, -1);
	/* One that has gone may have said why. */
	return r == 0 || r == BM_EWORKER ? 0 :
	    cause_set(cause, r, "the worker: %s", err_text(r));
}

/* 0 when it has loaded the model. */
static int
take_answer(struct sync_io *io, uint64_t timeout_ms, struct cause *cause)
{
	struct msg_result m;
	struct frame f;
	int r;

	do {
		if ((r = sync_recv(io, &f, (int)timeout_ms)) != 0)
			return cause_set(cause, r, "the worker: %s",
			    err_text(r));
	} while (f.type == MSG_HELLO);
	if (f.type == MSG_MODEL_INFO)
		return 0;
	if (f.type != MSG_RESULT || msg_get_result(f.body, &m) != 0)
		return cause_set(cause, BM_EPROTO, "the worker: %s",
		    err_text(BM_EPROTO));
	return cause_set(cause, m.code != 0 ? m.code : BM_EPROTO, "%.*s",
	    (int)m.text.n, m.text.p);
}

static int
check(const struct conf *c, const struct conf_model *conf,
    struct cause *cause)
{
	const struct spawn s = { .name = "worker", .dir = "/",
	    .stderr_fd = -1 };
	struct sync_io io;
	pid_t pid;
	int fd, r;

	if ((r = spawn(&s, &pid, &fd, cause)) != 0)
		return r;
	sync_init(&io, fd, R_MASTER, R_WORKER);
	r = send_model(&io, conf, cause);
	if (r == 0)
		r = take_answer(&io, c->worker_start_timeout, cause);
	sync_fini(&io);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return r;
}

int
check_models(const struct conf *c, const char *file, struct cause *cause)
{
	for (size_t i = 0; i < c->n_models; i++) {
		const struct conf_model *m = &c->models[i];
		int r = check(c, m, cause);

		if (r == 0)
			continue;
		cause_prefix(cause, "model %s", m->name);
		if (file != NULL && m->line != 0)
			cause_prefix(cause, "%s:%u", file, m->line);
		return r;
	}
	return 0;
}

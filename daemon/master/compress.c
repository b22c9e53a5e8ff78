/* SPDX-License-Identifier: MIT */
/*
 * A variant of a model in another tensor type.  The quantiser runs in a worker
 * of its own, at the lowest priority and without a link to the gate; it gets
 * the descriptors of a model's file and of a file to write, checks the room on
 * the disk and syncs what it wrote.  Here are the names: the file is hidden
 * until it is whole, then renamed in one step.
 *
 * A job ends exactly once, in `finish` (done) or `fail` (anything else), and
 * both free it; so nothing may touch it after having called one of them.
 */
#include "config.h"

#include <sys/stat.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "master/child_log_io.h"
#include "master/compress_args.h"
#include "master/master.h"
#include "master/quality.h"
#include "master/spawn.h"
#include "wire/model_file.h"

struct compress {
	struct master	*m;
	struct model	*model;		/* outlives the job: see models.c */
	char		*type;
	char		*from;
	char		 name[NAME_MAX + 1];	/* of the variant */
	char		 dir[PATH_SIZE];
	char		 path[PATH_SIZE];	/* the variant's file */
	char		 temp[PATH_SIZE];	/* what is written */
	bool		 is_forced;
	uint32_t	 seq;		/* of the DO; 0: nobody waits */
	uint64_t	 id;
	struct chan	*chan;		/* NULL: closed */
	pid_t		 pid;		/* 0: it has been waited for */
	int		 status;
	unsigned	 percent;
	uint64_t	 start_ns;
};

/* ---- what the gate is told ---- */

void
compress_tell(struct master *m)
{
	const struct compress *c = m->compress;
	struct msg_variant s = { .state = slice_of("compressing") };

	if (c == NULL || m->gate.chan == NULL)
		return;
	s.model = slice_of(c->model->conf.name);
	s.name = slice_of(c->name);
	s.path = slice_of(c->path);
	s.percent = c->percent;
	chan_send(m->gate.chan, MSG_VARIANT, 0, 0, &s);
}

/* The variant is what it was before the job, if there was one. */
static void
untell(struct compress *c)
{
	struct variant *v = variant_find(c->model, c->name);
	struct variant none = { .name = c->name };

	if (v != NULL)
		v->is_told = false;
	else
		tell_variant_gone(c->m, c->model, &none);
}

static void
answer(const struct compress *c, int code, const char *text)
{
	if (c->seq != 0 && c->m->gate.chan != NULL)
		chan_send_result(c->m->gate.chan, c->seq, c->id, code, text);
}

/* ---- the end ---- */

/* The worker has nothing that must not be lost, so it needs no farewell. */
static void
job_free(struct compress *c)
{
	if (c->pid != 0)
		kill(c->pid, SIGKILL);
	chan_free(&c->chan);
	if (c->temp[0] != '\0' && unlink(c->temp) == -1 && errno != ENOENT)
		log_warn("%s", c->temp);
	c->m->compress = NULL;
	c->m->is_unsettled = true;
	free(c->type);
	free(c->from);
	free(c);
}

static void
fail(struct compress *c, int code, const char *why)
{
	log_warnx("model %s: variant %s is not made: %s", c->model->conf.name,
	    c->name, why);
	tell_event(c->m, "compress_failed", c->model->conf.name, "%s: %s",
	    c->name, why);
	untell(c);
	answer(c, code, why);
	job_free(c);
}

static int
sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (fd == -1)
		return -errno;
	if (fsync(fd) == -1 && errno != EINVAL)
		r = -errno;
	close(fd);
	return r;
}

/* Much may have happened since the job began. */
static int
may_replace(const struct compress *c, struct cause *cause)
{
	const struct variant *v = variant_find(c->model, c->name);

	if (v == NULL)
		return 0;
	if (!c->is_forced)
		return cause_set(cause, BM_EEXIST, "model %s has a variant "
		    "%s already: name another with --as, or --force",
		    c->model->conf.name, c->name);
	if (variant_is_used(c->model, v))
		return cause_set(cause, BM_EEXIST, "variant %s of model %s is "
		    "in use", c->name, c->model->conf.name);
	return 0;
}

/* The file appears under its name, and is there to stay.  Figures that were
 * measured of another file by that name go first. */
static int
publish(struct compress *c, struct cause *cause)
{
	unsigned flags = c->is_forced ? 0 : RENAME_NOREPLACE;
	int r = may_replace(c, cause);

	if (r != 0 || (r = quality_remove(c->path, cause)) != 0)
		return r;
	if (renameat2(AT_FDCWD, c->temp, AT_FDCWD, c->path, flags) == -1 &&
	    (errno != EINVAL || rename(c->temp, c->path) == -1))
		return cause_set(cause, errno == EEXIST ? BM_EEXIST : -errno,
		    "%s: %s", c->path, strerror(errno));
	c->temp[0] = '\0';
	if ((r = sync_dir(c->dir)) != 0)
		return cause_set(cause, r, "%s: %s", c->dir, err_text(r));
	return 0;
}

/* Without it the variant serves as well; only its description is poorer. */
static void
describe(const struct compress *c, const struct msg_quantized *q)
{
	struct quality known = { .bits_per_weight = q->bits_per_weight,
	    .perplexity = NAN, .reference = NAN, .kl_divergence = NAN };
	struct cause why;

	str_copy(known.made_from, c->from, sizeof(known.made_from));
	for (size_t i = 0; c->type[i] != '\0' && i + 1 < sizeof(known.type);
	    i++)
		known.type[i] = (char)toupper((unsigned char)c->type[i]);
	if (quality_write(c->path, &known, &why) != 0)
		log_warnx("%s", why.text);
}

static void
finish(struct compress *c, struct msg_quantized *q)
{
	struct master *m = c->m;
	struct cause why;
	struct variant *v;
	char size[32];
	int r;

	if ((r = publish(c, &why)) != 0) {
		fail(c, r, why.text);
		return;
	}
	describe(c, q);
	v = variant_add(c->model, c->name, c->path);
	tell_variant(m, c->model, v);
	log_info("model %s: variant %s is made type=%s bytes=%llu ms=%.0f",
	    c->model->conf.name, c->name, c->type,
	    (unsigned long long)q->bytes,
	    clock_ms_between(c->start_ns, clock_now_ns()));
	tell_event(m, "compressed", c->model->conf.name,
	    "%s: %s from %s, %s, %.2f bits a weight", c->name, c->type,
	    c->from, str_from_bytes(size, sizeof(size), q->bytes),
	    q->bits_per_weight);
	q->variant = slice_of(c->name);
	q->file = slice_of(c->path);
	if (c->seq != 0 && m->gate.chan != NULL)
		chan_send(m->gate.chan, MSG_QUANTIZED, c->seq, c->id, q);
	answer(c, 0, "");
	job_free(c);
}

/* Its link is closed and it is dead, without having said how it went. */
static void
fail_dead(struct compress *c)
{
	char how[128], text[256];

	child_status_text(c->status, how, sizeof(how));
	snprintf(text, sizeof(text), "the process that made it %s", how);
	fail(c, BM_EWORKER, text);
}

bool
compress_reaped(struct master *m, pid_t pid, int status)
{
	struct compress *c = m->compress;

	if (c == NULL || c->pid != pid)
		return false;
	c->pid = 0;
	c->status = status;
	if (c->chan == NULL)
		fail_dead(c);
	return true;
}

bool
compress_cancel(struct master *m, const struct model *model, const char *why)
{
	struct compress *c = m->compress;

	if (c == NULL || (model != NULL && c->model != model))
		return false;
	fail(c, BM_ECANCEL, why);
	return true;
}

void
compress_forget(struct master *m, uint32_t seq)
{
	if (m->compress != NULL && m->compress->seq == seq)
		(void)compress_cancel(m, NULL, "its operator has gone");
}

void
compress_gate_gone(struct master *m)
{
	if (m->compress != NULL)
		m->compress->seq = 0;
}

/* ---- what the worker says ---- */

static void
note_progress(struct compress *c, const struct msg_progress *p)
{
	unsigned percent = p->total == 0 ? 0 :
	    (unsigned)(p->done * 100.0 / p->total);

	if (percent != c->percent) {
		c->percent = percent;
		compress_tell(c->m);
	}
	if (c->seq != 0 && c->m->gate.chan != NULL)
		chan_send(c->m->gate.chan, MSG_PROGRESS, c->seq, c->id, p);
}

static void
on_frame(struct chan *chan, const struct frame *f, void *arg)
{
	struct compress *c = arg;
	struct msg_progress p;
	struct msg_quantized q;
	struct msg_result r;
	char text[256];

	if (f->fd != -1)
		close(f->fd);
	if (f->type == MSG_PROGRESS && msg_get_progress(f->body, &p) == 0) {
		note_progress(c, &p);
	} else if (f->type == MSG_QUANTIZED &&
	    msg_get_quantized(f->body, &q) == 0) {
		finish(c, &q);
	} else if (f->type == MSG_RESULT &&
	    msg_get_result(f->body, &r) == 0) {
		str_vis(text, sizeof(text), r.text.p, r.text.n);
		fail(c, r.code != 0 ? r.code : BM_EPROTO, text);
	}
}

static void
on_close(struct chan *chan, int err, void *arg)
{
	struct compress *c = arg;

	chan_free(&c->chan);
	if (c->pid == 0)
		fail_dead(c);
	else
		kill(c->pid, SIGKILL);	/* at its end, or out of its mind */
}

static const struct chan_handler handler = { on_frame, on_close };

/* ---- the begin ---- */

static int
set_paths(struct compress *c, struct cause *cause)
{
	char file[NAME_MAX + 1];
	int r = variants_dir(c->m, c->model->conf.name, c->dir);

	if (r == 0 && mkdir(c->dir, 0700) == -1 && errno != EEXIST)
		r = -errno;
	snprintf(file, sizeof(file), "%.200s.gguf", c->name);
	if (r == 0)
		r = path_join(c->path, c->dir, file);
	compress_temp_name(file, c->name);
	if (r == 0)
		r = path_join(c->temp, c->dir, file);
	if (r == 0)
		return 0;
	c->temp[0] = '\0';
	return cause_set(cause, r, "%s: %s", c->dir, err_text(r));
}

static int
open_temp(struct compress *c, int *fd, struct cause *cause)
{
	*fd = open(c->temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
	    O_NOFOLLOW, 0644);
	return *fd != -1 ? 0 : cause_set(cause, -errno, "%s: %s", c->temp,
	    strerror(errno));
}

/* Start the worker and give it all it needs. */
static int
start(struct compress *c, struct model_file *from, int out,
    struct cause *cause)
{
	struct spawn s = { .name = role_name(R_WORKER),
	    .dir = c->m->conf.state_dir,
	    .stderr_fd = child_log_fd(c->m->child_log),
	    .is_background = true };
	struct msg_quantize q = { .type = slice_of(c->type) };
	int fd, r;

	if ((r = spawn(&s, &c->pid, &fd, cause)) != 0) {
		model_file_close(from);
		close(out);
		return r;
	}
	c->chan = chan_new(c->m->loop, fd, R_MASTER, R_WORKER, &handler, c);
	child_send_parts(c->chan, from);
	chan_send_fd(c->chan, MSG_QUANTIZE, 1, 0, &q, out);
	return 0;
}

static int
begin(struct compress *c, const struct variant *from, struct cause *cause)
{
	struct model_file file;
	int fd, r;

	if ((r = may_replace(c, cause)) != 0 ||
	    (r = model_file_open(from->path, &file, cause)) != 0)
		return r;
	if ((r = set_paths(c, cause)) != 0 ||
	    (r = open_temp(c, &fd, cause)) != 0) {
		model_file_close(&file);
		return r;
	}
	return start(c, &file, fd, cause);
}

int
compress_begin(struct master *m, struct model *model,
    const struct compress_args *args, uint32_t seq, uint64_t id,
    struct cause *cause)
{
	const char *from = args->from != NULL ? args->from : VARIANT_BASE;
	const struct variant *v;
	struct compress *c = m->compress;
	char shown[80];
	int r;

	variants_scan(m, model);
	v = variant_find(model, from);
	if (c != NULL)
		return cause_set(cause, BM_EOVERLOAD, "variant %s of model %s "
		    "is being made, one at a time", c->name,
		    c->model->conf.name);
	if (v == NULL)
		return cause_set(cause, BM_ENOTFOUND, "model %s has no "
		    "variant \"%s\"", model->conf.name, str_vis(shown,
		    sizeof(shown), from, strlen(from)));
	c = m->compress = xcalloc(1, sizeof(*c));
	*c = (struct compress){ .m = m, .model = model,
	    .type = xstrdup(args->to), .from = xstrdup(from),
	    .is_forced = args->is_forced, .seq = seq, .id = id,
	    .start_ns = clock_now_ns() };
	str_copy(c->name, args->as, sizeof(c->name));
	if ((r = begin(c, v, cause)) != 0) {
		job_free(c);
		return r;
	}
	log_info("model %s: variant %s is being made from %s pid=%d",
	    model->conf.name, c->name, from, (int)c->pid);
	tell_event(m, "compress_started", model->conf.name, "%s: %s from %s",
	    c->name, str_vis(shown, sizeof(shown), c->type, strlen(c->type)),
	    from);
	compress_tell(m);
	return 0;
}

/* ---- leftovers ---- */

static void
clean_dir(const char *dir)
{
	char path[PATH_SIZE];
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d != NULL && (e = readdir(d)) != NULL)
		if (compress_is_temp_name(e->d_name) &&
		    path_join(path, dir, e->d_name) == 0 && unlink(path) == 0)
			log_info("%s is removed: it was never finished", path);
	if (d != NULL)
		closedir(d);
}

void
compress_clean(struct master *m)
{
	char all[PATH_SIZE], dir[PATH_SIZE];
	struct dirent *e;
	DIR *d = path_join(all, m->conf.state_dir, "variants") == 0 ?
	    opendir(all) : NULL;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' &&
		    path_join(dir, all, e->d_name) == 0)
			clean_dir(dir);
	if (d != NULL)
		closedir(d);
}

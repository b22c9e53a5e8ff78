/* SPDX-License-Identifier: MIT */
/*
 * Where the workers of a variant keep its packed weights: the cache directory,
 * and a memfd that they share.  We only make and pass the descriptors; which
 * of the two is used, and when, the workers agree on among themselves (they
 * lock the memfd).
 */
#include "config.h"

#include <sys/mman.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "master/master.h"
#include "wire/paths.h"

static void
give(struct child *c, enum store_kind kind, int fd)
{
	struct msg_store m = { .kind = (uint8_t)kind,
	    .max_bytes = c->master->conf.worker_cache_max };

	if (fd != -1)
		chan_send_fd(c->chan, MSG_STORE, 0, 0, &m, fd);
}

static int
open_directory(const struct master *m)
{
	char path[PATH_SIZE];
	int fd = -1;

	if (m->conf.worker_cache_max > 0 && path_join(path,
	    m->conf.state_dir, PATH_CACHE) == 0 && (fd = open(path,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		log_warn("%s: weights are kept in memory", path);
	return fd;
}

/* A memfd belongs to one file: one that has been replaced, or written to, is
 * another. */
static bool
is_of(const struct variant *v, const struct stat *st)
{
	const struct stat *was = &v->store_of;

	return was->st_dev == st->st_dev && was->st_ino == st->st_ino &&
	    was->st_size == st->st_size &&
	    was->st_mtim.tv_sec == st->st_mtim.tv_sec &&
	    was->st_mtim.tv_nsec == st->st_mtim.tv_nsec;
}

void
store_give(struct child *c, int fd)
{
	struct variant *v = c->variant;
	struct stat st;

	if (fstat(fd, &st) == -1)
		return;
	if (!is_of(v, &st))
		store_close(v);
	if (v->store_fd == -1) {
		v->store_of = st;
		v->store_fd = memfd_create("weights",
		    MFD_CLOEXEC | MFD_ALLOW_SEALING);
	}
	if (v->store_fd == -1) {
		log_warn("model %s: workers can't share weights",
		    c->model->conf.name);
		return;
	}
	give(c, STORE_MEMORY, fcntl(v->store_fd, F_DUPFD_CLOEXEC, 0));
	give(c, STORE_DIRECTORY, open_directory(c->master));
}

void
store_close(struct variant *v)
{
	if (v->store_fd != -1)
		close(v->store_fd);
	v->store_fd = -1;
}

void
store_release(struct model *model, struct variant *v)
{
	const struct child *w;

	TAILQ_FOREACH(w, &model->workers, entry)
		if (w->variant == v)
			return;
	store_close(v);
}

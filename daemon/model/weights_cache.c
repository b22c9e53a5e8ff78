/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/weights_cache.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/weights_room.h"

#define NAME_SIZE	64
#define LOCK_POLL_MS	10

/* What a memfd without weights may hold: which file was found undamaged. */
struct note {
	char		 magic[8];
	uint64_t	 device, inode, mtime_s, mtime_ns;
};
static const char note_magic[8] = "BMCHECKD";

struct cache {
	const struct weights_source *s;
	const struct weights_plan *plan;	/* the source's */
	char		 name[NAME_SIZE];	/* of the file */
};

static void
wait_for_others(const struct cache *c)
{
	const struct timespec pause = { 0, LOCK_POLL_MS * 1000000 };

	weights_progress(c->s, 0);
	nanosleep(&pause, NULL);
}

/* ---- the memfd: lock and note ---- */

/*
 * The description of the descriptor is shared by all processes that were given
 * it, so only a record lock, which belongs to the process, keeps them apart.
 */
static int
lock(const struct cache *c)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	while (fcntl(c->plan->memory_fd, F_SETLK, &l) == -1) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return -errno;
		wait_for_others(c);
	}
	return 0;
}

static void
unlock(const struct cache *c)
{
	struct flock l = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	(void)fcntl(c->plan->memory_fd, F_SETLK, &l);
}

static bool
make_note(int fd, struct note *n)
{
	struct stat st;

	memset(n, 0, sizeof(*n));
	if (fstat(fd, &st) == -1)
		return false;
	memcpy(n->magic, note_magic, sizeof(n->magic));
	n->device = st.st_dev;
	n->inode = st.st_ino;
	n->mtime_s = (uint64_t)st.st_mtim.tv_sec;
	n->mtime_ns = (uint64_t)st.st_mtim.tv_nsec;
	return true;
}

/* Has one of us read this very file through? */
static bool
is_noted(const struct cache *c, int fd)
{
	struct note is, was;

	return make_note(fd, &is) && pread(c->plan->memory_fd, &was,
	    sizeof(was), 0) == sizeof(was) &&
	    memcmp(&is, &was, sizeof(is)) == 0;
}

/* The time of the last change of a file is that of its last use. */
static void
note_use(const struct cache *c, int fd)
{
	struct note n;

	(void)futimens(fd, NULL);
	if (make_note(fd, &n) && pwrite(c->plan->memory_fd, &n, sizeof(n),
	    0) != sizeof(n))
		log_debug("packed weights %s: no note", c->name);
}

/* ---- files ---- */

static int
map_checked(const struct cache *c, int fd, struct weights_map *out,
    struct cause *why)
{
	int r;

	/* Against those who make room; they, too, have it for a moment. */
	while (flock(fd, LOCK_SH) == -1)
		if (errno != EINTR)
			return cause_set(why, -errno, "%s", strerror(errno));
	if ((r = weights_map_file(c->s, fd, !is_noted(c, fd), out, why)) != 0)
		return r;
	note_use(c, fd);
	out->fd = fd;
	return 0;
}

/* BM_ENOTFOUND, without a word, when there is none or only a wrong one. */
static int
open_file(const struct cache *c, struct weights_map *out)
{
	struct cause why = { 0 };
	int fd = openat(c->plan->dir_fd, c->name,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd == -1) {
		if (errno != ENOENT)
			log_warn("packed weights %s", c->name);
		return BM_ENOTFOUND;
	}
	if (map_checked(c, fd, out, &why) == 0)
		return 0;
	log_warnx("packed weights %s: %s; they are packed again", c->name,
	    why.text);
	close(fd);
	(void)unlinkat(c->plan->dir_fd, c->name, 0);
	return BM_ENOTFOUND;
}

/* Is that the file of this name? */
static bool
is_named(int dir, const char *name, int fd)
{
	struct stat is, named;

	return fstat(fd, &is) == 0 && fstatat(dir, name, &named,
	    AT_SYMLINK_NOFOLLOW) == 0 && is.st_dev == named.st_dev &&
	    is.st_ino == named.st_ino;
}

/*
 * The temporary file, empty and locked by us alone.  Another model's workers
 * may have the same file, and a lock of their own: they are waited for, until
 * what they write has got its name (and is locked as long as it is mapped).
 * BM_EEXIST: so there may be a whole file now.
 */
static int
open_tmp(const struct cache *c, const char *tmp)
{
	int dir = c->plan->dir_fd, r = 0;
	int fd = openat(dir, tmp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK, 0600);

	if (fd == -1)
		return -errno;
	while (r == 0 && flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			r = -errno;
		else if (!is_named(dir, tmp, fd))
			r = BM_EEXIST;
		else
			wait_for_others(c);
	}
	if (r == 0 && !is_named(dir, tmp, fd))
		r = BM_EEXIST;
	/* what a killed one left */
	if (r == 0 && ftruncate(fd, 0) == -1)
		r = -errno;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

/* It gets its name when it is whole. */
static int
write_file(const struct cache *c, const char *tmp, struct cause *why)
{
	int dir = c->plan->dir_fd, fd, r;

	if ((fd = open_tmp(c, tmp)) < 0)
		return cause_set(why, fd, "%s", err_text(fd));
	r = weights_file_write(c->s, fd, false, why);
	if (r == 0 && renameat(dir, tmp, dir, c->name) == -1)
		r = cause_set(why, -errno, "%s", strerror(errno));
	if (r == 0)
		note_use(c, fd);
	else
		(void)unlinkat(dir, tmp, 0);
	close(fd);
	if (r == 0)
		(void)fsync(dir);
	return r;
}

static int
make_file(const struct cache *c, struct weights_map *out)
{
	struct cause why = { 0 };
	char tmp[NAME_SIZE + 8];
	int r;

	snprintf(tmp, sizeof(tmp), "%s" WEIGHTS_TMP_TAIL, c->name);
	do {
		if ((r = weights_make_room(c->plan->dir_fd, c->plan->max_bytes,
		    weights_file_bytes(c->s->layout), &why)) == 0)
			r = write_file(c, tmp, &why);
		if ((r == 0 || r == BM_EEXIST) && open_file(c, out) == 0)
			return 0;
	} while (r == BM_EEXIST);
	log_warnx("packed weights %s: no file: %s; they are kept in memory",
	    c->name, r == 0 ? "it is gone again" : why.text);
	return BM_ENOTFOUND;
}

/* ---- the memfd: weights ---- */

static int
make_memory(const struct cache *c, struct cause *cause)
{
	int fd = c->plan->memory_fd, r;

	/* a note, or what a killed one left */
	if (ftruncate(fd, 0) == -1)
		return cause_set(cause, -errno, "%s", strerror(errno));
	if ((r = weights_file_write(c->s, fd, true, cause)) != 0) {
		if (ftruncate(fd, 0) == -1)
			log_debug("packed weights: memory is not returned");
		return r;
	}
	/* F_SEAL_WRITE would forbid shared mappings on older systems. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == -1)
		return cause_set(cause, -errno, "can't seal memory: %s",
		    strerror(errno));
	return 0;
}

static bool
is_sealed(const struct cache *c)
{
	return (fcntl(c->plan->memory_fd, F_GET_SEALS) & F_SEAL_SEAL) != 0;
}

/* ---- all together ---- */

static int
find_or_make(const struct cache *c, struct weights_map *out,
    struct cause *cause)
{
	const struct weights_plan *p = c->plan;
	int r;

	if (!is_sealed(c)) {
		if (p->dir_fd != -1 && p->max_bytes > 0 &&
		    (open_file(c, out) == 0 || make_file(c, out) == 0))
			return 0;
		if ((r = make_memory(c, cause)) != 0)
			return r;
	}
	return weights_map_file(c->s, p->memory_fd, false, out, cause);
}

int
weights_cache_open(const struct weights_source *s, struct weights_map *out,
    struct cause *cause)
{
	struct cache c = { .s = s, .plan = s->plan };
	struct cause why = { 0 };
	int r;

	if (s->plan->memory_fd == -1)
		return weights_map_anonymous(s, out, cause);
	snprintf(c.name, sizeof(c.name), "%016" PRIx64 "%016" PRIx64
	    WEIGHTS_TAIL, s->id[0], s->id[1]);
	if ((r = lock(&c)) != 0)
		cause_set(&why, r, "can't lock: %s", err_text(r));
	else {
		r = find_or_make(&c, out, &why);
		unlock(&c);
	}
	if (r == 0)
		return 0;
	log_warnx("packed weights can't be shared: %s", why.text);
	return weights_map_anonymous(s, out, cause);
}

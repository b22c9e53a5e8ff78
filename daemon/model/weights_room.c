/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/weights_room.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

/* More files than this are not looked at. */
#define MAX_FILES 4096

struct file {
	char		*name;
	uint64_t	 n_bytes;	/* on the disk */
	struct timespec	 used;
};

struct files {
	struct file	*v;
	size_t		 n;
	uint64_t	 n_bytes;	/* of all, those in use included */
	uint64_t	 n_removable;	/* of v */
};

static bool
ends_in(const char *name, const char *tail)
{
	size_t n = strlen(name), m = strlen(tail);

	return n > m && strcmp(name + n - m, tail) == 0;
}

/* Does a worker have it mapped, or is one writing it? */
static bool
is_in_use(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK);
	bool is;

	if (fd == -1)
		return true;
	is = flock(fd, LOCK_EX | LOCK_NB) == -1;
	close(fd);
	return is;
}

static void
look_at(int dir_fd, const char *name, struct files *f)
{
	struct stat st;
	uint64_t n_bytes;

	if ((!ends_in(name, WEIGHTS_TAIL) &&
	    !ends_in(name, WEIGHTS_TAIL WEIGHTS_TMP_TAIL)) ||
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode))
		return;
	n_bytes = (uint64_t)st.st_blocks * 512;
	if (is_in_use(dir_fd, name)) {
		f->n_bytes += n_bytes;
	} else if (ends_in(name, WEIGHTS_TMP_TAIL)) {
		log_info("packed weights: %s is removed, its writer is gone",
		    name);
		(void)unlinkat(dir_fd, name, 0);
	} else {
		f->n_bytes += n_bytes;
		f->n_removable += n_bytes;
		f->v = xreallocarray(f->v, f->n + 1, sizeof(*f->v));
		f->v[f->n++] = (struct file){ xstrdup(name), n_bytes,
		    st.st_mtim };
	}
}

static int
list(int dir_fd, struct files *f)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd != -1 ? fdopendir(fd) : NULL;
	const struct dirent *e;

	if (dir == NULL) {
		int r = -errno;

		if (fd != -1)
			close(fd);
		return r;
	}
	while (f->n < MAX_FILES && (e = readdir(dir)) != NULL)
		look_at(dir_fd, e->d_name, f);
	closedir(dir);
	return 0;
}

static int
used_cmp(const void *va, const void *vb)
{
	const struct timespec *a = &((const struct file *)va)->used;
	const struct timespec *b = &((const struct file *)vb)->used;

	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? -1 : 1;
	return (a->tv_nsec > b->tv_nsec) - (a->tv_nsec < b->tv_nsec);
}

/* How much too many bytes there would be. */
static uint64_t
excess(const struct files *f, int dir_fd, uint64_t max_bytes,
    uint64_t n_bytes)
{
	uint64_t over = 0, available, wanted = n_bytes + WEIGHTS_FREE_BYTES;
	struct statvfs v;

	if (f->n_bytes + n_bytes > max_bytes)
		over = f->n_bytes + n_bytes - max_bytes;
	if (fstatvfs(dir_fd, &v) == -1)
		return over;
	available = (uint64_t)v.f_bavail * v.f_frsize;
	if (wanted > available)
		over = MEM_MAX(over, wanted - available);
	return over;
}

static void
remove_oldest(struct files *f, int dir_fd, uint64_t over)
{
	char size[32];

	if (over == 0)
		return;
	qsort(f->v, f->n, sizeof(*f->v), used_cmp);
	for (size_t i = 0; i < f->n && over > 0; i++) {
		log_info("packed weights: %s (%s), not used for longest, is "
		    "removed to make room", f->v[i].name,
		    str_from_bytes(size, sizeof(size), f->v[i].n_bytes));
		(void)unlinkat(dir_fd, f->v[i].name, 0);
		over -= MEM_MIN(over, f->v[i].n_bytes);
	}
}

int
weights_make_room(int dir_fd, uint64_t max_bytes, uint64_t n_bytes,
    struct cause *cause)
{
	struct files f = { 0 };
	char needed[32], lacking[32];
	uint64_t over = 0;
	int r = list(dir_fd, &f);

	if (r == 0)
		over = excess(&f, dir_fd, max_bytes, n_bytes);
	if (r != 0)
		cause_set(cause, r, "%s", err_text(r));
	else if (over <= f.n_removable)
		remove_oldest(&f, dir_fd, over);
	else
		r = cause_set(cause, -ENOSPC, "it needs %s, %s more than "
		    "there is room for", str_from_bytes(needed,
		    sizeof(needed), n_bytes), str_from_bytes(lacking,
		    sizeof(lacking), over - f.n_removable));
	for (size_t i = 0; i < f.n; i++)
		free(f.v[i].name);
	free(f.v);
	return r;
}

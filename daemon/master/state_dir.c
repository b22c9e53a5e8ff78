/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "master/state_dir.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "wire/paths.h"

#define LOCK_NAME "master.lock"

/* mkdir -p; the parents get the umask's mode, the last one 0711 so that
 * clients reach client.sock in it but can't list it. */
static int
make_dirs(const char *path)
{
	char part[PATH_SIZE];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, i == n ? 0711 : 0755) == -1 &&
		    errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int
check_dir(const char *path, struct cause *cause)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return cause_set(cause, -errno, "%s: %s", path,
		    strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return cause_set(cause, -ENOTDIR, "%s: not a directory",
		    path);
	/* Somebody else's directory could swap our sockets and caches. */
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return cause_set(cause, -EPERM,
		    "%s: belongs to user %u, not to us", path,
		    (unsigned)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return cause_set(cause, -EPERM,
		    "%s: others may write to it (mode %04o)", path,
		    (unsigned)(st.st_mode & 07777));
	return 0;
}

static int
make_subdir(const char *dir, const char *name, struct cause *cause)
{
	char path[PATH_SIZE];
	int r;

	if ((r = path_join(path, dir, name)) == 0 &&
	    mkdir(path, 0700) == -1 && errno != EEXIST)
		r = -errno;
	return r == 0 ? 0 : cause_set(cause, r, "%s/%s: %s", dir, name,
	    err_text(r));
}

static int
lock_dir(const char *dir, struct cause *cause)
{
	char path[PATH_SIZE], pid[16] = "";
	ssize_t n;
	int fd, r;

	if ((r = path_join(path, dir, LOCK_NAME)) != 0)
		return cause_set(cause, r, "%s: path too long", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd == -1)
		return cause_set(cause, -errno, "%s: %s", path,
		    strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	r = -errno;
	n = pread(fd, pid, sizeof(pid) - 1, 0);
	pid[n > 0 ? n : 0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	close(fd);
	if (r != -EWOULDBLOCK)
		return cause_set(cause, r, "%s: %s", path, err_text(r));
	return cause_set(cause, BM_EEXIST,
	    "%s: another bigmodeld runs here (pid %s)", dir,
	    pid[0] != '\0' ? pid : "unknown");
}

int
state_dir_open(const char *path, struct cause *cause)
{
	int r;

	if ((r = make_dirs(path)) != 0)
		return cause_set(cause, r, "%s: %s", path, err_text(r));
	if ((r = check_dir(path, cause)) != 0 ||
	    (r = make_subdir(path, PATH_CACHE, cause)) != 0 ||
	    (r = make_subdir(path, "variants", cause)) != 0)
		return r;
	return lock_dir(path, cause);
}

void
state_dir_sign(int lock_fd)
{
	char pid[16];
	int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

	/* Only a courtesy: the lock itself is what counts. */
	if (ftruncate(lock_fd, 0) == -1 ||
	    pwrite(lock_fd, pid, (size_t)n, 0) != n)
		return;
}

/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "master/activation.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "master/addr.h"
#include "wire/fd_io.h"

#define FIRST_FD	3
#define FDS_MAX		64

static const char *const kind_names[LISTEN_N] = {
	[LISTEN_HTTP] = "http", [LISTEN_LINE] = "line",
	[LISTEN_CLIENT_UNIX] = "client", [LISTEN_ADMIN_UNIX] = "admin"
};

int
activation_count(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t whose;
	int n;

	if (pid == NULL || fds == NULL || str_to_u64(pid, &whose) != 0 ||
	    whose != (uint64_t)getpid() ||
	    str_to_int(fds, 0, FDS_MAX, &n) != 0)
		return 0;
	return n;
}

static bool
is_unix(int kind)
{
	return kind == LISTEN_CLIENT_UNIX || kind == LISTEN_ADMIN_UNIX;
}

/* Which of ours it is; -1 when no place is left for its kind. */
static int
kind_of(const struct listeners *l, const char *name, size_t n,
    const struct addr *a)
{
	const struct sockaddr_un *sun = (const void *)&a->ss;
	const char *slash;

	for (int i = 0; i < LISTEN_N; i++)
		if (strlen(kind_names[i]) == n &&
		    memcmp(kind_names[i], name, n) == 0)
			return i;
	if (a->ss.ss_family == AF_UNIX) {
		slash = strrchr(sun->sun_path, '/');
		return slash != NULL && strcmp(slash + 1,
		    PATH_ADMIN_SOCKET) == 0 ? LISTEN_ADMIN_UNIX :
		    LISTEN_CLIENT_UNIX;
	}
	return l->of[LISTEN_HTTP].fd == -1 ? LISTEN_HTTP : LISTEN_LINE;
}

/* Is it a stream socket that listens? */
static bool
is_listening(int fd)
{
	int type = 0, listens = 0;
	socklen_t n = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
	    type == SOCK_STREAM && (n = sizeof(listens)) != 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 &&
	    listens;
}

static void
put_address(struct listener *l, const struct addr *a)
{
	const struct sockaddr_un *sun = (const void *)&a->ss;

	if (a->ss.ss_family != AF_UNIX)
		addr_print(a, l->addr);
	else if (sun->sun_path[0] != '\0')
		str_copy(l->addr, sun->sun_path, sizeof(l->addr));
	else
		snprintf(l->addr, sizeof(l->addr), "@%s", sun->sun_path + 1);
}

static int
take(struct listeners *l, int fd, const char *name, size_t n,
    struct cause *cause)
{
	/* One byte is left, so that a path ends. */
	struct addr a = { .len = sizeof(a.ss) - 1 };
	bool is_ours;
	int kind, r;

	if (!is_listening(fd) || getsockname(fd, (struct sockaddr *)&a.ss,
	    &a.len) == -1)
		return cause_set(cause, BM_ECONF, "LISTEN_FDS: descriptor %d "
		    "is no stream socket that listens", fd);
	kind = kind_of(l, name, n, &a);
	is_ours = is_unix(kind) ? a.ss.ss_family == AF_UNIX :
	    a.ss.ss_family == AF_INET || a.ss.ss_family == AF_INET6;
	if (!is_ours)
		return cause_set(cause, BM_ECONF, "LISTEN_FDS: descriptor %d "
		    "is no %s socket as \"%s\" must be", fd,
		    is_unix(kind) ? "Unix" : "TCP", kind_names[kind]);
	if (l->of[kind].fd != -1)
		return cause_set(cause, BM_ECONF, "LISTEN_FDS: descriptor %d "
		    "is a second socket for \"%s\"", fd, kind_names[kind]);
	if ((r = fd_set_nonblocking(fd)) != 0 ||
	    (r = fd_set_cloexec(fd, 1)) != 0)
		return cause_set(cause, r, "LISTEN_FDS: descriptor %d: %s",
		    fd, err_text(r));
	l->of[kind].fd = fd;
	l->of[kind].is_given = true;
	put_address(&l->of[kind], &a);
	return 0;
}

int
activation_take(struct listeners *l, struct cause *cause)
{
	const char *name = getenv("LISTEN_FDNAMES");
	int n_fds = activation_count(), r = 0;

	if (name == NULL)
		name = "";
	for (int i = 0; i < n_fds && r == 0; i++) {
		size_t n = strcspn(name, ":");

		r = take(l, FIRST_FD + i, name, n, cause);
		name += n + (name[n] == ':');
	}
	/* Not for our children. */
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return r;
}

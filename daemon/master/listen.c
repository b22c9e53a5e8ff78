/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "master/listen.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "master/addr.h"

/* The kernel lowers it to net.core.somaxconn. */
#define BACKLOG	4096

static int
new_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* ---- TCP ---- */

static int
bind_tcp(struct listener *l, struct cause *cause)
{
	struct addr a;
	int fd, one = 1, r;

	if ((r = addr_parse(l->wanted, &a, cause)) != 0)
		return r;
	if ((fd = new_socket(a.ss.ss_family)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one,
	    sizeof(one)) == -1 ||
	    (a.ss.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6,
	    IPV6_V6ONLY, &one, sizeof(one)) == -1) ||
	    bind(fd, (struct sockaddr *)&a.ss, a.len) == -1 ||
	    listen(fd, BACKLOG) == -1 ||
	    getsockname(fd, (struct sockaddr *)&a.ss, &a.len) == -1) {
		r = -errno;
		if (fd != -1)
			close(fd);
		return cause_set(cause, r, "%s: %s", l->wanted, err_text(r));
	}
	addr_print(&a, l->addr);
	l->fd = fd;
	return 0;
}

/* ---- Unix ---- */

/* Remove a socket that nobody listens on any more; -EADDRINUSE when somebody
 * does or when it is no socket. */
static int
remove_stale(const struct sockaddr_un *sun)
{
	struct stat st;
	int fd, r;

	if (lstat(sun->sun_path, &st) == -1)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode) || (fd = new_socket(AF_UNIX)) == -1)
		return -EADDRINUSE;
	r = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	r = r == -1 && errno == ECONNREFUSED ? 0 : -EADDRINUSE;
	close(fd);
	if (r == 0 && unlink(sun->sun_path) == -1)
		r = -errno;
	return r;
}

static int
bind_unix(struct listener *l, struct cause *cause)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	mode_t old;
	int fd, r;

	if (str_copy(sun.sun_path, l->wanted, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path))
		return cause_set(cause, -ENAMETOOLONG,
		    "%s: longer than a socket's name may be (%zu bytes)",
		    l->wanted, sizeof(sun.sun_path) - 1);
	if ((r = remove_stale(&sun)) != 0)
		return cause_set(cause, r, "%s: %s", l->wanted, err_text(r));
	/* Nobody gets in before the mode is what it should be. */
	old = umask(0777);
	if ((fd = new_socket(AF_UNIX)) == -1 ||
	    bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(fd, BACKLOG) == -1)
		r = -errno;
	umask(old);
	if (r != 0) {
		if (fd != -1)
			close(fd);
		return cause_set(cause, r, "%s: %s", l->wanted, err_text(r));
	}
	str_copy(l->addr, l->wanted, sizeof(l->addr));
	l->fd = fd;
	return 0;
}

static int
set_modes(const struct listeners *l, const struct conf *c,
    struct cause *cause)
{
	const struct listener *clients = &l->of[LISTEN_CLIENT_UNIX];
	const struct listener *admins = &l->of[LISTEN_ADMIN_UNIX];
	const char *client = clients->wanted, *admin = admins->wanted;
	const char *name = c->listen_admin_group;
	const struct group *g = NULL;

	if (!clients->is_given && chmod(client,
	    (mode_t)strtoul(c->listen_socket_mode, NULL, 8)) == -1)
		return cause_set(cause, -errno, "%s: %s", client,
		    strerror(errno));
	if (name[0] != '\0' && (g = getgrnam(name)) == NULL)
		return cause_set(cause, BM_ECONF,
		    "listen.admin_group: no group \"%s\"", name);
	if (admins->is_given)
		return 0;
	if (chmod(admin, 0600) == -1 ||
	    (g != NULL && (chown(admin, (uid_t)-1, g->gr_gid) == -1 ||
	    chmod(admin, 0660) == -1)))
		return cause_set(cause, -errno, "%s: %s", admin,
		    strerror(errno));
	return 0;
}

/* ---- all ---- */

void
listen_init(struct listeners *l)
{
	memset(l, 0, sizeof(*l));
	for (int i = 0; i < LISTEN_N; i++)
		l->of[i].fd = -1;
}

static int
want(struct listeners *l, const struct conf *c)
{
	int r;

	if ((r = path_join(l->of[LISTEN_CLIENT_UNIX].wanted, c->state_dir,
	    PATH_CLIENT_SOCKET)) != 0 ||
	    (r = path_join(l->of[LISTEN_ADMIN_UNIX].wanted, c->state_dir,
	    PATH_ADMIN_SOCKET)) != 0)
		return r;
	if (!addr_is_off(c->listen_http))
		str_copy(l->of[LISTEN_HTTP].wanted, c->listen_http,
		    PATH_SIZE);
	if (!addr_is_off(c->listen_line))
		str_copy(l->of[LISTEN_LINE].wanted, c->listen_line,
		    PATH_SIZE);
	return 0;
}

static int
bind_one(struct listener *l, int kind, struct cause *cause)
{
	if (l->wanted[0] == '\0')
		return 0;
	return kind == LISTEN_CLIENT_UNIX || kind == LISTEN_ADMIN_UNIX ?
	    bind_unix(l, cause) : bind_tcp(l, cause);
}

int
listen_apply(struct listeners *l, const struct conf *c, struct cause *cause)
{
	struct listeners next;
	bool is_kept[LISTEN_N] = { false };
	int r;

	listen_init(&next);
	if ((r = want(&next, c)) != 0)
		return cause_set(cause, r, "%s: path too long", c->state_dir);
	for (int i = 0; i < LISTEN_N && r == 0; i++) {
		is_kept[i] = l->of[i].is_given || (l->of[i].fd != -1 &&
		    strcmp(l->of[i].wanted, next.of[i].wanted) == 0);
		if (is_kept[i])
			next.of[i] = l->of[i];
		else
			r = bind_one(&next.of[i], i, cause);
	}
	if (r == 0)
		r = set_modes(&next, c, cause);
	for (int i = 0; i < LISTEN_N; i++) {
		int stale = r == 0 ? l->of[i].fd : next.of[i].fd;

		if (!is_kept[i] && stale != -1)
			close(stale);
	}
	if (r == 0)
		*l = next;
	return r;
}

void
listen_close(struct listeners *l)
{
	for (int i = 0; i < LISTEN_N; i++) {
		if (l->of[i].fd == -1)
			continue;
		close(l->of[i].fd);
		if (!l->of[i].is_given &&
		    (i == LISTEN_CLIENT_UNIX || i == LISTEN_ADMIN_UNIX))
			unlink(l->of[i].addr);
	}
	listen_init(l);
}

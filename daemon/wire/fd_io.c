/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "wire/fd_io.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* More than any peer of ours sends with one write. */
#define FDS_AT_ONCE 32

union control {
	struct cmsghdr	 align;
	char		 space[CMSG_SPACE(FDS_AT_ONCE * sizeof(int))];
};

int
fd_socketpair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == -1)
		return -errno;
	return 0;
}

int
fd_set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		return -errno;
	return 0;
}

int
fd_set_cloexec(int fd, int on)
{
	if (fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) == -1)
		return -errno;
	return 0;
}

ssize_t
fd_send(int fd, const void *p, size_t n, int pass_fd)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control;
	struct cmsghdr *h;

	if (pass_fd != -1) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int));
		h = CMSG_FIRSTHDR(&msg);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &pass_fd, sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* Take the descriptors of one control message. */
static void
take_fds(struct cmsghdr *h, int *fds, int max, int *n_fds)
{
	size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
		if (*n_fds < max)
			fds[(*n_fds)++] = fd;
		else
			close(fd);
	}
}

ssize_t
fd_recv(int fd, void *p, size_t n, int *fds, int max, int *n_fds)
{
	struct iovec iov = { .iov_base = p, .iov_len = n };
	union control control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = &control, .msg_controllen = sizeof(control) };
	struct cmsghdr *h;
	ssize_t got;

	*n_fds = 0;
	got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	if (got < 0)
		return got;
	for (h = CMSG_FIRSTHDR(&msg); h != NULL; h = CMSG_NXTHDR(&msg, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
			take_fds(h, fds, max, n_fds);
	return got;
}

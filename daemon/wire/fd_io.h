/* SPDX-License-Identifier: MIT */
#ifndef BM_WIRE_FD_IO_H
#define BM_WIRE_FD_IO_H

/* The socket calls that chan_io and sync_io share. */

#include <sys/types.h>

#include <stddef.h>

/* A stream socketpair, both ends close-on-exec; -errno on failure. */
int	 fd_socketpair(int fds[2]);
int	 fd_set_nonblocking(int fd);
int	 fd_set_cloexec(int fd, int on);
/* As send(2) without SIGPIPE; pass_fd (or -1) rides on the first byte. */
ssize_t	 fd_send(int fd, const void *p, size_t n, int pass_fd);
/* As recv(2); up to max descriptors are put into fds (close-on-exec), *n_fds
 * tells how many.  More than fit are closed. */
ssize_t	 fd_recv(int fd, void *p, size_t n, int *fds, int max, int *n_fds);

#endif

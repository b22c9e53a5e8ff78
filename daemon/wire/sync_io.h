/* SPDX-License-Identifier: MIT */
#ifndef BM_WIRE_SYNC_IO_H
#define BM_WIRE_SYNC_IO_H

/*
 * The same frames without a loop: send and receive one at a time, waiting.
 * For the console, which talks to one worker, and for tests.
 */

#include "wire/frame.h"

struct sync_io {
	int		 fd;
	enum role	 me;
	enum role	 peer;
	struct buf	 in;
	size_t		 in_at;		/* bytes of in already handed out */
	int		 in_fds[8];
	int		 n_in_fds;
};

void	 sync_init(struct sync_io *s, int fd, enum role me, enum role peer);
/* Closes the descriptor. */
void	 sync_fini(struct sync_io *s);
/* pass_fd stays the caller's. */
int	 sync_send(struct sync_io *s, enum msg_type type, uint32_t seq,
	    uint64_t id, const void *m, int pass_fd) BM_MUST_CHECK;
/* Wait at most timeout_ms (-1: for ever) for the next frame, which lives until
 * the next call.  BM_ETIMEOUT; BM_EWORKER when the other end has closed. */
int	 sync_recv(struct sync_io *s, struct frame *f, int timeout_ms)
	    BM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_WIRE_CHAN_IO_H
#define BM_WIRE_CHAN_IO_H

/*
 * A channel: frames over one end of a socketpair, driven by a libev loop.
 * Sending never blocks: what the socket does not take is kept, and chan_backlog
 * tells how much that is.  Descriptors travel with the frame that names them.
 */

#include <stddef.h>
#include <stdint.h>

#include "wire/frame.h"

struct ev_loop;
struct chan;

struct chan_handler {
	/* One frame; f and what it borrows end with the call.  f->fd, if not
	 * -1, is the handler's to keep or close.  It may call chan_free. */
	void	(*on_frame)(struct chan *c, const struct frame *f, void *arg);
	/* The other end closed (err 0), broke the protocol (BM_EPROTO) or
	 * failed (-errno).  The channel is dead; the handler frees it. */
	void	(*on_close)(struct chan *c, int err, void *arg);
};

/* Takes fd.  me and peer say which messages may pass. */
struct chan	*chan_new(struct ev_loop *loop, int fd, enum role me,
		    enum role peer, const struct chan_handler *h, void *arg);
/* Closes the descriptor; what was not written yet is lost. */
void		 chan_free(struct chan **c);
/* Queue one message; m is a struct msg_X of that type.  Takes pass_fd (-1 for
 * messages that carry none).  A message too large is BM_ELIMIT. */
int		 chan_send_fd(struct chan *c, enum msg_type type, uint32_t seq,
		    uint64_t id, const void *m, int pass_fd);
int		 chan_send(struct chan *c, enum msg_type type, uint32_t seq,
		    uint64_t id, const void *m);
/*
 * chan_send in two: put what belongs together, then push it in one write, so
 * that the other end wakes once.  What was put goes with any later send, too;
 * it must not stay when the caller goes to sleep.
 */
int		 chan_put(struct chan *c, enum msg_type type, uint32_t seq,
		    uint64_t id, const void *m);
void		 chan_push(struct chan *c);
/* RESULT: code and its sentence (cause may be NULL: err_text). */
void		 chan_send_result(struct chan *c, uint32_t seq, uint64_t id,
		    int code, const char *text);
size_t		 chan_backlog(const struct chan *c);
/* Write what is queued now, waiting at most timeout_ms; 0 when all went. */
int		 chan_flush(struct chan *c, int timeout_ms);

#endif

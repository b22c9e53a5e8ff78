/* SPDX-License-Identifier: MIT */
#ifndef BM_WIRE_FRAME_H
#define BM_WIRE_FRAME_H

/*
 * Frames between our processes: a header of 24 bytes, little endian, and the
 * body of one message.
 *
 *	 0  u32 magic and version	 4  u16 type	 6  u16 flags
 *	 8  u32 body length		12  u32 seq	16  u64 id
 *
 * Pure: bytes in, frames out; the descriptors are chan_io's and sync_io's.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/msg.h"

#define FRAME_MAGIC	UINT32_C(0x014d4201)	/* 01 'B' 'M' 01 */
#define FRAME_HEADER	24
#define WIRE_VERSION	1
/* A prompt may be 8 MiB of text and its echo as long again. */
#define FRAME_BODY_MAX	(32u << 20)

struct frame {
	unsigned	 type;
	unsigned	 flags;
	uint32_t	 seq;
	uint64_t	 id;
	struct cur	 body;
	int		 fd;	/* of messages that carry one, else -1; the
				 * receiver of the frame owns it */
};

/* Append header and body of message m (a struct msg_X of that type). */
int	 frame_put(struct buf *b, enum msg_type type, uint32_t seq,
	    uint64_t id, const void *m) BM_MUST_CHECK;
/*
 * Look at the n bytes received so far.  1: *f is a whole frame of *used bytes
 * (f->fd is -1; f->body borrows p).  0: more bytes are needed.  BM_EPROTO:
 * this is no frame of ours, or one `from` may not send to `to`.
 */
int	 frame_get(const void *p, size_t n, enum role from, enum role to,
	    struct frame *f, size_t *used) BM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_ROWS_H
#define BM_GATE_ROWS_H

/*
 * The messages for reqlog (rows and events) that it has not confirmed yet, in
 * order.  They are kept encoded; what exceeds the limits is dropped, oldest
 * first, and counted.  Only a window of them is in flight, so that the
 * channel's backlog stays small while the database can't be written.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/msg.h"

#define ROWS_WINDOW		4096
#define ROWS_WINDOW_BYTES	((size_t)8 << 20)
#define ROWS_BYTES_MAX		((size_t)256 << 20)

struct rows_item {
	uint32_t	 seq;		/* never 0 */
	enum msg_type	 type;
	uint32_t	 n_bytes;
	uint8_t		*body;
};

struct rows {
	struct rows_item *ring;		/* cap is a power of two, or 0 */
	size_t		 cap;
	size_t		 first;
	size_t		 n;		/* unconfirmed */
	size_t		 n_sent;	/* of these, in flight */
	size_t		 sent_bytes;
	size_t		 bytes;
	size_t		 max;		/* rows */
	uint32_t	 last_seq;
	uint64_t	 n_dropped;
};

void	 rows_init(struct rows *r, size_t max);
void	 rows_fini(struct rows *r);
/* m is a struct msg_X of that type; false when it can't be encoded or an older
 * one had to be dropped for it. */
bool	 rows_add(struct rows *r, enum msg_type type, const void *m);
/* The next one to send, now counted as in flight; NULL when the window is full
 * or nothing is left.  Good until the next call on r. */
const struct rows_item *rows_next(struct rows *r);
/* Confirmed up to and including seq. */
void	 rows_ack(struct rows *r, uint32_t upto);
/* The peer was replaced: what was in flight is to be sent again. */
void	 rows_rewind(struct rows *r);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_OUTPUT_H
#define BM_WORKER_OUTPUT_H

/*
 * The text stream of one generation.  Tokens bring bytes; what is released is
 * whole UTF-8 characters only, and nothing that could be the begin of a stop
 * string.  Bytes that are no UTF-8 become U+FFFD.  Pure: what a list of tokens
 * releases is the same whenever they are fed again.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct output {
	struct buf	 bytes;		/* the begin of a character */
	struct buf	 held;		/* characters not released yet */
	char		**stops;
	size_t		*stop_bytes;
	size_t		 n_stops;
	size_t		 found;		/* index, when stopped */
	bool		 stopped;
};

void	 output_init(struct output *o);
void	 output_fini(struct output *o);
/* An empty string is ignored. */
void	 output_add_stop(struct output *o, struct slice stop);
/*
 * Append a token's bytes and put what may be seen into released.  True when a
 * stop string is complete: then the text before it was released, nothing will
 * follow.  Of two that complete with the same token the one that begins first
 * counts.
 */
bool	 output_add(struct output *o, struct slice piece,
	    struct buf *released);
/* The end without a stop string: release everything. */
void	 output_flush(struct output *o, struct buf *released);
/* The stop string that was found, or the empty slice. */
struct slice output_stop(const struct output *o);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_NEWS_H
#define BM_GATE_NEWS_H

/*
 * The last events that went to the log, as `show events` has them, for those
 * who watch.  They are numbered from NEWS_MAX on over the life of the gate;
 * those from before it, which the log tells later, have the numbers below.
 */

#include <stdint.h>

#include "base/buf.h"
#include "wire/msg.h"

#define NEWS_MAX	200
#define NEWS_TEXT_BYTES	2048	/* of a subject or text */

struct news {
	uint64_t	 next;		/* number */
	char		*line[NEWS_MAX]; /* a JSON object each, or NULL; by
					 * number */
	char		*old[NEWS_MAX];	/* the log's, while it tells them */
	size_t		 n_old;		/* told so far */
};

void	 news_init(struct news *n);
void	 news_add(struct news *n, const struct msg_event *m);
void	 news_fini(struct news *n);
/* A row of the log, a JSON object, oldest first; what is no event is
 * ignored. */
void	 news_recall(struct news *n, struct slice json);
/* That was all: what is not known yet comes before what is. */
void	 news_recalled(struct news *n);
/* Append the lines from number `from` on, or as far back as they are kept. */
void	 news_put(const struct news *n, uint64_t from, struct buf *out);

#endif

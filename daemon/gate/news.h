/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_NEWS_H
#define BM_GATE_NEWS_H

/*
 * The last events that went to the log, as `show events` has them, for those
 * who watch.  They are numbered from 0 over the life of the gate.
 */

#include <stdint.h>

#include "base/buf.h"
#include "wire/msg.h"

#define NEWS_MAX	200
#define NEWS_TEXT_BYTES	2048	/* of a subject or text */

struct news {
	uint64_t	 n;		/* ever added */
	char		*line[NEWS_MAX];	/* a JSON object each */
};

void	 news_add(struct news *n, const struct msg_event *m);
void	 news_fini(struct news *n);
/* Append the lines from number `from` on, or as far back as they are kept. */
void	 news_put(const struct news *n, uint64_t from, struct buf *out);

#endif

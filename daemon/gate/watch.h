/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_WATCH_H
#define BM_GATE_WATCH_H

/*
 * Snapshots of everything for those who watch.  All whose time has come share
 * a round: the master is asked once what the processes use, and what is the
 * same for all is built once.  While nobody watches nothing is done.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/queue.h"

#define WATCH_MS_DEFAULT	1000
#define WATCH_MS_MIN		100
#define WATCH_MS_MAX		60000
#define WATCH_REQUESTS_MAX	500

struct gate;
struct watch_hub;

/* One who watches; zeros at first but for what the owner sets. */
struct watch {
	unsigned	 interval_ms;
	/* Its snapshot is due: watch_put, now; to join again is for later. */
	void		(*due)(void *arg);
	void		*arg;
	/* watch.c's own */
	uint64_t	 seq;		/* of the next snapshot */
	uint64_t	 next_event;	/* number in the news */
	uint64_t	 next_second;	/* of the history */
	bool		 is_joined;
	TAILQ_ENTRY(watch) entry;
};

struct watch_hub *watch_hub_new(void);
void	 watch_hub_free(struct gate *g);
/* Take part in the next round; `due` is called once, later. */
void	 watch_join(struct gate *g, struct watch *w);
/* Not any more, if so. */
void	 watch_leave(struct gate *g, struct watch *w);
/* Append the snapshot's line. */
void	 watch_put(struct gate *g, struct watch *w, struct buf *out);
/* One is left out; the next one has its events and history too. */
void	 watch_skip(struct watch *w);
/* Until the next round of that interval: the same moment for all who have the
 * same interval. */
unsigned watch_delay_ms(const struct watch *w, uint64_t now_ns);
/* A few times a second: the levels of the history; a round that the master
 * holds up goes on with what is known. */
void	 watch_tick(struct gate *g, uint64_t now_ns);

#endif

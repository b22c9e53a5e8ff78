/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_SUPERVISE_H
#define BM_MASTER_SUPERVISE_H

/*
 * When a child is started, killed and started again.  Pure: it is told what
 * happened and what time it is, and answers with what to do.
 *
 *	stopped -> starting -> loading -> ready -> draining -> stopping -+
 *	   ^          |           |        |                             |
 *	   |          +-----------+--------+--> backoff -> starting      |
 *	   |                      +--> failed (refused its model)        |
 *	   +-------------------------------------------------------------+
 *
 * A crash leads to backoff: worker.backoff_min, doubled at every crash up to
 * backoff_max, forgotten once the child was ready for backoff_reset.  A child
 * that says it can't load what it was given is failed: it would fail again, so
 * only an operator's sup_start tries once more.
 */

#include <stdbool.h>
#include <stdint.h>

#define SUP_NEVER	UINT64_MAX
/* From QUIT or a closed link to SIGKILL; the gate needs up to 5 s of it to
 * hand its last rows to reqlog. */
#define SUP_GRACE_MS	8000

enum sup_state { SUP_STOPPED, SUP_STARTING, SUP_LOADING, SUP_READY,
    SUP_DRAINING, SUP_STOPPING, SUP_BACKOFF, SUP_FAILED };

enum sup_action {
	SUP_NOTHING,
	SUP_SPAWN,		/* start the process, then sup_spawned */
	SUP_QUIT,		/* tell it to end */
	SUP_KILL		/* SIGKILL it */
};

struct sup_limits {
	uint64_t	 start_timeout_ms;	/* 0: none */
	uint64_t	 backoff_min_ms;
	uint64_t	 backoff_max_ms;
	uint64_t	 backoff_reset_ms;
};

struct sup {
	enum sup_state	 state;
	bool		 has_process;
	bool		 has_failed;	/* what it becomes once it ended */
	uint64_t	 wake_ns;	/* when sup_tick is due */
	uint64_t	 ready_ns;	/* since when it is ready; 0: is not */
	uint64_t	 backoff_ms;	/* the next pause; 0: the shortest */
	uint32_t	 restarts;	/* crashes survived so far */
};

void		 sup_init(struct sup *s);
const char	*sup_state_name(enum sup_state state);

/* An operator or the configuration wants it to run. */
enum sup_action	 sup_start(struct sup *s);
/* ... not to run any more. */
enum sup_action	 sup_stop(struct sup *s, uint64_t now_ns);
/* fork succeeded. */
void		 sup_spawned(struct sup *s, const struct sup_limits *l,
		    uint64_t now_ns);
/* fork failed: treated as a crash. */
void		 sup_spawn_failed(struct sup *s, const struct sup_limits *l,
		    uint64_t now_ns);
/* It has been given its model. */
void		 sup_loading(struct sup *s);
/* Its loading gets on: it has start_timeout again. */
void		 sup_progress(struct sup *s, const struct sup_limits *l,
		    uint64_t now_ns);
void		 sup_ready(struct sup *s, uint64_t now_ns);
/* It said that it can't load its model. */
enum sup_action	 sup_load_failed(struct sup *s, uint64_t now_ns);
/* It gets no new work. */
void		 sup_draining(struct sup *s);
/* Its link closed: it is about to end, or hangs without a way to tell it. */
void		 sup_link_lost(struct sup *s, uint64_t now_ns);
/* The process is gone.  True when nobody had asked for that: a crash. */
bool		 sup_exited(struct sup *s, const struct sup_limits *l,
		    uint64_t now_ns);
/* Call at wake_ns or later; earlier calls do nothing. */
enum sup_action	 sup_tick(struct sup *s, uint64_t now_ns);

#endif

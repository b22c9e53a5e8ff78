/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_ADMIN_H
#define BM_GATE_ADMIN_H

/*
 * The commands of one admin connection: a line in, JSON lines out, then
 * "ok" or error code=NAME message="...".  One command at a time.  The
 * descriptor and the timer are admin_io.c's.
 */

#include "gate/gate.h"
#include "gate/watch.h"
#include "wire/commands.h"

#define ADMIN_LINE_MAX	((size_t)64 << 10)
#define ADMIN_OUT_MAX	((size_t)64 << 20)

struct admin;

/* log --follow: which question is asked. */
enum admin_follow { FOLLOW_NO, FOLLOW_ANCHOR, FOLLOW_FIRST, FOLLOW_NEXT };

struct admin_host {
	/* `out` has grown or the command has ended. */
	void	(*wake)(struct admin *a);
	/* Call admin_time once, in ms milliseconds. */
	void	(*later)(struct admin *a, unsigned ms);
	/* Has its client yet to take what was written so far? */
	bool	(*is_behind)(struct admin *a);
};

struct admin {
	struct gate		*gate;
	const struct admin_host	*host;
	int64_t			 uid;	/* of the peer, -1 unknown */
	uint32_t		 pid;
	struct buf		 out;	/* the host takes from its front */
	bool			 is_busy;
	bool			 is_eof;	/* nothing more comes in */

	/* the command that runs */
	const struct command	*cmd;
	struct words_list	 words;
	size_t			 n_cmd;	/* words of the command itself */
	char			*line;
	uint32_t		 ticket;
	uint32_t		 worker;	/* show kernels: who answers */
	struct procs		 procs;	/* that the master tells */
	struct watch		 watch;
	enum admin_follow	 follow;
	char			*last_id;	/* log --follow: the last row */
	size_t			 n_records;	/* of the question asked last */
	uint64_t		 end_ns;	/* wait ready gives up */
};

void	 admin_init(struct admin *a, struct gate *g,
	    const struct admin_host *host);
void	 admin_fini(struct admin *a);
/* Run a line (without its end); only while not busy. */
void	 admin_line(struct admin *a, struct slice line);
void	 admin_time(struct admin *a);
/* Nothing more comes in. */
void	 admin_eof(struct admin *a);
/* Does a command run that is given up when its client goes away? */
bool	 admin_needs_client(const struct admin *a);
/* Answer a line that can't be taken; the command is not run. */
void	 admin_refuse(struct admin *a, int code, const char *text);

#endif

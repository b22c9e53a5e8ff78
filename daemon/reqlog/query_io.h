/* SPDX-License-Identifier: MIT */
#ifndef BM_REQLOG_QUERY_IO_H
#define BM_REQLOG_QUERY_IO_H

/*
 * The query thread: questions from the gate go in, RECORD and RESULT come out
 * on the gate's channel, in the order of the questions, while the loop goes on
 * taking rows.
 */

#include <stdint.h>

#include "wire/frame.h"

struct ev_loop;
struct chan;
struct asker;

/* The thread begins with the first question.  path is copied. */
struct asker	*asker_new(struct ev_loop *loop);
/* Stops what runs and joins the thread. */
void		 asker_free(struct asker **a);
/* Where the answers go from now on (borrowed; NULL: nowhere).  Questions that
 * came before are dropped. */
void		 asker_set_chan(struct asker *a, struct chan *c);
/* The database and time limit of the questions to come. */
void		 asker_set_conf(struct asker *a, const char *path,
		    uint64_t timeout_ms);
/* A QUERY frame; what can't be taken is answered at once. */
void		 asker_put(struct asker *a, const struct frame *f);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_REQLOG_QUERY_H
#define BM_REQLOG_QUERY_H

/*
 * Questions to the database: `log`, `events` and `sql`.  Each runs on a
 * connection of its own that can only read, under limits of time and size, so
 * that it may run in another thread than the writer's.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* All rows of one answer together, as JSON. */
#define QUERY_BYTES_MAX		((size_t)64 << 20)
#define QUERY_ROWS_MAX		1000000
#define QUERY_LIMIT_DEFAULT	100

struct query {
	const char	*path;
	const char	*kind;		/* "log", "events", "sql" */
	struct slice	 words;		/* the arguments, see strs_put */
	int64_t		 now_unix_ms;	/* what --since counts from */
	uint64_t	 timeout_ms;	/* for the database alone: what on_row
					 * waits does not count */
	const atomic_bool *is_cancelled;
	/* One row as a JSON object, borrowed; not 0 ends the query. */
	int		(*on_row)(struct slice json, void *arg);
	void		*arg;
};

/*
 * Run it to the end.  BM_EUSAGE: wrong words; BM_EBADREQ: SQLite does not
 * understand it; BM_EBADREQ: it would do more than read; BM_ETIMEOUT;
 * BM_ELIMIT; BM_ECANCEL; BM_EDISK; or what on_row returned.
 */
int	 query_run(const struct query *q, struct cause *cause) BM_MUST_CHECK;

#endif

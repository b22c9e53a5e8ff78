/* SPDX-License-Identifier: MIT */
#ifndef BM_REQLOG_WRITER_H
#define BM_REQLOG_WRITER_H

/*
 * Rows on their way into the database.  The caller puts rows as they come,
 * calls writer_commit when a batch is due, and acknowledges what that reports;
 * time is the caller's.  A commit that fails keeps the rows, so the caller
 * just tries again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/queue.h"
#include "sql/db.h"
#include "wire/frame.h"

/* What is kept of prompt and output; see bigmodeld.conf(5), log { keep }. */
enum writer_keep { WRITER_KEEP_FULL, WRITER_KEEP_HASH, WRITER_KEEP_NONE };

#define WRITER_BATCH_ROWS	512
/* Rows kept in memory while the disk is full.  What comes beyond is let go:
 * it has not been acknowledged, so the gate still has it. */
#define WRITER_PENDING_BYTES	((size_t)32 << 20)
/* Rows one upkeep step may delete: some milliseconds' work. */
#define WRITER_UPKEEP_ROWS	256

struct writer_row;
TAILQ_HEAD(writer_rows, writer_row);

struct writer {
	char			*path;
	struct db		 db;
	bool			 is_open;
	enum writer_keep	 keep;
	uint64_t		 retention_ms;	/* 0: for ever */
	uint64_t		 max_rows;	/* 0: any number */
	size_t			 pending_bytes_max;
	struct writer_rows	 pending;
	size_t			 n_pending;
	size_t			 pending_bytes;
	/* Rows were let go; nothing is taken until this process ends. */
	bool			 is_behind;
	unsigned		 link;		/* of the gate there is now */
	bool			 is_dirty;	/* since the checkpoint */
};

void	 writer_init(struct writer *w);
/* Closes the database; pending rows are dropped. */
void	 writer_fini(struct writer *w);
/* The database to write; a change closes the one before.  Copies path. */
void	 writer_set_path(struct writer *w, const char *path);

/* From now on rows come from another gate, whose seq begins anew; pending rows
 * of the old one are written, but not reported by writer_commit. */
void	 writer_new_link(struct writer *w);
/* Take a copy of a ROW, EVENT or VARIANT_ROW frame.  BM_ELIMIT when it was
 * let go. */
int	 writer_put(struct writer *w, const struct frame *f) BM_MUST_CHECK;

/* What writer_commit did. */
struct writer_done {
	size_t		 n_rows;	/* written, or known already */
	uint32_t	 upto;		/* seq of the last of this link, or 0 */
};
/*
 * Write what is pending, in transactions of at most WRITER_BATCH_ROWS; opens
 * the database first if need be.  On failure everything not yet committed
 * stays pending; *done counts what was committed in any case.
 */
int	 writer_commit(struct writer *w, struct writer_done *done,
	    struct cause *cause) BM_MUST_CHECK;

/* One bounded step of deleting old rows and of moving the write-ahead log into
 * the database; *more when another should follow soon. */
int	 writer_upkeep(struct writer *w, int64_t now_unix_ms, bool *more,
	    struct cause *cause) BM_MUST_CHECK;

#endif

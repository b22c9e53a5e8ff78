/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_CHILD_LOG_IO_H
#define BM_MASTER_CHILD_LOG_IO_H

/*
 * What children write to stderr (their log lines, and whatever a library or a
 * sanitizer says before it aborts) when stderr is not a terminal's: one pipe,
 * whose lines go to the log file or to syslog.  Their last words survive them,
 * and a reopened file is reopened for all.
 */

struct child_log;
struct ev_loop;

struct child_log	*child_log_new(struct ev_loop *loop);
void			 child_log_free(struct child_log **l);
/* Where the lines go: a descriptor, or -1 for syslog. */
void			 child_log_set_fd(struct child_log *l, int fd);
/* What a child gets as stderr; -1 for NULL: ours. */
int			 child_log_fd(const struct child_log *l);

#endif

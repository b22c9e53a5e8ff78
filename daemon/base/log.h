/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_LOG_H
#define BM_BASE_LOG_H

/*
 * The daemon's messages (not the request log).  Every process writes for
 * itself, to stderr in the foreground and to syslog otherwise, so that the log
 * survives the death of any of them.  All functions keep errno.  Text that
 * came from a client goes through str_vis first.
 */

#include <stddef.h>

#include "base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG };

/* role is kept, not copied: "master", "gate", "worker 3"... */
void	 log_init(const char *role, enum log_level level, int to_syslog);
/* Write to a file instead (descriptor is kept); -1 goes back to stderr. */
void	 log_set_fd(int fd);
/* Write to syslog while there is no such file, or to stderr. */
void	 log_set_syslog(int to_syslog);
/* As the configuration has it: a level's word (any other changes nothing), and
 * "text" or "json" (see log_json.h). */
void	 log_configure(const char *level, const char *format);
int	 log_is_json(void);
/* A foreign line as one of our JSON lines, see log_json_line. */
size_t	 log_wrap(char *out, size_t size, const char *process,
	    const char *text);
void	 log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "error", "warn", "info", "debug"; -1 for any other word. */
int	 log_level_parse(const char *word);

/* warn appends strerror(errno); the x forms do not. */
void	 log_warn(const char *fmt, ...) BM_PRINTF(1, 2);
void	 log_warnx(const char *fmt, ...) BM_PRINTF(1, 2);
void	 log_info(const char *fmt, ...) BM_PRINTF(1, 2);
void	 log_debug(const char *fmt, ...) BM_PRINTF(1, 2);

/* Say it and exit 1.  For start-up and broken invariants only. */
void	 fatal(const char *fmt, ...) BM_PRINTF(1, 2)
	    __attribute__((noreturn));
void	 fatalx(const char *fmt, ...) BM_PRINTF(1, 2)
	    __attribute__((noreturn));

#endif

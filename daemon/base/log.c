/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const char	*log_role = "bigmodel";
static enum log_level	 log_level = LOG_LEVEL_INFO;
static int		 log_syslog;
static int		 log_fd = -1;

static const char *const level_words[] = { "error", "warn", "info", "debug" };

void
log_init(const char *role, enum log_level level, int to_syslog)
{
	log_role = role;
	log_level = level;
	log_syslog = to_syslog;
	if (to_syslog)
		openlog("bigmodel", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void
log_set_fd(int fd)
{
	log_fd = fd;
}

void
log_set_level(enum log_level level)
{
	log_level = level;
}

enum log_level
log_get_level(void)
{
	return log_level;
}

int
log_level_parse(const char *word)
{
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++)
		if (strcmp(word, level_words[i]) == 0)
			return i;
	return -1;
}

/* One write a line, so that lines of several processes do not mix. */
static void
emit(enum log_level level, int with_errno, const char *fmt, va_list ap)
{
	static const int prio[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
	char text[1024], line[1280], stamp[32];
	int saved = errno;
	struct timespec now;
	struct tm tm;
	size_t n;

	if (level > log_level)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	n = strlen(text);
	if (with_errno)
		snprintf(text + n, sizeof(text) - n, ": %s", strerror(saved));
	if (log_syslog && log_fd < 0) {
		syslog(prio[level], "%s: %s", log_role, text);
		errno = saved;
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(line, sizeof(line), "%s.%03ldZ %s[%d] %s: %s\n", stamp,
	    now.tv_nsec / 1000000, log_role, (int)getpid(),
	    level_words[level], text);
	if (write(log_fd < 0 ? STDERR_FILENO : log_fd, line, strlen(line)) < 0)
		(void)0; /* there is nobody left to tell */
	errno = saved;
}

#define EMIT(level, with_errno) do {				\
	va_list ap;						\
	va_start(ap, fmt);					\
	emit(level, with_errno, fmt, ap);			\
	va_end(ap);						\
} while (0)

void
log_warn(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_WARN, 1);
}

void
log_warnx(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_WARN, 0);
}

void
log_info(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_INFO, 0);
}

void
log_debug(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_DEBUG, 0);
}

void
fatal(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_ERROR, 1);
	exit(1);
}

void
fatalx(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_ERROR, 0);
	exit(1);
}

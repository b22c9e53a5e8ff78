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

#include "base/log_json.h"

/* PIPE_BUF: writes up to that size do not mix. */
#define LINE_BYTES	4096

static const char	*log_role = "bigmodel";
static enum log_level	 log_level = LOG_LEVEL_INFO;
static int		 log_json;
static int		 log_syslog;
static int		 log_fd = -1;

static const char *const level_words[] = { "error", "warn", "info", "debug" };

void
log_init(const char *role, enum log_level level, int to_syslog)
{
	log_role = role;
	log_level = level;
	log_set_syslog(to_syslog);
}

void
log_set_syslog(int to_syslog)
{
	if (to_syslog && !log_syslog)
		openlog("bigmodel", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	log_syslog = to_syslog;
}

void
log_set_fd(int fd)
{
	log_fd = fd;
}

void
log_configure(const char *level, const char *format)
{
	int l = log_level_parse(level);

	if (l >= 0)
		log_level = (enum log_level)l;
	log_json = strcmp(format, "json") == 0;
}

int
log_is_json(void)
{
	return log_json;
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

static void
put_time(char out[40])
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, 40 - n, ".%03dZ", (int)(now.tv_nsec / 1000000));
}

size_t
log_wrap(char *out, size_t size, const char *process, const char *text)
{
	char stamp[40];

	put_time(stamp);
	return log_json_line(out, size, &(struct log_json){ .time = stamp,
	    .level = level_words[LOG_LEVEL_WARN], .process = process,
	    .text = text });
}

/* One write a line, so that lines of several processes do not mix. */
static void
emit(enum log_level level, int with_errno, const char *fmt, va_list ap)
{
	static const int prio[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
	char text[1024], line[LINE_BYTES], stamp[40];
	int saved = errno, to_syslog = log_syslog && log_fd < 0;
	size_t n;

	if (level > log_level)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	n = strlen(text);
	if (with_errno)
		snprintf(text + n, sizeof(text) - n, ": %s", strerror(saved));
	put_time(stamp);
	if (log_json)
		log_json_line(line, sizeof(line), &(struct log_json){
		    .time = stamp, .level = level_words[level],
		    .process = log_role, .pid = (int)getpid(),
		    .text = text });
	else if (to_syslog)
		snprintf(line, sizeof(line), "%s: %s", log_role, text);
	else
		snprintf(line, sizeof(line), "%s %s[%d] %s: %s\n", stamp,
		    log_role, (int)getpid(), level_words[level], text);
	if (to_syslog)
		syslog(prio[level], "%s", line);
	else if (write(log_fd < 0 ? STDERR_FILENO : log_fd, line,
	    strlen(line)) < 0)
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

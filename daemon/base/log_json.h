/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_LOG_JSON_H
#define BM_BASE_LOG_JSON_H

/*
 * A message of the log as a line of JSON:
 *
 *	{"time":"2026-01-02T03:04:05.678Z","level":"info","process":"worker 3",
 *	"pid":12,"message":"ready","fields":{"model":"tale","ms":12}}
 *
 * What ends a message in the form "key=value key=value" becomes its fields.
 */

#include <stddef.h>

struct log_json {
	const char	*time;
	const char	*level;
	const char	*process;
	int		 pid;		/* 0: left out */
	const char	*text;		/* any bytes but NUL */
};

/* Into out with a line end and a NUL.  Always a whole object of valid UTF-8:
 * a text that does not fit is cut.  size: 512 or more.  Allocates nothing, for
 * it is used when there is no memory left.  Returns the length. */
size_t	 log_json_line(char *out, size_t size, const struct log_json *l);

#endif

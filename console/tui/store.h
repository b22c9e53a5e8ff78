/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_STORE_H
#define BM_CONSOLE_TUI_STORE_H

/*
 * What the screen knows of the daemon: the last snapshot of the subscription
 * ("watch"), the history and the events of all of them, finished requests of
 * the log.  Takes lines, holds JSON; knows neither sockets nor the clock.
 * Lines that are no JSON object are counted and otherwise ignored, fields of
 * a wrong kind are as good as absent.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

#define STORE_POINTS	600	/* of history */
#define STORE_EVENTS	1000
#define STORE_LOG	10000	/* finished requests; the oldest go first */

enum store_link { LINK_CONNECTING, LINK_LIVE, LINK_LOST };

enum store_series { SERIES_TOKENS, SERIES_REQUESTS, SERIES_QUEUED,
    SERIES_RUNNING, SERIES_TTFT_P95, SERIES_ERRORS, SERIES_N };

/* JSON rows, oldest first; a ring behind two functions. */
struct store_ring {
	json_t	**v;
	size_t	  max, first, n;
	uint64_t  n_ever;		/* grows with every row */
	json_t	 *ids;			/* id: n_ever when it came */
};

struct store {
	enum store_link	 link;
	uint64_t	 heard_ns;	/* when the last snapshot came */
	struct cause	 why;		/* of LINK_LOST */
	json_t		*snapshot;	/* NULL: none yet */
	double		 series[SERIES_N][STORE_POINTS]; /* oldest first;
							  * NAN: none */
	size_t		 n_points;
	double		 step_ms;	/* between two points */
	double		 series_at;	/* of the newest, Unix ms; NAN: none */
	struct store_ring events;
	struct store_ring log;		/* packed, see store_row_value */
	json_t		*config;	/* the rows of `show config` */
	json_t		*words;		/* strings that log rows share */
	json_t		*nothing[2];	/* an empty array, an empty object */
	uint64_t	 version;	/* changes with whatever is shown */
	uint64_t	 n_bad_lines;
};

void	 store_init(struct store *s);
void	 store_fini(struct store *s);
void	 store_take_snapshot(struct store *s, struct slice line,
	    uint64_t now_ns);
/* A row of `log`; one whose id is there already replaces it. */
void	 store_take_log(struct store *s, struct slice line);
/* `show config` is asked again; then each of its lines. */
void	 store_begin_config(struct store *s);
void	 store_take_config(struct store *s, struct slice line);
/* The subscription ended; what is known stays. */
void	 store_lose(struct store *s, const struct cause *why);

const json_t *store_ring_at(const struct store_ring *r, size_t i);
/* "models", "workers"...: an array of the snapshot, of objects only; "config";
 * empty when absent. */
const json_t *store_list(const struct store *s, const char *name);
/* The object of a list whose field is that string or number. */
const json_t *store_find(const struct store *s, const char *list,
	    const char *field, const char *value);
/* Is a finished request of this id known? */
bool	 store_has_log(const struct store *s, const char *id);
/* The status object of the snapshot, never NULL (may be empty). */
const json_t *store_status(const struct store *s);

/*
 * Rows are JSON objects, but for those of the log: ten thousand objects of 22
 * fields would take 40 MB, so these are packed to arrays.  Both kinds go to
 * the functions below, and json_object_get works on the first only.
 */
const json_t *store_row_value(const json_t *row, const char *field);
/* The row as an object; the caller's reference. */
json_t	*store_row_object(const json_t *row);

/* Fields, with what to take when absent: "" and NAN. */
const char *row_text(const json_t *row, const char *field);
double	 row_number(const json_t *row, const char *field);
/* A number one level down: row_number_in(status, "ttft_ms", "p95"). */
double	 row_number_in(const json_t *row, const char *object,
	    const char *field);
/* The whole text of a field, with its NULs. */
struct slice row_slice(const json_t *row, const char *field);

#endif

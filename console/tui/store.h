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

/* Rows of JSON objects, oldest first; a ring behind two functions. */
struct store_ring {
	json_t	**v;
	size_t	  max, first, n;
	uint64_t  n_ever;		/* grows with every row */
};

struct store {
	enum store_link	 link;
	uint64_t	 heard_ns;	/* when the last snapshot came */
	struct cause	 why;		/* of LINK_LOST */
	json_t		*snapshot;	/* NULL: none yet */
	double		 series[SERIES_N][STORE_POINTS]; /* oldest first;
							  * NAN: none */
	size_t		 n_points;
	struct store_ring events;
	struct store_ring log;
	uint64_t	 version;	/* changes with whatever is shown */
	uint64_t	 n_bad_lines;
};

void	 store_init(struct store *s);
void	 store_fini(struct store *s);
void	 store_take_snapshot(struct store *s, struct slice line,
	    uint64_t now_ns);
/* A row of `log`; one whose id is there already replaces it. */
void	 store_take_log(struct store *s, struct slice line);
/* The subscription ended; what is known stays. */
void	 store_lose(struct store *s, const struct cause *why);

const json_t *store_ring_at(const struct store_ring *r, size_t i);
/* "models", "workers"...: an array of the snapshot; empty when absent. */
const json_t *store_list(const struct store *s, const char *name);
/* The object of a list whose field is that string or number. */
const json_t *store_find(const struct store *s, const char *list,
	    const char *field, const char *value);
/* The status object of the snapshot, never NULL (may be empty). */
const json_t *store_status(const struct store *s);

/* Fields, with what to take when absent: "" and NAN. */
const char *row_text(const json_t *row, const char *field);
double	 row_number(const json_t *row, const char *field);
/* A number one level down: row_number_in(status, "ttft_ms", "p95"). */
double	 row_number_in(const json_t *row, const char *object,
	    const char *field);

#endif

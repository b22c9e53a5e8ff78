/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_PARTS_H
#define BM_CONSOLE_TUI_PARTS_H

/* What several views are made of: roles of words and shares, graphs of the
 * history, records for the pager. */

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "console/output.h"
#include "console/tui/canvas.h"
#include "console/tui/store.h"

/* The role of a state, a status or the kind of an event. */
enum role state_role(struct slice word);
/* The role of how full something is (0..1). */
enum role fill_role(double fraction);

bool	 row_is_true(const json_t *row, const char *field);

/* A number in a form, "-" for NAN; the result is text's memory. */
struct slice part_number(enum column_form form, double v, struct buf *text);
/* "label  value" from x on; returns the columns. */
int	 part_pair(const struct area *a, int y, int x, const char *label,
	    enum role role, struct slice value);
/* "label  p50 12.0ms  p95 30.1ms  p99 51.2ms" of an object of quantiles. */
void	 part_quantiles(const struct area *a, int y, const char *label,
	    const json_t *row, const char *field);

/*
 * A series as w values, the last span_ms of it, newest last; a value stands
 * for as many points as fit it: their mean, or (peaks) the highest.  Values
 * cover the same points from one drawing to the next, so graphs move by whole
 * columns.  Returns how many values out got.
 */
size_t	 part_series(const struct store *s, enum store_series series,
	    double span_ms, bool peaks, double *out, size_t w);
#define PART_SERIES_MAX	512	/* values */

/* A text as one line: a field must not look like two. */
void	 part_flat(struct buf *out, struct slice s);
/* A field of a record: "label  value" and a line end. */
void	 part_field(struct buf *out, const char *label, struct slice value);
/* All fields of a row, in their order, with the forms that their names say
 * (_ms, _bytes, _at, _s). */
void	 part_record(const json_t *row, struct buf *out);
/* A title and a text of several lines below it; nothing without a text. */
void	 part_text(struct buf *out, const char *title, struct slice text);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_OUTPUT_H
#define BM_CONSOLE_OUTPUT_H

/*
 * What a command answers, for people or for programs: begin, a row for every
 * JSON object of the daemon, end.  A back end may keep rows until the end; a
 * command that fails midway does not call end, so that programs never
 * read half an answer.
 */

#include <stdio.h>

#include <jansson.h>

#include "base/buf.h"
#include "console/ctl.h"
#include "console/table.h"

enum output_shape {
	OUTPUT_OBJECT,		/* one object; {"ok":true} when there is none */
	OUTPUT_LIST,		/* one array */
	OUTPUT_STREAM,		/* a line each, at once */
	OUTPUT_TREE,		/* one object of sections, of settings */
};

/* How a field looks to people. */
enum column_form {
	FORM_TEXT, FORM_STATE, FORM_NUMBER, FORM_RATE, FORM_MS, FORM_BYTES,
	FORM_SIZE,		/* bytes as 812M, for narrow columns */
	FORM_COUNT,		/* 3.7M */
	FORM_TIME,		/* Unix ms */
	FORM_CLOCK,		/* Unix ms, the time of day */
	FORM_AGE,		/* seconds */
	FORM_RANGE,		/* {now, min, max} */
	FORM_DURATION,		/* finished_at less started_at, Unix ms */
};

struct column {
	const char	*field;
	const char	*title;
	enum column_form form;
	size_t		 width;		/* at least, in a stream */
};

struct output;
struct output_ops {
	void	(*begin)(struct output *o);
	/* raw is the line that row was read from. */
	void	(*row)(struct output *o, const json_t *row, struct slice raw);
	void	(*end)(struct output *o);
};

struct output {
	const struct output_ops	*ops;
	enum output_shape	 shape;
	const struct column	*columns;	/* NULL: those of the rows */
	size_t			 n_columns;
	FILE			*to;
	struct table		 table;
	json_t			*fields;	/* names of a generic table */
	struct buf		 text;
	size_t			 n_rows;
	bool			 one_line;	/* no line ends within JSON */
};

extern const struct output_ops output_text, output_json;

/* For the answer of cmd to stdout; what is long goes by the terminal's size. */
void	 output_init(struct output *o, const struct ctl *ctl,
	    const struct command *cmd, enum output_shape shape);
void	 output_fini(struct output *o);

/* What a command answers with, --follow left aside. */
enum output_shape view_shape(enum command_id id);
/* The columns of a command's list; NULL when they come with the rows. */
const struct column *view_columns(enum command_id id, size_t *n);
/* The cell of a column for row, appended to out; "-" when it is not there. */
void	 view_cell(const struct column *c, const json_t *row, struct buf *out);
/* The same of the value alone; since: the other end of FORM_DURATION. */
void	 view_value(enum column_form form, const json_t *v, const json_t *since,
	    struct buf *out);
/* A number in the form of a column. */
void	 view_number(enum column_form form, double v, struct buf *out);
/* "show status" and other single objects as a block of lines. */
void	 view_block(const json_t *object, FILE *to);

#endif

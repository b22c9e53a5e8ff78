/* SPDX-License-Identifier: MIT */
#ifndef BM_WIRE_LINE_H
#define BM_WIRE_LINE_H

/*
 * The line protocol's grammar, bigmodel-protocol(7): a line is a verb and
 * key=value pairs, or one JSON object.  Both become the same JSON object with
 * the verb under "op", so that what follows knows one form only.
 */

#include <stdbool.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Parse one line without its end.  A value is a JSON value, or a bare word up
 * to the next space: words that read as a JSON number, true, false or null are
 * those, any other is a string ("stream=yes" gives "yes").  BM_EBADREQ with
 * the column in the cause.  *is_json tells in which form to answer.  The
 * caller owns *out.
 */
int	 line_parse(struct slice line, json_t **out, bool *is_json,
	    struct cause *cause) BM_MUST_CHECK;

/*
 * Write an answer, `event` first, in either form with its line end:
 *   token id=a text=" there"		{"event":"token","id":"a",...}
 * fields is an object; strings that are not bare words, and free text
 * (text, message), are quoted as JSON.
 */
void	 line_write(struct buf *out, bool as_json, const char *event,
	    const json_t *fields);

#endif

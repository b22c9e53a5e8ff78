/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_WATERFALL_H
#define BM_CONSOLE_TUI_WATERFALL_H

/* Where the time of a request went: a line for each of queue, prefill and
 * decode, with bars to one scale, each beginning where the one before ends. */

#include <jansson.h>

#include "base/buf.h"
#include "console/tui/canvas.h"

#define WATERFALL_LINES	3
#define WATERFALL_LABEL	9	/* columns before the bars */

/* From line y on; returns the line after. */
int	 waterfall_draw(const struct area *a, int y, const json_t *row);
/* The same in ASCII, for the pager. */
void	 waterfall_text(const json_t *row, struct buf *out);

#endif

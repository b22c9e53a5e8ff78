/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_PAGER_H
#define BM_CONSOLE_TUI_PAGER_H

/* A text to scroll and search in: help, details, answers of commands. */

#include "console/tui/canvas.h"
#include "console/tui/keys.h"

struct pager_line {
	uint32_t at, n;		/* bytes of the text */
};

struct pager {
	char	*title;		/* NULL: not open */
	char	*text;		/* printable */
	size_t	 n_text;
	struct pager_line *lines;	/* wrapped at width */
	size_t	 n_lines;
	int	 width;		/* of the wrapping; 0: none yet */
	size_t	 top;
	size_t	 page;		/* lines of the last drawing */
	char	*pattern;	/* searched; NULL: none */
};

/* A text of at most PAGER_MAX bytes; of a longer one the begin. */
#define PAGER_MAX	((size_t)4 << 20)
void	 pager_open(struct pager *p, const char *title, struct slice text);
void	 pager_close(struct pager *p);
/* Moves and NEXT_MATCH, PREV_MATCH; true if done. */
bool	 pager_act(struct pager *p, enum action act);
/* Search from here on; false when the text has it nowhere. */
bool	 pager_search(struct pager *p, const char *pattern);
void	 pager_draw(struct pager *p, const struct area *a);

#endif

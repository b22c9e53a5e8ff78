/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_PROMPT_H
#define BM_CONSOLE_TUI_PROMPT_H

/*
 * One line of input at the bottom of the screen: commands (:), filters (/),
 * answers.  Pure: keys in, text and drawing out.
 */

#include <stdbool.h>
#include <stddef.h>

#include "console/tui/canvas.h"

enum prompt_result {
	PROMPT_MORE,		/* moved, or nothing */
	PROMPT_CHANGED,		/* the text is another one */
	PROMPT_DONE,		/* Enter */
	PROMPT_GIVEN_UP,	/* Esc, ^C, backspace on the empty line */
};

/* Lines entered before, oldest first, none twice and none that begins with a
 * blank; owned by the one who keeps it. */
struct prompt_history {
	char	**lines;
	size_t	  n;
};
void	 prompt_history_add(struct prompt_history *h, const char *line);
void	 prompt_history_free(struct prompt_history *h);

/* What may stand where the cursor is; the prompt frees it all. */
struct prompt_candidates {
	char	**words;		/* as they stand on the line */
	char	**hints;		/* a short one each, or "" */
	size_t	  n;
	size_t	  begin, end;		/* bytes of the line they replace */
};
typedef void (*prompt_complete_fn)(void *arg, const char *line,
    size_t cursor, struct prompt_candidates *out);

/*
 * Emacs keys.  Tab puts in what all candidates begin with and lists them; the
 * next ones go round among them, Esc takes that back.
 */
struct prompt;
/* history and complete may be NULL. */
struct prompt	*prompt_new(const char *label, const char *initial,
		    struct prompt_history *history,
		    prompt_complete_fn complete, void *arg);
void		 prompt_free(struct prompt *p);
enum prompt_result prompt_key(struct prompt *p, int key);
/* NUL-terminated UTF-8; valid until the next key. */
const char	*prompt_text(struct prompt *p);
/* On the last line of the area, candidates on those above; sets the cursor. */
void		 prompt_draw(struct prompt *p, const struct area *a);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_CHAT_H
#define BM_CONSOLE_CHAT_H

/*
 * A conversation with a model: what was said, what /commands set, the request
 * it makes and the figures of an answer.  Pure: knows neither socket nor
 * terminal.
 */

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

struct chat {
	const char	*model;
	json_t		*messages;	/* without the system's */
	json_t		*params;	/* of /set */
	char		*system;	/* NULL: none */
};

/* One answer as it comes. */
struct chat_answer {
	struct buf	 text;		/* all of it */
	json_t		*done;		/* the last event, NULL until then */
	double		 ttft_ms;	/* < 0: no token came */
};

void	 chat_init(struct chat *c, const char *model);
void	 chat_fini(struct chat *c);

/*
 * A prompt of several lines: takes the next line (without its end) into text.
 * True when the prompt is whole: after a line that does not end in \, or the
 * line that closes a block begun by """.
 */
struct chat_prompt {
	struct buf	 text;
	bool		 in_block;
	bool		 goes_on;	/* some lines were taken */
};
bool	 chat_prompt_take(struct chat_prompt *p, struct slice line);

enum chat_did { CHAT_SAY, CHAT_DONE, CHAT_QUIT };
/* What a prompt asks for: CHAT_SAY to the model, or a /command that is carried
 * out (out: what to tell).  BM_EUSAGE when it makes no sense. */
int	 chat_command(struct chat *c, const char *text, enum chat_did *did,
	    struct buf *out, struct cause *cause) BM_MUST_CHECK;

/* The request of the line protocol that says text next, with its line end. */
void	 chat_request(const struct chat *c, const char *text,
	    struct buf *out);
/* What was said and answered becomes a part of the conversation. */
void	 chat_keep(struct chat *c, const char *text, struct slice answer);

void	 chat_answer_init(struct chat_answer *a);
void	 chat_answer_fini(struct chat_answer *a);
/* An event of the daemon, ms after the request: 1 for more, 0 at the end, or
 * the error's code.  *piece is what it adds to the text. */
int	 chat_answer_take(struct chat_answer *a, struct slice line, double ms,
	    struct slice *piece, struct cause *cause);
/* "5 tokens, first after 12ms, 301.4 tokens/s, 3 of 8 prompt tokens cached" */
void	 chat_answer_tell(const struct chat_answer *a, struct buf *out);
/* The same and the text as a JSON object. */
void	 chat_answer_json(const struct chat_answer *a, struct buf *out);

/*
 * Text of a model, piece by piece, as a terminal may get it: line ends and
 * tabs stay, whatever could move the cursor or turn the order of characters
 * is written out.  Pieces end with whole characters.
 */
struct chat_safe {
	bool	 ascii;
	int	 n_marks;	/* behind the last character; -1 at first */
};
void	 chat_put_safe(struct chat_safe *s, struct slice piece,
	    struct buf *out);

#endif

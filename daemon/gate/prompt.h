/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_PROMPT_H
#define BM_GATE_PROMPT_H

/* What to generate from: text, tokens, or the messages of a chat. */

#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/msg.h"

struct request;

#define PROMPTS_MAX 128

struct prompt {
	enum run_input	 input;
	struct slice	 text;		/* RUN_TEXT; borrowed from the JSON */
	struct buf	 list;		/* RUN_TOKENS: u32 each; RUN_CHAT:
					 * role, content, role, content... */
	const json_t	*messages;	/* RUN_CHAT; borrowed, for the log */
};

struct prompts {
	struct prompt	*v;
	size_t		 n;
};

/*
 * A string, an array of token numbers, or an array of either: each its own
 * prompt.  The JSON must outlive *out; free with prompts_fini, after a failure
 * too.
 */
int	 prompts_read(const json_t *v, struct prompts *out,
	    struct cause *cause) BM_MUST_CHECK;
/* One prompt from an array of {role, content}. */
int	 prompts_read_chat(const json_t *v, struct prompts *out,
	    struct cause *cause) BM_MUST_CHECK;
void	 prompts_fini(struct prompts *p);

/* An array of token numbers, appended as u32; name is for the sentence. */
int	 prompt_tokens(const json_t *v, const char *name, struct buf *out,
	    struct cause *cause) BM_MUST_CHECK;
/* Messages as the list of message RUN. */
int	 prompt_messages(const json_t *v, struct buf *out,
	    struct cause *cause) BM_MUST_CHECK;
/* Copy it into r->m.run and, as text for the log, into r->prompt. */
void	 prompt_put(const struct prompt *p, struct request *r);

#endif

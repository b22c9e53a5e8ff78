/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_CHAT_H
#define BM_MODEL_CHAT_H

/*
 * Chat messages to one prompt text, for the fixed forms in common use.  The
 * form is recognised by marks in the file's tokenizer.chat_template; a file
 * without a template, or with one that is not recognised, gets ChatML.
 *
 * The prompt has no leading BOS: the tokenizer adds it (add_special), and the
 * special tokens in the prompt must be parsed (parse_special).
 */

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct chat_form;		/* one row of a static table */

struct chat_message {
	struct slice	 role;
	struct slice	 content;
};

/* template may be empty. */
const struct chat_form	*chat_form_find(struct slice template_text);
const char		*chat_form_name(const struct chat_form *f);
/* Append the prompt; add_generation_prompt opens the assistant's turn. */
int	 chat_render(const struct chat_form *f, const struct chat_message *m,
	    size_t n, int add_generation_prompt, struct buf *out,
	    struct cause *cause) BM_MUST_CHECK;

#endif

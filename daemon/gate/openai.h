/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_OPENAI_H
#define BM_GATE_OPENAI_H

/* The routes with OpenAI's shapes: JSON in, JSON or server-sent events out. */

#include <stdint.h>

#include "base/buf.h"

struct http_call;

void	 openai_chat(struct http_call *c);
void	 openai_completions(struct http_call *c);
void	 openai_embeddings(struct http_call *c);
void	 openai_models(struct http_call *c);
void	 openai_model(struct http_call *c);
void	 openai_tokenize(struct http_call *c);
void	 openai_detokenize(struct http_call *c);
void	 openai_apply_template(struct http_call *c);

/* {"error":{"message","type","code","param"}}; param may be NULL. */
void	 openai_write_error(struct buf *out, int code, const char *param,
	    const char *message);
/* The same as the answer, with status, and Retry-After when the code says to
 * try again; retry_ms 0 lets that be a second. */
void	 openai_error(struct http_call *c, int code, const char *param,
	    uint64_t retry_ms, const char *message);

#endif

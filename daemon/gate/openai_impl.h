/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_OPENAI_IMPL_H
#define BM_GATE_OPENAI_IMPL_H

/* What the openai_*.c files share. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "gate/openai.h"
#include "gate/request.h"

struct http_call;
struct job;

#define OPENAI_BODY_MAX	((size_t)256 << 20)

/* One of the answers an exchange asks for; its request is its own. */
struct choice {
	struct job	*job;
	struct request	*r;		/* NULL: not submitted, or ended */
	unsigned	 index;
	unsigned	 copy;		/* which of "n" */
	bool		 has_begun;	/* streamed: the role is out */
	unsigned	 finish;
	size_t		 offset;	/* characters before the next token */
	struct buf	 head;		/* of each of its events */
	struct buf	 text;		/* not streamed */
	struct buf	 logprobs;	/* as in message OUT */
};

/*
 * An exchange that generates.  Lives from the handler to the call's on_end,
 * where requests that still run are abandoned: nothing else frees it.
 */
struct job {
	struct http_call *call;
	bool		 is_chat;
	bool		 is_stream;
	bool		 include_usage;
	bool		 has_logprobs;
	bool		 is_answered;	/* whole or failed: take no more */
	char		 id[64];	/* "chatcmpl-..." */
	char		*model;
	int64_t		 created_s;
	struct choice	*choices;
	size_t		 n_choices;
	size_t		 n_ended;
	uint64_t	 prompt_tokens;
	uint64_t	 completion_tokens;
	uint64_t	 cached_tokens;
};

/* ---- openai.c ---- */

/* The body as a JSON object, or NULL after the error was answered. */
json_t		*openai_body(struct http_call *c);
/* "model", or NULL for the first; false after the error was answered. */
bool		 openai_read_model(struct http_call *c, const json_t *o,
		    const struct gate_model **out);
/* What every request of a call has in common. */
void		 openai_submit(struct http_call *c, struct request *r,
		    const struct gate_model *m, const char *endpoint,
		    const struct request_events *events, void *arg);

/* ---- openai_reply.c ---- */

extern const struct request_events job_events;
void		 job_free(void *job);

/* ---- openai_write.c: JSON, pure ---- */

/* The whole answer. */
void		 job_write(struct buf *out, const struct job *j);
/* One event; text and logprobs may be empty.  The last has a finish. */
void		 job_write_chunk(struct buf *out, const struct job *j,
		    struct choice *c, struct slice text,
		    struct slice logprobs, bool is_last);
/* The event before [DONE] that include_usage asks for. */
void		 job_write_usage_chunk(struct buf *out, const struct job *j);

#endif

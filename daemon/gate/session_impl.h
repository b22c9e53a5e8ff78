/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_SESSION_IMPL_H
#define BM_GATE_SESSION_IMPL_H

/*
 * What the files of a session share: session.c cuts lines, session_verbs.c
 * reads what they ask for, session_reply.c answers.
 */

#include <stdbool.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/queue.h"
#include "gate/gate.h"
#include "gate/request.h"
#include "gate/session.h"

/* Longer than any answer of ours. */
#define REPLY_BYTES_MAX	((size_t)64 << 20)

/* A request in flight: the client's id and how to answer. */
struct tag {
	struct session	*s;
	struct request	*r;
	json_t		*id;		/* NULL: the line named none and its
					 * verb needs none */
	bool		 as_json;
	bool		 is_stream;
	struct buf	 text;		/* for done, when not streamed */
	json_t		*tokens;	/* of tokenize */
	json_t		*logprobs;	/* for done, when not streamed */
	TAILQ_ENTRY(tag) entry;
};
TAILQ_HEAD(tag_list, tag);

struct session {
	struct gate	*g;
	const struct session_io *io;
	void		*arg;
	const char	*client;
	char		*tenant;	/* by `auth`; NULL: none */
	bool		 is_authorised;
	bool		 is_eof;	/* or `quit`: take no more lines */
	bool		 is_closed;
	struct buf	 in;		/* the begin of a line */
	struct tag_list	 tags;
	size_t		 n_running;
	json_int_t	 last_id;
};

struct verb {
	const char	*name;
	/* An error is answered by the caller; else the verb did or will. */
	int		(*fn)(struct tag *, json_t *, struct cause *);
	bool		 is_work;	/* needs a key and gets an id */
	bool		 is_logged;	/* also when it is refused */
	const char	*usage;
};

/* NULL when there is none of that name. */
const struct verb	*session_verb(const char *name);

/* An object with the tag's id, for session_reply. */
json_t	*session_fields(const struct tag *t);
/* Write one answer; takes fields. */
void	 session_reply(const struct tag *t, const char *event, json_t *fields);
void	 session_reply_error(const struct tag *t, int code, uint64_t retry_ms,
	    const char *message);
void	 session_reply_cause(const struct tag *t, const struct cause *c);
/* Foreign text as a JSON string: what is no UTF-8 becomes U+FFFD. */
json_t	*session_text(struct slice s);
/* Close once what is written is out. */
void	 session_close_soon(struct session *s);

bool	 session_id_is_taken(const struct session *s, const json_t *id);
/* A tag for r that lives until r is done, like the one on the stack. */
struct tag *session_tag_keep(const struct tag *from, struct request *r);
void	 session_tag_free(struct tag *t);

/* What the core calls for a session's requests. */
extern const struct request_events session_events;

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_REQUEST_H
#define BM_GATE_REQUEST_H

/*
 * A request inside the gate, from whichever protocol it came.  A protocol
 * (http_*.c, session.c) fills a struct request and submits it; from then on
 * the core (core.c) owns its life and reports through `events` until `done`
 * has been called exactly once.  The protocol may lose its client at any time
 * and then calls request_abandon; no event follows, but the row is written.
 *
 * What survives a worker's death is kept here: the tokens generated so far,
 * whose text the client has seen.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/queue.h"
#include "base/uuid.h"
#include "gate/affinity.h"
#include "wire/msg.h"

struct request;
struct tenant_use;

#define REQUEST_PRIORITY 5	/* if none is given */

enum request_kind {
	REQUEST_GENERATE,	/* RUN */
	REQUEST_TOKENIZE,	/* answered by on_tokens */
	REQUEST_DETOKENIZE,	/* answered by on_text */
	REQUEST_RENDER		/* answered by on_text */
};

struct request_result {
	int		 code;		/* 0 or an error of err.def */
	const char	*message;	/* for people; "" when code is 0 */
	unsigned	 finish;	/* enum run_finish */
	uint32_t	 prompt_tokens;
	uint32_t	 completion_tokens;
	uint32_t	 cached_tokens;
	double		 queue_ms;
	double		 prefill_ms;
	double		 decode_ms;
	double		 ttft_ms;
	uint64_t	 retry_ms;	/* with queue_full and the like */
};

/* Any of these may be NULL.  They must not free the request. */
struct request_events {
	/* Accepted; how many wait before it, and how long it may take until it
	 * starts.  Again when that many changes before it first runs. */
	void	(*queued)(struct request *r, size_t position,
		    uint64_t wait_ms);
	/* Tokens and text, in order, each once: also across a worker's death.
	 * logprobs: as in message OUT. */
	void	(*output)(struct request *r, struct slice text,
		    struct words tokens, struct slice logprobs);
	void	(*tokens)(struct request *r, struct words tokens);
	void	(*text)(struct request *r, struct slice text);
	/* The end; the core frees the request when this returns. */
	void	(*done)(struct request *r, const struct request_result *res);
};

struct request {
	/* set by the protocol before request_submit */
	enum request_kind kind;
	char		 uuid[UUID_TEXT_SIZE];	/* made by request_new */
	char		*model;		/* NULL or "": the only or first one */
	char		*tenant;	/* NULL: none */
	char		 client[64];	/* "127.0.0.1:5123", "unix:uid=1000" */
	const char	*protocol;	/* "http", "line" */
	const char	*endpoint;	/* "/v1/completions", "generate" */
	char		*prompt;	/* for the log, owned; may be NULL */
	char		*params;	/* JSON, for the log, owned */
	uint64_t	 timeout_ms;	/* 0: the configured one */
	int32_t		 priority;	/* 0 to 9, higher first; see sched.h */
	const struct request_events *events;
	void		*arg;		/* the protocol's */

	/*
	 * What the worker gets.  Slices and words point into `own`, a buffer
	 * of the request, by way of request_own().  RUN: resume is the core's.
	 */
	union {
		struct msg_run		 run;
		struct msg_tokenize	 tokenize;
		struct msg_detokenize	 detokenize;
		struct msg_render	 render;
	} m;

	/* the core's own */
	void		**own;		/* memory that ends with the request */
	size_t		 n_own;
	uint64_t	 id;		/* the gate's number, never 0 */
	struct gate_worker *worker;	/* NULL while queued */
	size_t		 position;	/* in the queue, by sched_number */
	size_t		 told_position;	/* to the client */
	int32_t		 last_worker;	/* its id, -1: it never ran */
	struct gate_model *on_model;
	struct affinity_key key;	/* of a RUN's prompt */
	struct gate_variant *variant;	/* NULL until it first ran */
	bool		 wants_canary;
	uint32_t	*generated;	/* tokens whose text was delivered,
					 * little endian as on the wire */
	size_t		 n_generated;
	size_t		 cap_generated;
	struct buf	 output;	/* text delivered, for the log */
	unsigned	 n_retries;
	uint32_t	 detained_by;	/* worker whose death is not told */
					/* yet; 0: none */
	uint64_t	 detained_until_ns;
	unsigned	 n_crashes;	/* it was at work in */
	bool		 is_suspect;	/* runs alone until it got further */
	size_t		 crashed_at;	/* n_generated then */
	bool		 is_abandoned;
	bool		 is_cancelled;
	int64_t		 arrived_unix_ms;
	uint64_t	 arrived_ns;
	uint64_t	 dispatched_ns;
	uint64_t	 first_output_ns;
	uint64_t	 last_output_ns;
	uint64_t	 deadline_ns;	/* 0: none */
	size_t		 heap_at;	/* 1 + place among the deadlines */
	struct tenant_use *use;
	uint32_t	 prompt_tokens;	/* of STARTED */
	uint32_t	 cached_tokens;
	unsigned	 n_holds;	/* callbacks that run now */
	bool		 is_over;	/* free it when they are done */
	TAILQ_ENTRY(request) entry;
};

struct gate;

/* Zeroed, with a uuid, the priority of none given and RUN's defaults
 * (max_tokens -1, temperature 0.8, top_k 40, top_p 0.95, min_p 0.05, no
 * penalties, repeat_last_n 64, n_probs -1, add_special 1). */
struct request	*request_new(enum request_kind kind);
/* Only for one that was never submitted. */
void		 request_free(struct request *r);
/* A copy of n bytes that lives as long as the request. */
void		*request_own(struct request *r, const void *p, size_t n);
/*
 * Hand it over.  Always ends in `done`, perhaps before this returns (queue
 * full, unknown model, draining).
 */
void		 request_submit(struct gate *g, struct request *r);
/* One that is refused before it could be submitted: counted and logged like
 * any other, but nothing is called.  model is what was asked for, or NULL when
 * it was not read.  Takes r. */
void		 request_refuse(struct gate *g, struct request *r, int code);
/* The client is gone: cancel, write the row as cancelled, call nothing. */
void		 request_abandon(struct gate *g, struct request *r);
/* The client wants it ended: `done` follows with BM_ECANCEL. */
void		 request_cancel(struct gate *g, struct request *r);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_GATE_H
#define BM_GATE_GATE_H

/*
 * What the gate knows: configuration, models, workers, requests, counters.
 * core.c changes it; admin.c, the HTTP routes and the line sessions read it
 * through these functions.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hist.h"
#include "base/map.h"
#include "base/queue.h"
#include "gate/affinity.h"
#include "gate/procs.h"
#include "gate/request.h"
#include "gate/stats.h"
#include "wire/conf.h"

struct ev_loop;
struct chan;
struct gate;
struct clients;
struct pulse;
struct rows;
struct sched_heap;
struct admin_listener;
struct history;
struct news;
struct watch_hub;

TAILQ_HEAD(request_list, request);

/* A file that a model may be served from, and what requests on it were like. */
struct gate_variant {
	char		*name;
	char		*path;
	char		*reason;	/* why it is in that state; "" */
	char		 state[16];	/* active, canary, leaving... */
	uint64_t	 file_bytes;
	uint32_t	 percent_done;	/* of one being compressed */
	uint32_t	 term;		/* of its leaving, for VARIANT_IDLE */
	bool		 is_leaving;	/* no new requests */
	bool		 was_idle;	/* VARIANT_IDLE has been sent */
	size_t		 n_bound;	/* live requests that are its */
	/* what is registered of the file; NAN or "": not known */
	double		 perplexity;
	double		 reference;	/* of what it was made from */
	double		 kl_divergence;
	char		 source[16];	/* base, compress, found */
	char		*made_from;
	int64_t		 created_ms;
	struct buf	 row;		/* for the log, as last sent */
	/* of the last MODEL_INFO, or registered too */
	char		 type[16];
	uint64_t	 shared_bytes;	/* weights, once for all workers */
	uint64_t	 own_bytes;	/* of each worker */
	uint64_t	 kv_bytes;	/* of these */
	uint64_t	 scratch_bytes;	/* likewise */
	double		 bits_per_weight;
	uint64_t	 n_requests;
	uint64_t	 n_errors;	/* no client's fault */
	struct tally	 tally;
	struct trial	 trial;
	uint64_t	 decoded_tokens; /* of requests that have ended, in */
	double		 decode_ms;
	struct rate	 token_rate;
	struct window_hist ttft;
	struct window_hist duration;
	TAILQ_ENTRY(gate_variant) entry;
};
TAILQ_HEAD(gate_variant_list, gate_variant);

struct gate_worker {
	uint32_t	 id;
	uint32_t	 pid;
	struct gate	*gate;
	struct chan	*chan;		/* NULL: no link */
	struct gate_model *model;
	struct gate_variant *variant;	/* NULL while model is */
	char		 state[16];	/* as the master says */
	bool		 is_held;	/* drained by an operator */
	bool		 has_suspect;	/* runs one request alone */
	bool		 is_ready;	/* linked and MODEL_INFO received */
	uint32_t	 n_running;
	uint32_t	 n_parallel;
	uint32_t	 n_threads;
	uint32_t	 restarts;
	uint32_t	 node;		/* of memory, and 1 more; 0: none */
	int64_t		 started_ms;
	int64_t		 crashed_ms;	/* last; 0: never */
	char		*crash;		/* how; "" */
	char		 cpu_level[16];
	float		 tokens_per_s;	/* last LOAD */
	uint32_t	 kv_pages_used;
	uint32_t	 kv_pages;
	uint64_t	 drafted_tokens;
	uint64_t	 accepted_tokens; /* of those */
	uint64_t	 load_ns;	/* when that LOAD came */
	char		*model_name;	/* also when model is NULL */
	char		*variant_name;
	bool		 is_draining;	/* the master wants it idle */
	bool		 was_idle;	/* WORKER_IDLE has been sent */
	struct map	 ending;	/* ids given up; their ENDED is awaited,
					 * n_running counts them still */
	struct affinity	 affinity;	/* what it has been sent */
	struct request_list running;
	TAILQ_ENTRY(gate_worker) entry;
};
TAILQ_HEAD(worker_list, gate_worker);

struct gate_model {
	char		*name;
	struct gate_variant_list variants;
	struct gate_variant *active;	/* has the new requests, but for */
	struct gate_variant *canary;	/* percent of them; or NULL */
	uint32_t	 percent;
	uint32_t	 credit;	/* 0 to 99: of the canary's next one */
	char		*previous;	/* what rollback brings back; "" */
	char		*next;		/* what is being brought up; "" */
	char		*why;		/* there are so many workers; "" */
	uint32_t	 told_queued, told_running;	/* in MODEL_LOAD */
	uint64_t	 told_ended;			/* likewise */
	uint64_t	 told_trial_ns;	/* last TRIAL */
	bool		 is_held;	/* drained by an operator */
	char		*path;
	char		 state[16];	/* starting, ready, failed... */
	char		*reason;	/* why it is in that state; "" */
	uint32_t	 workers_min;
	uint32_t	 workers_max;
	uint32_t	 workers_wanted;	/* now, within those */
	uint32_t	 n_threads;	/* 0: the worker chooses */
	int64_t		 created_s;
	bool		 is_going;	/* being unloaded: no new requests */
	bool		 was_idle;	/* MODEL_IDLE has been sent */
	uint32_t	 n_ended;	/* requests, by MODEL_END */
	bool		 is_dispatching;
	/* of the last MODEL_INFO */
	char		 architecture[32];
	uint64_t	 n_params;
	uint32_t	 n_threads_chosen;
	uint32_t	 n_ctx;
	uint32_t	 n_vocab;
	char		 chat_form[16];
	struct request_list queue;	/* waiting, in sched.h's order */
	struct request_list asides;	/* not RUN: wait for any worker */
	size_t		 n_queued;	/* in both */
	size_t		 n_live;	/* queued or running */
	double		 mean_ms;	/* of recent requests, for retry_ms */
	struct rate	 token_rate;
	struct tally	 tally;
	uint64_t	 n_by_status[STATS_N_STATUS];
	uint64_t	 n_requests;
	uint64_t	 n_errors;
	TAILQ_ENTRY(gate_model) entry;
};
TAILQ_HEAD(model_list, gate_model);

/* Requests a tenant has in the daemon. */
struct tenant_use {
	char		*name;
	size_t		 n_live;
	TAILQ_ENTRY(tenant_use) entry;
};
TAILQ_HEAD(tenant_list, tenant_use);

struct gate {
	struct ev_loop	*loop;
	struct conf	 conf;
	struct chan	*master;
	struct chan	*reqlog;	/* NULL while there is none */
	struct model_list models;
	struct worker_list workers;
	struct map	 requests;	/* id -> struct request */
	size_t		 n_queued;
	size_t		 n_running;
	size_t		 n_connections;
	char		 state[16];	/* starting, ready, draining */
	bool		 is_draining;
	uint32_t	 master_pid;
	int64_t		 started_ms;
	char		 http_addr[64];
	struct stats	*stats;
	struct procs	 procs;		/* as last looked at */
	struct history	*history;
	struct news	*news;
	bool		 has_news;	/* also those from before us */
	struct watch_hub *watch;
	struct clients	*clients;	/* listen_io.c's */

	/* the core's own */
	struct admin_listener *admin;
	uint64_t	 last_id;
	struct tenant_list tenants;
	struct rows	*rows;		/* not yet confirmed by reqlog */
	uint64_t	 reqlog_lost_ns;	/* since when reqlog is NULL */
	uint64_t	 variants_ns;	/* when rows of variants were due */
	int		 log_code;	/* last LOG_STATE; 0: it can write */
	char		 log_text[128];
	bool		 log_has_dropped;	/* said in this backlog */
	struct sched_heap *deadlines;
	struct map	 asks;		/* ticket -> struct ask */
	uint32_t	 last_ticket;
	uint32_t	 drain_seq;	/* of the master's DRAIN */
	uint64_t	 drain_end_ns;	/* 0: no limit */
	struct pulse	*pulse;		/* NULL: the master did not ask */
	uint64_t	 leave_ns;	/* end then; 0: not yet */
	uint64_t	 told_ns;	/* positions, last time */
};

/* NULL name: the first model.  NULL when there is none of that name. */
struct gate_model	*gate_model_find(struct gate *g, const char *name);
/* Is every model ready (and at least one there) and the daemon not draining? */
bool			 gate_is_ready(const struct gate *g);
/* The first model that keeps it from being so; NULL: none, or none there. */
const struct gate_model *gate_unready_model(const struct gate *g);
/* The tenant whose key this is; NULL when none.  *needed tells whether any
 * tenant has a key, that is, whether clients must show one. */
const struct conf_tenant *gate_tenant(const struct gate *g, struct slice key,
			    bool *needed);
/* Requests of a model that run now. */
size_t			 gate_model_running(const struct gate *g,
			    const struct gate_model *m);
/* Of a model, or of all (NULL). */
size_t			 gate_workers_ready(const struct gate *g,
			    const struct gate_model *m);
/* What the ready workers of a variant use, or, of the active one, one would;
 * shared_bytes once for all of them. */
struct gate_memory {
	uint64_t	 private_bytes;
	uint64_t	 shared_bytes;
};
struct gate_memory	 gate_variant_memory(const struct gate *g,
			    const struct gate_model *m,
			    const struct gate_variant *v);
/* Both of all its variants. */
uint64_t		 gate_model_memory(const struct gate *g,
			    const struct gate_model *m);

/* ---- what the protocols offer to the loop (listen_io.c, admin_io.c) ---- */

/* A listening socket from the master; takes fd.  There is one of each kind:
 * the new one replaces the old, whose address may be another. */
void	 clients_listen(struct gate *g, enum listen_kind kind, int fd,
	    const char *addr);
void	 clients_unlisten(struct gate *g, enum listen_kind kind);
/* New requests are refused from now on; connections without requests close
 * once their answer is out. */
void	 clients_drain(struct gate *g);
void	 admin_listen(struct gate *g, int fd);
void	 admin_unlisten(struct gate *g);

/* ---- what core.c offers to admin ---- */

/* Ask the master or reqlog on behalf of an admin connection.  each is called
 * for every RECORD or PROC frame, end exactly once; both get arg.  Returns a
 * ticket for gate_ask_forget, 0 when the other side is away (end was called
 * with BM_EOVERLOAD). */
typedef void (*ask_each_fn)(void *arg, unsigned type, struct cur body);
typedef void (*ask_end_fn)(void *arg, int code, const char *text);
uint32_t gate_ask(struct gate *g, enum role whom, enum msg_type type,
	    const void *m, ask_each_fn each, ask_end_fn end, void *arg);
/* Ask a ready worker of any model (KERNELS). */
uint32_t gate_ask_worker(struct gate *g, enum msg_type type, const void *m,
	    ask_each_fn each, ask_end_fn end, void *arg);
void	 gate_ask_forget(struct gate *g, uint32_t ticket);
/* Write an event row (operator's commands; uid -1: nobody's). */
void	 gate_event(struct gate *g, const char *kind, const char *subject,
	    const char *text, int64_t uid);

#endif

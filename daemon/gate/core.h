/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_CORE_H
#define BM_GATE_CORE_H

/*
 * What the parts of the core say to each other: admit.c lets requests in,
 * core.c sends them to workers, answers.c hands on what comes back, ending.c
 * ends them, links.c holds the channels to master and reqlog, orders.c takes
 * the master's word, workers.c holds the channels to the workers, journal.c
 * writes rows, asks.c carries questions.
 */

#include "gate/gate.h"
#include "wire/chan_io.h"

/* ---- gate.c ---- */

/* Nothing is known yet, and no channel is there. */
void	 gate_init(struct gate *g);
/* Replace an owned string. */
void	 core_text(char **to, struct slice s);
/* Copy into an array of that size, cut to fit. */
void	 core_word(char *to, size_t size, struct slice s);

/* ---- admit.c ---- */

/* 0, or why not; r->on_model is its model or NULL.  Finds r->use. */
int	 core_admit(struct gate *g, struct request *r, struct cause *cause);

/* ---- core.c ---- */

/* The seq of frames about it.  Questions have the high bit, see asks.c. */
uint32_t core_seq(uint64_t id);
/* Start what can start. */
void	 core_dispatch(struct gate *g, struct gate_model *m);
/* The worker's link ended: its requests wait again, or end. */
void	 core_worker_lost(struct gate *g, struct gate_worker *w);
/* The live request of that uuid, or NULL. */
struct request	*core_find_uuid(const struct gate *g, const char *uuid);
/* Callbacks may abandon or cancel a request: it lives until release, which
 * tells whether it goes on. */
void	 core_hold(struct request *r);
bool	 core_release(struct request *r);

/* ---- answers.c ---- */

/* A frame of a worker about a request. */
void	 core_frame(struct gate *g, struct gate_worker *w,
	    const struct frame *f);

/* ---- ending.c ---- */

/* When there may be a worker again; for clients. */
#define CORE_RETRY_MS	1000

/* The one way out.  res->code and ->message are set, and what the worker told
 * of tokens and times. */
void	 core_end(struct gate *g, struct request *r,
	    struct request_result *res, bool worker_has_ended);
/* End it without an answer of the worker.  text: NULL is the code's. */
void	 core_fail(struct gate *g, struct request *r, int code,
	    const char *text, uint64_t retry_ms);
/* End what is past its deadline. */
void	 core_deadlines(struct gate *g, uint64_t now_ns);
/* Its model can't be served: end what waits (and, with all, what runs). */
void	 core_model_end(struct gate *g, struct gate_model *m, int code,
	    const char *text, bool all);
/* End everything there is. */
void	 core_end_all(struct gate *g, int code, const char *text);

/* ---- links.c ---- */

void	 links_init(struct gate *g, struct ev_loop *loop, int master_fd);
/* A new link to reqlog; an old one ends first. */
void	 links_reqlog(struct gate *g, int fd);
/* End the process. */
void	 links_leave(struct gate *g) __attribute__((noreturn));
/* Every PULSE_BEAT_S: the pulse, deadlines, the end of a drain. */
void	 links_tick(struct gate *g, uint64_t now_ns);
/* Tell the master how busy m is, if that is news. */
void	 links_tell_load(struct gate *g, struct gate_model *m,
	    uint64_t now_ns);
/* Tell the master what has become idle. */
void	 links_check_idle(struct gate *g);

/* ---- orders.c ---- */

/* A frame of the master that is no answer to a question. */
void	 orders_frame(struct gate *g, const struct frame *f);

/* ---- workers.c ---- */

struct gate_model *workers_model(struct gate *g, struct slice name);
/* The worker of that number, made when there is none. */
struct gate_worker *workers_get(struct gate *g, uint32_t id);
struct gate_worker *workers_find(struct gate *g, uint32_t id);
/* Its model as the master says. */
void	 workers_assign(struct gate *g, struct gate_worker *w,
	    struct slice model, struct slice variant);
/* A new link; an old one ends first. */
void	 workers_link(struct gate *g, const struct msg_peer *m, int fd);
void	 workers_gone(struct gate *g, struct gate_worker *w);

/* What the master tells of its ends and new begins. */
void	 workers_count_death(struct gate_worker *w,
	    const struct msg_worker_died *d);
void	 workers_count_restarts(struct gate_worker *w, uint32_t n);
/* Its link is as good as gone: counted, and what ran on it waits again. */
void	 workers_lost(struct gate *g, struct gate_worker *w);

/* ---- suspects.c ---- */

/* Its worker is lost: it waits until the master has told why. */
void	 suspects_detain(struct request *r, uint32_t worker);
void	 suspects_death(struct gate *g, const struct msg_worker_died *d);
/* Let go those whom nobody told about. */
void	 suspects_tick(struct gate *g, uint64_t now_ns);
/* Tokens of r came: is it cleared now? */
void	 suspects_progress(struct gate *g, struct request *r);

/* ---- positions.c ---- */

/* r has just come: tell its client how many are before it. */
void	 positions_tell(struct gate *g, struct request *r, size_t position);
/* Tell whose position has changed, a few times a second. */
void	 positions_tick(struct gate *g, uint64_t now_ns);

/* ---- variants.c ---- */

struct gate_variant *variants_find(const struct gate_model *m,
	    struct slice name);
/* Made when there is none of that name. */
struct gate_variant *variants_get(struct gate_model *m, struct slice name);
void	 variants_free(struct gate_model *m);
/* From now on r is v's; NULL: nobody's. */
void	 variants_bind(struct request *r, struct gate_variant *v);
/* Decide whether a new request is one for the canary. */
void	 variants_draw(struct gate_model *m, struct request *r);
void	 variants_note(struct gate *g, const struct msg_variant *s);
void	 variants_gone(struct gate *g, const struct msg_variant_gone *s);
/* Tell the master which are idle. */
void	 variants_check_idle(struct gate *g, struct gate_model *m);

/* ---- canary.c ---- */

/* m's canary has its share from now on. */
void	 canary_begin(struct gate_model *m);
/* A request of v ended, or its worker crashed. */
void	 canary_count_end(struct gate_variant *v, int code, double ms);
void	 canary_count_crash(struct gate_variant *v);
/* Tell the master of m's, when it is time. */
void	 canary_tick(struct gate *g, struct gate_model *m, uint64_t now_ns);

/* ---- journal.c ---- */

/* The row of a request that ends. */
void	 journal_request(struct gate *g, const struct request *r,
	    const struct request_result *res);
/* Forward an event of the master. */
void	 journal_event(struct gate *g, const struct msg_event *m);
/* The row of a variant, if it is not what it was when last sent; removed_at:
 * when its file was found gone, or 0. */
void	 journal_variant(struct gate *g, const struct gate_model *m,
	    struct gate_variant *v, int64_t removed_at);
/* Those of all: their speed changes with each request. */
void	 journal_variants(struct gate *g, uint64_t now_ns);
/* Send what the window allows. */
void	 journal_pump(struct gate *g);
/* A new link: everything unconfirmed goes again. */
void	 journal_link(struct gate *g, struct chan *c);
void	 journal_lost(struct gate *g);
void	 journal_frame(struct gate *g, const struct frame *f);

/* ---- asks.c ---- */

/* Is the frame an answer to a question?  Then it has been handed on. */
bool	 asks_frame(struct gate *g, const struct frame *f);
/* The other end of c is gone: its questions end. */
void	 asks_lost(struct gate *g, const struct chan *c);

#endif

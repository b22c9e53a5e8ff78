/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_MASTER_H
#define BM_MASTER_MASTER_H

/*
 * What the master knows, and who changes it.  Events (a frame, a dead child, a
 * signal, a command) only note what happened; master_settle, called before the
 * loop sleeps, compares what is with what should be and takes the next steps.
 * So every order of events leads to the same place, and nothing is freed
 * under the feet of a caller.
 *
 *	main.c		command line, daemonising
 *	master_main.c	loop, signals, timer
 *	children.c	one process: start, link, end
 *	hear.c		what processes say
 *	models.c	models: settle
 *	health.c	signs of life, and of death
 *	workers.c	how many processes a variant has
 *	variants.c	the files a model has
 *	swap.c		from one variant to another, and back
 *	compress.c	a variant in another tensor type, made by a job
 *	store.c		where workers keep packed weights
 *	memory.c	what they may take
 *	tell.c		what the gate is told
 *	do.c		operators' commands
 *	reload.c	configuration changes
 *	service.c	what the service manager is told meanwhile
 *	stop.c		the end
 */

#include <sys/stat.h>
#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/queue.h"
#include "master/account.h"
#include "master/autoscale.h"
#include "master/canary.h"
#include "master/listen.h"
#include "master/numa.h"
#include "master/options.h"
#include "master/quality.h"
#include "master/supervise.h"
#include "wire/chan_io.h"
#include "wire/conf.h"
#include "wire/paths.h"

struct child_log;
struct compress;
struct compress_args;
struct ev_loop;
struct master;
struct model;
struct model_file;
struct msg_model_info;
struct pulse;

/* The variant that `load` and the configuration name. */
#define VARIANT_BASE "base"

/* The signs of life of a worker or the gate, as last looked at. */
struct health {
	struct pulse	*pulse;		/* NULL: there is none */
	uint64_t	 beats;
	uint64_t	 looked_ns;
	unsigned	 n_silent;	/* looks in a row without a beat */
	bool		 is_hung;	/* killed for it */
};

struct child {
	struct master	*master;
	enum role	 role;
	uint32_t	 id;		/* worker number; 0: gate, reqlog */
	struct sup	 sup;
	pid_t		 pid;
	struct chan	*chan;		/* NULL: no link */
	bool		 is_reaped;	/* dead, but its link may hold more */
	int		 status;	/* as of waitpid */
	int64_t		 started_ms;
	char		 told[16];	/* state the gate knows */
	int64_t		 crashed_ms;	/* last; 0: never */
	char		 crash[256];	/* how */
	/* of workers */
	struct model	*model;
	struct variant	*variant;
	uint32_t	 generation;	/* of the model's settings */
	struct account_cost cost;	/* as it told, or as is expected */
	uint64_t	 granted_bytes;	/* beside weights, till it told */
	struct health	 health;
	const struct numa_node *node;	/* NULL: anywhere */
	bool		 is_held;	/* drained by an operator */
	bool		 is_surplus;	/* to be drained, ended, forgotten */
	bool		 is_idle;	/* the gate has nothing on it */
	TAILQ_ENTRY(child) entry;
};
TAILQ_HEAD(child_list, child);

/* A command of an operator that is answered later. */
enum ask_kind { ASK_LOAD, ASK_UNLOAD, ASK_WORKERS, ASK_SWAP };
struct ask {
	enum ask_kind	 kind;
	uint32_t	 seq;
	uint64_t	 id;
	TAILQ_ENTRY(ask) entry;
};
TAILQ_HEAD(ask_list, ask);

/*
 * A file that holds a model in some form.  One that takes no new requests any
 * more is leaving: its workers stay, and are replaced when they die, until the
 * gate has no request left that began on it.
 */
struct variant {
	char		*name;
	char		*path;
	uint64_t	 file_bytes;
	int64_t		 created_ms;	/* when the file was written */
	struct quality	 quality;	/* as last read */
	bool		 is_leaving;
	bool		 is_idle;	/* the gate has no request of it */
	uint32_t	 term;		/* of its leavings */
	bool		 is_told;	/* the gate knows it */
	bool		 has_failed;	/* to start, since it was last wanted */
	unsigned	 n_crashes;	/* likewise */
	char		 reason[256];	/* of that */
	int		 code;		/* likewise */
	struct account_cost cost;	/* of its workers, once one told */
	struct canary_side trial;	/* since the share began */
	int		 store_fd;	/* memfd of its workers' weights; -1 */
	struct stat	 store_of;	/* the file they are of */
	TAILQ_ENTRY(variant) entry;
};
TAILQ_HEAD(variant_list, variant);

/*
 * From active to next.  Without a share, next takes over as soon as all its
 * workers are ready; with one it gets that many percent of the new requests
 * until an operator ends it one way or the other.
 */
struct swap {
	struct variant	*next;		/* NULL: none under way */
	unsigned	 percent;	/* 0: all at once */
	bool		 is_shared;	/* next has its share now */
	bool		 is_finishing;	/* and is to have everything */
};

struct model {
	struct conf_model conf;
	struct variant_list variants;	/* the first is base */
	struct variant	*active;	/* has the requests */
	struct variant	*previous;	/* for rollback; NULL: none */
	struct swap	 swap;
	size_t		 n_workers;	/* wanted now */
	struct autoscale autoscale;
	struct autoscale_load load;
	char		 why[256];	/* it is n_workers */
	bool		 is_held;	/* drained by an operator */
	bool		 is_evicted;	/* without workers till asked for */
	uint64_t	 used_ns;	/* when it was used last */
	uint32_t	 generation;	/* grows when workers must be new */
	bool		 is_trial;	/* loaded by command, not yet ready */
	bool		 has_crashed;	/* since it was ready, or at first */
	bool		 is_short;	/* of memory for another worker */
	bool		 is_going;	/* being unloaded */
	bool		 comes_back;	/* the file named it again meanwhile */
	bool		 is_idle;	/* the gate has no request of it */
	bool		 is_cut;	/* without waiting for requests */
	uint32_t	 n_ended;	/* of these */
	int64_t		 created_s;
	char		 state[16];
	char		 reason[256];
	bool		 is_told;	/* the gate knows state and reason */
	struct child_list workers;
	struct ask_list	 asks;
	TAILQ_ENTRY(model) entry;
};
TAILQ_HEAD(model_list, model);

/* For the database; kept while there is no gate to take it there. */
struct event {
	char		 uuid[37];
	int64_t		 at;
	char		*kind;
	char		*subject;
	char		*text;
	TAILQ_ENTRY(event) entry;
};
TAILQ_HEAD(event_list, event);

/* The limit of what workers may take, as last looked at. */
struct memory {
	uint64_t	 read_ns;	/* 0: never */
	uint64_t	 configured_bytes;
	uint64_t	 limit_bytes;
};

enum phase { PHASE_START, PHASE_RUN, PHASE_DRAIN, PHASE_QUIT, PHASE_REQLOG,
    PHASE_OVER };

/* For the service manager, if there is one. */
struct service {
	bool		 is_wanted;
	uint64_t	 period_ns;	/* of the watchdog; 0: there is none */
	uint64_t	 due_ns;
	bool		 has_answered;	/* the gate, since the last ping */
	bool		 is_stale;	/* status, told at status_ns */
	uint64_t	 status_ns;
	char		 status[256];
};

struct master {
	struct ev_loop	*loop;
	const struct options *options;
	struct conf	 conf;		/* as last loaded */
	struct listeners listeners;
	struct service	 service;
	struct memory	 memory;
	struct numa	 numa;
	struct child	 gate;
	struct child	 reqlog;
	struct model_list models;
	struct compress	*compress;	/* the job that runs; NULL: none */
	struct event_list events;
	size_t		 n_events;
	uint32_t	 n_workers_ever;
	int64_t		 started_ms;
	enum phase	 phase;
	bool		 is_unsettled;	/* settle once more before sleeping */
	uint64_t	 scanned_ns;	/* when files were last looked for */
	uint64_t	 drain_until_ns;
	bool		 is_drained;
	char		 told[16];	/* daemon state the gate knows */
	int		 ready_fd;	/* to the waiting parent; -1: none */
	int		 exit_status;
	char		 failure[512];	/* why no model could be loaded */
	int		 log_fd;	/* log.file; -1: none */
	struct child_log *child_log;	/* NULL: children have our stderr */
};

/* ---- master_main.c ---- */
/* Run until stopped; takes the listeners.  ready_fd: where a parent waits for
 * "ready" (an empty line) or the reason why not (a line); -1 if none does.
 * Returns the exit status. */
int	 master_run(struct master *m);
void	 master_reopen_log(struct master *m);

/* ---- children.c ---- */
void	 child_init(struct child *c, struct master *m, enum role role,
	    uint32_t id);
void	 child_act(struct child *c, enum sup_action action);
/* waitpid has told. */
void	 child_reaped(struct child *c, int status);
/* The one with that pid; NULL: none of ours. */
struct child *child_find(struct master *m, pid_t pid);
/* Every child: first NULL, then the last one; NULL at the end. */
struct child *child_next(struct master *m, struct child *c);
/* "worker 3" */
const char *child_name(const struct child *c, char out[32]);
void	 child_send_conf(struct child *c);
/* Send a worker the files of a model; closes file. */
void	 child_send_parts(struct chan *chan, struct model_file *file);
/* "killed by signal 9 (Killed)", from waitpid's status. */
void	 child_status_text(int status, char *out, size_t size);
/* As configured. */
void	 child_limits(const struct child *c, struct sup_limits *l);

/* ---- hear.c ---- */
/* Any message but HELLO. */
void	 hear_frame(struct child *c, const struct frame *f);
/* A worker can't load its model; it says so, or never gets it. */
void	 hear_failure(struct child *c, const struct msg_result *r);

/* ---- store.c ---- */
/* Give a worker the places where packed weights are kept; fd: its model's
 * file, or the first of a split. */
void	 store_give(struct child *c, int fd);
void	 store_close(struct variant *v);
/* A worker has gone; without any there is nothing to keep in memory. */
void	 store_release(struct model *model, struct variant *v);

/* ---- memory.c ---- */
/* What one is expected to need that no worker has told of yet. */
struct account_cost memory_expected(const struct conf_model *conf,
	    uint64_t file_bytes);
/* A worker tells what it takes. */
void	 memory_note(struct child *w, const struct msg_model_info *info);
/* The model's settings are others now. */
void	 memory_forget(struct model *model);
/* Tell a worker that is to load what it may take. */
void	 memory_grant(struct child *c, struct msg_model *msg);
/* May n_more workers beside n_now be started, once those that are leaving are
 * gone?  0, or BM_ENOMEM with the sum. */
int	 memory_check(struct master *m, const char *name,
	    const struct account_cost *cost, size_t n_now, size_t n_more,
	    struct cause *cause) BM_MUST_CHECK;
int	 memory_check_more(struct master *m, const struct model *model,
	    const struct variant *v, size_t n_more, struct cause *cause)
	    BM_MUST_CHECK;
/* How many more of the active variant; at most `most`. */
size_t	 memory_room(struct master *m, const struct model *model,
	    size_t most);
/* May one more worker of v be started just now?  If it may once others have
 * given way, these begin to.  The cause is set unless it fits. */
enum memory_answer { MEMORY_FITS, MEMORY_SOON, MEMORY_SHORT };
enum memory_answer memory_ask(struct master *m, const struct model *model,
	    const struct variant *v, struct cause *cause);
/* Unload one idle model, if one may be, for a worker that found too little;
 * why: its words. */
bool	 memory_evict_more(struct master *m, const struct model *model,
	    const char *why);
/* What workers are meant to take. */
struct account memory_account(struct master *m);

/* ---- models.c ---- */
struct model *model_new(struct master *m, const struct conf_model *conf);
struct model *model_find(struct master *m, const char *name);
/* What a worker is told of it. */
struct msg_model model_message(const struct conf_model *conf, uint32_t worker);
/* Once its requests have finished; is_now: they are ended. */
void	 model_unload(struct model *model, struct master *m, bool is_now);
/* The limits of its number of workers. */
size_t	 model_workers_max(const struct conf_model *conf);
/* An operator or the file sets the limits anew. */
void	 model_set_workers(struct model *model, uint64_t min, uint64_t max,
	    const char *who);
/* From n_workers to n; why is set. */
void	 model_scale_to(struct master *m, struct model *model,
	    const char *kind, size_t n);
/* Does load decide the number? */
bool	 model_is_scaled(const struct model *model);
/* Answer all who asked for kind. */
void	 model_answer(struct master *m, struct model *model,
	    enum ask_kind kind, int code, const char *text);
void	 model_forget_asks(struct model *model);
void	 models_settle(struct master *m);
/* Is there no model that may still become ready?  *n_ready counts. */
bool	 models_are_settled(const struct master *m, size_t *n_ready);
void	 models_free(struct master *m);

/* ---- workers.c ---- */
/* Workers of the present settings; v NULL: of any variant. */
size_t	 workers_count(const struct model *model, const struct variant *v,
	    bool only_ready);
bool	 workers_have(const struct model *model, const struct variant *v,
	    enum sup_state state);
/* Are there no others than those that are wanted, all ready? */
bool	 workers_are_settled(const struct model *model);
/* One step towards the number wanted of each variant. */
void	 workers_settle(struct master *m, struct model *model);
/* One step towards none; true when there is none left. */
bool	 workers_end(struct master *m, struct model *model);
/* Give those that refused their model another chance. */
void	 workers_retry(struct model *model);

/* ---- health.c ---- */
/* A new process: give it a page for its pulse. */
void	 health_begin(struct child *c);
/* Kill it if it hangs. */
void	 health_look(struct child *c, uint64_t now_ns);
uint64_t health_wake_ns(const struct child *c);
/* It is dead: tell the gate, and what it did last into text ("": unknown). */
void	 health_end(struct child *c, int signal, char *text, size_t size);

/* ---- variants.c ---- */
struct variant *variant_add(struct model *model, const char *name,
	    const char *path);
struct variant *variant_find(struct model *model, const char *name);
/* Take up the files in the model's folder with what is known of them, and drop
 * those that are gone and not in use. */
void	 variants_scan(struct master *m, struct model *model);
void	 variants_free(struct model *model);
/* Does it serve, or is it about to or just was? */
bool	 variant_is_used(const struct model *model, const struct variant *v);
/* "variants/NAME" under the state directory, where a model's files are. */
int	 variants_dir(const struct master *m, const char *model,
	    char out[PATH_SIZE]);

/* ---- swap.c ---- */
/* Workers that are wanted of a variant. */
size_t	 swap_wanted(const struct model *model, const struct variant *v);
/* verify: only if its registered figures are within the model's limits. */
int	 swap_begin(struct master *m, struct model *model, const char *variant,
	    unsigned percent, bool verify, struct cause *cause) BM_MUST_CHECK;
/* What has its share takes all. */
int	 swap_finish(struct model *model, struct cause *cause) BM_MUST_CHECK;
/* A worker of v refused its file, or died. */
void	 swap_note_failure(struct model *model, struct variant *v,
	    int code, const char *why);
void	 swap_note_crash(struct model *model, struct variant *v,
	    const char *why);
/* End what is under way, or else go back to the previous variant. */
int	 swap_rollback(struct master *m, struct model *model,
	    struct cause *cause) BM_MUST_CHECK;
void	 swap_settle(struct master *m, struct model *model);

/* ---- compress.c ---- */
/*
 * Begin a job; there is one at a time.  Whoever asked (seq and id of its DO)
 * gets PROGRESS, QUANTIZED and at last RESULT.  Nothing is left of a job that
 * fails or is cancelled.
 */
int	 compress_begin(struct master *m, struct model *model,
	    const struct compress_args *args, uint32_t seq, uint64_t id,
	    struct cause *cause) BM_MUST_CHECK;
/* End the job that is about this model, or any (NULL); false: there is none. */
bool	 compress_cancel(struct master *m, const struct model *model,
	    const char *why);
/* Nobody waits for the DO of this seq any more: its job ends. */
void	 compress_forget(struct master *m, uint32_t seq);
/* There is nobody to answer, but the job goes on. */
void	 compress_gate_gone(struct master *m);
/* Show the job to the gate. */
void	 compress_tell(struct master *m);
/* waitpid has told; false: the process is none of the job's. */
bool	 compress_reaped(struct master *m, pid_t pid, int status);
/* Remove what a daemon that was killed has left. */
void	 compress_clean(struct master *m);

/* ---- tell.c ---- */
void	 tell_event(struct master *m, const char *kind, const char *subject,
	    const char *fmt, ...) BM_PRINTF(4, 5);
void	 tell_events_flush(struct master *m);
void	 tell_events_free(struct master *m);
void	 tell_worker(struct child *c);
void	 tell_worker_gone(struct child *c);
void	 tell_model(struct master *m, struct model *model);
void	 tell_variant(struct master *m, const struct model *model,
	    struct variant *v);
void	 tell_variant_gone(struct master *m, const struct model *model,
	    const struct variant *v);
void	 tell_daemon(struct master *m);
void	 tell_listeners(struct master *m);
/* Everything, to a gate that just started. */
void	 tell_all(struct master *m);
/* A link between two children; does nothing while one is not there. */
void	 tell_link(struct child *gate, struct child *other);

/* ---- do.c ---- */
void	 do_command(struct master *m, const struct frame *f);
void	 do_procs(struct master *m, const struct frame *f);
void	 do_scan(struct master *m, const struct frame *f);

/* ---- reload.c ---- */
/* 0, or the cause; everything stays as it was then. */
int	 reload(struct master *m, struct cause *cause) BM_MUST_CHECK;

/* ---- check_models.c ---- */
/* Can every model be loaded?  file: the configuration's, for the cause; or
 * NULL. */
int	 check_models(const struct conf *c, const char *file,
	    struct cause *cause) BM_MUST_CHECK;

/* ---- service.c ---- */
/* Does a service manager want to hear of us?  Its environment says so. */
void	 service_begin(struct master *m);
/* Tell it what is due. */
void	 service_tick(struct master *m, uint64_t now_ns);
uint64_t service_wake_ns(const struct master *m);

/* ---- stop.c ---- */
/* Drain and end; is_now: without waiting for requests. */
void	 stop_begin(struct master *m, bool is_now);
/* Ready, failed, or on with the end: whatever is due. */
void	 phase_settle(struct master *m);
/* To the parent that waits, if there is one: ready, or m->failure. */
void	 tell_parent(struct master *m);

#endif

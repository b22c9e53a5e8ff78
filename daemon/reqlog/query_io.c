/* SPDX-License-Identifier: MIT */
/*
 * Two threads share `jobs` and `answers` under one lock, nothing else.  The
 * query thread takes a job, runs it, and lays down pieces of its answer; the
 * loop is woken by ev_async and sends them.  When the gate reads slowly, the
 * pieces wait here up to ANSWERS_MAX and then the query does.
 *
 * A new channel to the gate makes a new generation: jobs and pieces of older
 * ones are dropped, and a running query is stopped by is_cancelled.
 */
#include "config.h"

#include "reqlog/query_io.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"
#include "reqlog/query.h"
#include "wire/chan_io.h"

#define JOBS_MAX	64
#define PIECE_BYTES	((size_t)64 << 10)
#define ANSWERS_MAX	((size_t)1 << 20)
/* The gate has that much to read: look again a little later. */
#define BACKLOG_MAX	((size_t)1 << 20)
#define BACKLOG_WAIT_S	0.01

struct job {
	TAILQ_ENTRY(job)	 entry;
	uint32_t		 seq;
	uint64_t		 id;
	unsigned		 generation;
	char			*path;
	uint64_t		 timeout_ms;
	char			*kind;
	struct buf		 words;
};
TAILQ_HEAD(jobs, job);

/* Some records (u32 length and bytes each), and in the last piece the end. */
struct piece {
	TAILQ_ENTRY(piece)	 entry;
	uint32_t		 seq;
	uint64_t		 id;
	unsigned		 generation;
	struct buf		 records;
	bool			 is_last;
	int			 code;
	char			 text[256];
};
TAILQ_HEAD(pieces, piece);

struct asker {
	/* the loop's */
	struct ev_loop	*loop;
	struct ev_async	 async;
	struct ev_timer	 backlog;
	struct chan	*chan;
	char		*path;
	uint64_t	 timeout_ms;
	bool		 has_thread;
	pthread_t	 thread;

	/* both threads' */
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
	struct jobs	 jobs;
	unsigned	 n_jobs;
	struct pieces	 answers;
	size_t		 answers_bytes;
	unsigned	 generation;
	bool		 is_ending;
	atomic_bool	 is_cancelled;	/* the job that runs now */

	/* the query thread's */
	struct job	*job;
	struct piece	*piece;
};

/* ---- the query thread ---- */

static struct piece *
piece_new(const struct job *j)
{
	struct piece *p = xcalloc(1, sizeof(*p));

	p->seq = j->seq;
	p->id = j->id;
	p->generation = j->generation;
	buf_init(&p->records, FRAME_BODY_MAX + PIECE_BYTES);
	return p;
}

static void
piece_free(struct piece *p)
{
	buf_fini(&p->records);
	free(p);
}

static void
job_free(struct job *j)
{
	free(j->path);
	free(j->kind);
	buf_fini(&j->words);
	free(j);
}

/* Hand a->piece to the loop when there is room; BM_ECANCEL when it is not
 * wanted any more. */
static int
give_piece(struct asker *a)
{
	struct piece *p = a->piece;
	bool is_wanted;

	a->piece = NULL;
	pthread_mutex_lock(&a->lock);
	while (a->answers_bytes > ANSWERS_MAX && !a->is_ending &&
	    p->generation == a->generation)
		pthread_cond_wait(&a->changed, &a->lock);
	is_wanted = !a->is_ending && p->generation == a->generation;
	if (is_wanted) {
		a->answers_bytes += p->records.len;
		TAILQ_INSERT_TAIL(&a->answers, p, entry);
	}
	pthread_mutex_unlock(&a->lock);
	if (!is_wanted) {
		piece_free(p);
		return BM_ECANCEL;
	}
	ev_async_send(a->loop, &a->async);
	return 0;
}

static int
on_row(struct slice json, void *arg)
{
	struct asker *a = arg;

	if (a->piece == NULL)
		a->piece = piece_new(a->job);
	buf_put_slice(&a->piece->records, json);
	if (a->piece->records.failed)
		return BM_ENOMEM;
	return a->piece->records.len < PIECE_BYTES ? 0 : give_piece(a);
}

static void
run_job(struct asker *a)
{
	const struct job *j = a->job;
	struct cause cause = { 0 };
	struct query q = {
		.path = j->path, .kind = j->kind,
		.words = { (const char *)j->words.data, j->words.len },
		.now_unix_ms = clock_unix_ms(), .timeout_ms = j->timeout_ms,
		.is_cancelled = &a->is_cancelled, .on_row = on_row, .arg = a,
	};
	int r = query_run(&q, &cause);

	if (a->piece == NULL)
		a->piece = piece_new(j);
	a->piece->is_last = true;
	a->piece->code = r;
	memcpy(a->piece->text, cause.text, sizeof(a->piece->text));
	(void)give_piece(a);
}

/* The next job, or NULL when this is the end. */
static struct job *
take_job(struct asker *a)
{
	struct job *j;

	pthread_mutex_lock(&a->lock);
	while ((j = TAILQ_FIRST(&a->jobs)) == NULL && !a->is_ending)
		pthread_cond_wait(&a->changed, &a->lock);
	if (a->is_ending) {
		j = NULL;
	} else {
		TAILQ_REMOVE(&a->jobs, j, entry);
		a->n_jobs--;
		atomic_store(&a->is_cancelled, false);
	}
	pthread_mutex_unlock(&a->lock);
	return j;
}

static void *
thread_main(void *arg)
{
	struct asker *a = arg;

	while ((a->job = take_job(a)) != NULL) {
		run_job(a);
		job_free(a->job);
	}
	return NULL;
}

/* ---- the loop ---- */

static struct piece *
take_piece(struct asker *a)
{
	struct piece *p;

	pthread_mutex_lock(&a->lock);
	if ((p = TAILQ_FIRST(&a->answers)) != NULL) {
		TAILQ_REMOVE(&a->answers, p, entry);
		a->answers_bytes -= p->records.len;
		pthread_cond_broadcast(&a->changed);
	}
	pthread_mutex_unlock(&a->lock);
	return p;
}

static void
send_piece(struct asker *a, struct piece *p)
{
	struct cur c = cur_of(p->records.data, p->records.len);
	struct msg_record m;

	while (strs_next(&c, &m.json))
		if (chan_send(a->chan, MSG_RECORD, p->seq, p->id, &m) != 0)
			log_warnx("a record was too large to send");
	if (p->is_last)
		chan_send_result(a->chan, p->seq, p->id, p->code,
		    p->text[0] != '\0' ? p->text : NULL);
}

static void
send_answers(struct asker *a)
{
	struct piece *p;

	for (;;) {
		if (a->chan != NULL && chan_backlog(a->chan) > BACKLOG_MAX) {
			if (!ev_is_active(&a->backlog)) {
				ev_timer_set(&a->backlog, BACKLOG_WAIT_S, 0);
				ev_timer_start(a->loop, &a->backlog);
			}
			return;
		}
		if ((p = take_piece(a)) == NULL)
			return;
		if (a->chan != NULL && p->generation == a->generation)
			send_piece(a, p);
		piece_free(p);
	}
}

static void
on_async(struct ev_loop *loop, struct ev_async *w, int revents)
{
	send_answers(w->data);
}

static void
on_backlog(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	send_answers(w->data);
}

void
asker_set_chan(struct asker *a, struct chan *c)
{
	struct job *j;

	pthread_mutex_lock(&a->lock);
	a->generation++;
	atomic_store(&a->is_cancelled, true);
	while ((j = TAILQ_FIRST(&a->jobs)) != NULL) {
		TAILQ_REMOVE(&a->jobs, j, entry);
		a->n_jobs--;
		job_free(j);
	}
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	a->chan = c;
	send_answers(a);
}

void
asker_set_conf(struct asker *a, const char *path, uint64_t timeout_ms)
{
	free(a->path);
	a->path = xstrdup(path);
	a->timeout_ms = timeout_ms;
}

/* Signals are the main thread's. */
static int
start_thread(struct asker *a)
{
	sigset_t all, before;
	int r;

	if (a->has_thread)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&a->thread, NULL, thread_main, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	a->has_thread = r == 0;
	return -r;
}

static struct job *
job_new(struct asker *a, const struct frame *f, const struct msg_query *m)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->seq = f->seq;
	j->id = f->id;
	j->path = xstrdup(a->path);
	j->timeout_ms = a->timeout_ms;
	j->kind = slice_dup(m->kind);
	buf_init(&j->words, FRAME_BODY_MAX);
	buf_put(&j->words, m->words.p, m->words.n);
	return j;
}

static bool
has_room(struct asker *a)
{
	bool yes;

	pthread_mutex_lock(&a->lock);
	yes = a->n_jobs < JOBS_MAX;
	pthread_mutex_unlock(&a->lock);
	return yes;
}

void
asker_put(struct asker *a, const struct frame *f)
{
	struct msg_query m;
	struct job *j;
	int r = msg_get_query(f->body, &m);

	if (r == 0 && a->path == NULL)
		r = BM_EDISK;
	if (r == 0)
		r = start_thread(a);
	if (r == 0 && !has_room(a))
		r = BM_EOVERLOAD;
	if (r != 0) {
		chan_send_result(a->chan, f->seq, f->id, r, NULL);
		return;
	}
	j = job_new(a, f, &m);
	pthread_mutex_lock(&a->lock);
	j->generation = a->generation;
	TAILQ_INSERT_TAIL(&a->jobs, j, entry);
	a->n_jobs++;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

/* ---- life ---- */

struct asker *
asker_new(struct ev_loop *loop)
{
	struct asker *a = xcalloc(1, sizeof(*a));

	a->loop = loop;
	TAILQ_INIT(&a->jobs);
	TAILQ_INIT(&a->answers);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	ev_async_init(&a->async, on_async);
	ev_timer_init(&a->backlog, on_backlog, 0, 0);
	a->async.data = a->backlog.data = a;
	ev_async_start(loop, &a->async);
	return a;
}

void
asker_free(struct asker **ap)
{
	struct asker *a = *ap;

	if (a == NULL)
		return;
	*ap = NULL;
	asker_set_chan(a, NULL);
	pthread_mutex_lock(&a->lock);
	a->is_ending = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	if (a->has_thread)
		pthread_join(a->thread, NULL);
	send_answers(a);
	ev_async_stop(a->loop, &a->async);
	ev_timer_stop(a->loop, &a->backlog);
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->changed);
	free(a->path);
	free(a);
}

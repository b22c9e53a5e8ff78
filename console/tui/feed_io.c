/* SPDX-License-Identifier: MIT */
/*
 * The subscription comes back with growing pauses.  The log, without which one
 * can work, waits for the subscription.
 */
#include "config.h"

#include "console/tui/feed_io.h"

#include <stdio.h>
#include <stdlib.h>

#include <ev.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/queue.h"
#include "console/client_io.h"
#include "console/tui/link_io.h"
#include "console/tui/tui.h"

#define RETRY_MIN_S	0.25
#define RETRY_MAX_S	5.0
#define LOG_RETRY_S	2.0
#define SILENCE_MIN_MS	10000	/* of a subscription, and 5 intervals */

struct job {
	LIST_ENTRY(job)	 entry;
	struct feed	*feed;
	unsigned	 ticket;
	struct link	*link;
};
LIST_HEAD(jobs, job);

struct feed {
	struct ev_loop	*loop;
	const char	*path;
	struct tui	*tui;
	void		(*changed)(void *arg);
	void		*arg;

	struct link	*watch;
	struct ev_timer	 retry;
	double		 retry_s;	/* the next pause */
	unsigned	 interval_ms;	/* 0: nothing is subscribed to */
	struct link	*log;
	struct ev_timer	 log_retry;
	bool		 wants_log;
	struct jobs	 jobs;
};

/* ---- the subscription and the log ---- */

static void subscribe(struct feed *f);
static void follow(struct feed *f);

static void
on_snapshot(void *arg, struct link *l, struct slice line)
{
	struct feed *f = arg;

	f->retry_s = RETRY_MIN_S;
	tui_snapshot(f->tui, line, clock_now_ns());
	f->changed(f->arg);
	if (f->wants_log && f->log == NULL && !ev_is_active(&f->log_retry))
		follow(f);
}

static void
on_watch_end(void *arg, struct link *l, const struct cause *cause)
{
	struct feed *f = arg;
	struct cause why = *cause;

	if (why.code == 0)
		client_lost(&why);
	link_free(l);
	f->watch = NULL;
	tui_lost(f->tui, &why, clock_now_ns(),
	    (uint64_t)(f->retry_s * 1000));
	ev_timer_set(&f->retry, f->retry_s, 0);
	ev_timer_start(f->loop, &f->retry);
	f->retry_s = MEM_MIN(f->retry_s * 2, RETRY_MAX_S);
	f->changed(f->arg);
}

static void
on_retry(struct ev_loop *loop, struct ev_timer *w, int events)
{
	subscribe(w->data);
}

/* Begin anew with the interval of now; nothing when that is 0. */
static void
subscribe(struct feed *f)
{
	static const struct link_handler handler = { on_snapshot,
	    on_watch_end };
	char interval[32];
	const char *const words[] = { "watch", interval };

	link_free(f->watch);
	f->watch = NULL;
	ev_timer_stop(f->loop, &f->retry);
	if (f->interval_ms == 0)
		return;
	snprintf(interval, sizeof(interval), "interval_ms=%u",
	    f->interval_ms);
	f->watch = link_new(f->loop, f->path, words, 2,
	    MEM_MAX(5 * (uint64_t)f->interval_ms, SILENCE_MIN_MS), &handler,
	    f);
}

static void
on_log_line(void *arg, struct link *l, struct slice line)
{
	struct feed *f = arg;

	tui_log_line(f->tui, line);
	f->changed(f->arg);
}

/* Without a daemon it waits for the next snapshot. */
static void
on_log_end(void *arg, struct link *l, const struct cause *cause)
{
	struct feed *f = arg;

	link_free(l);
	f->log = NULL;
	ev_timer_set(&f->log_retry, LOG_RETRY_S, 0);
	ev_timer_start(f->loop, &f->log_retry);
}

static void
on_log_retry(struct ev_loop *loop, struct ev_timer *w, int events)
{
	struct feed *f = w->data;

	if (f->wants_log && f->log == NULL && f->watch != NULL)
		follow(f);
}

static void
follow(struct feed *f)
{
	static const struct link_handler handler = { on_log_line, on_log_end };
	static const char *const words[] = { "log", "--follow", "--limit",
	    "1000" };

	f->log = link_new(f->loop, f->path, words, N_ELEMENTS(words), 0,
	    &handler, f);
}

void
feed_interval(struct feed *f, unsigned interval_ms)
{
	if (f->interval_ms == interval_ms)
		return;
	f->interval_ms = interval_ms;
	subscribe(f);
}

void
feed_refresh(struct feed *f)
{
	if (f->watch != NULL)
		subscribe(f);
}

void
feed_follow_log(struct feed *f, bool on)
{
	f->wants_log = on;
	if (!on) {
		link_free(f->log);
		f->log = NULL;
	} else if (f->log == NULL && !ev_is_active(&f->log_retry)) {
		follow(f);
	}
}

/* ---- single commands ---- */

static void
end_job(struct job *j)
{
	LIST_REMOVE(j, entry);
	link_free(j->link);
	free(j);
}

static void
on_answer_line(void *arg, struct link *l, struct slice line)
{
	struct job *j = arg;
	struct feed *f = j->feed;

	tui_answer_line(f->tui, j->ticket, line);
	f->changed(f->arg);
}

static void
on_answer_end(void *arg, struct link *l, const struct cause *cause)
{
	struct job *j = arg;
	struct cause why = *cause;
	struct feed *f = j->feed;
	unsigned ticket = j->ticket;

	end_job(j);
	tui_answer_end(f->tui, ticket, why.code, why.text);
	f->changed(f->arg);
}

void
feed_run(struct feed *f, unsigned ticket, const char *const *words, size_t n)
{
	static const struct link_handler handler = { on_answer_line,
	    on_answer_end };
	struct job *j = xcalloc(1, sizeof(*j));

	j->feed = f;
	j->ticket = ticket;
	LIST_INSERT_HEAD(&f->jobs, j, entry);
	j->link = link_new(f->loop, f->path, words, n, 0, &handler, j);
}

void
feed_forget(struct feed *f, unsigned ticket)
{
	struct job *j;

	LIST_FOREACH(j, &f->jobs, entry) {
		if (j->ticket == ticket) {
			end_job(j);
			return;
		}
	}
}

/* ---- begin and end ---- */

struct feed *
feed_new(struct ev_loop *loop, const char *path, struct tui *tui,
    void (*changed)(void *arg), void *arg)
{
	struct feed *f = xcalloc(1, sizeof(*f));

	*f = (struct feed){ .loop = loop, .path = path, .tui = tui,
	    .changed = changed, .arg = arg, .retry_s = RETRY_MIN_S };
	LIST_INIT(&f->jobs);
	ev_init(&f->retry, on_retry);
	ev_init(&f->log_retry, on_log_retry);
	f->retry.data = f->log_retry.data = f;
	return f;
}

void
feed_free(struct feed *f)
{
	ev_timer_stop(f->loop, &f->retry);
	ev_timer_stop(f->loop, &f->log_retry);
	link_free(f->watch);
	link_free(f->log);
	while (!LIST_EMPTY(&f->jobs))
		end_job(LIST_FIRST(&f->jobs));
	free(f);
}

/* SPDX-License-Identifier: MIT */
/*
 * reqlog: the only process that writes the request log.  Descriptor 3 is the
 * master; the gate's end comes from it in PEER.  Rows from the gate wait at
 * most COMMIT_S for company and are acknowledged when they are committed.
 *
 * Whatever happens to the disk, this process goes on reading, so that the gate
 * never waits for it; see writer.c for the rows that do not fit meanwhile.
 * The working directory is the state directory.
 */
#include "config.h"

#include <sys/stat.h>

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "reqlog/query_io.h"
#include "reqlog/writer.h"
#include "wire/chan_io.h"
#include "wire/conf.h"

#define MASTER_FD	3
#define COMMIT_S	0.05
#define RETRY_S		1.0
#define UPKEEP_S	1.0
#define UPKEEP_SOON_S	0.02
/* A full disk is told once a minute, not once a second. */
#define UPKEEP_FAILED_S	60.0
/* A large prompt need not wait for 512 small ones. */
#define COMMIT_BYTES	((size_t)4 << 20)
/* After a burst the memory goes back to the system. */
#define TRIM_BYTES	((size_t)1 << 20)
/* How long the gate's last rows are waited for when the master has died. */
#define LAST_ROWS_S	2.0

struct reqlog {
	struct ev_loop	*loop;
	struct chan	*master;
	struct chan	*gate;
	struct writer	 writer;
	struct asker	*asker;
	struct conf	 conf;
	bool		 has_conf;
	struct ev_timer	 commit;
	struct ev_timer	 retry;
	struct ev_timer	 upkeep;
	struct ev_timer	 last;
	struct cause	 state;		/* code 0: the database works */
	uint64_t	 n_taken;	/* rows from any gate */
	size_t		 peak_bytes;	/* of rows, since memory was trimmed */
	bool		 is_ending;
	int		 exit_status;
};

/* ---- the state of the log, for the operator ---- */

static void
send_state(struct reqlog *l)
{
	struct msg_log_state m = { .code = l->state.code,
	    .text = slice_of(l->state.text) };

	if (l->gate != NULL && chan_send(l->gate, MSG_LOG_STATE, 0, 0, &m) != 0)
		log_warnx("LOG_STATE could not be sent");
}

static void
set_state(struct reqlog *l, int code, const char *text)
{
	if (code == l->state.code)
		return;
	if (code != 0)
		log_warnx("the request log can't be written; rows are kept "
		    "and tried again every second: %s", text);
	else
		log_info("the request log can be written again");
	cause_set(&l->state, code, "%s", code != 0 ? text : "");
	send_state(l);
}

/* ---- writing ---- */

static void
send_ack(struct reqlog *l, const struct writer_done *done)
{
	struct msg_ack m = { .upto = done->upto };

	if (done->upto != 0 && l->gate != NULL &&
	    chan_send(l->gate, MSG_ACK, 0, 0, &m) != 0)
		log_warnx("ACK could not be sent");
}

static void
trim_memory(struct reqlog *l)
{
	if (l->peak_bytes >= TRIM_BYTES)
		malloc_trim(0);
	l->peak_bytes = 0;
}

static int
commit_now(struct reqlog *l)
{
	struct cause cause = { 0 };
	struct writer_done done;
	int r = writer_commit(&l->writer, &done, &cause);

	ev_timer_stop(l->loop, &l->commit);
	send_ack(l, &done);
	set_state(l, r, cause.text);
	if (r != 0) {
		ev_timer_stop(l->loop, &l->retry);
		ev_timer_set(&l->retry, RETRY_S, 0);
		ev_timer_start(l->loop, &l->retry);
		return r;
	}
	if (l->writer.is_behind) {
		log_info("rows beyond what fits memory were let go; the gate "
		    "sends them to the next reqlog");
		l->exit_status = 1;
		ev_break(l->loop, EVBREAK_ALL);
	}
	return 0;
}

static void
on_commit(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)commit_now(w->data);
}

static void
take_row(struct reqlog *l, const struct frame *f)
{
	bool was_behind = l->writer.is_behind;

	l->n_taken++;
	if (writer_put(&l->writer, f) != 0 && !was_behind)
		log_warnx("%zu rows wait for the disk; further ones stay with "
		    "the gate", l->writer.n_pending);
	l->peak_bytes = MEM_MAX(l->peak_bytes, l->writer.pending_bytes);
	/* While the disk fails, the retry timer alone decides. */
	if (l->state.code != 0 || !l->has_conf)
		return;
	if (l->writer.n_pending >= WRITER_BATCH_ROWS ||
	    l->writer.pending_bytes >= COMMIT_BYTES) {
		(void)commit_now(l);
	} else if (!ev_is_active(&l->commit)) {
		/* The loop's idea of now may be one long step old. */
		ev_now_update(l->loop);
		ev_timer_set(&l->commit, COMMIT_S, 0);
		ev_timer_start(l->loop, &l->commit);
	}
}

static void
on_upkeep(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct reqlog *l = w->data;
	struct cause cause = { 0 };
	bool more = false;
	double wait_s;
	int r = 0;

	if (l->state.code == 0)
		r = writer_upkeep(&l->writer, clock_unix_ms(), &more, &cause);
	if (r != 0)
		log_warnx("upkeep of the request log: %s", cause.text);
	if (TAILQ_EMPTY(&l->writer.pending))
		trim_memory(l);
	wait_s = r != 0 ? UPKEEP_FAILED_S : more ? UPKEEP_SOON_S : UPKEEP_S;
	ev_timer_set(w, wait_s, 0);
	ev_timer_start(loop, w);
}

/* ---- the gate ---- */

static void
gate_close(struct reqlog *l)
{
	asker_set_chan(l->asker, NULL);
	chan_free(&l->gate);
}

static void
on_gate_frame(struct chan *c, const struct frame *f, void *arg)
{
	struct reqlog *l = arg;

	switch (f->type) {
	case MSG_ROW:
	case MSG_EVENT:
	case MSG_VARIANT_ROW:
		take_row(l, f);
		break;
	case MSG_QUERY:
		asker_put(l->asker, f);
		break;
	default:
		break;
	}
}

static void
on_gate_close(struct chan *c, int err, void *arg)
{
	struct reqlog *l = arg;

	if (err != 0)
		log_warnx("link to the gate: %s", err_text(err));
	gate_close(l);
	if (l->is_ending)
		ev_break(l->loop, EVBREAK_ALL);
}

static const struct chan_handler gate_handler = { on_gate_frame,
    on_gate_close };

static void
gate_open(struct reqlog *l, int fd)
{
	gate_close(l);
	writer_new_link(&l->writer);
	l->gate = chan_new(l->loop, fd, R_REQLOG, R_GATE, &gate_handler, l);
	asker_set_chan(l->asker, l->gate);
	send_state(l);
}

/* ---- the master ---- */

static enum writer_keep
keep_of(const char *word)
{
	/* A word we do not know must not keep more than was meant. */
	return strcmp(word, "full") == 0 ? WRITER_KEEP_FULL :
	    strcmp(word, "hash") == 0 ? WRITER_KEEP_HASH : WRITER_KEEP_NONE;
}

static void
use_conf(struct reqlog *l)
{
	const struct conf *c = &l->conf;

	log_configure(c->log_level, c->log_format);
	l->writer.keep = keep_of(c->log_keep);
	l->writer.retention_ms = c->log_retention;
	l->writer.max_rows = c->log_max_rows;
	writer_set_path(&l->writer, c->log_database);
	asker_set_conf(l->asker, c->log_database, c->log_sql_timeout);
	l->has_conf = true;
	(void)commit_now(l);
}

static void
take_conf(struct reqlog *l, const struct frame *f)
{
	struct msg_conf m;
	struct conf conf;
	struct cause cause = { 0 };
	int r = msg_get_conf(f->body, &m);

	if (r == 0)
		r = conf_get(cur_of(m.conf.p, m.conf.n), &conf, &cause);
	if (r != 0) {
		log_warnx("the configuration is not taken: %s",
		    cause.text[0] != '\0' ? cause.text : err_text(r));
		return;
	}
	/* What came under the old rules is written under them. */
	if (l->has_conf) {
		(void)commit_now(l);
		conf_fini(&l->conf);
	}
	l->conf = conf;
	use_conf(l);
}

static void
take_peer(struct reqlog *l, const struct frame *f)
{
	struct msg_peer m;

	if (msg_get_peer(f->body, &m) != 0 || m.role != R_GATE) {
		log_warnx("the master links a peer that is no gate");
		close(f->fd);
		return;
	}
	gate_open(l, f->fd);
}

static void
on_master_frame(struct chan *c, const struct frame *f, void *arg)
{
	struct reqlog *l = arg;

	switch (f->type) {
	case MSG_CONF:
		take_conf(l, f);
		break;
	case MSG_PEER:
		take_peer(l, f);
		break;
	case MSG_QUIT:
		l->is_ending = true;
		ev_break(l->loop, EVBREAK_ALL);
		break;
	default:
		if (f->fd != -1)
			close(f->fd);
	}
}

static void
on_last(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	ev_break(loop, EVBREAK_ALL);
}

/* The master is gone and the gate will follow: take its last rows. */
static void
on_master_close(struct chan *c, int err, void *arg)
{
	struct reqlog *l = arg;

	chan_free(&l->master);
	l->is_ending = true;
	if (l->gate == NULL) {
		ev_break(l->loop, EVBREAK_ALL);
		return;
	}
	ev_timer_set(&l->last, LAST_ROWS_S, 0);
	ev_timer_start(l->loop, &l->last);
}

static const struct chan_handler master_handler = { on_master_frame,
    on_master_close };

/* ---- life ---- */

static void
ignore_signals(void)
{
	/* The master tells us when to end.  SIGXFSZ: a file limit is a failed
	 * write like any other. */
	static const int all[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGXFSZ,
	    SIGUSR1 };

	for (size_t i = 0; i < N_ELEMENTS(all); i++)
		signal(all[i], SIG_IGN);
}

static void
reqlog_init(struct reqlog *l)
{
	struct msg_hello hello = { WIRE_VERSION, R_REQLOG, (uint32_t)getpid() };

	*l = (struct reqlog){ .loop = ev_default_loop(EVFLAG_AUTO) };
	if (l->loop == NULL)
		fatalx("no event loop");
	writer_init(&l->writer);
	l->asker = asker_new(l->loop);
	ev_timer_init(&l->commit, on_commit, COMMIT_S, 0);
	ev_timer_init(&l->retry, on_commit, RETRY_S, 0);
	ev_timer_init(&l->upkeep, on_upkeep, UPKEEP_S, 0);
	ev_timer_init(&l->last, on_last, LAST_ROWS_S, 0);
	l->commit.data = l->retry.data = l->upkeep.data = l->last.data = l;
	ev_timer_start(l->loop, &l->upkeep);
	l->master = chan_new(l->loop, MASTER_FD, R_REQLOG, R_MASTER,
	    &master_handler, l);
	if (chan_send(l->master, MSG_HELLO, 0, 0, &hello) != 0)
		fatalx("the link to the master");
}

/* Rows that are in the socket already count as sent. */
static void
read_last_rows(struct reqlog *l)
{
	uint64_t before;

	if (l->writer.is_behind)
		return;
	do {
		before = l->n_taken;
		ev_run(l->loop, EVRUN_NOWAIT);
	} while (l->gate != NULL && l->n_taken > before);
}

static void
reqlog_fini(struct reqlog *l)
{
	if (!TAILQ_EMPTY(&l->writer.pending) && commit_now(l) != 0) {
		log_warnx("%zu rows are lost: %s", l->writer.n_pending,
		    l->state.text);
		l->exit_status = 1;
	}
	if (l->gate != NULL)
		(void)chan_flush(l->gate, 100);
	asker_free(&l->asker);
	chan_free(&l->gate);
	chan_free(&l->master);
	writer_fini(&l->writer);
	if (l->has_conf)
		conf_fini(&l->conf);
}

int
main(int argc, char **argv)
{
	struct reqlog l;

	log_init("reqlog", LOG_LEVEL_INFO, 0);
	/* The log holds what people said: nobody else reads it. */
	umask(077);
	ignore_signals();
	/* Two threads of modest needs: one heap keeps us small. */
	mallopt(M_ARENA_MAX, 1);
	/* A query must not take the machine's memory. */
	sqlite3_hard_heap_limit64((sqlite3_int64)256 << 20);
	reqlog_init(&l);
	ev_run(l.loop, 0);
	read_last_rows(&l);
	reqlog_fini(&l);
	return l.exit_status;
}

/* SPDX-License-Identifier: MIT */
/*
 * A row is acknowledged only after the COMMIT that holds it, and a row that
 * can't be written now stays in `pending`, in order.  So whatever kills this
 * process, every row is in the database or unacknowledged at the gate, which
 * sends it again; the id makes the second one harmless.
 *
 * Memory is bounded: rows that do not fit any more are let go, and from the
 * first of them on all are, because an acknowledgement covers everything up
 * to it.  The process then ends as soon as the database works again, and the
 * gate sends the rest to the next one.
 */
#include "config.h"

#include "reqlog/writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reqlog/sha256.h"

/* 32 MiB of 4 KiB pages. */
#define FREE_PAGES_MAX 8192

struct writer_row {
	TAILQ_ENTRY(writer_row)	 entry;
	unsigned		 type;
	uint32_t		 seq;
	unsigned		 link;
	size_t			 size;
	uint8_t			 body[];
};

/* ---- binding ---- */

static void
bind_text(sqlite3_stmt *st, int i, struct slice s)
{
	sqlite3_bind_text64(st, i, s.n > 0 ? s.p : "", s.n, SQLITE_STATIC,
	    SQLITE_UTF8);
}

/* What is empty is not known; a fresh statement has NULL there. */
static void
bind_known(sqlite3_stmt *st, int i, struct slice s)
{
	if (s.n > 0)
		bind_text(st, i, s);
	else
		sqlite3_bind_null(st, i);
}

/* The only place where prompts and outputs go to the disk. */
static void
bind_private(sqlite3_stmt *st, int i, struct slice s, enum writer_keep keep)
{
	uint8_t digest[SHA256_BYTES];
	char text[7 + 2 * SHA256_BYTES + 1] = "sha256:";

	switch (keep) {
	case WRITER_KEEP_FULL:
		bind_text(st, i, s);
		return;
	case WRITER_KEEP_HASH:
		sha256(s.p, s.n, digest);
		for (size_t k = 0; k < SHA256_BYTES; k++)
			snprintf(text + 7 + 2 * k, 3, "%02x", digest[k]);
		sqlite3_bind_text(st, i, text, -1, SQLITE_TRANSIENT);
		return;
	case WRITER_KEEP_NONE:
		break;
	}
	sqlite3_bind_null(st, i);
}

static void
bind_request(sqlite3_stmt *st, const struct msg_row *m, enum writer_keep keep)
{
	bind_text(st, 1, m->uuid);
	sqlite3_bind_int64(st, 2, m->started_at);
	sqlite3_bind_int64(st, 3, m->finished_at);
	bind_known(st, 4, m->tenant);
	bind_known(st, 5, m->client);
	bind_text(st, 6, m->protocol);
	bind_text(st, 7, m->endpoint);
	bind_known(st, 8, m->model);
	bind_known(st, 9, m->variant);
	if (m->worker >= 0)
		sqlite3_bind_int64(st, 10, m->worker);
	else
		sqlite3_bind_null(st, 10);
	bind_text(st, 11, m->status);
	bind_known(st, 12, m->finish);
	sqlite3_bind_int64(st, 13, m->prompt_tokens);
	sqlite3_bind_int64(st, 14, m->completion_tokens);
	sqlite3_bind_int64(st, 15, m->cached_tokens);
	sqlite3_bind_double(st, 16, m->queue_ms);
	sqlite3_bind_double(st, 17, m->prefill_ms);
	sqlite3_bind_double(st, 18, m->decode_ms);
	sqlite3_bind_double(st, 19, m->ttft_ms);
	bind_private(st, 20, m->prompt, keep);
	bind_private(st, 21, m->output, keep);
	bind_known(st, 22, m->params);
}

static void
bind_event(sqlite3_stmt *st, const struct msg_event *m)
{
	bind_text(st, 1, m->uuid);
	sqlite3_bind_int64(st, 2, m->at);
	bind_text(st, 3, m->kind);
	bind_known(st, 4, m->subject);
	bind_known(st, 5, m->text);
	if (m->uid >= 0)
		sqlite3_bind_int64(st, 6, m->uid);
	else
		sqlite3_bind_null(st, 6);
}

static void
bind_number(sqlite3_stmt *st, int i, double x)
{
	if (isfinite(x))
		sqlite3_bind_double(st, i, x);
	else
		sqlite3_bind_null(st, i);
}

static void
bind_variant(sqlite3_stmt *st, const struct msg_variant_row *m)
{
	bind_text(st, 1, m->model);
	bind_text(st, 2, m->name);
	bind_text(st, 3, m->file);
	bind_known(st, 4, m->type);
	bind_number(st, 5, m->bits_per_weight);
	sqlite3_bind_int64(st, 6, (sqlite3_int64)m->file_bytes);
	bind_text(st, 7, m->source);
	bind_known(st, 8, m->made_from);
	sqlite3_bind_int64(st, 9, m->created_at);
	bind_number(st, 10, m->perplexity);
	bind_number(st, 11, m->reference);
	bind_number(st, 12, m->kl_divergence);
	bind_number(st, 13, m->tokens_per_s);
	if (m->removed_at != 0)
		sqlite3_bind_int64(st, 14, m->removed_at);
	else
		sqlite3_bind_null(st, 14);
}

/* Decode a row of any kind and bind it to its statement. */
static int
bind_row(sqlite3_stmt *st, const struct writer_row *row,
    enum writer_keep keep)
{
	struct cur body = cur_of(row->body, row->size);
	struct msg_row request;
	struct msg_event event;
	struct msg_variant_row variant;
	int r;

	switch (row->type) {
	case MSG_ROW:
		if ((r = msg_get_row(body, &request)) == 0)
			bind_request(st, &request, keep);
		return r;
	case MSG_VARIANT_ROW:
		if ((r = msg_get_variant_row(body, &variant)) == 0)
			bind_variant(st, &variant);
		return r;
	default:
		if ((r = msg_get_event(body, &event)) == 0)
			bind_event(st, &event);
		return r;
	}
}

static enum db_statement
statement_for(unsigned type)
{
	return type == MSG_ROW ? SQL_PUT_REQUEST :
	    type == MSG_VARIANT_ROW ? SQL_PUT_VARIANT : SQL_PUT_EVENT;
}

/* Can this row never be written, however often it is tried? */
static bool
is_hopeless(int code)
{
	return code == BM_EPROTO || code == BM_ELIMIT || code == BM_EBADREQ;
}

/* The bound statement of a row; NULL with the code in *r. */
static sqlite3_stmt *
statement_of(struct writer *w, const struct writer_row *row, int *r)
{
	sqlite3_stmt *st = db_get(&w->db, statement_for(row->type));

	if (st == NULL) {
		/* Our SQL and this database do not fit: no row's fault. */
		*r = db_error(&w->db, NULL, "");
		if (is_hopeless(*r))
			*r = BM_EINTERNAL;
		return NULL;
	}
	*r = bind_row(st, row, w->keep);
	return *r == 0 ? st : NULL;
}

static int
insert(struct writer *w, const struct writer_row *row, struct cause *cause)
{
	int r;
	sqlite3_stmt *st = statement_of(w, row, &r);

	if (st == NULL)
		return cause_set(cause, r, "row: %s", r == BM_EPROTO ?
		    err_text(r) : sqlite3_errmsg(w->db.h));
	r = sqlite3_step(st) == SQLITE_DONE ? 0 :
	    db_error(&w->db, cause, "insert");
	/* The texts are borrowed from the row, which goes before the next. */
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return r;
}

/* ---- transactions ---- */

static void
roll_back(struct writer *w)
{
	/* SQLite has often done so itself. */
	if (w->is_open && !sqlite3_get_autocommit(w->db.h) &&
	    db_run(&w->db, SQL_ROLLBACK, NULL) != 0)
		log_warnx("rollback: %s", sqlite3_errmsg(w->db.h));
}

/* One transaction with up to WRITER_BATCH_ROWS rows; *n is how many. */
static int
write_batch(struct writer *w, size_t *n, struct cause *cause)
{
	struct writer_row *row;
	int r = db_run(&w->db, SQL_BEGIN, cause);

	*n = 0;
	TAILQ_FOREACH(row, &w->pending, entry) {
		if (r != 0 || *n == WRITER_BATCH_ROWS)
			break;
		r = insert(w, row, cause);
		if (is_hopeless(r)) {
			log_warnx("row left out: %s",
			    cause != NULL ? cause->text : "");
			r = 0;
		}
		(*n)++;
	}
	if (r == 0)
		r = db_run(&w->db, SQL_COMMIT, cause);
	if (r != 0)
		roll_back(w);
	return r;
}

static void
forget_first(struct writer *w, size_t n, struct writer_done *done)
{
	while (n-- > 0) {
		struct writer_row *row = TAILQ_FIRST(&w->pending);

		if (row->link == w->link)
			done->upto = row->seq;
		TAILQ_REMOVE(&w->pending, row, entry);
		w->n_pending--;
		w->pending_bytes -= row->size + sizeof(*row);
		done->n_rows++;
		free(row);
	}
}

static void
close_db(struct writer *w)
{
	if (w->is_open)
		db_close(&w->db);
	w->is_open = false;
}

static int
open_db(struct writer *w, struct cause *cause)
{
	int r;

	if (w->is_open)
		return 0;
	if (w->path == NULL)
		return cause_set(cause, BM_ECONF, "no database is configured");
	if ((r = db_open(&w->db, w->path, cause)) == 0)
		w->is_open = true;
	return r;
}

/* A database that broke under our hands is put aside, and the next try begins
 * a new one.  All else is waited for with the file open. */
static void
after_failure(struct writer *w, int code)
{
	struct cause why;

	if (code != BM_EFORMAT)
		return;
	close_db(w);
	if (db_set_aside(w->path, &why) != 0)
		log_warnx("%s", why.text);
}

int
writer_commit(struct writer *w, struct writer_done *done, struct cause *cause)
{
	struct cause why = { 0 };
	int r;

	*done = (struct writer_done){ 0 };
	if ((r = open_db(w, &why)) != 0)
		return cause_set(cause, r, "%s", why.text);
	while (!TAILQ_EMPTY(&w->pending)) {
		size_t n;

		if ((r = write_batch(w, &n, &why)) != 0) {
			after_failure(w, r);
			return cause_set(cause, r, "%s", why.text);
		}
		forget_first(w, n, done);
		w->is_dirty = true;
	}
	return 0;
}

/* ---- rows in ---- */

int
writer_put(struct writer *w, const struct frame *f)
{
	size_t n = cur_left(&f->body);
	struct writer_row *row;

	if (w->is_behind || w->pending_bytes + n + sizeof(*row) >
	    w->pending_bytes_max ||
	    (row = try_malloc(sizeof(*row) + n)) == NULL) {
		w->is_behind = true;
		return BM_ELIMIT;
	}
	row->type = f->type;
	row->seq = f->seq;
	row->link = w->link;
	row->size = n;
	memcpy(row->body, f->body.p, n);
	TAILQ_INSERT_TAIL(&w->pending, row, entry);
	w->n_pending++;
	w->pending_bytes += n + sizeof(*row);
	return 0;
}

void
writer_new_link(struct writer *w)
{
	w->link++;
}

/* ---- upkeep ---- */

/* Run one of the deleting statements; *more when it may have left some. */
static int
delete_some(struct writer *w, enum db_statement s, int64_t limit, bool *more,
    struct cause *cause)
{
	sqlite3_stmt *st = db_get(&w->db, s);
	int r;

	if (st == NULL)
		return db_error(&w->db, cause, "retention");
	sqlite3_bind_int64(st, 1, limit);
	sqlite3_bind_int(st, 2, WRITER_UPKEEP_ROWS);
	if ((r = db_run(&w->db, s, cause)) != 0)
		return r;
	if (sqlite3_changes(w->db.h) > 0)
		w->is_dirty = true;
	if (sqlite3_changes(w->db.h) >= WRITER_UPKEEP_ROWS)
		*more = true;
	return 0;
}

static int
delete_old(struct writer *w, int64_t now_unix_ms, bool *more,
    struct cause *cause)
{
	int64_t before = now_unix_ms - (int64_t)w->retention_ms;
	int r = 0;

	if (w->retention_ms > 0 && before > 0) {
		r = delete_some(w, SQL_AGE_REQUESTS, before, more, cause);
		if (r == 0)
			r = delete_some(w, SQL_AGE_EVENTS, before, more, cause);
	}
	if (r == 0 && w->max_rows > 0)
		r = delete_some(w, SQL_CAP_REQUESTS, (int64_t)w->max_rows,
		    more, cause);
	return r;
}

/* Free pages are used again; only a great many of them are given back. */
static int
shrink(struct writer *w, struct cause *cause)
{
	int64_t n_free;
	int r = db_number(&w->db, "PRAGMA freelist_count", &n_free, cause);

	if (r != 0 || n_free < FREE_PAGES_MAX)
		return r;
	w->is_dirty = true;
	return db_exec(&w->db, "PRAGMA incremental_vacuum(512)", cause);
}

/* Somebody moved or removed the file: rows would go where nobody looks. */
static bool
is_moved(struct writer *w)
{
	int moved = 0;

	return sqlite3_file_control(w->db.h, "main", SQLITE_FCNTL_HAS_MOVED,
	    &moved) == SQLITE_OK && moved;
}

int
writer_upkeep(struct writer *w, int64_t now_unix_ms, bool *more,
    struct cause *cause)
{
	int r;

	*more = false;
	if (!w->is_open)
		return 0;
	if (is_moved(w)) {
		log_warnx("%s was moved away; a new one is begun", w->path);
		close_db(w);
		return open_db(w, cause);
	}
	if ((r = delete_old(w, now_unix_ms, more, cause)) == 0 && !*more)
		r = shrink(w, cause);
	if (r != 0) {
		after_failure(w, r);
		return r;
	}
	/* Passive: it waits for nobody, and what readers hold back comes next
	 * time.  Its failure is no news: the next commit will tell. */
	if (w->is_dirty && !*more &&
	    sqlite3_wal_checkpoint_v2(w->db.h, NULL, SQLITE_CHECKPOINT_PASSIVE,
	    NULL, NULL) == SQLITE_OK)
		w->is_dirty = false;
	return 0;
}

/* ---- life ---- */

void
writer_init(struct writer *w)
{
	*w = (struct writer){ .pending_bytes_max = WRITER_PENDING_BYTES,
	    .link = 1 };
	TAILQ_INIT(&w->pending);
}

void
writer_fini(struct writer *w)
{
	struct writer_done done;

	close_db(w);
	forget_first(w, w->n_pending, &done);
	free(w->path);
	w->path = NULL;
}

void
writer_set_path(struct writer *w, const char *path)
{
	if (w->path != NULL && strcmp(w->path, path) == 0)
		return;
	close_db(w);
	free(w->path);
	w->path = xstrdup(path);
}

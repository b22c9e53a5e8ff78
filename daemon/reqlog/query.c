/* SPDX-License-Identifier: MIT */
/*
 * An operator's SQL is foreign code in our process.  What holds it: a
 * connection opened for reading, an authorizer that knows only SELECT, a limit
 * of time checked every few thousand steps, and limits of size.  `log` and
 * `events` are put together from statements.def and run under the same rules.
 */
#include "config.h"

#include "reqlog/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "reqlog/record.h"
#include "sql/db.h"
#include "wire/frame.h"

#define STEPS_BETWEEN_CHECKS 4000
#define SQL_BYTES_MAX (1 << 20)
#define WORDS_MAX 32
#define COLUMNS_MAX 256

struct run {
	const struct query *q;
	struct db	 db;
	uint64_t	 deadline_ns;
	bool		 is_late;
	char		 denied[96];	/* what the authorizer refused */
	size_t		 n_bytes;
	size_t		 n_rows;
};

/* What `log` and `events` were asked for. */
struct filter {
	char		*model;
	char		*tenant;
	char		*status;
	char		*after;
	uint64_t	 since_ms;
	double		 slow_ms;
	int		 limit;
	bool		 has_since;
	bool		 has_slow;
};

/* ---- what a statement may do ---- */

static const char *
action_name(int action)
{
	switch (action) {
	case SQLITE_ATTACH:
		return "ATTACH";
	case SQLITE_DETACH:
		return "DETACH";
	case SQLITE_PRAGMA:
		return "PRAGMA";
	case SQLITE_INSERT:
		return "INSERT";
	case SQLITE_UPDATE:
		return "UPDATE";
	case SQLITE_DELETE:
		return "DELETE";
	case SQLITE_TRANSACTION:
	case SQLITE_SAVEPOINT:
		return "a transaction";
	case SQLITE_ALTER_TABLE:
		return "ALTER TABLE";
	case SQLITE_REINDEX:
		return "REINDEX";
	case SQLITE_ANALYZE:
		return "ANALYZE";
	case SQLITE_DROP_INDEX:
	case SQLITE_DROP_TABLE:
	case SQLITE_DROP_TEMP_INDEX:
	case SQLITE_DROP_TEMP_TABLE:
	case SQLITE_DROP_TEMP_TRIGGER:
	case SQLITE_DROP_TEMP_VIEW:
	case SQLITE_DROP_TRIGGER:
	case SQLITE_DROP_VIEW:
	case SQLITE_DROP_VTABLE:
		return "DROP";
	default:
		return "CREATE";
	}
}

/* These pragmas only read, and tell what there is to ask for. */
static bool
tells_schema(const char *pragma)
{
	static const char *const names[] = { "table_info", "table_list",
	    "table_xinfo", "index_list", "index_info" };

	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (sqlite3_stricmp(pragma, names[i]) == 0)
			return true;
	return false;
}

static int
authorize(void *arg, int action, const char *a, const char *b,
    const char *database, const char *trigger)
{
	struct run *run = arg;

	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		if (b == NULL || sqlite3_stricmp(b, "load_extension") != 0)
			return SQLITE_OK;
		snprintf(run->denied, sizeof(run->denied), "%s()", b);
		return SQLITE_DENY;
	case SQLITE_PRAGMA:
		if (tells_schema(a))
			return SQLITE_OK;
		snprintf(run->denied, sizeof(run->denied), "PRAGMA %.60s", a);
		return SQLITE_DENY;
	case SQLITE_UPDATE:
		/* How SQLite declares json_each() and its like; doing it to
		 * the real table is refused further down. */
		if (strcmp(a, "sqlite_master") == 0)
			return SQLITE_OK;
		/* FALLTHROUGH */
	default:
		/* The first one is what was asked; others follow from it. */
		if (run->denied[0] == '\0')
			snprintf(run->denied, sizeof(run->denied), "%s",
			    action_name(action));
		return SQLITE_DENY;
	}
}

static int
on_progress(void *arg)
{
	struct run *run = arg;

	if (run->q->is_cancelled != NULL && atomic_load(run->q->is_cancelled))
		return 1;
	run->is_late = clock_now_ns() >= run->deadline_ns;
	return run->is_late;
}

/* Why SQLite stopped, in our words where we made it stop. */
static int
failure(struct run *run, struct cause *cause, const char *what)
{
	if (run->denied[0] != '\0')
		return cause_set(cause, BM_EBADREQ,
		    "%s is not allowed: queries only read", run->denied);
	if (run->is_late)
		return cause_set(cause, BM_ETIMEOUT, "the query took longer "
		    "than %llu ms (log { sql_timeout })",
		    (unsigned long long)run->q->timeout_ms);
	if (run->q->is_cancelled != NULL && atomic_load(run->q->is_cancelled))
		return cause_set(cause, BM_ECANCEL, "nobody wants the answer");
	return db_error(&run->db, cause, what);
}

/* ---- rows ---- */

static int
put_row(struct run *run, sqlite3_stmt *st, struct buf *b, struct cause *cause)
{
	buf_clear(b);
	record_put(b, st);
	if (b->failed)
		return cause_set(cause, BM_ELIMIT,
		    "row %zu is larger than %zu bytes", run->n_rows + 1,
		    b->max);
	run->n_bytes += b->len;
	if (run->n_bytes > QUERY_BYTES_MAX || ++run->n_rows > QUERY_ROWS_MAX)
		return cause_set(cause, BM_ELIMIT, "the answer is beyond "
		    "%zu MiB or %d rows: ask for less", QUERY_BYTES_MAX >> 20,
		    QUERY_ROWS_MAX);
	return 0;
}

/* Step to the end; what on_row waits is given back to the deadline. */
static int
give_rows(struct run *run, sqlite3_stmt *st, struct cause *cause)
{
	struct buf b;
	int r = 0;

	/* A record must fit a frame. */
	buf_init(&b, FRAME_BODY_MAX - 64);
	while (r == 0) {
		int step = sqlite3_step(st);
		uint64_t before_ns;

		if (step == SQLITE_DONE)
			break;
		if (step != SQLITE_ROW) {
			r = failure(run, cause, "query");
			break;
		}
		if ((r = put_row(run, st, &b, cause)) != 0)
			break;
		before_ns = clock_now_ns();
		r = run->q->on_row((struct slice){ (char *)b.data, b.len },
		    run->q->arg);
		if (r != 0)
			cause_set(cause, r, "%s", err_text(r));
		run->deadline_ns += clock_now_ns() - before_ns;
	}
	buf_fini(&b);
	return r;
}

/* ---- the connection ---- */

static int
run_open(struct run *run, const struct query *q, struct cause *cause)
{
	int r;

	*run = (struct run){ .q = q, .deadline_ns = clock_now_ns() +
	    q->timeout_ms * CLOCK_NS_PER_MS };
	if ((r = db_open_readonly(&run->db, q->path, cause)) != 0)
		return r;
	sqlite3_limit(run->db.h, SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES_MAX);
	sqlite3_limit(run->db.h, SQLITE_LIMIT_COLUMN, COLUMNS_MAX);
	/* One comparison may not outlast the deadline by much. */
	sqlite3_limit(run->db.h, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000);
	sqlite3_limit(run->db.h, SQLITE_LIMIT_WORKER_THREADS, 0);
	sqlite3_set_authorizer(run->db.h, authorize, run);
	sqlite3_progress_handler(run->db.h, STEPS_BETWEEN_CHECKS, on_progress,
	    run);
	return 0;
}

/* Is there nothing but blanks, comments and semicolons? */
static bool
is_blank(struct run *run, const char *sql)
{
	while (*sql != '\0') {
		sqlite3_stmt *st = NULL;
		const char *tail = sql;
		bool is_statement = sqlite3_prepare_v2(run->db.h, sql, -1, &st,
		    &tail) != SQLITE_OK || st != NULL;

		sqlite3_finalize(st);
		if (is_statement)
			return false;
		if (tail == sql)
			break;
		sql = tail;
	}
	return true;
}

static int
prepare_one(struct run *run, const char *sql, sqlite3_stmt **out,
    struct cause *cause)
{
	sqlite3_stmt *st = NULL;
	const char *tail = sql;

	/* Blank statements before the first are nothing. */
	do {
		sql = tail;
		if (sqlite3_prepare_v2(run->db.h, sql, -1, &st, &tail) !=
		    SQLITE_OK)
			return failure(run, cause, "sql");
	} while (st == NULL && tail != sql && *tail != '\0');
	if (st == NULL)
		return cause_set(cause, BM_EUSAGE, "there is no statement");
	if (!is_blank(run, tail)) {
		sqlite3_finalize(st);
		return cause_set(cause, BM_EUSAGE,
		    "one statement at a time, please");
	}
	if (!sqlite3_stmt_readonly(st)) {
		sqlite3_finalize(st);
		return cause_set(cause, BM_EBADREQ, "queries only read");
	}
	*out = st;
	return 0;
}

/* ---- log and events ---- */

static void
filter_fini(struct filter *f)
{
	free(f->model);
	free(f->tenant);
	free(f->status);
	free(f->after);
}

static int
filter_set(struct filter *f, const char *option, const char *value,
    struct cause *cause)
{
	char **text = strcmp(option, "--model") == 0 ? &f->model :
	    strcmp(option, "--tenant") == 0 ? &f->tenant :
	    strcmp(option, "--status") == 0 ? &f->status :
	    strcmp(option, "--after") == 0 ? &f->after : NULL;
	int r = 0;

	if (text != NULL) {
		free(*text);
		*text = xstrdup(value);
	} else if (strcmp(option, "--since") == 0) {
		r = str_to_ms(value, &f->since_ms);
		f->has_since = true;
	} else if (strcmp(option, "--slow") == 0) {
		r = str_to_f64(value, &f->slow_ms);
		f->has_slow = true;
	} else if (strcmp(option, "--limit") == 0) {
		r = str_to_int(value, 0, QUERY_ROWS_MAX, &f->limit);
	} else {
		return cause_set(cause, BM_EUSAGE, "no such option: %.60s",
		    option);
	}
	return r == 0 ? 0 : cause_set(cause, BM_EUSAGE,
	    "%s can't be %.60s", option, value);
}

/* Options of `events` are some of `log`'s. */
static int
filter_parse(struct filter *f, bool is_log, char *const *w, size_t n,
    struct cause *cause)
{
	int r = 0;

	f->limit = QUERY_LIMIT_DEFAULT;
	for (size_t i = 0; r == 0 && i < n; i += 2) {
		if (!is_log && strcmp(w[i], "--since") != 0 &&
		    strcmp(w[i], "--limit") != 0)
			return cause_set(cause, BM_EUSAGE,
			    "events takes --since and --limit, not %.60s",
			    w[i]);
		/* The gate follows, by asking again with --after. */
		if (is_log && strcmp(w[i], "--follow") == 0) {
			i--;
			continue;
		}
		if (i + 1 == n)
			return cause_set(cause, BM_EUSAGE, strncmp(w[i], "--",
			    2) == 0 ? "%.60s needs a value, or is no option" :
			    "%.60s is no option", w[i]);
		r = filter_set(f, w[i], w[i + 1], cause);
	}
	return r;
}

static void
filter_sql(const struct filter *f, bool is_log, struct buf *sql)
{
	if (!is_log) {
		buf_puts(sql, db_text(SQL_EVENTS));
		if (f->has_since)
			buf_puts(sql, db_text(SQL_EVENTS_SINCE));
		buf_puts(sql, db_text(SQL_EVENTS_NEWEST));
		return;
	}
	buf_puts(sql, db_text(SQL_LOG));
	if (f->has_since)
		buf_puts(sql, db_text(SQL_LOG_SINCE));
	if (f->model != NULL)
		buf_puts(sql, db_text(SQL_LOG_MODEL));
	if (f->tenant != NULL)
		buf_puts(sql, db_text(SQL_LOG_TENANT));
	if (f->status != NULL)
		buf_puts(sql, db_text(SQL_LOG_STATUS));
	if (f->has_slow)
		buf_puts(sql, db_text(SQL_LOG_SLOW));
	if (f->after != NULL)
		buf_puts(sql, db_text(SQL_LOG_AFTER));
	buf_puts(sql, db_text(f->after != NULL ? SQL_LOG_NEXT :
	    SQL_LOG_NEWEST));
}

/* A parameter that the statement does not have is number 0: no error. */
static void
filter_bind(const struct filter *f, sqlite3_stmt *st, int64_t now_unix_ms)
{
	const struct { const char *name; const char *value; } texts[] = {
		{ ":model", f->model }, { ":tenant", f->tenant },
		{ ":status", f->status }, { ":after", f->after },
	};
	int64_t since = f->since_ms > (uint64_t)now_unix_ms ? 0 :
	    now_unix_ms - (int64_t)f->since_ms;

	for (size_t i = 0; i < N_ELEMENTS(texts); i++)
		sqlite3_bind_text(st, sqlite3_bind_parameter_index(st,
		    texts[i].name), texts[i].value, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, sqlite3_bind_parameter_index(st, ":since"),
	    since);
	sqlite3_bind_double(st, sqlite3_bind_parameter_index(st, ":slow"),
	    f->slow_ms);
	sqlite3_bind_int(st, sqlite3_bind_parameter_index(st, ":limit"),
	    f->limit);
}

static int
run_filtered(struct run *run, bool is_log, char *const *w, size_t n,
    struct cause *cause)
{
	struct filter f = { 0 };
	struct buf sql;
	sqlite3_stmt *st = NULL;
	int r;

	buf_init(&sql, SQL_BYTES_MAX);
	if ((r = filter_parse(&f, is_log, w, n, cause)) == 0) {
		filter_sql(&f, is_log, &sql);
		r = prepare_one(run, buf_cstr(&sql), &st, cause);
	}
	if (r == 0) {
		filter_bind(&f, st, run->q->now_unix_ms);
		r = give_rows(run, st, cause);
	}
	sqlite3_finalize(st);
	buf_fini(&sql);
	filter_fini(&f);
	return r;
}

static int
run_sql(struct run *run, char *const *w, size_t n, struct cause *cause)
{
	sqlite3_stmt *st = NULL;
	int r;

	if (n != 1)
		return cause_set(cause, BM_EUSAGE,
		    "sql takes one statement in quotes");
	if ((r = prepare_one(run, w[0], &st, cause)) == 0)
		r = give_rows(run, st, cause);
	sqlite3_finalize(st);
	return r;
}

/* ---- any ---- */

static int
run_kind(const struct query *q, char *const *w, size_t n, struct cause *cause)
{
	bool is_sql = strcmp(q->kind, "sql") == 0;
	bool is_log = strcmp(q->kind, "log") == 0;
	struct run run;
	int r;

	if (!is_sql && !is_log && strcmp(q->kind, "events") != 0)
		return cause_set(cause, BM_EUSAGE, "no such query: %.60s",
		    q->kind);
	if ((r = run_open(&run, q, cause)) != 0)
		return r;
	r = is_sql ? run_sql(&run, w, n, cause) :
	    run_filtered(&run, is_log, w, n, cause);
	db_close(&run.db);
	return r;
}

int
query_run(const struct query *q, struct cause *cause)
{
	char *w[WORDS_MAX];
	struct cur list = strs_of(q->words);
	struct slice s;
	size_t n = 0;
	int r;

	while (n < WORDS_MAX && strs_next(&list, &s))
		w[n++] = slice_dup(s);
	if (list.failed)
		r = cause_set(cause, BM_EPROTO, "%s", err_text(BM_EPROTO));
	else if (cur_left(&list) > 0)
		r = cause_set(cause, BM_EUSAGE, "too many words");
	else
		r = run_kind(q, w, n, cause);
	while (n > 0)
		free(w[--n]);
	return r;
}

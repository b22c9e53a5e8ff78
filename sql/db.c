/* SPDX-License-Identifier: MIT */
/*
 * One writer and any number of readers share the file: write-ahead log, so
 * that neither waits for the other, and synchronous=NORMAL, so that a commit
 * survives our death at once and a power cut up to the last checkpoint.
 *
 * A broken file must not stop the log for good: it is kept beside the new one
 * for whoever wants to rescue rows from it.
 */
#include "config.h"

#include "sql/db.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

/* Nobody else writes, but for an operator's own tools. */
#define BUSY_TIMEOUT_MS 500
/* Checking reads the whole file; beyond this the start would take seconds,
 * and damage shows when the page is used. */
#define CHECK_BYTES_MAX ((off_t)256 << 20)
/* One row at most: prompt and output of FRAME_BODY_MAX and some. */
#define VALUE_BYTES_MAX (64 << 20)

/* ---- errors ---- */

static int
code_of(int sqlite_code)
{
	switch (sqlite_code & 0xff) {
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_NOLFS:
		return BM_EDISK;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return BM_EFORMAT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return BM_EOVERLOAD;
	case SQLITE_NOMEM:
		return BM_ENOMEM;
	case SQLITE_TOOBIG:
		return BM_ELIMIT;
	case SQLITE_INTERRUPT:
		return BM_ETIMEOUT;
	default:
		return BM_EBADREQ;
	}
}

int
db_error(struct db *db, struct cause *cause, const char *what)
{
	int code = code_of(sqlite3_extended_errcode(db->h));
	int system = sqlite3_system_errno(db->h);

	if (code == BM_EDISK && system != 0)
		return cause_set(cause, code, "%s: %s (%s)", what,
		    sqlite3_errmsg(db->h), strerror(system));
	return cause_set(cause, code, "%s: %s", what, sqlite3_errmsg(db->h));
}

/* ---- statements ---- */

static const char *const texts[SQL_N] = {
#define S(sym, sql) sql,
#include "sql/statements.def"
#undef S
};

const char *
db_text(enum db_statement s)
{
	return texts[s];
}

sqlite3_stmt *
db_get(struct db *db, enum db_statement s)
{
	if (db->prepared[s] == NULL)
		(void)sqlite3_prepare_v3(db->h, texts[s], -1,
		    SQLITE_PREPARE_PERSISTENT, &db->prepared[s], NULL);
	else
		sqlite3_reset(db->prepared[s]);
	return db->prepared[s];
}

int
db_run(struct db *db, enum db_statement s, struct cause *cause)
{
	sqlite3_stmt *st = db_get(db, s);
	int r = 0;

	if (st == NULL)
		return db_error(db, cause, "prepare");
	if (sqlite3_step(st) != SQLITE_DONE)
		r = db_error(db, cause, "the request log");
	sqlite3_reset(st);
	return r;
}

int
db_exec(struct db *db, const char *sql, struct cause *cause)
{
	if (sqlite3_exec(db->h, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_error(db, cause, "the request log");
	return 0;
}

int
db_number(struct db *db, const char *sql, int64_t *out, struct cause *cause)
{
	sqlite3_stmt *st = NULL;
	int r = 0;

	if (sqlite3_prepare_v2(db->h, sql, -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW)
		r = db_error(db, cause, "the request log");
	else
		*out = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return r;
}

/* ---- opening ---- */

static int
open_file(struct db *db, const char *path, int flags, struct cause *cause)
{
	char what[128];

	*db = (struct db){ .h = NULL };
	snprintf(what, sizeof(what), "open %.100s", path);
	if (sqlite3_open_v2(path, &db->h, flags | SQLITE_OPEN_NOMUTEX |
	    SQLITE_OPEN_EXRESCODE, NULL) != SQLITE_OK) {
		int r = db->h == NULL ? cause_set(cause, BM_ENOMEM, "%s", what)
		    : db_error(db, cause, what);

		db_close(db);
		return r;
	}
	sqlite3_busy_timeout(db->h, BUSY_TIMEOUT_MS);
	sqlite3_limit(db->h, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
	sqlite3_limit(db->h, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return 0;
}

static int
is_sound(struct db *db, const char *path, struct cause *cause)
{
	struct stat st;
	sqlite3_stmt *check = NULL;
	int r = 0;

	if (stat(path, &st) != 0 || st.st_size > CHECK_BYTES_MAX)
		return 0;
	if (sqlite3_prepare_v2(db->h, "PRAGMA quick_check(1)", -1, &check,
	    NULL) != SQLITE_OK || sqlite3_step(check) != SQLITE_ROW)
		r = db_error(db, cause, "quick_check");
	else if (strcmp((const char *)sqlite3_column_text(check, 0), "ok") != 0)
		r = cause_set(cause, BM_EFORMAT, "quick_check: %.200s",
		    (const char *)sqlite3_column_text(check, 0));
	sqlite3_finalize(check);
	return r;
}

static int
open_writable(struct db *db, const char *path, struct cause *cause)
{
	int r = open_file(db, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
	    cause);

	if (r != 0)
		return r;
	/* The log shall cost little memory and give disk space back. */
	if ((r = db_exec(db, "PRAGMA auto_vacuum = INCREMENTAL;"
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
	    "PRAGMA cache_size = -1024; PRAGMA journal_size_limit = 16777216;"
	    "PRAGMA wal_autocheckpoint = 4000", cause)) == 0 &&
	    (r = is_sound(db, path, cause)) == 0)
		r = db_migrate(db, db_n_migrations, cause);
	if (r != 0)
		db_close(db);
	return r;
}

int
db_open(struct db *db, const char *path, struct cause *cause)
{
	struct cause why = { 0 };
	int r = open_writable(db, path, &why);

	if (r == BM_EFORMAT) {
		log_warnx("the request log %s is broken: %s", path, why.text);
		if ((r = db_set_aside(path, &why)) == 0)
			r = open_writable(db, path, &why);
	}
	return r == 0 ? 0 : cause_set(cause, r, "%s", why.text);
}

int
db_open_readonly(struct db *db, const char *path, struct cause *cause)
{
	int r = open_file(db, path, SQLITE_OPEN_READONLY, cause);

	if (r == 0 && (r = db_exec(db, "PRAGMA query_only = 1;"
	    "PRAGMA cache_size = -2048; PRAGMA trusted_schema = 0",
	    cause)) != 0)
		db_close(db);
	return r;
}

void
db_close(struct db *db)
{
	for (size_t i = 0; i < SQL_N; i++)
		sqlite3_finalize(db->prepared[i]);
	sqlite3_close_v2(db->h);
	*db = (struct db){ .h = NULL };
}

static int
move_aside(const char *path, const char *stamp, const char *suffix,
    struct cause *cause)
{
	char from[1200], to[1200];

	if (snprintf(from, sizeof(from), "%s%s", path, suffix) >=
	    (int)sizeof(from) ||
	    snprintf(to, sizeof(to), "%s.corrupt-%s%s", path, stamp, suffix) >=
	    (int)sizeof(to))
		return cause_set(cause, -ENAMETOOLONG, "%s", path);
	if (rename(from, to) == 0) {
		log_warnx("%s is kept as %s", from, to);
		return 0;
	}
	if (errno == ENOENT)
		return 0;
	return cause_set(cause, BM_EDISK, "rename %s: %s", from,
	    strerror(errno));
}

int
db_set_aside(const char *path, struct cause *cause)
{
	char stamp[32], shm[1200];
	int64_t now_ms = clock_unix_ms();
	time_t now_s = (time_t)(now_ms / 1000);
	struct tm tm;
	size_t n;
	int r;

	n = strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S",
	    gmtime_r(&now_s, &tm));
	/* Two in a second must not overwrite each other. */
	snprintf(stamp + n, sizeof(stamp) - n, ".%03d", (int)(now_ms % 1000));
	if ((r = move_aside(path, stamp, "", cause)) != 0 ||
	    (r = move_aside(path, stamp, "-wal", cause)) != 0)
		return r;
	/* The shared index means nothing without its log. */
	if (snprintf(shm, sizeof(shm), "%s-shm", path) < (int)sizeof(shm))
		(void)remove(shm);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#ifndef BM_SQL_DB_H
#define BM_SQL_DB_H

/*
 * The database of the request log: opening, migrating, statements and errors.
 * A struct db belongs to one thread.
 */

#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "base/err.h"

enum db_statement {
#define S(sym, sql) SQL_##sym,
#include "sql/statements.def"
#undef S
	SQL_N
};

struct db {
	sqlite3		*h;
	sqlite3_stmt	*prepared[SQL_N];
};

/* A numbered step of migrate/, embedded by embed.awk; number is index + 1. */
struct db_migration {
	int		 number;
	const char	*name;
	const char	*sql;
};
extern const struct db_migration	 db_migrations[];
extern const int			 db_n_migrations;

/*
 * Open for writing, create and migrate as needed.  A file that is no database
 * or a broken one is renamed to PATH.corrupt-TIME, with its -wal, and a new
 * one is begun; that is logged.  BM_EUNSUP: a newer schema, or somebody else's
 * database; BM_EDISK: no room, no permission.
 */
int	 db_open(struct db *db, const char *path, struct cause *cause)
	    BM_MUST_CHECK;
/* Open what db_open made for reading only; attaching is impossible. */
int	 db_open_readonly(struct db *db, const char *path, struct cause *cause)
	    BM_MUST_CHECK;
/* Closed databases may be closed again. */
void	 db_close(struct db *db);
/* Rename a broken database and what belongs to it; db must be closed. */
int	 db_set_aside(const char *path, struct cause *cause) BM_MUST_CHECK;

/* Apply the first `upto` migrations (db_n_migrations: all) that have not been
 * applied; each is one transaction. */
int	 db_migrate(struct db *db, int upto, struct cause *cause)
	    BM_MUST_CHECK;

const char	*db_text(enum db_statement s);
/* The statement, prepared once and reset; NULL when that failed (db_error). */
sqlite3_stmt	*db_get(struct db *db, enum db_statement s);
/* Run a statement that gives no rows, with what is bound to it now. */
int	 db_run(struct db *db, enum db_statement s, struct cause *cause)
	    BM_MUST_CHECK;
/* Run SQL that gives no rows. */
int	 db_exec(struct db *db, const char *sql, struct cause *cause)
	    BM_MUST_CHECK;
/* The first column of the first row of sql, as a number. */
int	 db_number(struct db *db, const char *sql, int64_t *out,
	    struct cause *cause) BM_MUST_CHECK;

/*
 * The failure of the last call on db as a code of ours with its sentence:
 * BM_EDISK (full, unwritable, failing), BM_EFORMAT (broken), BM_EOVERLOAD
 * (locked by somebody), BM_ENOMEM, BM_ELIMIT (too big), BM_ETIMEOUT
 * (interrupted), else BM_EBADREQ.
 */
int	 db_error(struct db *db, struct cause *cause, const char *what);

#endif

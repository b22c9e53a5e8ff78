/* SPDX-License-Identifier: MIT */
/*
 * Numbered steps.  PRAGMA user_version is the number of the last step applied;
 * it is set in the step's own transaction, so a step happened or did not.
 * Nothing is ever undone: an older daemon refuses a newer file instead.
 */
#include "config.h"

#include "sql/db.h"

#include <stdio.h>

static int
apply(struct db *db, const struct db_migration *m, struct cause *cause)
{
	char version[64];
	int r;

	snprintf(version, sizeof(version), "PRAGMA user_version = %d",
	    m->number);
	if ((r = db_run(db, SQL_BEGIN, cause)) != 0)
		return r;
	if ((r = db_exec(db, m->sql, cause)) == 0 &&
	    (r = db_exec(db, version, cause)) == 0 &&
	    (r = db_run(db, SQL_COMMIT, cause)) == 0)
		return 0;
	if (!sqlite3_get_autocommit(db->h) &&
	    db_run(db, SQL_ROLLBACK, NULL) != 0)
		return r;
	cause_prefix(cause, "migration %s", m->name);
	return r;
}

int
db_migrate(struct db *db, int upto, struct cause *cause)
{
	int64_t version, n_tables;
	int r;

	if ((r = db_number(db, "PRAGMA user_version", &version, cause)) != 0)
		return r;
	if (version > db_n_migrations)
		return cause_set(cause, BM_EUNSUP, "the database has schema "
		    "%lld, this daemon knows schemas up to %d: run the newer "
		    "daemon or move the file away", (long long)version,
		    db_n_migrations);
	if ((r = db_number(db, "SELECT count(*) FROM sqlite_master",
	    &n_tables, cause)) != 0)
		return r;
	if (version < 0 || (version == 0 && n_tables > 0))
		return cause_set(cause, BM_EUNSUP, "the file is a database, "
		    "but not a request log: name another in "
		    "`log { database }`");
	for (int i = (int)version; i < upto; i++)
		if ((r = apply(db, &db_migrations[i], cause)) != 0)
			return r;
	return 0;
}

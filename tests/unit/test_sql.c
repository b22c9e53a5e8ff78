/* SPDX-License-Identifier: MIT */
/* sql/: migrations end at schema.sql, and what db_open does with files that
 * are newer, foreign or broken. */
#include "config.h"

#include <sys/stat.h>

#include <ctype.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "sql/db.h"

#define DB "requests.db"

static char dir[] = "/tmp/bm-sql-XXXXXX";

static void
empty_dir(void)
{
	DIR *d = opendir(".");
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			assert_int_equal(unlink(e->d_name), 0);
	closedir(d);
}

static int
setup(void **state)
{
	empty_dir();
	return 0;
}

/* Without comments and with one blank where any were. */
static void
put_normal(struct buf *b, const char *sql)
{
	for (; *sql != '\0'; sql++) {
		if (sql[0] == '-' && sql[1] == '-') {
			sql += strcspn(sql, "\n") - 1;
			continue;
		}
		if (!isspace((unsigned char)*sql))
			buf_put_u8(b, (uint8_t)*sql);
		else if (b->len > 0 && b->data[b->len - 1] != ' ')
			buf_put_u8(b, ' ');
	}
	buf_put_u8(b, '\n');
}

static char *
schema_of(sqlite3 *h)
{
	sqlite3_stmt *st;
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_int_equal(sqlite3_prepare_v2(h, "SELECT coalesce(sql, name) "
	    "FROM sqlite_master ORDER BY type, name", -1, &st, NULL),
	    SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW)
		put_normal(&b, (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return buf_take(&b);
}

static char *
file_text(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 65536);

	assert_non_null(f);
	assert_true(fread(text, 1, 65535, f) > 0);
	fclose(f);
	return text;
}

static void
migrations_end_at_schema_sql(void **state)
{
	const char *top = getenv("top_srcdir");
	struct db db, plain = { 0 };
	struct cause cause = { 0 };
	char path[1024], *sql, *have, *want;
	int64_t a, b;

	if (top == NULL)
		skip();
	snprintf(path, sizeof(path), "%s/sql/schema.sql", top);
	sql = file_text(path);
	assert_int_equal(sqlite3_open(":memory:", &plain.h), SQLITE_OK);
	assert_int_equal(db_exec(&plain, sql, &cause), 0);
	assert_int_equal(db_open(&db, DB, &cause), 0);
	have = schema_of(db.h);
	want = schema_of(plain.h);
	assert_true(strlen(want) > 500);
	assert_string_equal(have, want);
	assert_int_equal(db_number(&db, "PRAGMA user_version", &a, NULL), 0);
	assert_int_equal(db_number(&plain, "PRAGMA user_version", &b, NULL),
	    0);
	assert_true(a == b && a == db_n_migrations);
	assert_int_equal(db_number(&db, "PRAGMA application_id", &a, NULL), 0);
	assert_int_equal(db_number(&plain, "PRAGMA application_id", &b, NULL),
	    0);
	assert_true(a == b && a != 0);
	free(sql);
	free(have);
	free(want);
	db_close(&plain);
	db_close(&db);
}

static void
every_statement_prepares(void **state)
{
	struct db db;
	struct cause cause = { 0 };

	assert_int_equal(db_open(&db, DB, &cause), 0);
	/* The parts of log and events are whole only together. */
	for (int s = 0; s < SQL_LOG; s++)
		if (db_get(&db, (enum db_statement)s) == NULL)
			fail_msg("%s: %s", db_text((enum db_statement)s),
			    sqlite3_errmsg(db.h));
	db_close(&db);
}

static void
opens_again_and_is_wal(void **state)
{
	struct db db;
	struct cause cause = { 0 };
	sqlite3_stmt *st;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(db_open(&db, DB, &cause), 0);
		assert_int_equal(sqlite3_prepare_v2(db.h,
		    "PRAGMA journal_mode", -1, &st, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_step(st), SQLITE_ROW);
		assert_string_equal((const char *)sqlite3_column_text(st, 0),
		    "wal");
		sqlite3_finalize(st);
		db_close(&db);
	}
}

static void
a_newer_schema_is_refused(void **state)
{
	struct db db;
	struct cause cause = { 0 };

	assert_int_equal(db_open(&db, DB, &cause), 0);
	assert_int_equal(db_exec(&db, "PRAGMA user_version = 99", &cause), 0);
	db_close(&db);
	assert_int_equal(db_open(&db, DB, &cause), BM_EUNSUP);
	assert_non_null(strstr(cause.text, "99"));
	/* It is left as it was. */
	assert_int_equal(access(DB, F_OK), 0);
}

static void
a_foreign_database_is_refused(void **state)
{
	struct db db, other = { 0 };
	struct cause cause = { 0 };

	assert_int_equal(sqlite3_open(DB, &other.h), SQLITE_OK);
	assert_int_equal(db_exec(&other, "CREATE TABLE t (x)", NULL), 0);
	db_close(&other);
	assert_int_equal(db_open(&db, DB, &cause), BM_EUNSUP);
	assert_non_null(strstr(cause.text, "not a request log"));
}

static int
count_aside(void)
{
	DIR *d = opendir(".");
	struct dirent *e;
	int n = 0;

	while ((e = readdir(d)) != NULL)
		n += strstr(e->d_name, ".corrupt-") != NULL;
	closedir(d);
	return n;
}

static void
no_database_is_put_aside(void **state)
{
	struct db db;
	struct cause cause = { 0 };
	FILE *f = fopen(DB, "w");
	int64_t n;

	for (int i = 0; i < 1000; i++)
		fprintf(f, "this is no database, line %d\n", i);
	fclose(f);
	assert_int_equal(db_open(&db, DB, &cause), 0);
	assert_int_equal(count_aside(), 1);
	assert_int_equal(db_number(&db, "SELECT count(*) FROM requests", &n,
	    NULL), 0);
	assert_int_equal(n, 0);
	db_close(&db);
}

/* Pages overwritten in the middle: the header is fine, the tree is not. */
static void
a_broken_database_is_put_aside(void **state)
{
	struct db db;
	struct cause cause = { 0 };
	char junk[4096];
	FILE *f;

	assert_int_equal(db_open(&db, DB, &cause), 0);
	assert_int_equal(db_exec(&db, "WITH RECURSIVE c(i) AS (SELECT 1 UNION "
	    "ALL SELECT i + 1 FROM c WHERE i < 2000) INSERT INTO events "
	    "(id, at, kind, text) SELECT 'id' || i, i, 'k', hex(randomblob(50))"
	    " FROM c", &cause), 0);
	db_close(&db);
	memset(junk, 0xa5, sizeof(junk));
	f = fopen(DB, "r+");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	assert_true(ftell(f) > 40 * 4096);
	for (long page = 12; page < 40; page++) {
		fseek(f, page * 4096, SEEK_SET);
		assert_int_equal(fwrite(junk, 1, sizeof(junk), f), 4096);
	}
	fclose(f);
	assert_int_equal(db_open(&db, DB, &cause), 0);
	assert_true(count_aside() >= 1);
	db_close(&db);
}

static void
an_impossible_place_is_an_error(void **state)
{
	struct db db;
	struct cause cause = { 0 };

	assert_int_equal(db_open(&db, "none/" DB, &cause), BM_EDISK);
	assert_true(cause.text[0] != '\0');
	assert_int_equal(db_open_readonly(&db, DB, &cause), BM_EDISK);
}

static void
readonly_can_not_write(void **state)
{
	struct db db, ro;
	struct cause cause = { 0 };

	assert_int_equal(db_open(&db, DB, &cause), 0);
	assert_int_equal(db_open_readonly(&ro, DB, &cause), 0);
	assert_int_equal(db_exec(&ro, "DELETE FROM requests", &cause),
	    BM_EDISK);
	db_close(&ro);
	db_close(&db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(migrations_end_at_schema_sql, setup),
		cmocka_unit_test_setup(every_statement_prepares, setup),
		cmocka_unit_test_setup(opens_again_and_is_wal, setup),
		cmocka_unit_test_setup(a_newer_schema_is_refused, setup),
		cmocka_unit_test_setup(a_foreign_database_is_refused, setup),
		cmocka_unit_test_setup(no_database_is_put_aside, setup),
		cmocka_unit_test_setup(a_broken_database_is_put_aside, setup),
		cmocka_unit_test_setup(an_impossible_place_is_an_error, setup),
		cmocka_unit_test_setup(readonly_can_not_write, setup),
	};
	int failed;

	log_init("test_sql", LOG_LEVEL_ERROR, 0);
	if (mkdtemp(dir) == NULL || chdir(dir) != 0)
		return 99;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	empty_dir();
	if (chdir("/") == 0)
		(void)rmdir(dir);
	return failed;
}

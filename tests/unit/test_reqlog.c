/* SPDX-License-Identifier: MIT */
/*
 * reqlog: the modules by themselves, then the real program, to which this test
 * is master and gate.
 */
#include "config.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "reqlog/query.h"
#include "reqlog/sha256.h"
#include "reqlog/writer.h"
#include "wire/conf.h"
#include "wire/fd_io.h"
#include "wire/sync_io.h"

#define DB "requests.db"
#define WAIT_MS 20000
/* When the first row of a test began. */
#define T0 INT64_C(1700000000000)

static char dir[] = "/tmp/bm-reqlog-XXXXXX";
static char program[1024];

static int
setup(void **state)
{
	DIR *d = opendir(".");
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			assert_int_equal(unlink(e->d_name), 0);
	closedir(d);
	return 0;
}

/* Row i of a test; its id is always the same. */
static struct msg_row
row_of(int i, char uuid[UUID_TEXT_SIZE])
{
	snprintf(uuid, UUID_TEXT_SIZE, "01890000-0000-7000-8000-%012d", i);
	return (struct msg_row){
		.uuid = slice_of(uuid), .started_at = T0 + i * 1000,
		.finished_at = T0 + i * 1000 + 10 * i,
		.tenant = slice_of(i % 2 ? "odd" : ""),
		.client = slice_of("127.0.0.1:1"), .protocol = slice_of("http"),
		.endpoint = slice_of("/v1/completions"),
		.model = slice_of(i % 3 ? "tale" : "other"), .worker = i - 1,
		.status = slice_of(i % 5 ? "ok" : "timeout"),
		.finish = slice_of("stop"), .prompt_tokens = 3,
		.completion_tokens = (uint32_t)i, .queue_ms = 0.1,
		.prompt = slice_of("secret question"),
		.output = slice_of("secret \"answer\"\n"),
		.params = slice_of("{\"seed\":1}"),
	};
}

static void
put_row(struct writer *w, int i, uint32_t seq)
{
	char uuid[UUID_TEXT_SIZE];
	struct msg_row m = row_of(i, uuid);
	struct buf b;
	struct frame f = { .type = MSG_ROW, .seq = seq, .fd = -1 };

	buf_init(&b, 1 << 20);
	msg_put_row(&b, &m);
	f.body = cur_of(b.data, b.len);
	assert_int_equal(writer_put(w, &f), 0);
	buf_fini(&b);
}

/* A number from the database, by a connection of our own. */
static int64_t
number(const char *sql)
{
	struct db db;
	int64_t n = -1;

	assert_int_equal(db_open_readonly(&db, DB, NULL), 0);
	assert_int_equal(db_number(&db, sql, &n, NULL), 0);
	db_close(&db);
	return n;
}

static void
file_has(const char *word, bool want)
{
	static const char *const names[] = { DB, DB "-wal" };
	bool found = false;

	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		int fd = open(names[i], O_RDONLY);
		struct stat st;
		char *p;

		if (fd == -1)
			continue;
		assert_int_equal(fstat(fd, &st), 0);
		p = malloc((size_t)st.st_size + 1);
		assert_true(read(fd, p, (size_t)st.st_size) == st.st_size);
		found |= memmem(p, (size_t)st.st_size, word, strlen(word)) !=
		    NULL;
		free(p);
		close(fd);
	}
	assert_true(found == want);
}

/* ---- sha256 ---- */

static void
sha256_is(const char *text, size_t n, const char *want)
{
	uint8_t digest[SHA256_BYTES];
	char hex[2 * SHA256_BYTES + 1];

	sha256(text, n, digest);
	for (size_t i = 0; i < SHA256_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	assert_string_equal(hex, want);
}

static void
sha256_test_vectors(void **state)
{
	char *a = malloc(1000000);

	sha256_is("", 0, "e3b0c44298fc1c149afbf4c8996fb924"
	    "27ae41e4649b934ca495991b7852b855");
	sha256_is("abc", 3, "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad");
	sha256_is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	    56, "248d6a61d20638b8e5c026930c3e6039"
	    "a33ce45964ff2167f6ecedd419db06c1");
	memset(a, 'a', 1000000);
	sha256_is(a, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67"
	    "f1809a48a497200e046d39ccc7112cd0");
	free(a);
}

/* ---- the writer ---- */

static void
a_row_sent_twice_is_one_row(void **state)
{
	struct writer w;
	struct writer_done done;
	struct cause cause = { 0 };

	writer_init(&w);
	writer_set_path(&w, DB);
	put_row(&w, 1, 1);
	put_row(&w, 2, 2);
	put_row(&w, 1, 3);
	assert_int_equal(writer_commit(&w, &done, &cause), 0);
	assert_int_equal(done.n_rows, 3);
	assert_int_equal(done.upto, 3);
	put_row(&w, 2, 4);
	assert_int_equal(writer_commit(&w, &done, &cause), 0);
	assert_int_equal(done.upto, 4);
	assert_int_equal(number("SELECT count(*) FROM requests"), 2);
	assert_int_equal(number("SELECT count(*) FROM requests WHERE "
	    "tenant IS NULL AND worker = 1 AND queue_ms = 0.1"), 1);
	writer_fini(&w);
}

static void
rows_of_an_old_link_are_written_not_reported(void **state)
{
	struct writer w;
	struct writer_done done;

	writer_init(&w);
	writer_set_path(&w, DB);
	put_row(&w, 1, 700);
	writer_new_link(&w);
	put_row(&w, 2, 1);
	assert_int_equal(writer_commit(&w, &done, NULL), 0);
	assert_int_equal(done.n_rows, 2);
	assert_int_equal(done.upto, 1);
	assert_int_equal(number("SELECT count(*) FROM requests"), 2);
	writer_fini(&w);
}

static void
what_is_kept_of_texts(void **state)
{
	struct writer w;
	struct writer_done done;

	writer_init(&w);
	writer_set_path(&w, DB);
	w.keep = WRITER_KEEP_NONE;
	put_row(&w, 1, 1);
	assert_int_equal(writer_commit(&w, &done, NULL), 0);
	w.keep = WRITER_KEEP_HASH;
	put_row(&w, 2, 2);
	assert_int_equal(writer_commit(&w, &done, NULL), 0);
	assert_int_equal(number("SELECT count(*) FROM requests WHERE prompt "
	    "IS NULL AND output IS NULL"), 1);
	assert_int_equal(number("SELECT count(*) FROM requests WHERE prompt "
	    "LIKE 'sha256:%' AND length(output) = 71"), 1);
	file_has("secret", false);
	w.keep = WRITER_KEEP_FULL;
	put_row(&w, 3, 3);
	assert_int_equal(writer_commit(&w, &done, NULL), 0);
	assert_int_equal(number("SELECT count(*) FROM requests WHERE prompt "
	    "= 'secret question'"), 1);
	file_has("secret", true);
	writer_fini(&w);
}

static void
a_broken_message_does_not_stop_the_log(void **state)
{
	struct writer w;
	struct writer_done done;
	struct frame f = { .type = MSG_ROW, .seq = 1, .fd = -1,
	    .body = cur_of("\xff\xff\xff\xff", 4) };

	writer_init(&w);
	writer_set_path(&w, DB);
	assert_int_equal(writer_put(&w, &f), 0);
	put_row(&w, 1, 2);
	assert_int_equal(writer_commit(&w, &done, NULL), 0);
	assert_int_equal(done.upto, 2);
	assert_int_equal(number("SELECT count(*) FROM requests"), 1);
	writer_fini(&w);
}

/* A table that is missing is no row's fault: nothing may be left out. */
static void
a_foreign_change_of_the_schema_loses_nothing(void **state)
{
	struct writer w;
	struct writer_done done;

	writer_init(&w);
	writer_set_path(&w, DB);
	assert_int_equal(writer_commit(&w, &done, NULL), 0);
	assert_int_equal(db_exec(&w.db, "ALTER TABLE requests RENAME TO r2",
	    NULL), 0);
	put_row(&w, 1, 1);
	assert_true(writer_commit(&w, &done, NULL) != 0);
	assert_int_equal(done.n_rows, 0);
	assert_int_equal(db_exec(&w.db, "ALTER TABLE r2 RENAME TO requests",
	    NULL), 0);
	assert_int_equal(writer_commit(&w, &done, NULL), 0);
	assert_int_equal(done.upto, 1);
	writer_fini(&w);
}

/* Beyond the bound rows are let go, and so is all that follows. */
static void
memory_is_bounded(void **state)
{
	struct writer w;
	struct frame f = { .type = MSG_ROW, .seq = 1, .fd = -1,
	    .body = cur_of("abcdefgh", 8) };

	writer_init(&w);
	w.pending_bytes_max = 90;
	assert_int_equal(writer_put(&w, &f), 0);
	assert_false(w.is_behind);
	assert_int_equal(writer_put(&w, &f), BM_ELIMIT);
	f.body = cur_of("", 0);
	assert_int_equal(writer_put(&w, &f), BM_ELIMIT);
	assert_int_equal(w.n_pending, 1);
	assert_true(w.is_behind);
	writer_fini(&w);
}

static void
retention_by_age_and_number(void **state)
{
	struct writer w;
	struct writer_done done;
	bool more;
	int steps = 0;

	writer_init(&w);
	writer_set_path(&w, DB);
	for (int i = 1; i <= 1000; i++)
		put_row(&w, i, (uint32_t)i);
	assert_int_equal(writer_commit(&w, &done, NULL), 0);
	assert_int_equal(done.n_rows, 1000);
	/* The rows began one a second; keep the last 300 s of them. */
	w.retention_ms = 300000;
	do {
		assert_int_equal(writer_upkeep(&w, T0 + 1001000, &more, NULL),
		    0);
		steps++;
	} while (more);
	assert_int_equal(number("SELECT count(*) FROM requests"), 300);
	assert_int_equal(number("SELECT min(started_at) FROM requests"),
	    T0 + 701000);
	assert_int_equal(steps, 700 / WRITER_UPKEEP_ROWS + 1);
	w.retention_ms = 0;
	w.max_rows = 10;
	do {
		assert_int_equal(writer_upkeep(&w, T0, &more, NULL), 0);
	} while (more);
	assert_int_equal(number("SELECT count(*) FROM requests"), 10);
	assert_int_equal(number("SELECT min(started_at) FROM requests"),
	    T0 + 991000);
	writer_fini(&w);
}

static void
a_database_moved_away_is_begun_anew(void **state)
{
	struct writer w;
	struct writer_done done;
	bool more;

	writer_init(&w);
	writer_set_path(&w, DB);
	put_row(&w, 1, 1);
	assert_int_equal(writer_commit(&w, &done, NULL), 0);
	assert_int_equal(rename(DB, "moved.db"), 0);
	assert_int_equal(writer_upkeep(&w, T0, &more, NULL), 0);
	put_row(&w, 2, 2);
	assert_int_equal(writer_commit(&w, &done, NULL), 0);
	assert_int_equal(number("SELECT count(*) FROM requests"), 1);
	writer_fini(&w);
}

/* ---- queries ---- */

static struct buf answer;

static int
on_row(struct slice json, void *arg)
{
	buf_put(&answer, json.p, json.n);
	buf_puts(&answer, "\n");
	return answer.failed ? BM_ELIMIT : 0;
}

static void
put_words(struct buf *b, const char *const *w)
{
	for (; *w != NULL; w++)
		strs_put(b, slice_of(*w));
}

static int
ask(struct cause *cause, uint64_t timeout_ms, const char *kind,
    const char *const *w)
{
	struct buf words;
	struct query q = { .path = DB, .kind = kind,
	    .now_unix_ms = T0 + 21000, .timeout_ms = timeout_ms,
	    .on_row = on_row };
	int r;

	*cause = (struct cause){ 0 };
	buf_fini(&answer);
	buf_init(&answer, 1 << 26);
	buf_init(&words, 1 << 20);
	put_words(&words, w);
	q.words = (struct slice){ (const char *)words.data, words.len };
	r = query_run(&q, cause);
	buf_fini(&words);
	return r;
}
#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define ASK(cause, kind, ...) ask(cause, 10000, kind, WORDS(__VA_ARGS__))

static int
n_lines(void)
{
	int n = 0;

	for (size_t i = 0; i < answer.len; i++)
		n += answer.data[i] == '\n';
	return n;
}

static struct writer twenty;

static int
setup_twenty(void **state)
{
	struct writer_done done;

	setup(state);
	writer_init(&twenty);
	writer_set_path(&twenty, DB);
	for (int i = 1; i <= 20; i++)
		put_row(&twenty, i, (uint32_t)i);
	return writer_commit(&twenty, &done, NULL);
}

static int
teardown_twenty(void **state)
{
	writer_fini(&twenty);
	buf_fini(&answer);
	return 0;
}

static void
log_filters(void **state)
{
	struct cause c;

	assert_int_equal(ASK(&c, "log", "--limit", "3"), 0);
	assert_int_equal(n_lines(), 3);
	/* The newest three, the oldest of them first. */
	assert_int_equal(memcmp(answer.data, "{\"id\":\"01890000-0000-7000-"
	    "8000-000000000018\",\"started_at\":1700000018000,", 71), 0);
	assert_non_null(strstr(buf_cstr(&answer), "\"tenant\":null,"));
	assert_non_null(strstr(buf_cstr(&answer), "\"queue_ms\":0.1,"));
	assert_non_null(strstr(buf_cstr(&answer),
	    "\"output\":\"secret \\\"answer\\\"\\n\""));
	assert_int_equal(ask(&c, 10000, "log", WORDS(NULL)), 0);
	assert_int_equal(n_lines(), 20);
	assert_int_equal(ASK(&c, "log", "--since", "5s"), 0);
	assert_int_equal(n_lines(), 5);
	assert_int_equal(ASK(&c, "log", "--model", "other"), 0);
	assert_int_equal(n_lines(), 6);
	assert_int_equal(ASK(&c, "log", "--tenant", "odd", "--status",
	    "timeout"), 0);
	assert_int_equal(n_lines(), 2);
	assert_int_equal(ASK(&c, "log", "--slow", "195", "--follow"), 0);
	assert_int_equal(n_lines(), 1);
	assert_int_equal(ASK(&c, "log", "--model", "' OR 1 --"), 0);
	assert_int_equal(n_lines(), 0);
	/* Following: what comes next, not what is newest. */
	assert_int_equal(ASK(&c, "log", "--limit", "2", "--after",
	    "01890000-0000-7000-8000-000000000005"), 0);
	assert_int_equal(n_lines(), 2);
	assert_non_null(strstr(buf_cstr(&answer), "000000000006"));
	assert_int_equal(db_exec(&twenty.db, "DELETE FROM requests WHERE id "
	    "LIKE '%05'", NULL), 0);
	assert_int_equal(ASK(&c, "log", "--after",
	    "01890000-0000-7000-8000-000000000005"), 0);
	assert_int_equal(n_lines(), 15);
}

static void
wrong_words(void **state)
{
	struct cause c;

	assert_int_equal(ASK(&c, "log", "--since", "soon"), BM_EUSAGE);
	assert_string_equal(c.text, "--since can't be soon");
	assert_int_equal(ASK(&c, "log", "--limit", "-1"), BM_EUSAGE);
	assert_int_equal(ASK(&c, "log", "--slow"), BM_EUSAGE);
	assert_int_equal(ASK(&c, "log", "--color", "red"), BM_EUSAGE);
	assert_int_equal(ASK(&c, "events", "--model", "x"), BM_EUSAGE);
	assert_int_equal(ASK(&c, "sql", "SELECT", "1"), BM_EUSAGE);
	assert_int_equal(ASK(&c, "sql", " ; -- nothing\n"), BM_EUSAGE);
	assert_int_equal(ASK(&c, "rows", "x"), BM_EUSAGE);
}

static void
sql_values(void **state)
{
	struct cause c;

	assert_int_equal(ASK(&c, "sql", ";; SELECT 1 AS a, 2 AS a, -0.5 AS r,"
	    " 1e999 AS i, NULL AS n, x'00ff' AS b, 'x' || char(10) AS t ;"
	    " -- end"), 0);
	assert_string_equal(buf_cstr(&answer), "{\"a\":1,\"a_2\":2,\"r\":-0.5,"
	    "\"i\":null,\"n\":null,\"b\":\"00ff\",\"t\":\"x\\n\"}\n");
	assert_int_equal(ASK(&c, "sql", "WITH m(n) AS (SELECT count(*) FROM "
	    "requests GROUP BY model) SELECT max(n) AS m FROM m"), 0);
	assert_string_equal(buf_cstr(&answer), "{\"m\":14}\n");
	/* params is JSON: its parts can be asked for. */
	assert_int_equal(ASK(&c, "sql", "SELECT sum(value) AS n FROM requests,"
	    " json_each(params) WHERE key = 'seed'"), 0);
	assert_string_equal(buf_cstr(&answer), "{\"n\":20}\n");
}

static void
sql_only_reads(void **state)
{
	static const struct { const char *sql, *word; } no[] = {
		{ "DELETE FROM requests", "DELETE" },
		{ "UPDATE requests SET model = 'x'", "UPDATE" },
		{ "INSERT INTO events (id, at, kind) VALUES (1, 2, 3)",
		    "INSERT" },
		{ "DROP TABLE requests", "D" },
		{ "CREATE TABLE t (x)", "" },
		{ "CREATE TEMP TABLE t (x)", "" },
		{ "ATTACH 'other.db' AS o", "ATTACH" },
		{ "PRAGMA user_version = 3", "PRAGMA" },
		{ "PRAGMA query_only = 0", "PRAGMA" },
		{ "SELECT * FROM pragma_journal_mode", "PRAGMA" },
		{ "SELECT load_extension('x.so')", "load_extension" },
		{ "BEGIN IMMEDIATE", "transaction" },
		{ "REINDEX", "" }, { "ANALYZE", "" },
		{ "EXPLAIN DELETE FROM requests", "DELETE" },
		{ "WITH x AS (SELECT 1) DELETE FROM requests", "DELETE" },
	};
	struct cause c;

	for (size_t i = 0; i < N_ELEMENTS(no); i++) {
		int r = ASK(&c, "sql", no[i].sql);

		if (r != BM_EBADREQ || strstr(c.text, no[i].word) == NULL)
			fail_msg("%s: %d %s", no[i].sql, r, c.text);
	}
	assert_true(ASK(&c, "sql", "UPDATE sqlite_master SET sql = ''") != 0);
	assert_int_equal(number("SELECT count(*) FROM sqlite_master WHERE "
	    "sql = ''"), 0);
	assert_true(ASK(&c, "sql", "VACUUM INTO 'copy.db'") != 0);
	assert_int_equal(access("copy.db", F_OK), -1);
	assert_true(ASK(&c, "sql", "VACUUM") != 0);
	assert_int_equal(ASK(&c, "sql", "SELECT 1; DELETE FROM requests"),
	    BM_EUSAGE);
	assert_int_equal(ASK(&c, "sql", "SELEC 1"), BM_EBADREQ);
	assert_non_null(strstr(c.text, "SELEC"));
	assert_int_equal(number("SELECT count(*) FROM requests"), 20);
}

static void
queries_end(void **state)
{
	struct cause c;

	assert_int_equal(ask(&c, 50, "sql", WORDS("WITH RECURSIVE c(i) AS "
	    "(SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT max(i) FROM c")),
	    BM_ETIMEOUT);
	assert_non_null(strstr(c.text, "50 ms"));
	/* 6 MiB a row: the eleventh is too much. */
	assert_int_equal(ask(&c, 60000, "sql", WORDS("WITH RECURSIVE c(i) AS "
	    "(SELECT 1 UNION ALL SELECT i + 1 FROM c) "
	    "SELECT zeroblob(3 << 20) AS b FROM c")), BM_ELIMIT);
	assert_int_equal(ASK(&c, "sql", "SELECT zeroblob(20 << 20)"),
	    BM_ELIMIT);
}

/* ---- the program ---- */

struct life {
	pid_t		 pid;
	struct sync_io	 master;
	struct sync_io	 gate;
	uint32_t	 acked;
	int		 log_code;	/* of the last LOG_STATE; 1: none yet */
};

static void
link_gate(struct life *l)
{
	struct msg_peer peer = { .role = R_GATE };
	int fds[2];

	assert_int_equal(fd_socketpair(fds), 0);
	sync_init(&l->gate, fds[0], R_GATE, R_REQLOG);
	assert_int_equal(sync_send(&l->master, MSG_PEER, 0, 0, &peer, fds[1]),
	    0);
	close(fds[1]);
	l->acked = 0;
	l->log_code = 1;
}

static void
send_conf(struct life *l, const char *keep, uint64_t timeout_ms)
{
	struct conf conf;
	struct msg_conf m;
	struct buf b;

	conf_init(&conf);
	free(conf.log_keep);
	conf.log_keep = xstrdup(keep);
	conf.log_retention = 0;
	conf.log_sql_timeout = timeout_ms;
	buf_init(&b, 1 << 20);
	conf_put(&b, &conf);
	m.conf = (struct slice){ (const char *)b.data, b.len };
	assert_int_equal(sync_send(&l->master, MSG_CONF, 0, 0, &m, -1), 0);
	buf_fini(&b);
	conf_fini(&conf);
}

static void
start(struct life *l, rlim_t file_bytes)
{
	int fds[2];

	assert_int_equal(fd_socketpair(fds), 0);
	l->pid = fork();
	assert_true(l->pid >= 0);
	if (l->pid == 0) {
		struct rlimit lim = { file_bytes, RLIM_INFINITY };
		int quiet = open("/dev/null", O_WRONLY);

		if (file_bytes != 0)
			setrlimit(RLIMIT_FSIZE, &lim);
		dup2(quiet, 2);
		/* dup2 onto itself would keep close-on-exec. */
		if (fds[1] == 3)
			fcntl(3, F_SETFD, 0);
		else
			dup2(fds[1], 3);
		execl(program, "reqlog", (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	sync_init(&l->master, fds[0], R_MASTER, R_REQLOG);
	send_conf(l, "full", 10000);
	link_gate(l);
}

static void
send_row(struct life *l, int i, uint32_t seq)
{
	char uuid[UUID_TEXT_SIZE];
	struct msg_row m = row_of(i, uuid);

	assert_int_equal(sync_send(&l->gate, MSG_ROW, seq, 0, &m, -1), 0);
}

static void
note(struct life *l, const struct frame *f)
{
	struct msg_ack ack;
	struct msg_log_state state;

	if (f->type == MSG_ACK) {
		assert_int_equal(msg_get_ack(f->body, &ack), 0);
		l->acked = ack.upto;
	} else if (f->type == MSG_LOG_STATE) {
		assert_int_equal(msg_get_log_state(f->body, &state), 0);
		l->log_code = state.code;
	}
}

static void
wait_acked(struct life *l, uint32_t upto)
{
	struct frame f;

	while (l->acked < upto) {
		assert_int_equal(sync_recv(&l->gate, &f, WAIT_MS), 0);
		note(l, &f);
	}
}

static void
wait_state(struct life *l, int code)
{
	struct frame f;

	while (l->log_code != code) {
		assert_int_equal(sync_recv(&l->gate, &f, WAIT_MS), 0);
		note(l, &f);
	}
}

static void
send_query(struct life *l, uint32_t seq, const char *kind,
    const char *const *w)
{
	struct buf b;
	struct msg_query m = { .kind = slice_of(kind) };

	buf_init(&b, 1 << 20);
	put_words(&b, w);
	m.words = (struct slice){ (const char *)b.data, b.len };
	assert_int_equal(sync_send(&l->gate, MSG_QUERY, seq, 0, &m, -1), 0);
	buf_fini(&b);
}

/* The records of the next RESULT go into answer. */
static int
wait_result(struct life *l, uint32_t seq)
{
	struct frame f;
	struct msg_record rec;
	struct msg_result res;

	buf_fini(&answer);
	buf_init(&answer, 1 << 27);
	for (;;) {
		assert_int_equal(sync_recv(&l->gate, &f, WAIT_MS), 0);
		note(l, &f);
		if (f.type == MSG_RECORD) {
			assert_int_equal(f.seq, seq);
			assert_int_equal(msg_get_record(f.body, &rec), 0);
			on_row(rec.json, NULL);
		} else if (f.type == MSG_RESULT) {
			assert_int_equal(f.seq, seq);
			assert_int_equal(msg_get_result(f.body, &res), 0);
			return res.code;
		}
	}
}

/* How it ended: the exit status, or 1000 and the signal. */
static int
reap(struct life *l)
{
	int status;

	assert_int_equal(waitpid(l->pid, &status, 0), l->pid);
	sync_fini(&l->master);
	sync_fini(&l->gate);
	return WIFEXITED(status) ? WEXITSTATUS(status) :
	    1000 + WTERMSIG(status);
}

static int
quit(struct life *l)
{
	struct msg_quit m = { 0 };

	assert_int_equal(sync_send(&l->master, MSG_QUIT, 0, 0, &m, -1), 0);
	return reap(l);
}

static void
rows_queries_and_quit(void **state)
{
	struct life l;
	struct msg_event e = { .uuid = slice_of("e1"), .at = T0,
	    .kind = slice_of("load"), .subject = slice_of("tale"), .uid = 7 };

	start(&l, 0);
	for (int i = 1; i <= 1500; i++)
		send_row(&l, i, (uint32_t)i);
	assert_int_equal(sync_send(&l.gate, MSG_EVENT, 1501, 0, &e, -1), 0);
	wait_acked(&l, 1501);
	assert_int_equal(l.log_code, 0);
	send_query(&l, 5, "log", WORDS("--limit", "1400"));
	send_query(&l, 6, "events", WORDS("--limit", "5"));
	assert_int_equal(wait_result(&l, 5), 0);
	assert_int_equal(n_lines(), 1400);
	assert_int_equal(wait_result(&l, 6), 0);
	assert_string_equal(buf_cstr(&answer), "{\"id\":\"e1\",\"at\":"
	    "1700000000000,\"kind\":\"load\",\"subject\":\"tale\","
	    "\"text\":null,\"uid\":7}\n");
	/* Signals meant for the group do not end it; QUIT loses nothing. */
	kill(l.pid, SIGTERM);
	kill(l.pid, SIGINT);
	send_row(&l, 1501, 1502);
	assert_int_equal(quit(&l), 0);
	assert_int_equal(number("SELECT count(*) FROM requests"), 1501);
	buf_fini(&answer);
}

static void
a_slow_query_delays_no_row(void **state)
{
	struct life l;

	start(&l, 0);
	send_row(&l, 1, 1);
	wait_acked(&l, 1);
	send_query(&l, 9, "sql", WORDS("WITH RECURSIVE c(i) AS (SELECT 1 UNION"
	    " ALL SELECT i + 1 FROM c) SELECT max(i) FROM c"));
	/* The query never ends by itself: an ACK now did not wait for it. */
	for (uint32_t i = 2; i <= 5; i++) {
		send_row(&l, (int)i, i);
		wait_acked(&l, i);
	}
	/* A new gate stops it, and is served at once. */
	sync_fini(&l.gate);
	link_gate(&l);
	send_query(&l, 3, "sql", WORDS("SELECT count(*) AS n FROM requests"));
	assert_int_equal(wait_result(&l, 3), 0);
	assert_string_equal(buf_cstr(&answer), "{\"n\":5}\n");
	assert_int_equal(quit(&l), 0);
	buf_fini(&answer);
}

/* More than the socket, the pieces and the channel hold, read slowly. */
static void
a_large_answer_comes_whole(void **state)
{
	struct life l;

	start(&l, 0);
	wait_state(&l, 0);
	send_query(&l, 1, "sql", WORDS("WITH RECURSIVE c(i) AS (SELECT 1 UNION"
	    " ALL SELECT i + 1 FROM c LIMIT 20000) SELECT i, "
	    "hex(zeroblob(500)) AS z FROM c"));
	send_query(&l, 2, "sql", WORDS("SELECT 7 AS n"));
	usleep(50000);
	assert_int_equal(wait_result(&l, 1), 0);
	assert_int_equal(n_lines(), 20000);
	assert_int_equal(wait_result(&l, 2), 0);
	assert_string_equal(buf_cstr(&answer), "{\"n\":7}\n");
	assert_int_equal(quit(&l), 0);
	buf_fini(&answer);
}

/* Killed at any moment: what was acknowledged is there, and sending the rest
 * again makes every row exactly one. */
static void
killed_rows_acknowledged_are_there(void **state)
{
	struct life l;

	for (int round = 0; round < 5; round++) {
		int first = 1 + 2000 * round;
		uint32_t acked;

		start(&l, 0);
		for (int i = 0; i < 1000 + 200 * round; i++)
			send_row(&l, first + i, (uint32_t)i + 1);
		wait_acked(&l, 512);
		acked = l.acked;
		kill(l.pid, SIGKILL);
		assert_int_equal(reap(&l), 1000 + SIGKILL);
		start(&l, 0);
		wait_state(&l, 0);
		assert_true(number("SELECT count(*) FROM requests") >=
		    2000 * round + (int64_t)acked);
		for (int i = (int)acked; i < 2000; i++)
			send_row(&l, first + i, (uint32_t)i + 1);
		wait_acked(&l, 2000);
		assert_int_equal(quit(&l), 0);
		assert_int_equal(number("SELECT count(*) FROM requests"),
		    2000 * (round + 1));
	}
}

/* No file may grow beyond 1 MiB until the limit is lifted from outside. */
static void
a_full_disk_keeps_the_rows(void **state)
{
	struct rlimit lim = { RLIM_INFINITY, RLIM_INFINITY };
	struct life l;
	int n = 6000;

	start(&l, 1 << 20);
	for (int i = 1; i <= n; i++)
		send_row(&l, i, (uint32_t)i);
	wait_state(&l, BM_EDISK);
	assert_true(l.acked < (uint32_t)n);
	/* It still answers what it can. */
	send_query(&l, 4, "sql", WORDS("SELECT count(*) AS n FROM requests"));
	assert_int_equal(wait_result(&l, 4), 0);
	assert_int_equal(prlimit(l.pid, RLIMIT_FSIZE, &lim, NULL), 0);
	wait_state(&l, 0);
	wait_acked(&l, (uint32_t)n);
	assert_int_equal(quit(&l), 0);
	assert_int_equal(number("SELECT count(*) FROM requests"), n);
	buf_fini(&answer);
}

/* More than this process keeps: it goes on reading, writes what it has once it
 * can, and ends so that the rest is sent to the next one. */
static void
beyond_memory_the_next_one_gets_the_rest(void **state)
{
	struct rlimit lim = { RLIM_INFINITY, RLIM_INFINITY };
	size_t n_bytes = (size_t)6 << 20;
	char *text = malloc(n_bytes), uuid[UUID_TEXT_SIZE];
	struct life l;
	struct frame f;
	uint32_t acked;
	int r;

	memset(text, 'x', n_bytes);
	start(&l, 1 << 20);
	for (int i = 1; i <= 12; i++) {
		struct msg_row m = row_of(i, uuid);

		m.prompt = (struct slice){ text, n_bytes };
		assert_int_equal(sync_send(&l.gate, MSG_ROW, (uint32_t)i, 0,
		    &m, -1), 0);
	}
	wait_state(&l, BM_EDISK);
	assert_int_equal(l.acked, 0);
	assert_int_equal(prlimit(l.pid, RLIMIT_FSIZE, &lim, NULL), 0);
	while ((r = sync_recv(&l.gate, &f, WAIT_MS)) == 0)
		note(&l, &f);
	assert_int_equal(r, BM_EWORKER);
	acked = l.acked;
	assert_true(acked >= 1 && acked < 12);
	assert_int_equal(reap(&l), 1);
	assert_int_equal(number("SELECT count(*) FROM requests"), acked);
	start(&l, 0);
	for (int i = (int)acked + 1; i <= 12; i++)
		send_row(&l, i, (uint32_t)i);
	wait_acked(&l, 12);
	assert_int_equal(quit(&l), 0);
	assert_int_equal(number("SELECT count(*) FROM requests"), 12);
	free(text);
}

static void
a_refused_database_is_told_and_tried_again(void **state)
{
	struct db db;
	struct life l;
	char sql[64];

	assert_int_equal(db_open(&db, DB, NULL), 0);
	assert_int_equal(db_exec(&db, "PRAGMA user_version = 99", NULL), 0);
	start(&l, 0);
	wait_state(&l, BM_EUNSUP);
	send_row(&l, 1, 1);
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d",
	    db_n_migrations);
	assert_int_equal(db_exec(&db, sql, NULL), 0);
	db_close(&db);
	wait_state(&l, 0);
	wait_acked(&l, 1);
	assert_int_equal(quit(&l), 0);
}

/* Gate and master both leave while it does not run: what is in the socket is
 * read before the end. */
static void
rows_before_quit_are_written(void **state)
{
	struct life l;

	start(&l, 0);
	wait_state(&l, 0);
	kill(l.pid, SIGSTOP);
	for (int i = 1; i <= 100; i++)
		send_row(&l, i, (uint32_t)i);
	shutdown(l.gate.fd, SHUT_RDWR);
	kill(l.pid, SIGCONT);
	assert_int_equal(quit(&l), 0);
	assert_int_equal(number("SELECT count(*) FROM requests"), 100);
}

static void
the_masters_end_is_its_end(void **state)
{
	struct life l;
	int status;

	start(&l, 0);
	send_row(&l, 1, 1);
	sync_fini(&l.master);
	send_row(&l, 2, 2);
	sync_fini(&l.gate);
	assert_int_equal(waitpid(l.pid, &status, 0), l.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(number("SELECT count(*) FROM requests"), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_test_vectors),
		cmocka_unit_test_setup(a_row_sent_twice_is_one_row, setup),
		cmocka_unit_test_setup(
		    rows_of_an_old_link_are_written_not_reported, setup),
		cmocka_unit_test_setup(what_is_kept_of_texts, setup),
		cmocka_unit_test_setup(a_broken_message_does_not_stop_the_log,
		    setup),
		cmocka_unit_test_setup(
		    a_foreign_change_of_the_schema_loses_nothing, setup),
		cmocka_unit_test_setup(memory_is_bounded, setup),
		cmocka_unit_test_setup(retention_by_age_and_number, setup),
		cmocka_unit_test_setup(a_database_moved_away_is_begun_anew,
		    setup),
		cmocka_unit_test_setup_teardown(log_filters, setup_twenty,
		    teardown_twenty),
		cmocka_unit_test_setup_teardown(wrong_words, setup_twenty,
		    teardown_twenty),
		cmocka_unit_test_setup_teardown(sql_values, setup_twenty,
		    teardown_twenty),
		cmocka_unit_test_setup_teardown(sql_only_reads, setup_twenty,
		    teardown_twenty),
		cmocka_unit_test_setup_teardown(queries_end, setup_twenty,
		    teardown_twenty),
		cmocka_unit_test_setup(rows_queries_and_quit, setup),
		cmocka_unit_test_setup(a_slow_query_delays_no_row, setup),
		cmocka_unit_test_setup(a_large_answer_comes_whole, setup),
		cmocka_unit_test_setup(killed_rows_acknowledged_are_there,
		    setup),
		cmocka_unit_test_setup(a_full_disk_keeps_the_rows, setup),
		cmocka_unit_test_setup(
		    beyond_memory_the_next_one_gets_the_rest, setup),
		cmocka_unit_test_setup(
		    a_refused_database_is_told_and_tried_again, setup),
		cmocka_unit_test_setup(rows_before_quit_are_written, setup),
		cmocka_unit_test_setup(the_masters_end_is_its_end, setup),
	};
	const char *top = getenv("top_builddir");
	int failed;

	if (top == NULL || snprintf(program, sizeof(program),
	    "%s/daemon/reqlog/reqlog", top) >= (int)sizeof(program))
		return 77;
	log_init("test_reqlog", LOG_LEVEL_ERROR, 0);
	if (mkdtemp(dir) == NULL || chdir(dir) != 0)
		return 99;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	setup(NULL);
	if (chdir("/") == 0)
		(void)rmdir(dir);
	return failed;
}

/* SPDX-License-Identifier: MIT */
/* Commands of operators. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gate_world.h"

/* The words of the next QUERY, joined by spaces; its seq. */
static uint32_t
hear_query(char *words, size_t size)
{
	struct frame f = hear_late(&o.reqlog, MSG_QUERY);
	struct msg_query q;
	struct cur list;
	struct slice word;
	size_t n = 0;

	assert_int_equal(msg_get_query(f.body, &q), 0);
	list = strs_of(q.words);
	words[0] = '\0';
	while (strs_next(&list, &word))
		n += (size_t)snprintf(words + n, size - n, "%s%.*s",
		    n > 0 ? " " : "", (int)word.n, word.p);
	return f.seq;
}

static void
answer(uint32_t seq, const char *json)
{
	if (json != NULL)
		say(&o.reqlog, MSG_RECORD, seq, 0,
		    &(struct msg_record){ slice_of(json) }, -1);
	say(&o.reqlog, MSG_RESULT, seq, 0, &(struct msg_result){ 0 }, -1);
}

static void
log_follow_asks_for_what_comes_next(void **state)
{
	int fd = admin_connect();
	char words[256];
	uint32_t seq;

	assert_string_equal(ask(fd,
	    "log --follow --status timeout --limit 2\n"), "");
	seq = hear_query(words, sizeof(words));
	assert_string_equal(words, "--limit 1");
	answer(seq, "{\"id\":\"newest\"}");
	seq = hear_query(words, sizeof(words));
	assert_string_equal(words, "--status timeout --limit 2");
	answer(seq, NULL);
	seq = hear_query(words, sizeof(words));
	assert_string_equal(words, "--status timeout --after newest");
	answer(seq, "{\"id\":\"later\"}");
	assert_string_equal(ask(fd, ""), "{\"id\":\"later\"}\n");
	seq = hear_query(words, sizeof(words));
	assert_string_equal(words, "--status timeout --after later");
	close(fd);
	spin();
	answer(seq, NULL);
}

static void
admin_commands(void **state)
{
	int fd = admin_connect();
	struct msg_event event;
	struct client c = { 0 };
	struct frame f;
	char line[128];

	assert_non_null(strstr(ask(fd, "nonsense\n"), "error code=usage"));
	assert_non_null(strstr(ask(fd, "help\n"), "\"words\":\"wait ready\""));
	assert_non_null(strstr(ask(fd, "show config\n"),
	    "\"key\":\"pending_rows\",\"value\":\"100000\""));
	assert_non_null(strstr(ask(fd, "wait ready --timeout 0\n"),
	    "error code=timeout"));
	worker_up(1, 1);
	assert_string_equal(ask(fd, "wait ready\n"), "ok\n");
	submit(&c, REQUEST_GENERATE, NULL);
	assert_non_null(strstr(ask(fd, "show requests\r\n"),
	    "\"state\":\"running\""));
	snprintf(line, sizeof(line), "cancel %s\n", c.r->uuid);
	assert_string_equal(ask(fd, line), "ok\n");
	assert_int_equal(c.code, BM_ECANCEL);
	expect_row("cancelled", "");
	f = hear(&o.reqlog, MSG_EVENT);
	assert_int_equal(msg_get_event(f.body, &event), 0);
	assert_true(slice_eq(event.kind, "cancel"));
	assert_int_equal(event.uid, getuid());

	/* Two commands at once: the second waits for the first's answer. */
	assert_string_equal(ask(fd, "show status\nload x \"/a b\"\n"), "");
	f = hear(&o.master, MSG_PROCS);
	say(&o.master, MSG_PROC, f.seq, 0, &(struct msg_proc){
	    .role = R_WORKER, .worker = 1, .rss_bytes = 12345 }, -1);
	hear_nothing(&o.master);
	say(&o.master, MSG_RESULT, f.seq, 0, &(struct msg_result){ 0 }, -1);
	assert_non_null(strstr(ask(fd, ""), "\"memory_bytes\":12345"));
	f = hear(&o.master, MSG_DO);
	say(&o.master, MSG_RESULT, f.seq, 0, &(struct msg_result){ BM_EFORMAT,
	    slice_of("no \"GGUF\"") }, -1);
	assert_string_equal(ask(fd, ""),
	    "error code=bad_format message=\"no \\\"GGUF\\\"\"\n");
	(void)hear(&o.reqlog, MSG_EVENT);

	/* reqlog dies over a question. */
	assert_string_equal(ask(fd, "sql \"SELECT 1\"\n"), "");
	f = hear(&o.reqlog, MSG_QUERY);
	say(&o.reqlog, MSG_RECORD, f.seq, 0, &(struct msg_record){
	    slice_of("{\"1\":1}") }, -1);
	sync_fini(&o.reqlog.io);
	spin();
	assert_non_null(strstr(ask(fd, ""), "{\"1\":1}\nerror code=overload"));
	link_peer(&o.reqlog, R_REQLOG, 0);
	close(fd);
	spin();
}

/* The answer to a question about processes, of which the master tells. */
static const char *
show(int fd, const char *line, const struct msg_proc *procs, size_t n)
{
	struct msg_result done = { 0 };
	struct frame f;

	assert_string_equal(ask(fd, line), "");
	f = hear(&o.master, MSG_PROCS);
	for (size_t i = 0; i < n; i++)
		say(&o.master, MSG_PROC, f.seq, 0, &procs[i], -1);
	say(&o.master, MSG_RESULT, f.seq, 0, &done, -1);
	return ask(fd, "");
}

static void
memory_that_workers_share_counts_once(void **state)
{
	static const struct msg_proc procs[] = {
		{ .role = R_MASTER, .rss_bytes = 10, .shared_bytes = 5 },
		{ .role = R_WORKER, .worker = 1, .rss_bytes = 1000,
		    .shared_bytes = 600 },
		{ .role = R_WORKER, .worker = 2, .rss_bytes = 1000,
		    .shared_bytes = 550 },
	};
	int fd = admin_connect();

	worker_up(1, 1);
	worker_up(2, 1);
	assert_non_null(strstr(show(fd, "show models\n", procs,
	    N_ELEMENTS(procs)), "\"memory_bytes\":846,"
	    "\"shared_bytes\":600,"));
	assert_non_null(strstr(show(fd, "show status\n", procs,
	    N_ELEMENTS(procs)), "\"memory_bytes\":1460"));
	close(fd);
	spin();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(log_follow_asks_for_what_comes_next),
		WORLD_TEST(admin_commands),
		WORLD_TEST(memory_that_workers_share_counts_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

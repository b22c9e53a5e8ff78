/* SPDX-License-Identifier: MIT */
/* Snapshots for those who watch. */
#include "config.h"

#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "gate_world.h"

#define JOIN_US	30000	/* by so much less do the times of two differ */

/* A round begins; it stays open until all who watch have joined it. */
static uint32_t
hear_procs(void)
{
	uint32_t seq = hear_late(&o.master, MSG_PROCS).seq;

	usleep(JOIN_US);
	spin();
	return seq;
}

static void
answer_procs(uint32_t seq, uint64_t rss_bytes)
{
	say(&o.master, MSG_PROC, seq, 0, &(struct msg_proc){
	    .role = R_MASTER, .pid = 1, .rss_bytes = rss_bytes }, -1);
	say(&o.master, MSG_RESULT, seq, 0, &(struct msg_result){ 0 }, -1);
}

/* One line has come that begins and contains like that. */
static void
expect_snapshot(int fd, unsigned seq, const char *part)
{
	const char *line = heard(fd);
	char begin[64];

	snprintf(begin, sizeof(begin), ",\"seq\":%u,\"interval_ms\":100,",
	    seq);
	if (strstr(line, begin) == NULL || strstr(line, part) == NULL)
		fail_msg("neither %s nor %s in: %s", begin, part, line);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void
who_watches_shares_rounds(void **state)
{
	int a = admin_connect(), b = admin_connect();
	uint32_t seq;

	assert_string_equal(ask(a, "watch interval_ms=100\n"), "");
	assert_string_equal(ask(b, "watch interval_ms=100\n"), "");
	answer_procs(hear_procs(), 111);
	hear_nothing(&o.master);
	expect_snapshot(a, 0, "\"rss_bytes\":111");
	expect_snapshot(b, 0, "\"rss_bytes\":111");
	gate_event(&o.g, "test", "", "it happened", -1);
	seq = hear_procs();
	spin();
	hear_nothing(&o.master);
	answer_procs(seq, 112);
	expect_snapshot(a, 1, "\"rss_bytes\":112");
	expect_snapshot(b, 1, "it happened");
	/* One goes while the master is asked. */
	seq = hear_procs();
	close(a);
	spin();
	answer_procs(seq, 113);
	expect_snapshot(b, 2, "\"events\":[]");
	close(b);
	spin();
	(void)hear(&o.reqlog, MSG_EVENT);
}

static void
a_slow_master_stops_no_snapshot(void **state)
{
	int fd = admin_connect();
	uint32_t seq;

	assert_string_equal(ask(fd, "watch interval_ms=100\n"), "");
	answer_procs(hear_procs(), 111);
	expect_snapshot(fd, 0, "\"rss_bytes\":111");
	seq = hear_procs();
	links_tick(&o.g, clock_now_ns() + CLOCK_NS_PER_S);
	expect_snapshot(fd, 1, "\"rss_bytes\":111");
	/* Not asked again as long as the answer is awaited. */
	answer_procs(seq, 112);
	assert_string_equal(heard(fd), "");
	answer_procs(hear_procs(), 113);
	expect_snapshot(fd, 2, "\"rss_bytes\":113");
	close(fd);
	spin();
}

static void
who_does_not_read_has_one_snapshot_waiting(void **state)
{
	int fd = admin_connect(), other = admin_connect();

	assert_string_equal(ask(fd, "watch interval_ms=100\n"), "");
	assert_string_equal(ask(other, "watch interval_ms=100\n"), "");
	answer_procs(hear_procs(), 111);
	expect_snapshot(other, 0, "\"rss_bytes\":111");
	gate_event(&o.g, "test", "", "meanwhile", -1);
	answer_procs(hear_procs(), 112);
	expect_snapshot(other, 1, "\"rss_bytes\":112");
	answer_procs(hear_procs(), 113);
	/* Read at last. */
	expect_snapshot(fd, 0, "\"rss_bytes\":111");
	answer_procs(hear_procs(), 114);
	expect_snapshot(fd, 3, "meanwhile");
	close(other);
	spin();
	/* Its end is an answer too. */
	shutdown(fd, SHUT_WR);
	assert_string_equal(heard(fd), "ok\n");
	close(fd);
	spin();
	(void)hear(&o.reqlog, MSG_EVENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(who_watches_shares_rounds),
		WORLD_TEST(a_slow_master_stops_no_snapshot),
		WORLD_TEST(who_does_not_read_has_one_snapshot_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

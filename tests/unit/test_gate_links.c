/* SPDX-License-Identifier: MIT */
/* Drains, and rows for a reqlog that fails or dies. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/pulse.h"
#include "gate/rows.h"
#include "gate_world.h"

static void
a_drained_worker_and_model_become_idle(void **state)
{
	struct client c[2] = { 0 };
	struct frame f;

	worker_up(1, 2);
	submit(&c[0], REQUEST_GENERATE, NULL);
	(void)hear(&o.worker[1], MSG_RUN);
	say(&o.master, MSG_WORKER_DRAIN, 0, 0,
	    &(struct msg_worker_drain){ 1 }, -1);
	model_state("draining", "");
	submit(&c[1], REQUEST_GENERATE, NULL);
	assert_int_equal(c[1].code, BM_EOVERLOAD);
	hear_nothing(&o.master);
	say_ended(&o.worker[1], 1, 0, 0);
	(void)hear(&o.master, MSG_MODEL_IDLE);
	f = hear(&o.master, MSG_WORKER_IDLE);
	(void)f;
	hear_nothing(&o.master);
}

static void
a_drain_ends_when_all_is_done_and_logged(void **state)
{
	struct client c[2] = { 0 };
	struct frame f;
	uint32_t seq;

	worker_up(1, 1);
	submit(&c[0], REQUEST_GENERATE, NULL);
	say(&o.master, MSG_DRAIN, 9, 0, &(struct msg_drain){ 0 }, -1);
	assert_int_equal(o.n_drains, 1);
	submit(&c[1], REQUEST_GENERATE, NULL);
	assert_int_equal(c[1].code, BM_EOVERLOAD);
	f = hear(&o.reqlog, MSG_ROW);
	links_tick(&o.g, clock_now_ns());
	hear_nothing(&o.master);
	say_ended(&o.worker[1], 1, 0, 0);
	seq = hear(&o.reqlog, MSG_ROW).seq;
	links_tick(&o.g, clock_now_ns());
	hear_nothing(&o.master);
	say(&o.reqlog, MSG_ACK, 0, 0, &(struct msg_ack){ seq }, -1);
	links_tick(&o.g, clock_now_ns());
	f = hear(&o.master, MSG_RESULT);
	assert_int_equal(f.seq, 9);
}

static void
a_drain_ends_late_requests(void **state)
{
	struct client c = { 0 };
	uint32_t seq;

	worker_up(1, 1);
	submit(&c, REQUEST_GENERATE, NULL);
	(void)hear(&o.worker[1], MSG_RUN);
	say(&o.master, MSG_DRAIN, 9, 0, &(struct msg_drain){ 60000 }, -1);
	links_tick(&o.g, o.g.drain_end_ns - 1);
	assert_int_equal(c.n_done, 0);
	links_tick(&o.g, o.g.drain_end_ns);
	assert_int_equal(c.code, BM_EOVERLOAD);
	hear_nothing(&o.master);
	seq = hear(&o.reqlog, MSG_ROW).seq;
	/* A reqlog that never confirms does not hold up the end. */
	links_tick(&o.g, o.g.drain_end_ns + 60 * CLOCK_NS_PER_S);
	assert_int_equal(hear(&o.master, MSG_RESULT).seq, 9);
	assert_int_equal(o.g.rows->n, 1);
	say(&o.reqlog, MSG_ACK, 0, 0, &(struct msg_ack){ seq }, -1);
	assert_int_equal(o.g.rows->n, 0);
}

static void
a_failing_log_is_shown_and_survived(void **state)
{
	struct frame f;

	gate_event(&o.g, "load", "tale", "first", 0);
	f = hear(&o.reqlog, MSG_EVENT);
	say(&o.reqlog, MSG_LOG_STATE, 0, 0, &(struct msg_log_state){
	    BM_EDISK, slice_of("database or disk is full") }, -1);
	assert_int_equal(o.g.log_code, BM_EDISK);
	assert_string_equal(o.g.log_text, "database or disk is full");
	/* That is an event too, and it waits like the other. */
	(void)hear(&o.reqlog, MSG_EVENT);
	assert_int_equal(o.g.rows->n, 2);
	say(&o.reqlog, MSG_LOG_STATE, 0, 0, &(struct msg_log_state){ 0 }, -1);
	assert_int_equal(o.g.log_code, 0);
	f = hear(&o.reqlog, MSG_EVENT);
	say(&o.reqlog, MSG_ACK, 0, 0, &(struct msg_ack){ f.seq }, -1);
	assert_int_equal(o.g.rows->n, 0);
}

static void
a_new_reqlog_gets_unconfirmed_rows_again(void **state)
{
	struct frame f;
	struct msg_event m;
	uint32_t seq;

	gate_event(&o.g, "load", "tale", "first", 0);
	gate_event(&o.g, "load", "tale", "second", 0);
	seq = hear(&o.reqlog, MSG_EVENT).seq;
	(void)hear(&o.reqlog, MSG_EVENT);
	say(&o.reqlog, MSG_ACK, 0, 0, &(struct msg_ack){ seq }, -1);
	sync_fini(&o.reqlog.io);
	spin();
	assert_null(o.g.reqlog);
	gate_event(&o.g, "load", "tale", "third", 0);
	link_peer(&o.reqlog, R_REQLOG, 0);
	f = hear(&o.reqlog, MSG_EVENT);
	assert_int_equal(msg_get_event(f.body, &m), 0);
	assert_true(slice_eq(m.text, "second"));
	f = hear(&o.reqlog, MSG_EVENT);
	assert_int_equal(msg_get_event(f.body, &m), 0);
	assert_true(slice_eq(m.text, "third"));
}

static void
the_pulse_beats_with_every_tick(void **state)
{
	struct pulse *p;
	struct cause why;
	int fd;

	links_tick(&o.g, clock_now_ns());
	assert_int_equal(pulse_new(&p, &fd, &why), 0);
	say(&o.master, MSG_PULSE, 0, 0, &(struct msg_pulse){ 0 }, fd);
	close(fd);
	assert_int_equal(p->beats, 0);
	links_tick(&o.g, clock_now_ns());
	links_tick(&o.g, clock_now_ns());
	assert_int_equal(p->beats, 2);
	pulse_free(&p);
	pulse_free(&o.g.pulse);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_drained_worker_and_model_become_idle),
		WORLD_TEST(a_drain_ends_when_all_is_done_and_logged),
		WORLD_TEST(a_drain_ends_late_requests),
		WORLD_TEST(a_failing_log_is_shown_and_survived),
		WORLD_TEST(a_new_reqlog_gets_unconfirmed_rows_again),
		WORLD_TEST(the_pulse_beats_with_every_tick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

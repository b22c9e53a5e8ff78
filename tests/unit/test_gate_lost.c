/* SPDX-License-Identifier: MIT */
/* What becomes of requests whose worker dies. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "gate_world.h"

static void
a_dead_worker_loses_nothing(void **state)
{
	struct client c[2] = { 0 };
	struct frame f;
	struct msg_run run;

	worker_up(1, 1);
	submit(&c[0], REQUEST_GENERATE, NULL);
	submit(&c[1], REQUEST_GENERATE, NULL);
	f = hear(&o.worker[1], MSG_RUN);
	say_out(&o.worker[1], f.id, 11, " upon");
	worker_down(1);
	assert_int_equal(o.g.n_running, 0);
	assert_int_equal(o.g.n_queued, 2);
	worker_died(1, 0);
	worker_up(2, 1);
	/* The one that ran goes first and brings what the client has. */
	f = hear(&o.worker[2], MSG_RUN);
	assert_int_equal(f.id, 1);
	assert_int_equal(msg_get_run(f.body, &run), 0);
	assert_int_equal(run.resume.n, 1);
	assert_int_equal(words_at(run.resume, 0), 11);
	assert_int_equal(run.seed, 7);
	say_out(&o.worker[2], 1, 12, " a");
	say_ended(&o.worker[2], 1, 0, 2);
	assert_string_equal(c[0].text, " upon a");
	assert_int_equal(c[0].n_tokens, 2);
	assert_int_equal(c[0].code, 0);
	expect_row("ok", " upon a");
	f = hear(&o.worker[2], MSG_RUN);
	say_ended(&o.worker[2], f.id, 0, 0);
	assert_int_equal(c[1].n_done, 1);
}

/* A worker ends by its own fault while it works on the first of two. */
static void
a_suspect_runs_alone(void **state)
{
	struct client c[2] = { 0 };

	worker_up(1, 2);
	submit(&c[0], REQUEST_GENERATE, NULL);
	submit(&c[1], REQUEST_GENERATE, NULL);
	(void)hear(&o.worker[1], MSG_RUN);
	(void)hear(&o.worker[1], MSG_RUN);
	worker_down(1);
	worker_up(2, 2);
	/* Nothing goes on before it is known how the worker died. */
	hear_nothing(&o.worker[2]);
	worker_died(1, 1);
	assert_int_equal(hear(&o.worker[2], MSG_RUN).id, 1);
	hear_nothing(&o.worker[2]);
	/* It got further: it was not this one. */
	for (uint32_t token = 0; token < 4; token++)
		say_out(&o.worker[2], 1, token, "x");
	assert_int_equal(hear(&o.worker[2], MSG_RUN).id, 2);
	say_ended(&o.worker[2], 1, 0, 4);
	say_ended(&o.worker[2], 2, 0, 0);
	assert_int_equal(c[0].code, 0);
	assert_int_equal(c[1].code, 0);
}

static void
poison_is_not_taken_thrice(void **state)
{
	struct client c = { 0 };

	submit(&c, REQUEST_GENERATE, NULL);
	for (uint32_t i = 1; i <= 2; i++) {
		worker_up(i, 2);
		(void)hear(&o.worker[i], MSG_RUN);
		assert_int_equal(c.n_done, 0);
		worker_down(i);
		worker_died(i, 1);
	}
	assert_int_equal(c.n_done, 1);
	assert_int_equal(c.code, BM_EWORKER);
}

static void
retries_are_bounded(void **state)
{
	struct client c = { 0 };

	o.g.conf.limits_retries = 1;
	for (uint32_t i = 1; i <= 2; i++) {
		worker_up(i, 1);
		if (i == 1)
			submit(&c, REQUEST_GENERATE, NULL);
		(void)hear(&o.worker[i], MSG_RUN);
		assert_int_equal(c.n_done, 0);
		worker_down(i);
		worker_died(i, 0);
	}
	assert_int_equal(c.n_done, 1);
	assert_int_equal(c.code, BM_EWORKER);
	expect_row("worker_lost", "");
}

/* Between its worker's death and the news of how. */
static void
detained_ones_can_be_ended(void **state)
{
	struct client c[4] = { 0 };

	o.g.conf.limits_request_timeout = 1000;
	worker_up(1, 4);
	for (size_t i = 0; i < 4; i++) {
		submit(&c[i], REQUEST_GENERATE, NULL);
		(void)hear(&o.worker[1], MSG_RUN);
	}
	worker_down(1);
	worker_up(2, 4);
	hear_nothing(&o.worker[2]);
	request_cancel(&o.g, c[0].r);
	assert_int_equal(c[0].code, BM_ECANCEL);
	expect_row("cancelled", "");
	request_abandon(&o.g, c[1].r);
	expect_row("cancelled", "");
	core_deadlines(&o.g, c[2].r->arrived_ns + 1000 * CLOCK_NS_PER_MS);
	assert_int_equal(c[2].code, BM_ETIMEOUT);
	expect_row("timeout", "");
	assert_int_equal(c[1].n_done, 0);
	assert_int_equal(o.g.n_queued, 1);
	/* To blame one that is gone harms nobody. */
	worker_died(1, 1);
	hear_nothing(&o.reqlog);
	assert_int_equal(hear(&o.worker[2], MSG_RUN).id, 4);
	say_ended(&o.worker[2], 4, 0, 0);
	assert_int_equal(c[3].n_done, 1);
}

/* Suspects: one that waits for an idle worker, and one that has it. */
static void
suspects_can_be_ended(void **state)
{
	struct client c[3] = { 0 };
	struct frame f;

	worker_up(1, 2);
	submit(&c[0], REQUEST_GENERATE, NULL);
	(void)hear(&o.worker[1], MSG_RUN);
	worker_down(1);
	worker_died(1, 1);
	(void)hear(&o.reqlog, MSG_EVENT);
	worker_up(2, 2);
	f = hear(&o.worker[2], MSG_RUN);
	assert_int_equal(f.id, 1);
	submit(&c[1], REQUEST_GENERATE, NULL);
	hear_nothing(&o.worker[2]);
	request_cancel(&o.g, c[0].r);
	assert_int_equal(c[0].code, BM_ECANCEL);
	(void)hear(&o.worker[2], MSG_CANCEL);
	/* It is alone there until the worker has ended it, too. */
	hear_nothing(&o.worker[2]);
	say_ended(&o.worker[2], 1, BM_ECANCEL, 0);
	assert_int_equal(hear(&o.worker[2], MSG_RUN).id, 2);

	worker_up(1, 2);
	submit(&c[2], REQUEST_GENERATE, NULL);
	assert_int_equal(hear(&o.worker[1], MSG_RUN).id, 3);
	worker_down(1);
	worker_died(1, 3);
	hear_nothing(&o.worker[2]);
	assert_true(c[2].r->is_suspect && c[2].r->worker == NULL);
	request_cancel(&o.g, c[2].r);
	assert_int_equal(c[2].code, BM_ECANCEL);
	say_ended(&o.worker[2], 2, 0, 0);
	hear_nothing(&o.worker[2]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_dead_worker_loses_nothing),
		WORLD_TEST(a_suspect_runs_alone),
		WORLD_TEST(poison_is_not_taken_thrice),
		WORLD_TEST(retries_are_bounded),
		WORLD_TEST(detained_ones_can_be_ended),
		WORLD_TEST(suspects_can_be_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The life of a request in the gate: queue, worker, end. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gate/rows.h"
#include "gate_world.h"

static void
a_request_runs(void **state)
{
	struct client c = { 0 };
	struct frame f;
	struct msg_run run;

	worker_up(1, 2);
	submit(&c, REQUEST_GENERATE, NULL);
	assert_int_equal(c.n_queued, 1);
	f = hear(&o.worker[1], MSG_RUN);
	assert_int_equal(msg_get_run(f.body, &run), 0);
	assert_true(slice_eq(run.text, "Once"));
	assert_int_equal(run.seed, 7);
	assert_int_equal(run.resume.n, 0);
	say_out(&o.worker[1], f.id, 11, " upon");
	say_out(&o.worker[1], f.id, 12, " a time");
	assert_string_equal(c.text, " upon a time");
	say_ended(&o.worker[1], f.id, 0, 2);
	assert_int_equal(c.n_done, 1);
	assert_int_equal(c.code, 0);
	assert_int_equal(c.finish, FINISH_LENGTH);
	assert_int_equal(c.completion_tokens, 2);
	expect_row("ok", " upon a time");
	assert_int_equal(o.g.rows->n, 0);
}

static void
the_queue_waits_in_order(void **state)
{
	struct client c[4] = { 0 };
	struct frame f;

	o.g.conf.limits_queue = 2;
	worker_up(1, 1);
	for (size_t i = 0; i < 4; i++)
		submit(&c[i], REQUEST_GENERATE, "tale");
	f = hear(&o.worker[1], MSG_RUN);
	assert_int_equal(c[0].n_queued, 1);
	assert_int_equal(c[1].n_queued, 1);
	assert_int_equal(c[1].position, 0);
	assert_int_equal(c[2].position, 1);
	assert_int_equal(c[3].code, BM_EQUEUE);
	assert_true(c[3].retry_ms > 0);
	hear_nothing(&o.worker[1]);
	say_ended(&o.worker[1], f.id, 0, 0);
	f = hear(&o.worker[1], MSG_RUN);
	assert_int_equal(f.id, 2);
	say_ended(&o.worker[1], f.id, 0, 0);
	f = hear(&o.worker[1], MSG_RUN);
	assert_int_equal(f.id, 3);
	say_ended(&o.worker[1], f.id, 0, 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(c[i].n_done, 1);
}

static void
positions_are_told_as_they_change(void **state)
{
	struct client c[4] = { 0 };
	uint64_t now_ns = clock_now_ns();
	struct frame f;

	worker_up(1, 1);
	submit(&c[0], REQUEST_GENERATE, "tale");
	for (size_t i = 1; i < 4; i++)
		submit(&c[i], REQUEST_GENERATE, "tale");
	f = hear(&o.worker[1], MSG_RUN);
	assert_int_equal(c[0].wait_ms, 0);
	assert_int_equal(c[3].position, 2);
	assert_int_equal(c[3].wait_ms, 3000);
	positions_tick(&o.g, now_ns);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(c[i].n_queued, 1);
	say_ended(&o.worker[1], f.id, 0, 0);
	(void)hear(&o.worker[1], MSG_RUN);
	/* Not at once again, ... */
	positions_tick(&o.g, now_ns + CLOCK_NS_PER_MS);
	assert_int_equal(c[3].n_queued, 1);
	/* ... and a callback may end any of them. */
	c[2].victim = c[3].r;
	positions_tick(&o.g, now_ns + CLOCK_NS_PER_S);
	assert_int_equal(c[1].n_queued, 1);
	assert_int_equal(c[2].n_queued, 2);
	assert_int_equal(c[2].position, 0);
	assert_int_equal(c[3].n_queued, 1);
	assert_int_equal(c[3].code, BM_ECANCEL);
	positions_tick(&o.g, now_ns + 2 * CLOCK_NS_PER_S);
	assert_int_equal(c[2].n_queued, 2);
	request_cancel(&o.g, c[2].r);
	say_ended(&o.worker[1], 2, 0, 0);
}

static void
cancelling_frees_the_slot_when_the_worker_ended(void **state)
{
	struct client c[2] = { 0 };
	struct frame f;

	worker_up(1, 1);
	submit(&c[0], REQUEST_GENERATE, NULL);
	submit(&c[1], REQUEST_GENERATE, NULL);
	f = hear(&o.worker[1], MSG_RUN);
	say_out(&o.worker[1], f.id, 11, " upon");
	assert_ptr_equal(core_find_uuid(&o.g, c[0].r->uuid), c[0].r);
	request_cancel(&o.g, c[0].r);
	assert_int_equal(c[0].n_done, 1);
	assert_int_equal(c[0].code, BM_ECANCEL);
	assert_int_equal(c[0].completion_tokens, 1);
	f = hear(&o.worker[1], MSG_CANCEL);
	assert_int_equal(f.id, 1);
	/* Output that was on its way is nobody's. */
	say_out(&o.worker[1], 1, 12, " a");
	assert_string_equal(c[0].text, " upon");
	hear_nothing(&o.worker[1]);
	say_ended(&o.worker[1], 1, BM_ECANCEL, 1);
	assert_int_equal(c[0].n_done, 1);
	f = hear(&o.worker[1], MSG_RUN);
	assert_int_equal(f.id, 2);
	expect_row("cancelled", " upon");
	say_ended(&o.worker[1], 2, 0, 0);
}

static void
abandoned_inside_a_callback(void **state)
{
	struct client c = { .abandons = true };
	struct frame f;

	worker_up(1, 1);
	submit(&c, REQUEST_GENERATE, NULL);
	f = hear(&o.worker[1], MSG_RUN);
	say_out(&o.worker[1], f.id, 11, " upon");
	assert_int_equal(c.n_done, 0);
	assert_int_equal(o.g.requests.n, 0);
	f = hear(&o.worker[1], MSG_CANCEL);
	expect_row("cancelled", " upon");
	say_ended(&o.worker[1], f.id, BM_ECANCEL, 1);
}

static void
deadlines_hold_in_queue_and_worker(void **state)
{
	struct client c[2] = { 0 };

	o.g.conf.limits_request_timeout = 1000;
	worker_up(1, 1);
	submit(&c[0], REQUEST_GENERATE, NULL);
	submit(&c[1], REQUEST_GENERATE, NULL);
	(void)hear(&o.worker[1], MSG_RUN);
	core_deadlines(&o.g, c[0].r->arrived_ns + 999 * CLOCK_NS_PER_MS);
	assert_int_equal(c[0].n_done, 0);
	core_deadlines(&o.g, c[1].r->arrived_ns + 1000 * CLOCK_NS_PER_MS);
	assert_int_equal(c[0].code, BM_ETIMEOUT);
	assert_int_equal(c[1].code, BM_ETIMEOUT);
	assert_int_equal(c[0].n_done + c[1].n_done, 2);
	(void)hear(&o.worker[1], MSG_CANCEL);
	expect_row("timeout", "");
	expect_row("timeout", "");
}

static void
refusals_say_why(void **state)
{
	struct client c[4] = { 0 };
	struct conf_tenant *t = conf_add_tenant(&o.g.conf, "a");
	struct request *r;

	t->max_running = 1;
	submit(&c[0], REQUEST_GENERATE, "nosuch");
	assert_int_equal(c[0].code, BM_ENOMODEL);
	assert_non_null(strstr(c[0].message, "tale"));
	expect_row("unknown_model", "");
	for (size_t i = 1; i < 3; i++) {
		r = request_new(REQUEST_GENERATE);
		r->tenant = xstrdup("a");
		r->events = &client_events;
		r->arg = &c[i];
		request_submit(&o.g, r);
	}
	assert_int_equal(c[1].n_queued, 1);
	assert_int_equal(c[2].code, BM_EQUOTA);
	expect_row("quota", "");
	/* What waited for the model learns why it will not come. */
	model_state("failed", "tensor output is missing");
	assert_int_equal(c[1].code, BM_EOVERLOAD);
	assert_string_equal(c[1].message, "tensor output is missing");
	submit(&c[3], REQUEST_GENERATE, "tale");
	assert_int_equal(c[3].code, BM_EOVERLOAD);
	assert_non_null(strstr(c[3].message, "tensor output is missing"));
}

static void
asides_pass_the_queue(void **state)
{
	struct client c[3] = { 0 };
	struct frame f;
	uint8_t le[8] = { 1, 0, 0, 0, 2, 1 };
	struct msg_tokens tokens = { { le, 2 } };

	worker_up(1, 1);
	submit(&c[0], REQUEST_GENERATE, NULL);
	submit(&c[1], REQUEST_TOKENIZE, NULL);
	submit(&c[2], REQUEST_DETOKENIZE, NULL);
	(void)hear(&o.worker[1], MSG_RUN);
	f = hear(&o.worker[1], MSG_TOKENIZE);
	/* A worker may answer by seq alone. */
	say(&o.worker[1], MSG_TOKENS, f.seq, 0, &tokens, -1);
	assert_int_equal(c[1].n_done, 1);
	assert_int_equal(c[1].code, 0);
	assert_int_equal(c[1].n_tokens, 2);
	assert_int_equal(c[1].tokens[1], 258);
	f = hear(&o.worker[1], MSG_DETOKENIZE);
	say(&o.worker[1], MSG_RESULT, f.seq, f.id, &(struct msg_result){
	    BM_EBADREQ, slice_of("token 9 is none") }, -1);
	assert_int_equal(c[2].code, BM_EBADREQ);
	assert_string_equal(c[2].message, "token 9 is none");
	say_ended(&o.worker[1], 1, 0, 0);
	expect_row("ok", "");
	hear_nothing(&o.reqlog);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_request_runs),
		WORLD_TEST(the_queue_waits_in_order),
		WORLD_TEST(positions_are_told_as_they_change),
		WORLD_TEST(cancelling_frees_the_slot_when_the_worker_ended),
		WORLD_TEST(abandoned_inside_a_callback),
		WORLD_TEST(deadlines_hold_in_queue_and_worker),
		WORLD_TEST(refusals_say_why),
		WORLD_TEST(asides_pass_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The supervisor with a clock of our own: no process is harmed. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "master/supervise.h"

#define AT_MS(ms) ((uint64_t)(ms) * CLOCK_NS_PER_MS)

static const struct sup_limits limits = { .start_timeout_ms = 10000,
    .backoff_min_ms = 100, .backoff_max_ms = 1000,
    .backoff_reset_ms = 60000 };

/* Start it and let it load; ready at the given time. */
static void
make_ready(struct sup *s, uint64_t now_ns)
{
	assert_int_equal(sup_start(s), SUP_SPAWN);
	sup_spawned(s, &limits, now_ns);
	assert_int_equal(s->state, SUP_STARTING);
	sup_loading(s);
	assert_int_equal(s->state, SUP_LOADING);
	sup_ready(s, now_ns);
	assert_int_equal(s->state, SUP_READY);
}

/* The pause after a crash at now_ns, in milliseconds. */
static uint64_t
crash(struct sup *s, uint64_t now_ns)
{
	assert_true(sup_exited(s, &limits, now_ns));
	assert_int_equal(s->state, SUP_BACKOFF);
	assert_false(s->has_process);
	return (s->wake_ns - now_ns) / CLOCK_NS_PER_MS;
}

static void
a_life_without_trouble(void **state)
{
	struct sup s;

	sup_init(&s);
	assert_int_equal(s.state, SUP_STOPPED);
	assert_true(s.wake_ns == SUP_NEVER);
	make_ready(&s, AT_MS(5));
	assert_true(s.wake_ns == SUP_NEVER);
	assert_int_equal(sup_start(&s), SUP_NOTHING);
	sup_draining(&s);
	assert_int_equal(s.state, SUP_DRAINING);
	assert_int_equal(sup_stop(&s, AT_MS(10)), SUP_QUIT);
	assert_int_equal(s.state, SUP_STOPPING);
	assert_int_equal(sup_stop(&s, AT_MS(11)), SUP_NOTHING);
	assert_false(sup_exited(&s, &limits, AT_MS(12)));
	assert_int_equal(s.state, SUP_STOPPED);
	assert_int_equal(s.restarts, 0);
	assert_true(s.wake_ns == SUP_NEVER);
}

static void
loading_that_gets_on_may_take_long(void **state)
{
	struct sup s;

	sup_init(&s);
	assert_int_equal(sup_start(&s), SUP_SPAWN);
	sup_spawned(&s, &limits, AT_MS(0));
	sup_loading(&s);
	for (uint64_t ms = 9000; ms < 90000; ms += 9000) {
		assert_int_equal(sup_tick(&s, AT_MS(ms)), SUP_NOTHING);
		sup_progress(&s, &limits, AT_MS(ms));
	}
	assert_int_equal(sup_tick(&s, AT_MS(90999)), SUP_NOTHING);
	assert_int_equal(sup_tick(&s, AT_MS(91000)), SUP_KILL);
	/* one that is ready is not measured any more */
	sup_init(&s);
	make_ready(&s, AT_MS(0));
	sup_progress(&s, &limits, AT_MS(1));
	assert_true(s.wake_ns == SUP_NEVER);
}

static void
the_pause_doubles_up_to_its_limit(void **state)
{
	static const uint64_t want[] = { 100, 200, 400, 800, 1000, 1000 };
	struct sup s;
	uint64_t now = AT_MS(1);

	sup_init(&s);
	make_ready(&s, now);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(crash(&s, now), want[i]);
		assert_int_equal(s.restarts, i + 1);
		assert_int_equal(sup_tick(&s, s.wake_ns - 1), SUP_NOTHING);
		assert_int_equal(s.state, SUP_BACKOFF);
		now = s.wake_ns;
		assert_int_equal(sup_tick(&s, now), SUP_SPAWN);
		sup_spawned(&s, &limits, now);
		sup_ready(&s, now);
		now += AT_MS(1);
	}
}

static void
health_is_rewarded(void **state)
{
	struct sup s;
	uint64_t now = AT_MS(1);

	sup_init(&s);
	make_ready(&s, now);
	assert_int_equal(crash(&s, now), 100);
	sup_spawned(&s, &limits, now);
	sup_ready(&s, now);
	/* One millisecond short of it: still doubled. */
	now += AT_MS(59999);
	assert_int_equal(crash(&s, now), 200);
	sup_spawned(&s, &limits, now);
	sup_ready(&s, now);
	now += AT_MS(60000);
	assert_int_equal(crash(&s, now), 100);
	/* Loading for long is no health. */
	sup_spawned(&s, &limits, now);
	sup_loading(&s);
	assert_int_equal(crash(&s, now + AT_MS(70000)), 200);
}

static void
one_that_never_starts_is_killed(void **state)
{
	struct sup s;

	sup_init(&s);
	assert_int_equal(sup_start(&s), SUP_SPAWN);
	sup_spawned(&s, &limits, AT_MS(0));
	sup_loading(&s);
	assert_int_equal(sup_tick(&s, AT_MS(9999)), SUP_NOTHING);
	assert_int_equal(sup_tick(&s, AT_MS(10000)), SUP_KILL);
	/* Once is enough. */
	assert_int_equal(sup_tick(&s, AT_MS(10001)), SUP_NOTHING);
	assert_int_equal(crash(&s, AT_MS(10002)), 100);
}

static void
one_that_does_not_end_is_killed(void **state)
{
	struct sup s;

	sup_init(&s);
	make_ready(&s, AT_MS(0));
	assert_int_equal(sup_stop(&s, AT_MS(50)), SUP_QUIT);
	assert_int_equal(sup_tick(&s, AT_MS(50 + SUP_GRACE_MS) - 1),
	    SUP_NOTHING);
	assert_int_equal(sup_tick(&s, AT_MS(50 + SUP_GRACE_MS)), SUP_KILL);
	/* A death we wanted is no crash. */
	assert_false(sup_exited(&s, &limits, AT_MS(9000)));
	assert_int_equal(s.state, SUP_STOPPED);
}

static void
one_without_a_link_is_killed(void **state)
{
	struct sup s;

	sup_init(&s);
	make_ready(&s, AT_MS(0));
	sup_link_lost(&s, AT_MS(100));
	assert_int_equal(sup_tick(&s, AT_MS(100 + SUP_GRACE_MS)), SUP_KILL);
	assert_int_equal(crash(&s, AT_MS(9000)), 100);
	/* Without a process there is nothing to wait for. */
	s.wake_ns = SUP_NEVER;
	sup_link_lost(&s, AT_MS(9001));
	assert_true(s.wake_ns == SUP_NEVER);
}

static void
a_bad_model_is_not_tried_again(void **state)
{
	struct sup s;

	sup_init(&s);
	assert_int_equal(sup_start(&s), SUP_SPAWN);
	sup_spawned(&s, &limits, AT_MS(0));
	sup_loading(&s);
	assert_int_equal(sup_load_failed(&s, AT_MS(3)), SUP_QUIT);
	assert_false(sup_exited(&s, &limits, AT_MS(4)));
	assert_int_equal(s.state, SUP_FAILED);
	assert_true(s.wake_ns == SUP_NEVER);
	assert_int_equal(sup_tick(&s, AT_MS(1000000)), SUP_NOTHING);
	/* An operator may. */
	assert_int_equal(sup_start(&s), SUP_SPAWN);
	sup_spawned(&s, &limits, AT_MS(2000000));
	assert_int_equal(s.state, SUP_STARTING);
}

static void
a_retry_while_it_is_still_ending(void **state)
{
	struct sup s;

	sup_init(&s);
	assert_int_equal(sup_start(&s), SUP_SPAWN);
	sup_spawned(&s, &limits, AT_MS(0));
	assert_int_equal(sup_load_failed(&s, AT_MS(3)), SUP_QUIT);
	assert_int_equal(sup_start(&s), SUP_NOTHING);
	assert_false(sup_exited(&s, &limits, AT_MS(4)));
	/* Not failed: whoever looks next starts it. */
	assert_int_equal(s.state, SUP_STOPPED);
}

static void
stopping_while_it_waits(void **state)
{
	struct sup s;

	sup_init(&s);
	make_ready(&s, AT_MS(0));
	(void)crash(&s, AT_MS(1));
	assert_int_equal(sup_stop(&s, AT_MS(2)), SUP_NOTHING);
	assert_int_equal(s.state, SUP_STOPPED);
	assert_int_equal(sup_tick(&s, AT_MS(5000)), SUP_NOTHING);
}

static void
a_draining_one_that_dies_stays_away(void **state)
{
	struct sup s;

	sup_init(&s);
	make_ready(&s, AT_MS(0));
	sup_draining(&s);
	assert_true(sup_exited(&s, &limits, AT_MS(1)));
	assert_int_equal(s.state, SUP_STOPPED);
	assert_int_equal(sup_tick(&s, AT_MS(5000)), SUP_NOTHING);
}

static void
fork_fails(void **state)
{
	struct sup s;

	sup_init(&s);
	assert_int_equal(sup_start(&s), SUP_SPAWN);
	sup_spawn_failed(&s, &limits, AT_MS(1));
	assert_int_equal(s.state, SUP_BACKOFF);
	assert_int_equal(sup_tick(&s, AT_MS(101)), SUP_SPAWN);
	sup_spawn_failed(&s, &limits, AT_MS(101));
	assert_int_equal(sup_tick(&s, AT_MS(300)), SUP_NOTHING);
	assert_int_equal(sup_tick(&s, AT_MS(301)), SUP_SPAWN);
}

static void
late_news_changes_nothing(void **state)
{
	struct sup s;

	sup_init(&s);
	make_ready(&s, AT_MS(0));
	assert_int_equal(sup_stop(&s, AT_MS(1)), SUP_QUIT);
	sup_ready(&s, AT_MS(2));
	sup_loading(&s);
	sup_draining(&s);
	assert_int_equal(sup_load_failed(&s, AT_MS(2)), SUP_NOTHING);
	assert_int_equal(s.state, SUP_STOPPING);
	assert_false(sup_exited(&s, &limits, AT_MS(3)));
	assert_int_equal(s.state, SUP_STOPPED);
}

static void
every_state_has_a_name(void **state)
{
	for (int i = SUP_STOPPED; i <= SUP_FAILED; i++)
		assert_non_null(sup_state_name((enum sup_state)i));
	assert_string_equal(sup_state_name(SUP_BACKOFF), "backoff");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_life_without_trouble),
		cmocka_unit_test(loading_that_gets_on_may_take_long),
		cmocka_unit_test(the_pause_doubles_up_to_its_limit),
		cmocka_unit_test(health_is_rewarded),
		cmocka_unit_test(one_that_never_starts_is_killed),
		cmocka_unit_test(one_that_does_not_end_is_killed),
		cmocka_unit_test(one_without_a_link_is_killed),
		cmocka_unit_test(a_bad_model_is_not_tried_again),
		cmocka_unit_test(a_retry_while_it_is_still_ending),
		cmocka_unit_test(stopping_while_it_waits),
		cmocka_unit_test(a_draining_one_that_dies_stays_away),
		cmocka_unit_test(fork_fails),
		cmocka_unit_test(late_news_changes_nothing),
		cmocka_unit_test(every_state_has_a_name),
	};

	return cmocka_run_group_tests_name("supervise", tests, NULL, NULL);
}

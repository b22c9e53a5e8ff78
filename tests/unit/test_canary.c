/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "master/canary.h"

static const struct canary_limits limits = { 20, 0.02, 1.5 };

static struct canary_side
side(uint64_t n, uint64_t n_errors, double ttft, double duration)
{
	return (struct canary_side){ n, n_errors, { ttft, ttft },
	    { duration, duration } };
}

static bool
is_worse(struct canary_limits l, struct canary_side canary,
    struct canary_side active, const char *says)
{
	char why[256] = "";
	bool r = canary_is_worse(&l, &canary, &active, why, sizeof(why));

	assert_true(r == (why[0] != '\0'));
	if (r && says != NULL)
		assert_non_null(strstr(why, says));
	return r;
}

static void
waits_for_enough(void **state)
{
	assert_false(is_worse(limits, side(19, 19, 900, 900),
	    side(1000, 0, 10, 100), NULL));
	assert_true(is_worse(limits, side(20, 20, 900, 900),
	    side(1000, 0, 10, 100), "20 of 20 requests failed (100.0 %)"));
	/* Nothing to compare latencies with, but errors are errors. */
	assert_false(is_worse(limits, side(20, 0, 900, 900),
	    side(19, 0, 10, 100), NULL));
	assert_true(is_worse(limits, side(20, 1, 1, 1), side(0, 0, 0, 0),
	    "0 of 0"));
}

static void
errors_count_above_the_active_ones(void **state)
{
	assert_false(is_worse(limits, side(100, 2, 10, 100),
	    side(100, 0, 10, 100), NULL));
	assert_true(is_worse(limits, side(100, 3, 10, 100),
	    side(100, 0, 10, 100), "(3.0 %), 0 of 100"));
	assert_false(is_worse(limits, side(100, 3, 10, 100),
	    side(100, 2, 10, 100), NULL));
}

static void
latencies_count_when_they_are_sure(void **state)
{
	struct canary_side canary = side(50, 0, 10, 100);
	struct canary_side active = side(50, 0, 10, 100);

	canary.ttft.high = 100;
	assert_false(is_worse(limits, canary, active, NULL));
	canary.ttft.low = 16;
	assert_true(is_worse(limits, canary, active,
	    "95 % of first tokens: at least 16 ms, more than 1.5 times the "
	    "at most 10 ms"));
	active.ttft.high = 11;
	assert_false(is_worse(limits, canary, active, NULL));
	canary.duration.low = 151;
	assert_true(is_worse(limits, canary, active, "95 % of requests"));
}

static void
limits_can_be_off(void **state)
{
	struct canary_limits l = limits;

	l.max_p95 = 0;
	assert_false(is_worse(l, side(50, 0, 900, 900), side(50, 0, 1, 1),
	    NULL));
	l.max_errors = 1;
	assert_false(is_worse(l, side(50, 50, 1, 1), side(50, 0, 1, 1),
	    NULL));
	l = limits;
	l.min_requests = 0;
	assert_false(is_worse(l, side(50, 50, 900, 900), side(50, 0, 1, 1),
	    NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_for_enough),
		cmocka_unit_test(errors_count_above_the_active_ones),
		cmocka_unit_test(latencies_count_when_they_are_sure),
		cmocka_unit_test(limits_can_be_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

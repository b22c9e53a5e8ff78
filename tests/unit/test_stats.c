/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "gate/stats.h"

#define S(x) ((uint64_t)((x) * 1e9))

static void
near(double got, double want)
{
	if (!(got > want - 1e-9 && got < want + 1e-9))
		fail_msg("%g is not %g", got, want);
}

static void
rate_of_a_steady_stream(void **state)
{
	struct rate r = { 0 };

	near(rate_per_s(&r, S(100)), 0);
	for (int i = 0; i < 400; i++)
		rate_add(&r, S(100 + i * 0.1), 5);
	/* 50 a second for 40 s. */
	near(rate_per_s(&r, S(140)), 50);
	/* Half of the window is empty five seconds later, all of it after. */
	near(rate_per_s(&r, S(145)), 25);
	near(rate_per_s(&r, S(151)), 0);
	near(rate_per_s(&r, S(100000)), 0);
}

static void
rate_of_a_young_stream(void **state)
{
	struct rate r = { 0 };

	/* One second at least, so that the first addition is no peak. */
	rate_add(&r, S(7.5), 10);
	near(rate_per_s(&r, S(7.5)), 10);
	rate_add(&r, S(8.5), 20);
	near(rate_per_s(&r, S(9)), 15);
}

static void
statuses(void **state)
{
	assert_int_equal(stats_status(0), STATS_OK);
	assert_string_equal(stats_status_name(stats_status(0)), "ok");
	assert_string_equal(stats_status_name(stats_status(BM_EQUEUE)),
	    "queue_full");
	assert_string_equal(stats_status_name(stats_status(-5)), "internal");
	assert_string_equal(stats_status_name(1000), "internal");
}

static void
quantiles_forget(void **state)
{
	static struct window_hist w;
	double q;

	for (int i = 0; i < 100; i++)
		window_hist_add(&w, S(1000), 10);
	q = window_hist_quantile_ms(&w, S(1000), 0.5);
	assert_true(q >= 10 && q < 11);
	/* In the next half both count. */
	for (int i = 0; i < 100; i++)
		window_hist_add(&w, S(1000 + STATS_WINDOW_S), 1000);
	q = window_hist_quantile_ms(&w, S(1000 + STATS_WINDOW_S), 0.25);
	assert_true(q >= 10 && q < 11);
	q = window_hist_quantile_ms(&w, S(1000 + STATS_WINDOW_S), 0.75);
	assert_true(q >= 1000 && q < 1100);
	/* Then the first is forgotten, at last all. */
	q = window_hist_quantile_ms(&w, S(1000 + 2 * STATS_WINDOW_S), 0.01);
	assert_true(q >= 1000 && q < 1100);
	near(window_hist_quantile_ms(&w, S(1000 + 4 * STATS_WINDOW_S), 0.5),
	    0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rate_of_a_steady_stream),
		cmocka_unit_test(rate_of_a_young_stream),
		cmocka_unit_test(statuses),
		cmocka_unit_test(quantiles_forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * A simulated service under a curve of arrivals: requests take a fixed time in
 * a slot, workers take a while to become ready.  10,000 seconds in steps of a
 * fifth of one.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "master/autoscale.h"

#define STEP_MS		200
#define SERVICE_MS	4000
#define START_MS	1000
#define SECONDS		10000
#define QUEUE_MAX	4096

static const struct autoscale_conf conf = { .min = 0, .max = 3,
    .target_wait_ms = 1000, .up_delay_ms = 2000, .down_delay_ms = 60000,
    .idle_ms = 300000, .n_slots = 4 };

struct sim {
	struct autoscale a;
	uint64_t	 now_ms;
	uint64_t	 arrived_ms[QUEUE_MAX];	/* a ring: those that wait */
	size_t		 first, n_queued;
	uint64_t	 ends_ms[64];		/* slots; 0: free */
	size_t		 n, n_ready;		/* workers wanted, ready */
	uint64_t	 ready_ms;
	double		 due;			/* arrivals not yet made */
	uint64_t	 change_ms[SECONDS];
	int		 change[SECONDS];
	size_t		 n_changes;
	size_t		 most;
	uint64_t	 longest_wait_ms;
	uint64_t	 n_served;
};

static struct autoscale_load
load_of(const struct sim *s)
{
	struct autoscale_load l = { .n_queued = s->n_queued };

	for (size_t i = 0; i < N_ELEMENTS(s->ends_ms); i++)
		l.n_running += s->ends_ms[i] != 0;
	if (s->n_queued > 0)
		l.oldest_wait_ms = s->now_ms - s->arrived_ms[s->first];
	return l;
}

static void
serve(struct sim *s)
{
	for (size_t i = 0; i < N_ELEMENTS(s->ends_ms); i++) {
		if (s->ends_ms[i] <= s->now_ms)
			s->ends_ms[i] = 0;
		if (s->ends_ms[i] != 0 || s->n_queued == 0 ||
		    i >= s->n_ready * conf.n_slots)
			continue;
		s->longest_wait_ms = MEM_MAX(s->longest_wait_ms,
		    s->now_ms - s->arrived_ms[s->first]);
		s->first = (s->first + 1) % QUEUE_MAX;
		s->n_queued--;
		s->n_served++;
		s->ends_ms[i] = s->now_ms + SERVICE_MS;
	}
}

static void
step(struct sim *s, double per_s)
{
	struct autoscale_load l;
	char why[128] = "";
	size_t n;

	s->now_ms += STEP_MS;
	for (s->due += per_s * STEP_MS / 1000; s->due >= 1; s->due--) {
		assert_true(s->n_queued < QUEUE_MAX);
		s->arrived_ms[(s->first + s->n_queued++) % QUEUE_MAX] =
		    s->now_ms;
	}
	if (s->now_ms >= s->ready_ms)
		s->n_ready = s->n;
	serve(s);
	l = load_of(s);
	n = autoscale_step(&s->a, &conf, &l, s->n,
	    s->now_ms * CLOCK_NS_PER_MS, why, sizeof(why));
	if (n == s->n)
		return;
	assert_true(why[0] != '\0');
	s->change_ms[s->n_changes] = s->now_ms;
	s->change[s->n_changes++] = (int)n - (int)s->n;
	if (n > s->n)
		s->ready_ms = s->now_ms + START_MS;
	s->n_ready = MEM_MIN(s->n_ready, n);
	s->n = n;
	s->most = MEM_MAX(s->most, n);
}

static void
no_flapping(const struct sim *s)
{
	for (size_t i = 1; i < s->n_changes; i++) {
		uint64_t gap = s->change_ms[i] - s->change_ms[i - 1];

		/* A request to a model without workers can't wait. */
		if (s->change[i] > 0 && s->change[i - 1] < 0 && gap <
		    conf.up_delay_ms)
			assert_int_equal(s->n, 0);
		else
			assert_in_range(gap, s->change[i] > 0 ?
			    conf.up_delay_ms : s->change[i - 1] < 0 ?
			    conf.up_delay_ms : conf.down_delay_ms, UINT64_MAX);
	}
}

/* Requests a second: nothing, one slot's worth, three workers' worth, a little
 * with noise, nothing. */
static double
curve(uint64_t ms, uint32_t *x)
{
	uint64_t s = ms / 1000;

	*x = *x * 1664525 + 1013904223;
	if (s < 500 || s >= 9000)
		return 0;
	if (s < 2000)
		return 0.25;
	if (s < 5000)
		return 2.75;
	return 0.1 + (*x >> 24) / 256.0;
}

static void
from_zero_to_three_and_back(void **state)
{
	static struct sim s;
	uint32_t x = 1;
	size_t at_1000 = 0, at_4000 = 0;

	memset(&s, 0, sizeof(s));
	while (s.now_ms < SECONDS * 1000) {
		step(&s, curve(s.now_ms, &x));
		if (s.now_ms == 400 * 1000)
			assert_int_equal(s.n, 0);
		if (s.now_ms == 1000 * 1000)
			at_1000 = s.n;
		if (s.now_ms == 4000 * 1000)
			at_4000 = s.n;
	}
	assert_int_equal(at_1000, 1);
	assert_int_equal(at_4000, 3);
	assert_int_equal(s.most, 3);
	assert_int_equal(s.n, 0);
	assert_int_equal(s.n_queued, 0);
	/* Up is quick: nobody waited for long when the load rose. */
	assert_in_range(s.longest_wait_ms, 0, 15000);
	assert_in_range(s.n_changes, 5, 100);
	no_flapping(&s);
}

static void
a_fixed_number_stays(void **state)
{
	struct autoscale_conf c = conf;
	struct autoscale a = { 0 };
	struct autoscale_load l = { 100, 8, 60000 };
	char why[128] = "";

	c.min = c.max = 2;
	for (uint64_t t = 1; t < 1000; t++)
		assert_int_equal(autoscale_step(&a, &c, &l, 2,
		    t * CLOCK_NS_PER_S, why, sizeof(why)), 2);
	assert_string_equal(why, "");
}

static void
new_limits_hold_at_once(void **state)
{
	struct autoscale_conf c = conf;
	struct autoscale a = { 0 };
	struct autoscale_load l = { 0 };
	char why[128] = "";

	c.min = 2;
	assert_int_equal(autoscale_step(&a, &c, &l, 1, 1, why, sizeof(why)),
	    2);
	assert_string_equal(why, "configured: 2 to 3");
	assert_int_equal(autoscale_step(&a, &c, &l, 5, 2, why, sizeof(why)),
	    3);
}

/* Load that swings faster than the delays changes nothing for the worse. */
static void
swings_do_not_flap(void **state)
{
	static struct sim s;

	memset(&s, 0, sizeof(s));
	while (s.now_ms < 3000 * 1000)
		step(&s, s.now_ms / 20000 % 2 == 0 ? 4 : 0.1);
	no_flapping(&s);
	assert_in_range(s.n_changes, 1, 60);
	assert_int_equal(s.most, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_zero_to_three_and_back),
		cmocka_unit_test(a_fixed_number_stays),
		cmocka_unit_test(new_limits_hold_at_once),
		cmocka_unit_test(swings_do_not_flap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

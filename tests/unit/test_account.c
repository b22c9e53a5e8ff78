/* SPDX-License-Identifier: MIT */
/* What fits, and the sums that are told when it does not. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "master/account.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static const struct account_cost tale = { .is_known = true,
    .weights_bytes = 4 * GIB, .kv_bytes = 512 * MIB,
    .scratch_bytes = 128 * MIB };

static void
test_limit(void **state)
{
	/* Nothing configured: what is free and what is ours already. */
	assert_int_equal(account_limit(0, 32 * GIB, 10 * GIB, 6 * GIB),
	    15 * GIB);
	/* ... never more than is granted. */
	assert_int_equal(account_limit(0, 32 * GIB, 31 * GIB, 6 * GIB),
	    31 * GIB);
	assert_int_equal(account_limit(8 * GIB, 32 * GIB, 10 * GIB, 6 * GIB),
	    8 * GIB);
	assert_int_equal(account_limit(64 * GIB, 32 * GIB, 10 * GIB, 0),
	    9 * GIB);
	/* A machine that is full, and one whose limits are unknown. */
	assert_int_equal(account_limit(0, 32 * GIB, 0, 0), 0);
	assert_true(account_limit(0, UINT64_MAX, UINT64_MAX, GIB) >
	    UINT64_MAX / 2);
}

static void
test_need(void **state)
{
	assert_int_equal(account_need(&tale, 0, 0), 0);
	assert_int_equal(account_need(&tale, 0, 1), 4 * GIB + 640 * MIB);
	assert_int_equal(account_need(&tale, 0, 2), 4 * GIB + 1280 * MIB);
	assert_int_equal(account_need(&tale, 1, 2), 1280 * MIB);
	assert_int_equal(account_need(&(struct account_cost){
	    .kv_bytes = UINT64_MAX / 2 }, 0, 4), UINT64_MAX);
	assert_int_equal(account_need(&(struct account_cost){
	    .weights_bytes = UINT64_MAX, .kv_bytes = 1 }, 0, 1), UINT64_MAX);
}

/* What fits by account_room is what account_check lets pass, and no more. */
static void
test_room(void **state)
{
	struct account a = { .limit_bytes = 8 * GIB };
	struct cause why;

	for (uint64_t used = 0; used < 10 * GIB; used += 100 * MIB)
		for (size_t n_now = 0; n_now < 3; n_now++) {
			size_t n;

			a.committed_bytes = used;
			n = account_room(&a, &tale, n_now, 64);
			assert_true(account_need(&tale, n_now, n) <=
			    account_left(&a));
			assert_int_equal(account_check(&a, "tale", &tale,
			    n_now, n, &why), 0);
			assert_int_equal(account_check(&a, "tale", &tale,
			    n_now, n + 1, &why), BM_ENOMEM);
		}
	a.committed_bytes = 0;
	assert_int_equal(account_room(&a, &tale, 0, 3), 3);
	assert_int_equal(account_room(&a, &(struct account_cost){ 0 }, 0, 5),
	    5);
}

static void
test_sum(void **state)
{
	static const struct {
		uint64_t committed;
		size_t n_now, n_more;
		bool is_known;
		const char *text;
	} cases[] = {
		{ 7 * GIB, 1, 2, true, "2 more workers of tale need 1.2 GiB "
		    "(keys and values 1.0 GiB, scratch 256.0 MiB); 1.0 GiB "
		    "are left of 8.0 GiB" },
		{ 8 * GIB, 3, 1, true, "1 more worker of tale needs "
		    "640.0 MiB (keys and values 512.0 MiB, scratch "
		    "128.0 MiB); 0 B are left of 8.0 GiB" },
		{ 9 * GIB, 0, 1, false, "1 worker of tale needs at least "
		    "4.6 GiB (weights 4.0 GiB, keys and values 512.0 MiB, "
		    "scratch 128.0 MiB); 0 B are left of 8.0 GiB" },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct account a = { 8 * GIB, cases[i].committed };
		struct account_cost c = tale;
		struct cause why;

		c.is_known = cases[i].is_known;
		assert_int_equal(account_check(&a, "tale", &c, cases[i].n_now,
		    cases[i].n_more, &why), BM_ENOMEM);
		assert_string_equal(why.text, cases[i].text);
	}
}

static void
test_evict(void **state)
{
	char names[][8] = { "new", "old", "middle" };
	struct account_idle v[] = { { names[0], 30, GIB },
	    { names[1], 10, MIB }, { names[2], 20, GIB } };

	assert_int_equal(account_evict(v, 3, 0), 0);
	assert_string_equal(v[0].model, "old");
	assert_string_equal(v[1].model, "middle");
	assert_string_equal(v[2].model, "new");
	assert_int_equal(account_evict(v, 3, MIB), 1);
	assert_int_equal(account_evict(v, 3, MIB + 1), 2);
	assert_int_equal(account_evict(v, 3, MIB + 2 * GIB), 3);
	assert_int_equal(account_evict(v, 3, MIB + 2 * GIB + 1), 4);
	assert_int_equal(account_evict(NULL, 0, 1), 1);
	assert_int_equal(account_evict(NULL, 0, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_need),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_evict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gate/rows.h"

static bool
add(struct rows *r, const char *text)
{
	struct msg_event m = { .text = slice_of(text) };

	return rows_add(r, MSG_EVENT, &m);
}

static void
expect(const struct rows_item *it, uint32_t seq, const char *text)
{
	struct msg_event m;

	assert_non_null(it);
	assert_int_equal(it->seq, seq);
	assert_int_equal(it->type, MSG_EVENT);
	assert_int_equal(msg_get_event(cur_of(it->body, it->n_bytes), &m), 0);
	assert_true(slice_eq(m.text, text));
}

static void
confirmed_rows_are_forgotten(void **state)
{
	struct rows r;

	rows_init(&r, 100);
	assert_true(add(&r, "a"));
	assert_true(add(&r, "b"));
	assert_true(add(&r, "c"));
	expect(rows_next(&r), 1, "a");
	expect(rows_next(&r), 2, "b");
	rows_ack(&r, 1);
	assert_int_equal(r.n, 2);
	/* What was not sent yet can't be confirmed. */
	rows_ack(&r, 3);
	assert_int_equal(r.n, 1);
	expect(rows_next(&r), 3, "c");
	assert_null(rows_next(&r));
	rows_ack(&r, 3);
	rows_ack(&r, 3);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.bytes, 0);
	assert_int_equal(r.sent_bytes, 0);
	rows_fini(&r);
}

static void
a_new_peer_gets_all_again(void **state)
{
	struct rows r;

	rows_init(&r, 100);
	add(&r, "a");
	add(&r, "b");
	add(&r, "c");
	(void)rows_next(&r);
	(void)rows_next(&r);
	rows_ack(&r, 1);
	rows_rewind(&r);
	expect(rows_next(&r), 2, "b");
	expect(rows_next(&r), 3, "c");
	assert_null(rows_next(&r));
	rows_fini(&r);
}

static void
the_oldest_are_dropped(void **state)
{
	struct rows r;

	rows_init(&r, 3);
	assert_true(add(&r, "a"));
	assert_true(add(&r, "b"));
	expect(rows_next(&r), 1, "a");
	assert_true(add(&r, "c"));
	assert_false(add(&r, "d"));
	assert_int_equal(r.n, 3);
	assert_int_equal(r.n_dropped, 1);
	expect(rows_next(&r), 2, "b");
	/* A confirmation of the dropped one harms nobody. */
	rows_ack(&r, 1);
	assert_int_equal(r.n, 3);
	rows_ack(&r, 2);
	expect(rows_next(&r), 3, "c");
	expect(rows_next(&r), 4, "d");
	rows_fini(&r);
}

static void
the_window_bounds_what_is_in_flight(void **state)
{
	struct rows r;
	char text[16];
	uint32_t seq = 0;
	const struct rows_item *it;

	rows_init(&r, 100000);
	for (size_t i = 0; i < ROWS_WINDOW + 1000; i++) {
		snprintf(text, sizeof(text), "%zu", i);
		assert_true(add(&r, text));
	}
	while ((it = rows_next(&r)) != NULL)
		assert_int_equal(it->seq, ++seq);
	assert_int_equal(seq, ROWS_WINDOW);
	rows_ack(&r, 500);
	while ((it = rows_next(&r)) != NULL)
		assert_int_equal(it->seq, ++seq);
	assert_int_equal(seq, ROWS_WINDOW + 500);
	rows_ack(&r, seq);
	assert_int_equal(r.n, 500);
	rows_fini(&r);
}

static void
bytes_are_bounded_too(void **state)
{
	struct rows r;
	size_t n = (size_t)3 << 20;
	char *text = xmalloc(n + 1);

	memset(text, 'x', n);
	text[n] = '\0';
	rows_init(&r, 100000);
	for (size_t i = 0; i < 100; i++)
		add(&r, text);
	assert_true(r.bytes <= ROWS_BYTES_MAX);
	assert_int_equal(r.n + r.n_dropped, 100);
	assert_true(r.n >= 80);
	/* 8 MiB of window hold two of them. */
	assert_non_null(rows_next(&r));
	assert_non_null(rows_next(&r));
	assert_null(rows_next(&r));
	rows_fini(&r);
	free(text);
}

static void
numbers_wrap(void **state)
{
	struct rows r;

	rows_init(&r, 100);
	r.last_seq = UINT32_MAX - 1;
	add(&r, "a");
	add(&r, "b");
	expect(rows_next(&r), UINT32_MAX, "a");
	expect(rows_next(&r), 1, "b");
	rows_ack(&r, UINT32_MAX);
	assert_int_equal(r.n, 1);
	rows_ack(&r, 1);
	assert_int_equal(r.n, 0);
	rows_fini(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(confirmed_rows_are_forgotten),
		cmocka_unit_test(a_new_peer_gets_all_again),
		cmocka_unit_test(the_oldest_are_dropped),
		cmocka_unit_test(the_window_bounds_what_is_in_flight),
		cmocka_unit_test(bytes_are_bounded_too),
		cmocka_unit_test(numbers_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

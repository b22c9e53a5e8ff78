/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gate/history.h"
#include "gate/news.h"
#include "gate/procs.h"

#define S(x) ((uint64_t)((x) * 1e9))

/* ---- seconds ---- */

static int
begin(void **state)
{
	*state = xcalloc(1, sizeof(struct history));
	return 0;
}

static int
end(void **state)
{
	free(*state);
	return 0;
}

static void
nothing_is_known_at_first(void **state)
{
	struct history *h = *state;

	assert_int_equal(h->second, 0);
	assert_int_equal(history_first(h), 0);
	history_levels(h, S(100.5), 0, 0);
	/* The second that runs is not told. */
	assert_int_equal(h->second, 100);
	assert_int_equal(history_first(h), 100);
}

static void
a_second_has_what_happened_in_it(void **state)
{
	struct history *h = *state;
	const struct history_point *p;

	history_tokens(h, S(100.0), 3);
	history_tokens(h, S(100.999), 4);
	history_request(h, S(100.5), 0);
	history_request(h, S(100.6), 1);
	history_first_token(h, S(100.7), 10);
	history_levels(h, S(100.8), 7, 8);
	history_levels(h, S(100.9), 5, 6);
	/* The first of the next one closes it. */
	history_tokens(h, S(101.0), 100);
	assert_int_equal(h->second, 101);
	assert_int_equal(history_first(h), 100);
	p = history_at(h, 100);
	assert_int_equal(p->tokens, 7);
	assert_int_equal(p->requests, 2);
	assert_int_equal(p->errors, 1);
	assert_int_equal(p->queued, 5);
	assert_int_equal(p->running, 6);
	assert_true(p->ttft_p95_ms >= 9 && p->ttft_p95_ms < 11);
}

static void
levels_last_and_the_rest_begins_anew(void **state)
{
	struct history *h = *state;
	const struct history_point *p;

	history_levels(h, S(10), 2, 3);
	history_first_token(h, S(10.5), 1000);
	history_tokens(h, S(10.5), 9);
	history_levels(h, S(13.2), 0, 0);
	assert_int_equal(history_first(h), 10);
	assert_int_equal(h->second, 13);
	for (uint64_t s = 10; s < 13; s++) {
		p = history_at(h, s);
		assert_int_equal(p->queued, 2);
		assert_int_equal(p->running, 3);
		assert_int_equal(p->tokens, s == 10 ? 9 : 0);
		assert_int_equal(isnan(p->ttft_p95_ms), s != 10);
	}
	history_levels(h, S(14), 0, 0);
	assert_int_equal(history_at(h, 13)->queued, 0);
}

static void
ten_minutes_are_kept(void **state)
{
	struct history *h = *state;

	for (uint64_t s = 1; s <= 1000; s++)
		history_tokens(h, S(s), s);
	assert_int_equal(h->second, 1000);
	assert_int_equal(history_first(h), 1000 - HISTORY_SECONDS);
	for (uint64_t s = history_first(h); s < h->second; s++)
		assert_int_equal(history_at(h, s)->tokens, s);
}

/* A machine that was suspended. */
static void
a_long_sleep_is_empty_seconds(void **state)
{
	struct history *h = *state;
	static const uint64_t wakes[] = { 5 + HISTORY_SECONDS,
	    5 + 2 * HISTORY_SECONDS + 1, 5 + 3 * HISTORY_SECONDS + 3,
	    UINT64_C(9000000000) };

	history_tokens(h, S(5), 1);
	for (size_t i = 0; i < N_ELEMENTS(wakes); i++) {
		history_tokens(h, S(wakes[i]), 1);
		assert_int_equal(h->second, wakes[i]);
		assert_int_equal(history_first(h), wakes[i] - HISTORY_SECONDS);
		for (uint64_t s = history_first(h) + 1; s < h->second; s++)
			assert_int_equal(history_at(h, s)->tokens, 0);
	}
}

/* ---- processes ---- */

static void
look(struct procs *known, uint64_t now_ns, uint32_t pid, uint64_t cpu_ns)
{
	struct msg_proc m = { .role = R_WORKER, .worker = 3, .pid = pid,
	    .rss_bytes = 10, .shared_bytes = 20, .started_ms = 1000,
	    .state = slice_of("a state of more than fifteen bytes"),
	    .cpu_ns = cpu_ns };
	struct procs p = { 0 };
	struct buf b;

	buf_init(&b, 1000);
	assert_int_equal(msg_put(&b, MSG_PROC, &m), 0);
	procs_add(&p, MSG_PROC, cur_of(b.data, b.len));
	procs_add(&p, MSG_RESULT, cur_of(b.data, b.len));
	assert_int_equal(p.n, 1);
	procs_replace(known, &p, now_ns, 11000);
	assert_null(p.v);
	buf_fini(&b);
}

static double
share(const struct procs *p)
{
	return procs_worker(p, 3)->cpu_percent;
}

static void
the_share_of_a_cpu_is_since_the_look_before(void **state)
{
	struct procs p = { 0 }, none = { 0 };

	/* Of its life, 10 s. */
	look(&p, S(100), 7, S(1));
	assert_float_equal(share(&p), 10, 1e-6);
	look(&p, S(102), 7, S(2));
	assert_float_equal(share(&p), 50, 1e-6);
	/* Too close to say anything; the next one counts from before. */
	look(&p, S(102.1), 7, S(2.1));
	assert_float_equal(share(&p), 50, 1e-6);
	look(&p, S(103), 7, S(4));
	assert_float_equal(share(&p), 200, 1e-6);
	look(&p, S(105), 7, S(4));
	assert_float_equal(share(&p), 0, 1e-6);
	/* Another process in its place, then none. */
	look(&p, S(107), 8, S(5));
	assert_float_equal(share(&p), 50, 1e-6);
	look(&p, S(109), 0, 0);
	assert_float_equal(share(&p), 0, 1e-6);
	/* No answer: what was known stays. */
	procs_replace(&p, &none, S(200), 0);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.v[0].shared_bytes, 10);
	assert_string_equal(p.v[0].state, "a state of more");
	assert_null(procs_worker(&p, 4));
	procs_fini(&p);
}

/* ---- events ---- */

/* A line each. */
static char *
told(const struct news *n, uint64_t from)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	news_put(n, from, &b);
	assert_false(b.failed);
	return buf_take(&b);
}

static size_t
n_lines(const struct news *n, uint64_t from)
{
	char *text = told(n, from);
	size_t lines = 0;

	for (const char *p = text; *p != '\0'; p++)
		lines += *p == '\n';
	free(text);
	return lines;
}

static void
happens(struct news *n, int i)
{
	char uuid[40];
	struct msg_event m = { .at = i, .uid = -1 };

	snprintf(uuid, sizeof(uuid), "%036d", i);
	m.uuid = slice_of(uuid);
	news_add(n, &m);
}

static void
recall(struct news *n, int from, int to)
{
	char json[128];

	for (int i = from; i < to; i++) {
		snprintf(json, sizeof(json), "{\"id\":\"%036d\",\"at\":%d,"
		    "\"kind\":\"\",\"subject\":null,\"text\":null,"
		    "\"uid\":0}", i, i);
		news_recall(n, slice_of(json));
	}
	news_recalled(n);
}

/* Events number i... come in order, so many. */
static void
expect_news(const struct news *n, uint64_t from, int i, size_t count)
{
	char *text = told(n, from), *line = text, id[48];

	assert_int_equal(n_lines(n, from), count);
	for (; count > 0; count--, i++) {
		snprintf(id, sizeof(id), "{\"id\":\"%036d\"", i);
		assert_memory_equal(line, id, strlen(id));
		line = strchr(line, '\n') + 1;
	}
	free(text);
}

static void
an_event_is_as_the_log_has_it(void **state)
{
	static const char json[] = "{\"id\":\"an id\",\"at\":5,"
	    "\"kind\":\"stop\",\"subject\":null,"
	    "\"text\":\"\\\"a\\\"\\nb\",\"uid\":null}\n";
	struct msg_event m = { .uuid = slice_of("an id"), .at = 5,
	    .kind = slice_of("stop"), .text = slice_of("\"a\"\nb"),
	    .uid = -1 };
	struct news n;
	char *text;

	news_init(&n);
	news_add(&n, &m);
	text = told(&n, 0);
	assert_string_equal(text, json);
	free(text);
	news_fini(&n);
	news_init(&n);
	news_recall(&n, slice_of("no JSON"));
	news_recall(&n, slice_of("{\"1\":[]}"));
	news_recall(&n, slice_of(json));
	news_recalled(&n);
	text = told(&n, 0);
	assert_string_equal(text, json);
	free(text);
	news_fini(&n);
}

static void
the_last_events_are_kept(void **state)
{
	struct news n;

	news_init(&n);
	assert_int_equal(n_lines(&n, 0), 0);
	for (int i = 0; i < 3 * NEWS_MAX; i++)
		happens(&n, i);
	expect_news(&n, 0, 2 * NEWS_MAX, NEWS_MAX);
	expect_news(&n, n.next - 2, 3 * NEWS_MAX - 2, 2);
	assert_int_equal(n_lines(&n, n.next), 0);
	news_fini(&n);
}

static void
older_events_come_before(void **state)
{
	struct news n;
	uint64_t seen;

	news_init(&n);
	happens(&n, 10);
	happens(&n, 11);
	seen = n.next;
	/* The log has one of them already; who saw both sees nothing new. */
	recall(&n, 0, 11);
	expect_news(&n, 0, 0, 12);
	assert_int_equal(n_lines(&n, seen), 0);
	happens(&n, 12);
	expect_news(&n, seen, 12, 1);
	news_fini(&n);
	/* More than there is room for. */
	news_init(&n);
	happens(&n, 1000);
	recall(&n, 1000 - NEWS_MAX - 50, 1000);
	expect_news(&n, 0, 1001 - NEWS_MAX, NEWS_MAX);
	news_fini(&n);
	/* So much happened meanwhile that nothing older is wanted. */
	news_init(&n);
	for (int i = 1000; i < 1000 + NEWS_MAX; i++)
		happens(&n, i);
	recall(&n, 900, 1100);
	expect_news(&n, 0, 1000, NEWS_MAX);
	news_fini(&n);
}

int
main(void)
{
#define H(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		H(nothing_is_known_at_first),
		H(a_second_has_what_happened_in_it),
		H(levels_last_and_the_rest_begins_anew),
		H(ten_minutes_are_kept),
		H(a_long_sleep_is_empty_seconds),
		cmocka_unit_test(the_share_of_a_cpu_is_since_the_look_before),
		cmocka_unit_test(an_event_is_as_the_log_has_it),
		cmocka_unit_test(the_last_events_are_kept),
		cmocka_unit_test(older_events_come_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

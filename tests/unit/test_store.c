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

#include "base/mem.h"
#include "console/tui/store.h"

static struct store s;

static int
setup(void **state)
{
	store_init(&s);
	return 0;
}

static int
teardown(void **state)
{
	store_fini(&s);
	return 0;
}

static void
snapshot(const char *line)
{
	store_take_snapshot(&s, slice_of(line), 7);
}

static void
log_row(const char *line)
{
	store_take_log(&s, slice_of(line));
}

static void
a_snapshot_replaces_the_one_before(void **state)
{
	uint64_t before = s.version;

	assert_int_equal(s.link, LINK_CONNECTING);
	assert_int_equal(json_object_size(store_status(&s)), 0);
	snapshot("{\"status\":{\"queued\":3,\"ttft_ms\":{\"p95\":12.5}},"
	    "\"models\":[{\"name\":\"a\"}]}");
	assert_int_equal(s.link, LINK_LIVE);
	assert_int_equal(s.heard_ns, 7);
	assert_true(s.version > before);
	assert_true(row_number(store_status(&s), "queued") == 3);
	assert_true(row_number_in(store_status(&s), "ttft_ms", "p95") ==
	    12.5);
	assert_int_equal(json_array_size(store_list(&s, "models")), 1);
	snapshot("{\"status\":{}}");
	assert_true(isnan(row_number(store_status(&s), "queued")));
	assert_int_equal(json_array_size(store_list(&s, "models")), 0);
}

static void
what_is_no_object_is_counted_only(void **state)
{
	static const char *const lines[] = { "", "{", "[]", "null", "7",
	    "{\"a\":1e999}", "\xff", "{} {}" };
	uint64_t before = s.version;

	for (size_t i = 0; i < N_ELEMENTS(lines); i++) {
		snapshot(lines[i]);
		log_row(lines[i]);
		store_take_config(&s, slice_of(lines[i]));
	}
	store_take_snapshot(&s, (struct slice){ 0 }, 7);
	assert_int_equal(s.n_bad_lines, 3 * N_ELEMENTS(lines) + 1);
	assert_int_equal(s.version, before);
	assert_int_equal(s.link, LINK_CONNECTING);
	assert_null(s.snapshot);
}

static void
lists_hold_objects_only(void **state)
{
	snapshot("{\"status\":7,\"models\":{\"a\":1},\"workers\":[1,{},[],"
	    "null,{}],\"requests\":\"x\"}");
	assert_int_equal(json_array_size(store_list(&s, "models")), 0);
	assert_int_equal(json_array_size(store_list(&s, "workers")), 2);
	assert_int_equal(json_array_size(store_list(&s, "requests")), 0);
	assert_int_equal(json_array_size(store_list(&s, "nothing")), 0);
	assert_int_equal(json_object_size(store_status(&s)), 0);
}

static void
rows_are_found_by_text_and_number(void **state)
{
	snapshot("{\"workers\":[{\"id\":1},{\"id\":12}],"
	    "\"models\":[{\"name\":\"12\"}]}");
	assert_true(row_number(store_find(&s, "workers", "id", "12"), "id")
	    == 12);
	assert_non_null(store_find(&s, "models", "name", "12"));
	assert_null(store_find(&s, "models", "name", "1"));
	assert_null(store_find(&s, "workers", "id", "12 "));
}

static void
fields_of_a_wrong_kind_are_absent(void **state)
{
	json_t *row = json_pack("{s:[], s:s, s:n}", "a", "b", "text", "c");

	assert_string_equal(row_text(row, "a"), "");
	assert_string_equal(row_text(row, "b"), "text");
	assert_string_equal(row_text(NULL, "b"), "");
	assert_true(isnan(row_number(row, "b")));
	assert_true(isnan(row_number(row, "c")));
	assert_true(isnan(row_number(NULL, "c")));
	assert_true(isnan(row_number_in(row, "a", "x")));
	assert_int_equal(row_slice(row, "a").n, 0);
	json_decref(row);
}

/* ---- events ---- */

static void
events_are_kept_once_and_in_order(void **state)
{
	snapshot("{\"events\":[{\"id\":\"a\",\"kind\":\"x\"},3,"
	    "{\"id\":\"b\"}]}");
	snapshot("{\"events\":[{\"id\":\"c\"}]}");
	snapshot("{\"events\":[{\"id\":\"a\",\"kind\":\"y\"},"
	    "{\"id\":\"d\"}]}");
	assert_int_equal(s.events.n, 4);
	assert_string_equal(row_text(store_ring_at(&s.events, 0), "kind"),
	    "y");
	assert_string_equal(row_text(store_ring_at(&s.events, 3), "id"),
	    "d");
	assert_null(store_ring_at(&s.events, 4));
}

static void
a_ring_forgets_the_oldest(void **state)
{
	char line[128];

	for (int i = 0; i < STORE_EVENTS + 10; i++) {
		snprintf(line, sizeof(line), "{\"events\":[{\"id\":\"%d\"}]}",
		    i);
		snapshot(line);
	}
	assert_int_equal(s.events.n, STORE_EVENTS);
	assert_string_equal(row_text(store_ring_at(&s.events, 0), "id"),
	    "10");
	/* One that was forgotten is a new one. */
	snapshot("{\"events\":[{\"id\":\"3\"},{\"id\":\"11\",\"at\":5}]}");
	assert_int_equal(s.events.n, STORE_EVENTS);
	assert_string_equal(row_text(store_ring_at(&s.events, STORE_EVENTS -
	    1), "id"), "3");
	assert_true(row_number(store_ring_at(&s.events, 0), "at") == 5);
	assert_int_equal(json_object_size(s.events.ids), STORE_EVENTS);
}

/* ---- history ---- */

static void
history(const char *at, const char *tokens)
{
	char line[512];

	snprintf(line, sizeof(line), "{\"history\":{\"step_ms\":1000,"
	    "\"at\":%s,\"tokens\":%s,\"queued\":[9]}}", at, tokens);
	snapshot(line);
}

static double
token(size_t i)
{
	return s.series[SERIES_TOKENS][i];
}

static void
points_are_appended(void **state)
{
	history("5000", "[1,2,null]");
	assert_int_equal(s.n_points, 3);
	assert_true(token(1) == 2);
	assert_true(isnan(token(2)));
	/* The other series are shorter: their newest points count. */
	assert_true(isnan(s.series[SERIES_QUEUED][1]));
	assert_true(s.series[SERIES_QUEUED][2] == 9);
	assert_true(isnan(s.series[SERIES_ERRORS][2]));
	history("6000", "[4]");
	assert_int_equal(s.n_points, 4);
	assert_true(token(3) == 4);
	history("6000", "[]");	/* "queued" has one, but of no new time */
	assert_int_equal(s.n_points, 4);
}

static void
what_was_told_before_is_not_told_twice(void **state)
{
	history("5000", "[1,2,3]");
	history("7000", "[1,2,3,4,5]");
	assert_int_equal(s.n_points, 5);
	assert_true(token(0) == 1);
	assert_true(token(4) == 5);
	history("7000", "[1,2,3,4,5]");
	assert_int_equal(s.n_points, 5);
}

static void
an_absence_leaves_a_gap(void **state)
{
	history("5000", "[1,2]");
	history("9000", "[7]");
	assert_int_equal(s.n_points, 6);
	assert_true(token(1) == 2);
	assert_true(isnan(token(2)) && isnan(token(4)));
	assert_true(token(5) == 7);
}

static void
history_has_its_limit(void **state)
{
	char line[8 * STORE_POINTS + 64] = "[";

	history("5000", "[1,2]");
	for (int i = 0; i < STORE_POINTS + 5; i++)
		snprintf(line + strlen(line), 16, "%s%d", i > 0 ? "," : "",
		    i % 1000);
	strncat(line, "]", 2);
	{
		char *all = xmalloc(sizeof(line) + 128);

		snprintf(all, sizeof(line) + 128, "{\"history\":{\"step_ms\":"
		    "1000,\"at\":99000000,\"tokens\":%s}}", line);
		snapshot(all);
		free(all);
	}
	assert_int_equal(s.n_points, STORE_POINTS);
	assert_true(token(0) == 5);
	assert_true(token(STORE_POINTS - 1) == STORE_POINTS + 4);
}

static void
wild_times_do_no_harm(void **state)
{
	static const char *const wild[] = { "1e308", "-1e308", "0", "-1",
	    "null", "\"x\"", "1e-300", "9007199254740993" };

	for (size_t i = 0; i < N_ELEMENTS(wild); i++) {
		history(wild[i], "[1,2,3]");
		assert_true(s.n_points <= STORE_POINTS);
	}
	snapshot("{\"history\":{\"step_ms\":1e-300,\"at\":5,\"tokens\":[1]}}");
	snapshot("{\"history\":{\"step_ms\":1e300,\"at\":6,\"tokens\":[1]}}");
	snapshot("{\"history\":[1]}");
	assert_true(s.n_points <= STORE_POINTS);
	assert_true(s.step_ms == 1000);
}

/* ---- the log ---- */

static const char row[] = "{\"id\":\"r1\",\"status\":\"ok\",\"ttft_ms\":12.5,"
    "\"prompt\":\"Hello\",\"worker\":null,\"future\":[1,2]}";

static void
a_packed_row_gives_what_came(void **state)
{
	json_t *o, *want = json_loads(row, 0, NULL);
	const json_t *packed;

	log_row(row);
	packed = store_ring_at(&s.log, 0);
	assert_string_equal(row_text(packed, "status"), "ok");
	assert_true(row_number(packed, "ttft_ms") == 12.5);
	assert_int_equal(json_array_size(store_row_value(packed, "future")),
	    2);
	o = store_row_object(packed);
	assert_string_equal(json_string_value(json_object_get(o, "prompt")),
	    "Hello");
	assert_true(json_is_null(json_object_get(o, "worker")));
	assert_int_equal(json_array_size(json_object_get(o, "future")), 2);
	json_decref(o);
	o = store_row_object(want);
	assert_ptr_equal(o, want);
	json_decref(o);
	json_decref(want);
}

static void
a_row_told_again_replaces(void **state)
{
	log_row(row);
	log_row("{\"id\":\"r2\"}");
	log_row("{\"id\":\"r1\",\"status\":\"timeout\"}");
	assert_int_equal(s.log.n, 2);
	assert_string_equal(row_text(store_ring_at(&s.log, 0), "status"),
	    "timeout");
	assert_true(store_has_log(&s, "r2"));
	assert_false(store_has_log(&s, "r3"));
	log_row("{}");		/* without an id they all stay */
	log_row("{}");
	assert_int_equal(s.log.n, 4);
}

static void
long_texts_are_cut_at_a_character(void **state)
{
	struct buf b;
	struct slice text;

	buf_init(&b, 1 << 22);
	buf_puts(&b, "{\"prompt\":\"x");
	for (int i = 0; i < 100000; i++)
		buf_puts(&b, "\xe4\xb8\xad");
	buf_puts(&b, "\"}");
	store_take_log(&s, (struct slice){ (const char *)b.data, b.len });
	text = row_slice(store_ring_at(&s.log, 0), "prompt");
	assert_in_range(text.n, 1000, 1100);
	assert_non_null(memmem(text.p, text.n, "... (300001 bytes)", 18));
	buf_fini(&b);
}

static void
the_log_has_its_limit(void **state)
{
	char line[64];

	for (int i = 0; i < STORE_LOG + 3; i++) {
		snprintf(line, sizeof(line),
		    "{\"id\":\"%d\",\"model\":\"m%d\"}", i, i % 7000);
		log_row(line);
	}
	assert_int_equal(s.log.n, STORE_LOG);
	assert_false(store_has_log(&s, "2"));
	assert_true(store_has_log(&s, "3"));
	assert_true(json_object_size(s.words) <= 4096);
	assert_string_equal(row_text(store_ring_at(&s.log, STORE_LOG - 1),
	    "model"), "m3002");
}

/* ---- the rest ---- */

static void
configuration_is_asked_anew(void **state)
{
	store_take_config(&s, slice_of("{\"key\":\"a\"}"));
	store_take_config(&s, slice_of("{\"key\":\"b\"}"));
	assert_int_equal(json_array_size(store_list(&s, "config")), 2);
	store_begin_config(&s);
	assert_int_equal(json_array_size(store_list(&s, "config")), 0);
}

static void
what_is_known_stays_when_the_link_is_lost(void **state)
{
	struct cause why = { .code = -5, .text = "gone" };

	snapshot("{\"models\":[{}]}");
	store_lose(&s, &why);
	assert_int_equal(s.link, LINK_LOST);
	assert_string_equal(s.why.text, "gone");
	assert_int_equal(json_array_size(store_list(&s, "models")), 1);
	store_lose(&s, NULL);
	assert_string_equal(s.why.text, "");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_snapshot_replaces_the_one_before),
		T(what_is_no_object_is_counted_only),
		T(lists_hold_objects_only),
		T(rows_are_found_by_text_and_number),
		T(fields_of_a_wrong_kind_are_absent),
		T(events_are_kept_once_and_in_order),
		T(a_ring_forgets_the_oldest),
		T(points_are_appended),
		T(what_was_told_before_is_not_told_twice),
		T(an_absence_leaves_a_gap),
		T(history_has_its_limit),
		T(wild_times_do_no_harm),
		T(a_packed_row_gives_what_came),
		T(a_row_told_again_replaces),
		T(long_texts_are_cut_at_a_character),
		T(the_log_has_its_limit),
		T(configuration_is_asked_anew),
		T(what_is_known_stays_when_the_link_is_lost),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}

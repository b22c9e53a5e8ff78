/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/granted.h"
#include "base/hist.h"
#include "base/log_json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"
#include "base/uuid.h"

static void
buf_round_trip(void **state)
{
	struct buf b;
	struct cur c;

	buf_init(&b, 1 << 20);
	buf_put_u8(&b, 0xfe);
	buf_put_u16(&b, 0xbeef);
	buf_put_u32(&b, 0xdeadbeef);
	buf_put_u64(&b, UINT64_C(0x0123456789abcdef));
	buf_put_f32(&b, -1.5f);
	buf_put_f64(&b, 3.25);
	buf_put_slice(&b, slice_of("tale"));
	assert_false(b.failed);
	c = cur_of(b.data, b.len);
	assert_int_equal(cur_u8(&c), 0xfe);
	assert_int_equal(cur_u16(&c), 0xbeef);
	assert_int_equal(cur_u32(&c), 0xdeadbeef);
	assert_true(cur_u64(&c) == UINT64_C(0x0123456789abcdef));
	assert_true(cur_f32(&c) == -1.5f);
	assert_true(cur_f64(&c) == 3.25);
	assert_true(slice_eq(cur_slice(&c), "tale"));
	assert_int_equal(cur_left(&c), 0);
	assert_false(c.failed);
	(void)cur_u8(&c);
	assert_true(c.failed);
	buf_fini(&b);
}

static void
buf_keeps_its_limit(void **state)
{
	struct buf b;

	buf_init(&b, 4);
	buf_puts(&b, "1234");
	assert_false(b.failed);
	buf_put_u8(&b, 0);
	assert_true(b.failed);
	assert_string_equal(buf_cstr(&b), "1234");
	buf_fini(&b);
}

static void
cur_refuses_a_length_beyond_the_end(void **state)
{
	static const uint8_t lie[] = { 0xff, 0xff, 0xff, 0xff, 'a' };
	struct cur c = cur_of(lie, sizeof(lie));
	struct slice s = cur_slice(&c);

	assert_int_equal(s.n, 0);
	assert_true(c.failed);
}

static void
json_strings(void **state)
{
	struct buf b;

	buf_init(&b, 1000);
	buf_put_json(&b, slice_of("a\"\\\n\x01\xc3\xa4\xff"));
	assert_string_equal(buf_cstr(&b),
	    "\"a\\\"\\\\\\n\\u0001\xc3\xa4\xef\xbf\xbd\"");
	buf_fini(&b);
}

static void
numbers_are_strict(void **state)
{
	uint64_t u;
	int64_t i;
	int v;
	double f;

	assert_int_equal(str_to_u64("18446744073709551615", &u), 0);
	assert_int_equal(str_to_u64("18446744073709551616", &u), -ERANGE);
	assert_int_equal(str_to_u64("-1", &u), -EINVAL);
	assert_int_equal(str_to_u64("12x", &u), -EINVAL);
	assert_int_equal(str_to_u64("", &u), -EINVAL);
	assert_int_equal(str_to_i64("-7", &i), 0);
	assert_true(i == -7);
	assert_int_equal(str_to_int("9", 0, 8, &v), -ERANGE);
	assert_int_equal(str_to_f64("nan", &f), -ERANGE);
	assert_int_equal(str_to_f64("0.7", &f), 0);
	assert_int_equal(str_to_bytes("8KiB", &u), 0);
	assert_true(u == 8192);
	assert_int_equal(str_to_bytes("17179869184G", &u), -ERANGE);
	assert_int_equal(str_to_ms("250ms", &u), 0);
	assert_true(u == 250);
	assert_int_equal(str_to_ms("1h", &u), 0);
	assert_true(u == 3600000);
}

static void
foreign_text_is_made_visible(void **state)
{
	char out[64], small[8];

	str_vis(out, sizeof(out), "a\x1b[2J\n\xc3\xa4\xff\xc2\x9b", 11);
	assert_string_equal(out, "a\\x1b[2J\\n\xc3\xa4\\xff\\xc2\\x9b");
	/* An override and an isolate, a soft hyphen, a tag; Hebrew stays. */
	str_vis(out, sizeof(out), "\xe2\x80\xae" "x\xe2\x81\xa6\xc2\xad"
	    "\xf3\xa0\x81\x81\xd7\xa9", 15);
	assert_string_equal(out, "\\u202ex\\u2066\\xad\\U0e0041\xd7\xa9");
	str_vis(small, sizeof(small), "abcdefghij", 10);
	assert_string_equal(small, "abcd...");
}

static void
utf8_edges(void **state)
{
	assert_int_equal(utf8_length("\xc0\x80", 2), 0);
	assert_int_equal(utf8_length("\xed\xa0\x80", 3), 0);
	assert_int_equal(utf8_length("\xf4\x90\x80\x80", 4), 0);
	assert_int_equal(utf8_length("\xf0\x9f\x98\x80", 4), 4);
	assert_int_equal(utf8_incomplete_tail("a\xf0\x9f\x98", 4), 3);
	assert_int_equal(utf8_incomplete_tail("a\xf0\x9f\x98\x80", 5), 0);
	assert_int_equal(utf8_incomplete_tail("a\xff", 2), 0);
	assert_int_equal(utf8_incomplete_tail("\xe2", 1), 1);
}

static void
map_survives_removals(void **state)
{
	struct map m;
	size_t at = 0, n = 0;

	map_init(&m);
	for (uintptr_t k = 1; k <= 5000; k++)
		map_set(&m, k, (void *)k);
	for (uintptr_t k = 1; k <= 5000; k += 3)
		assert_ptr_equal(map_remove(&m, k), (void *)k);
	for (uintptr_t k = 1; k <= 5000; k++)
		assert_ptr_equal(map_get(&m, k),
		    k % 3 == 1 ? NULL : (void *)k);
	while (map_next(&m, &at) != NULL)
		n++;
	assert_int_equal(n, m.n);
	map_fini(&m);
}

static void
histogram_quantiles(void **state)
{
	struct hist *h = xcalloc(1, sizeof(*h));

	for (int i = 1; i <= 1000; i++)
		hist_add(h, i);
	assert_in_range((int)hist_quantile_ms(h, 0.5), 455, 550);
	assert_in_range((int)hist_quantile_ms(h, 0.99), 900, 1090);
	assert_int_equal(hist_count_upto(h, 1e9), 1000);
	free(h);
}

static void
uuids_sort_by_time(void **state)
{
	char a[UUID_TEXT_SIZE], b[UUID_TEXT_SIZE];

	uuid_v7(1000, a);
	uuid_v7(2000, b);
	assert_true(strcmp(a, b) < 0);
	assert_true(uuid_is_valid(a));
	for (int i = 0; i < 1000; i++) {
		uuid_v7(3000, b);
		assert_true(strcmp(a, b) < 0);
		memcpy(a, b, sizeof(a));
	}
	assert_int_equal(a[14], '7');
	assert_false(uuid_is_valid("0192"));
}

static void
errors_have_names(void **state)
{
	struct cause c;

	assert_string_equal(err_name(BM_EQUEUE), "queue_full");
	assert_int_equal(err_from_name("queue_full"), BM_EQUEUE);
	assert_int_equal(err_http_status(BM_EQUEUE), 429);
	assert_int_equal(cause_set(&c, BM_EFORMAT, "offset %d", 7), BM_EFORMAT);
	assert_int_equal(cause_prefix(&c, "tensor %s", "x"), BM_EFORMAT);
	assert_string_equal(c.text, "tensor x: offset 7");
}

static void
what_is_granted_is_there(void **state)
{
	uint64_t all = granted_memory_bytes();
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	assert_in_range(granted_cpus(), 1, sysconf(_SC_NPROCESSORS_CONF));
	assert_in_range(all, 1 << 20, (uint64_t)pages * (uint64_t)size);
	assert_in_range(granted_memory_free_bytes(), 1, all);
}

static const char *
json_line(const char *text, char *to, size_t size)
{
	struct log_json l = { .time = "now", .level = "info",
	    .process = "gate", .pid = 7, .text = text };

	size_t n = log_json_line(to, size, &l);

	assert_int_equal(n, strlen(to));
	assert_true(strlen(to) < size);
	assert_true(utf8_is_valid(to, strlen(to)));
	return to;
}

#define JSON_HEAD "{\"time\":\"now\",\"level\":\"info\"," \
    "\"process\":\"gate\",\"pid\":7,\"message\":\""

static void
log_lines_in_json(void **state)
{
	static const struct { const char *text, *want; } cases[] = {
		{ "plain", "plain\"}\n" },
		{ "", "\"}\n" },
		{ "a\"\\\n\x7f\xff\xc3\xa4", "a\\\"\\\\\\u000a\\u007f"
		    "\xef\xbf\xbd\xc3\xa4\"}\n" },
		{ "up k=v n=12 m=012 e=", "up\",\"fields\":{\"k\":\"v\","
		    "\"n\":12,\"m\":\"012\",\"e\":\"\"}}\n" },
		{ "a=1 b=2", "\",\"fields\":{\"a\":1,\"b\":2}}\n" },
		/* No key twice, no pair before words. */
		{ "x a=1 a=2", "x a=1\",\"fields\":{\"a\":2}}\n" },
		{ "a=1 words b=2", "a=1 words\",\"fields\":{\"b\":2}}\n" },
		{ "a=1 words", "a=1 words\"}\n" },
		{ "/x/y=1 =2", "/x/y=1 =2\"}\n" },
		{ "v q=\"\n", "v\",\"fields\":{\"q\":\"\\\"\\u000a\"}}\n" },
	};
	char line[512], text[600];

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		json_line(cases[i].text, line, sizeof(line));
		assert_memory_equal(line, JSON_HEAD, strlen(JSON_HEAD));
		assert_string_equal(line + strlen(JSON_HEAD), cases[i].want);
	}
	/* Whatever does not fit: the object is closed. */
	for (size_t n = 0; n < sizeof(text) - 8; n++) {
		static const char *const units[] = { "x", "\x01", "\xc3\xa4" };

		for (size_t u = 0; u < N_ELEMENTS(units); u++) {
			size_t k = strlen(units[u]);

			for (size_t i = 0; i + k <= n; i += k)
				memcpy(text + i, units[u], k);
			str_copy(text + n / k * k, " k=v", 8);
			json_line(text, line, sizeof(line));
			assert_string_equal(line + strlen(line) - 2, "}\n");
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf_round_trip),
		cmocka_unit_test(buf_keeps_its_limit),
		cmocka_unit_test(cur_refuses_a_length_beyond_the_end),
		cmocka_unit_test(json_strings),
		cmocka_unit_test(numbers_are_strict),
		cmocka_unit_test(foreign_text_is_made_visible),
		cmocka_unit_test(utf8_edges),
		cmocka_unit_test(map_survives_removals),
		cmocka_unit_test(log_lines_in_json),
		cmocka_unit_test(histogram_quantiles),
		cmocka_unit_test(uuids_sort_by_time),
		cmocka_unit_test(errors_have_names),
		cmocka_unit_test(what_is_granted_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

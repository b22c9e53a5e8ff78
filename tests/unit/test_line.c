/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire/line.h"

/* The object a line becomes, as JSON with sorted keys; the caller frees. */
static char *
parsed(const char *line, bool *is_json)
{
	struct cause cause = { 0 };
	json_t *o = NULL;
	char *text;

	assert_int_equal(line_parse(slice_of(line), &o, is_json, &cause), 0);
	text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(o);
	return text;
}

static void
expect(const char *line, const char *json)
{
	bool is_json;
	char *text = parsed(line, &is_json);

	assert_string_equal(text, json);
	free(text);
}

static void
refused_n(const char *line, size_t n, const char *why)
{
	struct cause cause = { 0 };
	struct slice s = { .p = line, .n = n };
	json_t *o = NULL;
	bool is_json;

	assert_int_equal(line_parse(s, &o, &is_json, &cause), BM_EBADREQ);
	assert_null(o);
	if (strstr(cause.text, why) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", cause.text, why);
}

static void
refused(const char *line, const char *why)
{
	refused_n(line, strlen(line), why);
}

static void
words_become_an_object(void **state)
{
	expect("ping", "{\"op\":\"ping\"}");
	expect("  generate  prompt=\"a b\"\tstream=yes id=a ",
	    "{\"id\":\"a\",\"op\":\"generate\",\"prompt\":\"a b\","
	    "\"stream\":\"yes\"}");
	expect("x n=16 t=-1.5 b=true z=null w=16a e=",
	    "{\"b\":true,\"e\":\"\",\"n\":16,\"op\":\"x\",\"t\":-1.5,"
	    "\"w\":\"16a\",\"z\":null}");
	expect("chat messages=[{\"role\":\"user\",\"content\":\"a ] }\"}] id=1",
	    "{\"id\":1,\"messages\":[{\"content\":\"a ] }\",\"role\":"
	    "\"user\"}],\"op\":\"chat\"}");
	expect("x v={\"a\":{}} u=http://h/?q=1",
	    "{\"op\":\"x\",\"u\":\"http://h/?q=1\",\"v\":{\"a\":{}}}");
}

static void
json_is_the_same_request(void **state)
{
	bool is_json;
	char *text = parsed("{\"op\":\"ping\",\"id\":\"a\"}", &is_json);

	assert_true(is_json);
	assert_string_equal(text, "{\"id\":\"a\",\"op\":\"ping\"}");
	free(text);
	text = parsed("ping", &is_json);
	assert_false(is_json);
	free(text);
}

static void
faults_name_their_column(void **state)
{
	refused("=1", "column 1");
	refused("generate prompt", "column 10");
	refused("generate prompt=\"a", "column 18");
	refused("generate a=1 a=2", "a is given twice");
	refused("generate a=\"x\"y", "column 15");
	refused("x a=[1,,2]", "column 8");
	refused("x a=\"\\u0000\"", "\\u0000");
	refused("x a=\xc3\x28", "column 5: byte 0xc3");
	refused("x\x1b[2J", "column 2: control byte 0x1b");
	refused_n("x a=\0b", 7, "column 5: control byte 0x00");
	refused("{\"op\":1}", "op");
	refused("{\"id\":1}", "op");
	refused("{\"op\":\"a\"} x", "column");
	refused("{\"op\":\"a\",\"op\":\"b\"}", "column");
	refused("[1]", "verb");
	refused("", "verb");
}

static void
endless_nesting_is_refused(void **state)
{
	size_t n = 100000;
	char *line = xmalloc(n);

	memset(line, '[', n);
	memcpy(line, "x a=", 4);
	refused_n(line, n, "depth");
	free(line);
}

static void
many_pairs_are_refused(void **state)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_puts(&b, "x");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, " k%d=1", i);
	refused(buf_cstr(&b), "too many values");
	buf_fini(&b);
}

static void
written(const char *json, bool as_json, const char *line)
{
	json_t *o = json_loads(json, 0, NULL);
	struct buf b;

	assert_non_null(o);
	buf_init(&b, 1 << 16);
	line_write(&b, as_json, "token", o);
	assert_string_equal(buf_cstr(&b), line);
	buf_fini(&b);
	json_decref(o);
}

static void
answers_in_both_forms(void **state)
{
	static const char fields[] = "{\"id\":\"a\",\"text\":\" there\\n\","
	    "\"n\":3,\"ms\":0.1,\"list\":[1,2]}";

	written(fields, false,
	    "token id=a text=\" there\\n\" n=3 ms=0.1 list=[1,2]\n");
	written(fields, true, "{\"event\":\"token\",\"id\":\"a\",\"text\":"
	    "\" there\\n\",\"n\":3,\"ms\":0.1,\"list\":[1,2]}\n");
	/* Strings that would be read as something else are quoted. */
	written("{\"a\":\"1\",\"b\":\"true\",\"c\":\"\",\"d\":\"1x\"}", false,
	    "token a=\"1\" b=\"true\" c=\"\" d=\"1x\"\n");
}

static void
what_is_written_reads_the_same(void **state)
{
	static const char fields[] = "{\"a\":\"1\",\"b\":\"x=y\",\"c\":"
	    "\"\\\"q\\\"\",\"d\":\"a/b:c\",\"e\":[{\"f\":null}],\"op\":"
	    "\"token\"}";
	json_t *o = json_loads(fields, 0, NULL);
	struct buf b;

	json_object_del(o, "op");
	buf_init(&b, 1 << 16);
	line_write(&b, false, "token", o);
	b.len--;	/* the line end */
	expect(buf_cstr(&b), fields);
	buf_fini(&b);
	json_decref(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_become_an_object),
		cmocka_unit_test(json_is_the_same_request),
		cmocka_unit_test(faults_name_their_column),
		cmocka_unit_test(endless_nesting_is_refused),
		cmocka_unit_test(many_pairs_are_refused),
		cmocka_unit_test(answers_in_both_forms),
		cmocka_unit_test(what_is_written_reads_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

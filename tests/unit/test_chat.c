/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "console/chat.h"

static void
prompts(void **state)
{
	struct chat_prompt p = { .goes_on = false };

	buf_init(&p.text, 4096);
	assert_true(chat_prompt_take(&p, slice_of("one")));
	assert_string_equal(buf_cstr(&p.text), "one");
	assert_false(chat_prompt_take(&p, slice_of("a\\")));
	assert_false(chat_prompt_take(&p, slice_of("\\")));
	assert_true(chat_prompt_take(&p, slice_of("b")));
	assert_string_equal(buf_cstr(&p.text), "a\n\nb");
	assert_false(chat_prompt_take(&p, slice_of("\"\"\"x \\")));
	assert_false(chat_prompt_take(&p, slice_of("")));
	assert_true(chat_prompt_take(&p, slice_of("y\"\"\"")));
	assert_string_equal(buf_cstr(&p.text), "x \\\n\ny");
	assert_true(chat_prompt_take(&p, slice_of("\"\"\"z\"\"\"")));
	assert_string_equal(buf_cstr(&p.text), "z");
	assert_true(chat_prompt_take(&p, slice_of("")));
	assert_int_equal(p.text.len, 0);
	/* Three quotes alone begin a block and do not end it. */
	assert_false(chat_prompt_take(&p, slice_of("\"\"\"")));
	assert_true(chat_prompt_take(&p, slice_of("\"\"\"")));
	assert_string_equal(buf_cstr(&p.text), "\n");
	buf_fini(&p.text);
}

static int
command(struct chat *c, const char *text, enum chat_did *did)
{
	struct cause cause = { 0 };
	struct buf out;
	int r;

	buf_init(&out, 4096);
	r = chat_command(c, text, did, &out, &cause);
	buf_fini(&out);
	return r;
}

static json_t *
request(const struct chat *c, const char *text)
{
	struct buf b;
	json_t *v;

	buf_init(&b, SIZE_MAX / 2);
	chat_request(c, text, &b);
	/* It is one line. */
	assert_ptr_equal(memchr(b.data, '\n', b.len), b.data + b.len - 1);
	v = json_loadb((const char *)b.data, b.len, 0, NULL);
	assert_non_null(v);
	buf_fini(&b);
	return v;
}

static void
requests(void **state)
{
	enum chat_did did;
	struct chat c;
	json_t *v;

	chat_init(&c, "tale");
	assert_int_equal(command(&c, "Hi", &did), 0);
	assert_int_equal(did, CHAT_SAY);
	assert_int_equal(command(&c, "/quit", &did), 0);
	assert_int_equal(did, CHAT_QUIT);
	assert_int_equal(command(&c, "/nonsense", &did), BM_EUSAGE);
	assert_int_equal(command(&c, "/set temperature=0.5 stop=\"x\" "
	    "seed=word", &did), 0);
	assert_int_equal(command(&c, "/set model=other", &did), BM_EUSAGE);
	assert_int_equal(command(&c, "/set =1", &did), BM_EUSAGE);
	assert_int_equal(command(&c, "/set x", &did), BM_EUSAGE);
	assert_int_equal(command(&c, "/set seed=", &did), 0);
	assert_int_equal(command(&c, "/system be\tbrief", &did), 0);
	chat_keep(&c, "a", slice_of("b"));
	v = request(&c, "line\nend \xff \"quoted\"");
	assert_string_equal(json_string_value(json_object_get(v, "model")),
	    "tale");
	assert_true(json_real_value(json_object_get(v, "temperature")) == 0.5);
	assert_string_equal(json_string_value(json_object_get(v, "stop")),
	    "x");
	assert_null(json_object_get(v, "seed"));
	assert_int_equal(json_array_size(json_object_get(v, "messages")), 4);
	assert_string_equal(json_string_value(json_object_get(json_array_get(
	    json_object_get(v, "messages"), 3), "content")),
	    "line\nend \xef\xbf\xbd \"quoted\"");
	json_decref(v);
	assert_int_equal(command(&c, "/reset", &did), 0);
	assert_int_equal(command(&c, "/system", &did), 0);
	v = request(&c, "again");
	assert_int_equal(json_array_size(json_object_get(v, "messages")), 1);
	json_decref(v);
	chat_fini(&c);
}

static int
take(struct chat_answer *a, const char *line, struct cause *cause)
{
	struct slice piece;

	return chat_answer_take(a, slice_of(line), 5, &piece, cause);
}

static void
answers(void **state)
{
	struct cause cause = { 0 };
	struct chat_answer a;
	struct buf b;

	buf_init(&b, 4096);
	chat_answer_init(&a);
	assert_int_equal(take(&a, "{\"event\":\"queued\",\"position\":0}",
	    &cause), 1);
	assert_true(a.ttft_ms < 0);
	assert_int_equal(take(&a, "{\"event\":\"token\",\"text\":\" a\"}",
	    &cause), 1);
	assert_int_equal(take(&a, "{\"event\":\"token\",\"text\":\"b\"}",
	    &cause), 1);
	assert_int_equal(take(&a, "{\"event\":\"done\",\"finish\":\"length\","
	    "\"prompt_tokens\":8,\"completion_tokens\":3,\"cached_tokens\":2,"
	    "\"decode_ms\":20}", &cause), 0);
	assert_string_equal(buf_cstr(&a.text), " ab");
	chat_answer_tell(&a, &b);
	assert_string_equal(buf_cstr(&b), "3 tokens, first after 5 ms, "
	    "100.0 tokens/s, 2 of 8 prompt tokens cached, cut at the limit");
	chat_answer_fini(&a);
	chat_answer_init(&a);
	assert_int_equal(take(&a, "{\"event\":\"error\",\"code\":"
	    "\"queue_full\",\"message\":\"m\"}", &cause), BM_EQUEUE);
	assert_string_equal(cause.text, "m");
	/* A daemon that is none. */
	assert_int_equal(take(&a, "{\"event\":\"token\",\"text\":7}", &cause),
	    BM_EPROTO);
	assert_int_equal(take(&a, "{\"event\":\"error\",\"code\":null}",
	    &cause), err_from_name(""));
	assert_int_equal(take(&a, "[1]", &cause), BM_EPROTO);
	assert_int_equal(take(&a, "", &cause), BM_EPROTO);
	chat_answer_fini(&a);
	buf_fini(&b);
}

static void
safe(const char *text, bool ascii, const char *want)
{
	struct chat_safe s = { .ascii = ascii, .n_marks = -1 };
	struct buf b;

	buf_init(&b, SIZE_MAX / 2);
	chat_put_safe(&s, slice_of(text), &b);
	assert_string_equal(buf_cstr(&b), want);
	buf_fini(&b);
}

static void
hostile_text(void **state)
{
	safe("a\tb\nc\\", false, "a\tb\nc\\");
	safe("\033[2J\r\a\x7f", false, "\\x1b[2J\\r\\x07\\x7f");
	safe("\xc2\x9b" "31m", false, "\\xc2\\x9b" "31m");
	safe("\xff", false, "\\xff");
	safe("a\xe2\x80\xae" "b", false, "a\\u202eb");
	safe("a\xe2\x81\xa6" "b", false, "a\\u2066b");
	safe("\xe6\xbc\xa2", false, "\xe6\xbc\xa2");
	safe("\xe6\xbc\xa2x", true, "??x");
	safe("e\xcc\x81", false, "e\xcc\x81");
	safe("", false, "");
}

static void
marks_across_pieces(void **state)
{
	struct chat_safe s = { .ascii = false, .n_marks = -1 };
	struct buf b;

	buf_init(&b, SIZE_MAX / 2);
	chat_put_safe(&s, slice_of("e"), &b);
	chat_put_safe(&s, slice_of("\xcc\x81"), &b);
	assert_string_equal(buf_cstr(&b), "e\xcc\x81");
	/* However they come, a character carries so many and no more. */
	buf_clear(&b);
	for (int i = 0; i < 1000; i++)
		chat_put_safe(&s, slice_of("\xcc\x81"), &b);
	assert_non_null(strstr(buf_cstr(&b), "\\u0301"));
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prompts),
		cmocka_unit_test(requests),
		cmocka_unit_test(answers),
		cmocka_unit_test(hostile_text),
		cmocka_unit_test(marks_across_pieces),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests_name("chat", tests, NULL, NULL);
}

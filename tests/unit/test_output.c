/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"
#include "worker/output.h"

#define FFFD "\xef\xbf\xbd"

struct fixture {
	struct output	 o;
	struct buf	 out;
};

static void
open_with(struct fixture *f, const char *const *stops, size_t n)
{
	output_init(&f->o);
	buf_init(&f->out, 1 << 20);
	for (size_t i = 0; i < n; i++)
		output_add_stop(&f->o, slice_of(stops[i]));
}

static void
close_it(struct fixture *f)
{
	output_fini(&f->o);
	buf_fini(&f->out);
}

/* Feed a piece and say what came of it alone. */
static const char *
feed(struct fixture *f, const char *piece)
{
	buf_clear(&f->out);
	output_add(&f->o, slice_of(piece), &f->out);
	return buf_cstr(&f->out);
}

static const char *
flush(struct fixture *f)
{
	buf_clear(&f->out);
	output_flush(&f->o, &f->out);
	return buf_cstr(&f->out);
}

static void
plain_text_passes(void **state)
{
	struct fixture f;

	open_with(&f, NULL, 0);
	assert_string_equal(feed(&f, " Once"), " Once");
	assert_string_equal(feed(&f, ""), "");
	assert_string_equal(feed(&f, " upon"), " upon");
	assert_string_equal(flush(&f), "");
	assert_int_equal(output_stop(&f.o).n, 0);
	close_it(&f);
}

static void
characters_stay_whole(void **state)
{
	struct fixture f;

	open_with(&f, NULL, 0);
	assert_string_equal(feed(&f, "a\xe2"), "a");
	assert_string_equal(feed(&f, "\x82"), "");
	assert_string_equal(feed(&f, "\xac" "b"), "\xe2\x82\xac" "b");
	assert_string_equal(feed(&f, "\xf0\x9f\x98"), "");
	assert_string_equal(feed(&f, "\x80"), "\xf0\x9f\x98\x80");
	close_it(&f);
}

static void
broken_bytes_are_replaced(void **state)
{
	struct fixture f;

	open_with(&f, NULL, 0);
	assert_string_equal(feed(&f, "\xff"), FFFD);
	assert_string_equal(feed(&f, "x\x80y"), "x" FFFD "y");
	/* the begin of a character, then something else */
	assert_string_equal(feed(&f, "\xe2\x82"), "");
	assert_string_equal(feed(&f, "z"), FFFD FFFD "z");
	/* a surrogate and an overlong form */
	assert_string_equal(feed(&f, "\xed\xa0\x80"), FFFD FFFD FFFD);
	assert_string_equal(feed(&f, "\xc0\xaf"), FFFD FFFD);
	/* an end within a character */
	assert_string_equal(feed(&f, "e\xf0\x9f"), "e");
	assert_string_equal(flush(&f), FFFD FFFD);
	close_it(&f);
}

static void
stop_within_a_piece(void **state)
{
	static const char *const stops[] = { "END" };
	struct fixture f;

	open_with(&f, stops, 1);
	assert_string_equal(feed(&f, "before END after"), "before ");
	assert_true(f.o.stopped);
	assert_int_equal(output_stop(&f.o).n, 3);
	assert_memory_equal(output_stop(&f.o).p, "END", 3);
	assert_string_equal(feed(&f, "more"), "");
	assert_string_equal(flush(&f), "");
	close_it(&f);
}

static void
stop_across_pieces(void **state)
{
	static const char *const stops[] = { "\n\nUser:" };
	struct fixture f;

	open_with(&f, stops, 1);
	assert_string_equal(feed(&f, "yes\n"), "yes");
	assert_string_equal(feed(&f, "\nUs"), "");
	assert_string_equal(feed(&f, "er"), "");
	assert_false(f.o.stopped);
	assert_string_equal(feed(&f, ": no"), "");
	assert_true(f.o.stopped);
	close_it(&f);
}

static void
what_only_looked_like_a_stop_comes_out(void **state)
{
	static const char *const stops[] = { "aab" };
	struct fixture f;

	open_with(&f, stops, 1);
	assert_string_equal(feed(&f, "xa"), "x");
	assert_string_equal(feed(&f, "a"), "");
	/* "aaa": the first can no longer begin the stop, the others can */
	assert_string_equal(feed(&f, "a"), "a");
	assert_string_equal(feed(&f, "c"), "aac");
	assert_string_equal(feed(&f, "aa"), "");
	assert_string_equal(flush(&f), "aa");
	assert_false(f.o.stopped);
	close_it(&f);
}

static void
of_two_stops_the_first_in_the_text(void **state)
{
	static const char *const stops[] = { "world", "lo", "" };
	struct fixture f;

	open_with(&f, stops, 3);
	assert_int_equal(f.o.n_stops, 2);
	assert_string_equal(feed(&f, "hello world"), "hel");
	assert_memory_equal(output_stop(&f.o).p, "lo", 2);
	close_it(&f);
}

static void
stop_of_many_bytes_a_character(void **state)
{
	static const char *const stops[] = { "\xe2\x82\xac!" };
	struct fixture f;

	open_with(&f, stops, 1);
	assert_string_equal(feed(&f, "5\xe2\x82"), "5");
	assert_string_equal(feed(&f, "\xac"), "");
	assert_string_equal(feed(&f, "?"), "\xe2\x82\xac?");
	assert_string_equal(feed(&f, "\xe2\x82\xac!"), "");
	assert_true(f.o.stopped);
	close_it(&f);
}

/* However the same bytes are cut, the same text comes out in all. */
static void
cutting_changes_nothing(void **state)
{
	static const char *const stops[] = { "stop", "ppp",
	    "\xe2\x82\xac\xe2" };
	static const char text[] = "a\xe2\x82\xac sto\xff ppstopp \xf0\x9f\x98"
	    "\x80 st\xe2\x82sto pp stop here";
	char whole[128];
	struct fixture f;

	open_with(&f, stops, 3);
	str_copy(whole, feed(&f, text), sizeof(whole));
	close_it(&f);
	assert_true(utf8_is_valid(whole, strlen(whole)));
	for (size_t cut = 1; cut < sizeof(text); cut++) {
		struct buf all;

		open_with(&f, stops, 3);
		buf_init(&all, 1 << 20);
		for (size_t i = 0; i + 1 < sizeof(text) && !f.o.stopped;
		    i += cut) {
			struct slice piece = { text + i,
			    MEM_MIN(cut, sizeof(text) - 1 - i) };

			output_add(&f.o, piece, &all);
			assert_true(utf8_is_valid((char *)all.data, all.len));
		}
		assert_true(f.o.stopped);
		assert_string_equal(buf_cstr(&all), whole);
		buf_fini(&all);
		close_it(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text_passes),
		cmocka_unit_test(characters_stay_whole),
		cmocka_unit_test(broken_bytes_are_replaced),
		cmocka_unit_test(stop_within_a_piece),
		cmocka_unit_test(stop_across_pieces),
		cmocka_unit_test(what_only_looked_like_a_stop_comes_out),
		cmocka_unit_test(of_two_stops_the_first_in_the_text),
		cmocka_unit_test(stop_of_many_bytes_a_character),
		cmocka_unit_test(cutting_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* master/compress_args.c: words and names. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "master/compress_args.h"

#define PARSE(a, ...) \
	compress_args_parse(a, (const char *const[]){ __VA_ARGS__ }, \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), \
	    &why)

static void
the_type_is_the_name(void **state)
{
	struct compress_args a;
	struct cause why;

	assert_int_equal(PARSE(&a, "--to", "Q4_K"), 0);
	assert_string_equal(a.to, "Q4_K");
	assert_string_equal(a.as, "q4_k");
	assert_null(a.from);
	assert_false(a.is_forced || a.is_cancel);
}

static void
all_words_in_any_order(void **state)
{
	struct compress_args a;
	struct cause why;

	assert_int_equal(PARSE(&a, "--force", "--as", "Small", "--from", "q8",
	    "--to", "Q4_K"), 0);
	assert_string_equal(a.to, "Q4_K");
	assert_string_equal(a.as, "Small");
	assert_string_equal(a.from, "q8");
	assert_true(a.is_forced);
	assert_int_equal(PARSE(&a, "--cancel"), 0);
	assert_true(a.is_cancel);
}

static void
wrong_words_are_refused(void **state)
{
	static const char *const wrong[][5] = {
		{ "--to" }, { "--as", "x" }, { "--force" }, { "Q4_K" },
		{ "--to", "Q4_K", "--cancel" }, { "--cancel", "--cancel" },
		{ "--to", "Q4_K", "--as", "base" },
		{ "--to", "Q4_K", "--as", "a/b" },
		{ "--to", "Q4_K", "--as", ".." },
		{ "--to", "Q4_K", "--as", ".hidden" },
		{ "--to", "Q4_K", "--as", "" },
		{ "--to", "../Q4_K" }, { "--to", "" }, { "--to", "base" },
	};
	struct compress_args a;
	struct cause why;

	for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
		size_t n = 0;

		while (n < 5 && wrong[i][n] != NULL)
			n++;
		assert_int_equal(compress_args_parse(&a, wrong[i], n, &why),
		    BM_EUSAGE);
		assert_int_not_equal(why.text[0], '\0');
	}
	assert_int_equal(compress_args_parse(&a, NULL, 0, &why), BM_EUSAGE);
}

static void
names_of_unfinished_files(void **state)
{
	char name[NAME_MAX + 1], longest[65];

	memset(longest, 'x', 64);
	longest[64] = '\0';
	compress_temp_name(name, "q4_k");
	assert_string_equal(name, ".q4_k.gguf.tmp");
	assert_true(compress_is_temp_name(name));
	compress_temp_name(name, longest);
	assert_true(compress_is_temp_name(name));
	assert_false(compress_is_temp_name("q4_k.gguf"));
	assert_false(compress_is_temp_name("q4_k.gguf.tmp"));
	assert_false(compress_is_temp_name(".gguf.tmp"));
	assert_false(compress_is_temp_name(".q4_k.gguf.tmp2"));
	assert_false(compress_is_temp_name(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_type_is_the_name),
		cmocka_unit_test(all_words_in_any_order),
		cmocka_unit_test(wrong_words_are_refused),
		cmocka_unit_test(names_of_unfinished_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

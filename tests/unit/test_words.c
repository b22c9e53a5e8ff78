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

#include "console/words.h"

static struct names live;

/* The candidates behind line as "a b c". */
static char *
offered(const char *line, int max_risk)
{
	struct candidates c;
	struct buf b;

	buf_init(&b, 1 << 20);
	words_complete(slice_of(line), strlen(line), &live, max_risk, &c);
	for (size_t i = 0; i < c.n; i++)
		buf_printf(&b, "%s%s", i > 0 ? " " : "", c.v[i].text);
	candidates_fini(&c);
	buf_cstr(&b);
	return buf_take(&b);
}

static void
offers(const char *line, const char *want)
{
	char *got = offered(line, 3);

	assert_string_equal(got, want);
	free(got);
}

static int
set_up(void **state)
{
	names_add(&live, WORD_MODEL, "tale", NULL, "ready");
	names_add(&live, WORD_MODEL, "two", NULL, "failed\033[31m");
	names_add(&live, WORD_VARIANT, "base", "tale", NULL);
	names_add(&live, WORD_VARIANT, "q8_0", "tale", NULL);
	names_add(&live, WORD_VARIANT, "other", "two", NULL);
	names_add(&live, WORD_WORKER, "7", NULL, "tale");
	names_add(&live, WORD_REQUEST, "0192-a", NULL, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	names_fini(&live);
	return 0;
}

static void
every_command_word(void **state)
{
	for (size_t i = 0; i < CMD_N; i++) {
		const char *second = strchr(commands[i].words, ' ');
		char first[32], *got;

		snprintf(first, sizeof(first), "%.*s",
		    (int)strcspn(commands[i].words, " "), commands[i].words);
		got = offered("", 3);
		assert_non_null(strstr(got, first));
		free(got);
		if (second == NULL)
			continue;
		snprintf(first, sizeof(first), "%.*s ",
		    (int)strcspn(commands[i].words, " "), commands[i].words);
		got = offered(first, 3);
		assert_non_null(strstr(got, second + 1));
		free(got);
	}
}

static void
every_option(void **state)
{
	for (size_t i = 0; i < CMD_N; i++) {
		const char *p = commands[i].args;

		while ((p = strstr(p, "--")) != NULL) {
			char line[80], option[32] = "", *got;

			strncat(option, p, strcspn(p, " ]"));
			snprintf(line, sizeof(line), "%s %s",
			    commands[i].words, option);
			got = offered(line, 3);
			assert_non_null(strstr(got, option));
			free(got);
			p += 2;
		}
	}
}

static void
begins_of_words(void **state)
{
	offers("unl", "unload");
	offers("wait ", "ready");
	offers("show m", "models");
	offers("explode ", "");
	offers("# show ", "");
	offers("stop ", "--now");
	offers("stop --now ", "");
}

static void
live_names(void **state)
{
	offers("unload ", "tale two --now");
	offers("unload tw", "two");
	offers("swap tale ", "base q8_0 --canary --verify --finish");
	offers("swap two ", "other --canary --verify --finish");
	offers("drain ", "tale two 7");
	offers("cancel ", "0192-a");
	offers("log --model t", "tale two");
	offers("compress tale --from ", "base q8_0");
}

static void
kinds_of_values(void **state)
{
	offers("compress tale --to q4", "Q4_K Q4_0 Q4_1");
	offers("bench m.gguf --kv-type ", "f16 q8_0");
	offers("log --status work", "worker_lost");
	offers("log --since ", "");
	offers("threads tale ", "");
	offers("show status --js", "--json");
}

static void
wants_of_a_place(void **state)
{
	struct candidates c;

	words_complete(slice_of("load x "), 7, NULL, 3, &c);
	assert_true((c.wants & WORD_BIT(WORD_FILE)) != 0);
	assert_int_equal(c.start, 7);
	assert_int_equal(c.command->id, CMD_ID_LOAD);
	candidates_fini(&c);
	/* Without names it still says which it would take. */
	words_complete(slice_of("drain x"), 7, NULL, 3, &c);
	assert_int_equal(c.wants & WORD_LIVE, WORD_BIT(WORD_MODEL) |
	    WORD_BIT(WORD_WORKER));
	assert_int_equal(c.start, 6);
	candidates_fini(&c);
	/* What stands behind the cursor does not matter. */
	words_complete(slice_of("unload now"), 2, NULL, 3, &c);
	assert_int_equal(c.n, 1);
	assert_string_equal(c.v[0].text, "unload");
	candidates_fini(&c);
}

static void
reading_only(void **state)
{
	char *got = offered("", 0);

	assert_null(strstr(got, "unload"));
	assert_null(strstr(got, "stop"));
	assert_non_null(strstr(got, "show"));
	free(got);
	got = offered("unload ", 0);
	assert_string_equal(got, "");
	free(got);
}

static void
hostile_names(void **state)
{
	struct names kept = live;
	struct candidates c;
	char *big = malloc(1 << 20);

	live = (struct names){ 0 };
	memset(big, 'x', (1 << 20) - 1);
	big[(1 << 20) - 1] = '\0';
	names_add(&live, WORD_MODEL, "a b", NULL, "x\ny\033]0;z\a");
	names_add(&live, WORD_MODEL, "q\"\\", NULL, NULL);
	names_add(&live, WORD_MODEL, "line\nend", NULL, NULL);
	names_add(&live, WORD_MODEL, "esc\033[2J", NULL, NULL);
	names_add(&live, WORD_MODEL, "c1\xc2\x9b", NULL, NULL);
	names_add(&live, WORD_MODEL, "broken\xff", NULL, NULL);
	names_add(&live, WORD_MODEL, "", NULL, NULL);
	names_add(&live, WORD_MODEL, "\xe6\xbc\xa2", NULL, big);
	names_add(&live, WORD_MODEL, big, NULL, NULL);
	offers("rollback a", "\"a b\"");
	offers("rollback \"a ", "\"a b\"");
	offers("rollback q", "\"q\\\"\\\\\"");
	offers("rollback l", "");
	offers("rollback e", "");
	offers("rollback c", "");
	offers("rollback b", "");
	offers("rollback \xe6", "\xe6\xbc\xa2");
	words_complete(slice_of("rollback "), 9, &live, 3, &c);
	assert_int_equal(c.n, 4);
	for (size_t i = 0; i < c.n; i++) {
		assert_true(strlen(c.v[i].hint) < 200);
		assert_null(strpbrk(c.v[i].hint, "\n\033\a"));
	}
	candidates_fini(&c);
	names_fini(&live);
	free(big);
	live = kept;
}

static void
expands(const char *line, const char *want)
{
	struct words_list w, keep;
	struct cause cause = { 0 };
	const char *v[8];
	struct buf b;

	buf_init(&b, 4096);
	assert_int_equal(words_split(slice_of(line), &w, &cause), 0);
	for (size_t i = 0; i < w.n; i++)
		v[i] = w.w[i];
	if (words_expand(v, w.n, &keep, &cause) != 0)
		buf_puts(&b, cause.text);
	else
		words_join(v, w.n, &b);
	assert_string_equal(buf_cstr(&b), want);
	buf_fini(&b);
	words_free(&keep);
	words_free(&w);
}

static void
short_words(void **state)
{
	expands("sh mod", "show models");
	expands("unl tale", "unload tale");
	expands("show st", "show status");
	expands("wa r --timeout 1", "wait ready --timeout 1");
	expands("log", "log");
	expands("show", "show");
	expands("sho", "show");
	expands("xyz a", "xyz a");
	expands("", "");
	expands("sh w", "show workers");
	expands("show models x", "show models x");
	expands("sh", "sh: which? show status, show models, show variants, "
	    "show workers, show requests, show kernels, show config, "
	    "show events, shell");
	expands("re tale", "re: which? resume, reload");
	expands("sho s", "show status");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_word),
		cmocka_unit_test(every_option),
		cmocka_unit_test(begins_of_words),
		cmocka_unit_test(live_names),
		cmocka_unit_test(kinds_of_values),
		cmocka_unit_test(wants_of_a_place),
		cmocka_unit_test(reading_only),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(short_words),
	};

	return cmocka_run_group_tests_name("words", tests, set_up, tear_down);
}

/* SPDX-License-Identifier: MIT */
/*
 * What the keys do: commands that are run, questions before, answers after,
 * on the screen of a busy daemon.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/tui/stage.h"

enum { OVERVIEW, MODELS, WORKERS, REQUESTS, EVENTS, CONFIG };

/* ---- a screen to press keys on ---- */

static int
busy(void **state)
{
	struct stage *s = xcalloc(1, sizeof(*s));

	stage_init(s);
	stage_load(s, "busy");
	*state = s;
	return 0;
}

static int
end(void **state)
{
	stage_fini(*state);
	free(*state);
	return 0;
}

/* Characters as they are; \r is Enter, \033 Escape. */
static void
press(struct stage *s, const char *keys)
{
	for (; *keys != '\0'; keys++)
		tui_key(s->tui, (unsigned char)*keys);
}

/* The text on the screen; free it. */
static char *
screen(struct stage *s)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	stage_draw(s, 24, 80, false);
	canvas_dump(&s->canvas, LOOKS_NONE, f);
	fclose(f);
	return text;
}

static bool
shows(struct stage *s, const char *what)
{
	char *text = screen(s);
	bool has = strstr(text, what) != NULL;

	free(text);
	return has;
}

#define SEES(s, what) do {						\
	if (!shows(s, what)) {						\
		char *text = screen(s);					\
									\
		print_error("not seen: %s\n%s", what, text);		\
		free(text);						\
		fail();							\
	}								\
} while (0)

/* What the host was asked since the last time. */
static const char *
asked(struct stage *s)
{
	static char text[4096];

	snprintf(text, sizeof(text), "%s", buf_cstr(&s->asked));
	buf_clear(&s->asked);
	return text;
}

/* ---- actions ---- */

static const struct {
	size_t		 view;
	const char	*keys;		/* up to the confirmation */
	const char	*sees;		/* in it */
	const char	*runs;		/* after y */
} actions[] = {
	{ MODELS, "+", "3 workers now, 3..4 from", "run workers tale 3..4\n" },
	{ MODELS, "-", "1..4 from now on", "run workers tale 1..4\n" },
	{ MODELS, "gj+", "chat-1b: 1 workers now, 2 from",
	    "run workers chat-1b 2\n" },
	{ MODELS, "gj-", "0 from now on", "run workers chat-1b 0\n" },
	{ MODELS, "w\x15" "5\r", "tale: 3 workers now, 5 from",
	    "run workers tale 5\n" },
	{ MODELS, "t\x15" "4\r", "2 threads now, 4 from now on",
	    "run threads tale 4\n" },
	{ MODELS, "S\r\r", "all new requests go to f16 instead of q4",
	    "run swap tale f16\n" },
	{ MODELS, "b", "the swap to q5 ends", "run rollback tale\n" },
	{ MODELS, "f", "all new requests go to q5 instead of q4",
	    "run swap tale --finish\n" },
	{ MODELS, "c\r", "compression of tale ends",
	    "run compress tale --cancel\n" },
	{ MODELS, "gjc\r", "A variant of chat-1b in Q4_K",
	    "run compress chat-1b --to Q4_K\n" },
	{ MODELS, "d", "tale starts nothing new, 15 running and 5 waiting",
	    "run drain tale\n" },
	{ MODELS, "u", "tale takes requests again", "run resume tale\n" },
	{ MODELS, "D\r", "tale will not be served any more, 15 running",
	    "run unload tale\n" },
	{ MODELS, "Lnew /no/such.gguf\r", "new will be served",
	    "run load new /no/such.gguf\n" },
	{ WORKERS, "d", "Worker 1 starts nothing new; 7 requests run",
	    "run drain 1\n" },
	{ WORKERS, "u", "Worker 1 takes requests again", "run resume 1\n" },
	{ WORKERS, "+", "3..4 from now on", "run workers tale 3..4\n" },
	{ WORKERS, "t\x15" "1\r", "2 threads now, 1 from",
	    "run threads tale 1\n" },
	{ CONFIG, "R", "configuration file is read again", "run reload\n" },
	{ OVERVIEW, "R", "configuration file is read again", "run reload\n" },
};

static void
actions_ask_and_run(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(actions); i++) {
		struct stage *s;

		busy((void **)&s);
		stage_show(s, actions[i].view);
		buf_clear(&s->asked);
		press(s, actions[i].keys);
		SEES(s, actions[i].sees);
		assert_string_equal(asked(s), "");
		press(s, "n");
		assert_string_equal(asked(s), "");
		press(s, actions[i].keys);
		press(s, "\r");
		assert_string_equal(asked(s), "");
		press(s, actions[i].keys);
		press(s, "y");
		assert_string_equal(asked(s), actions[i].runs);
		end((void **)&s);
	}
}

static void
a_canary_has_a_share(void **state)
{
	struct stage *s = *state;

	stage_show(s, MODELS);
	press(s, "S");
	SEES(s, "perplex");
	SEES(s, "12.05");
	press(s, "q\r");
	SEES(s, "canary:  5 %");
	tui_key(s->tui, K_DOWN);
	tui_key(s->tui, K_DOWN);
	tui_key(s->tui, K_DOWN);
	tui_key(s->tui, K_ENTER);
	SEES(s, "5 % of new requests go to q4");
	press(s, "y");
	assert_string_equal(asked(s), "run swap tale q4 --canary 5\n");
}

static void
stopping_wants_a_whole_yes(void **state)
{
	struct stage *s = *state;

	press(s, "X\r");
	SEES(s, "The daemon will end, 16 running");
	press(s, "y\r");
	assert_string_equal(asked(s), "");
	press(s, "X\ryes\r");
	assert_string_equal(asked(s), "run stop\n");
}

static void
tagged_rows_go_together(void **state)
{
	struct stage *s = *state;

	stage_show(s, REQUESTS);
	buf_clear(&s->asked);
	/* Live ones only. */
	press(s, "/running\r");
	press(s, "g c");
	SEES(s, "will be cancelled");
	press(s, "\033");
	press(s, "g  ");
	press(s, "c");
	SEES(s, "Request 0198a111");
	press(s, "y");
	assert_non_null(strstr(asked(s), "run cancel 0198a111"));
}

static void
finished_requests_are_not_cancelled(void **state)
{
	struct stage *s = *state;

	stage_show(s, REQUESTS);
	buf_clear(&s->asked);
	press(s, "/0198a000\rgc");
	SEES(s, "nothing is selected");
	assert_string_equal(asked(s), "");
}

/* ---- answers ---- */

static void
answers_are_told(void **state)
{
	struct stage *s = *state;

	stage_show(s, MODELS);
	press(s, "dy");
	tui_answer_line(s->tui, s->ticket,
	    slice_of("{\"message\":\"it is held\"}"));
	tui_answer_end(s->tui, s->ticket, 0, "");
	SEES(s, "drain tale: it is held");
	press(s, "dy");
	tui_answer_end(s->tui, s->ticket, BM_EBADREQ, "not today");
	SEES(s, "not today");
}

/* Of several the first failure is told; one that ends behind another action is
 * told alone. */
static void
batches_do_not_mix(void **state)
{
	struct stage *s = *state;
	unsigned first;

	stage_show(s, WORKERS);
	press(s, "g  dy");
	first = s->ticket;
	tui_answer_end(s->tui, first - 1, BM_EBADREQ, "not this one");
	tui_answer_end(s->tui, first, 0, "");
	SEES(s, "1 of 2 failed: drain 1: not this one");
	press(s, "Ug  dy");
	first = s->ticket;
	press(s, "Ugdy");
	tui_answer_end(s->tui, first, 0, "");
	SEES(s, "drain 2: done");
	tui_answer_end(s->tui, s->ticket, 0, "");
	SEES(s, "drain 1: done");
}

/* The log row that the store keeps is cut; the detail is not. */
static void
a_detail_has_the_whole_text(void **state)
{
	struct stage *s = *state;

	stage_show(s, REQUESTS);
	buf_clear(&s->asked);
	press(s, "/0198a000-1111-7000-8000-000000000000\rg\r");
	assert_string_equal(asked(s), "run sql \"SELECT * FROM requests WHERE "
	    "id = '0198a000-1111-7000-8000-000000000000'\"\n");
	tui_answer_line(s->tui, s->ticket, slice_of("{\"id\":"
	    "\"0198a000-1111-7000-8000-000000000000\",\"prompt\":"
	    "\"a text that only the log has\"}"));
	tui_answer_end(s->tui, s->ticket, 0, "");
	SEES(s, "a text that only the log has");
	press(s, "\033gG/running\rg\r");
	assert_string_equal(asked(s), "");
}

static void
commands_have_the_same_words(void **state)
{
	struct stage *s = *state;

	buf_clear(&s->asked);
	press(s, ":show workers\r");
	assert_string_equal(asked(s), "run show workers\n");
	tui_answer_line(s->tui, s->ticket, slice_of("{\"id\":7,"
	    "\"model\":\"tale\",\"state\":\"ready\",\"pid\":4711}"));
	tui_answer_end(s->tui, s->ticket, 0, "");
	SEES(s, "show workers, lines 1-");
	SEES(s, "4711");
	press(s, "q");
	press(s, ":unload tale\r");
	SEES(s, "will not be served any more");
	press(s, "n:drain tale\r");
	assert_string_equal(asked(s), "run drain tale\n");
	press(s, ":workers tale\r");
	SEES(s, "workers NAME");
	press(s, ":bench x.gguf\r");
	assert_string_equal(asked(s), "shell bench x.gguf\n");
	press(s, ":log --follow\r");
	assert_string_equal(asked(s), "shell log --follow\n");
	press(s, ":quit\r");
	assert_string_equal(asked(s), "quit\n");
}

/* ---- moving about ---- */

static void
levels_close_one_by_one(void **state)
{
	struct stage *s = *state;

	stage_show(s, MODELS);
	press(s, "?");
	SEES(s, "Help, lines");
	buf_clear(&s->asked);
	press(s, "q");
	assert_false(shows(s, "Help, lines"));
	press(s, "\033\033");
	assert_string_equal(asked(s), "");
	press(s, "/tale\r");
	SEES(s, "filter: tale");
	press(s, "\033");
	assert_false(shows(s, "filter:"));
	press(s, "q");
	assert_string_equal(asked(s), "quit\n");
}

static void
pause_ends_the_subscription(void **state)
{
	struct stage *s = *state;

	buf_clear(&s->asked);
	press(s, "Z");
	assert_string_equal(asked(s), "interval 0\n");
	SEES(s, "PAUSED");
	press(s, "Z");
	assert_string_equal(asked(s), "interval 1000\n");
	press(s, "}");
	assert_string_equal(asked(s), "interval 500\n");
	press(s, "{{");
	assert_string_equal(asked(s), "interval 1000\ninterval 2000\n");
}

static void
the_log_is_followed_where_it_is_seen(void **state)
{
	struct stage *s = *state;

	buf_clear(&s->asked);
	press(s, "4");
	assert_string_equal(asked(s), "log 1\n");
	press(s, "\t");
	assert_string_equal(asked(s), "log 0\n");
}

static void
a_lost_daemon_stays_grey(void **state)
{
	struct stage *s = *state;
	struct cause why = { 0 };

	stage_show(s, MODELS);
	cause_set(&why, BM_ENODAEMON, "no daemon listens there");
	tui_lost(s->tui, &why, 5, 1000);
	SEES(s, "no daemon listens there");
	SEES(s, "chat-1b");
	buf_clear(&s->asked);
	press(s, "+");
	assert_string_equal(asked(s), "");
	assert_false(shows(s, "from now on"));
}

static void
search_finds_in_the_pager(void **state)
{
	struct stage *s = *state;

	press(s, "?/Quit\r");
	SEES(s, "Quit");
	press(s, "nN/no such text at all\r");
	SEES(s, "not found: no such text at all");
}

/* ---- every key ---- */

/* No key is dead: each binding does something, and none of them anything to
 * the daemon before a question. */
static void
no_key_is_dead(void **state)
{
	static const enum key_context views[] = { ON_OVERVIEW, ON_MODELS,
	    ON_WORKERS, ON_REQUESTS, ON_EVENTS, ON_CONFIG };

	for (size_t i = 0; i < n_key_bindings; i++) {
		const struct key_binding *k = &key_bindings[i];

		for (size_t v = 0; v < N_ELEMENTS(views); v++) {
			struct stage *s;

			if (k->context != ON_ALL && k->context != ON_LIST &&
			    k->context != views[v])
				continue;
			busy((void **)&s);
			stage_show(s, v);
			buf_clear(&s->asked);
			tui_key(s->tui, k->key);
			assert_null(strstr(asked(s), "run "));
			assert_false(shows(s, "? shows the keys"));
			end((void **)&s);
		}
	}
}

static void
read_only_changes_nothing(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(actions); i++) {
		struct stage s;

		stage_init_readonly(&s);
		stage_load(&s, "busy");
		SEES(&s, "READONLY");
		stage_show(&s, actions[i].view);
		press(&s, actions[i].keys);
		press(&s, "y");
		assert_null(strstr(asked(&s), "run "));
		stage_fini(&s);
	}
}

static void
the_menu_does_what_keys_do(void **state)
{
	struct stage *s = *state;

	stage_show(s, MODELS);
	buf_clear(&s->asked);
	press(s, "x");
	SEES(s, "one worker more for this model");
	press(s, "\r");
	SEES(s, "3..4 from now on");
	press(s, "y");
	assert_string_equal(asked(s), "run workers tale 3..4\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, busy, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(actions_ask_and_run),
		TEST(a_canary_has_a_share),
		TEST(stopping_wants_a_whole_yes),
		TEST(tagged_rows_go_together),
		TEST(finished_requests_are_not_cancelled),
		TEST(answers_are_told),
		TEST(batches_do_not_mix),
		TEST(a_detail_has_the_whole_text),
		TEST(commands_have_the_same_words),
		TEST(levels_close_one_by_one),
		TEST(pause_ends_the_subscription),
		TEST(the_log_is_followed_where_it_is_seen),
		TEST(a_lost_daemon_stays_grey),
		TEST(search_finds_in_the_pager),
		cmocka_unit_test(no_key_is_dead),
		cmocka_unit_test(read_only_changes_nothing),
		TEST(the_menu_does_what_keys_do),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

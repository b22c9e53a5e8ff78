/* SPDX-License-Identifier: MIT */
/* The line editor of the screen: keys in, text and cells out. */
#include "config.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "console/tui/keys.h"
#include "console/tui/prompt.h"

static struct prompt *prompt;

static enum prompt_result
type(const char *text)
{
	enum prompt_result r = PROMPT_MORE;

	for (; *text != '\0'; text++)
		r = prompt_key(prompt, *text);
	return r;
}

static void
begin(const char *initial, struct prompt_history *h, prompt_complete_fn fn)
{
	prompt_free(prompt);
	prompt = prompt_new(":", initial, h, fn, NULL);
}

static void
assert_text(const char *expected)
{
	assert_string_equal(prompt_text(prompt), expected);
}

static void
keys_edit(void **state)
{
	begin("", NULL, NULL);
	assert_int_equal(type("one two"), PROMPT_CHANGED);
	assert_int_equal(prompt_key(prompt, K_HOME), PROMPT_MORE);
	type(">");
	prompt_key(prompt, K_END);
	prompt_key(prompt, K_LEFT);
	assert_int_equal(prompt_key(prompt, K_BACKSPACE), PROMPT_CHANGED);
	assert_text(">one to");
	prompt_key(prompt, K_DELETE);
	assert_text(">one t");
	assert_int_equal(prompt_key(prompt, K_CTRL('D')), PROMPT_MORE);
	prompt_key(prompt, K_CTRL('W'));
	assert_text(">one ");
	prompt_key(prompt, K_CTRL('Y'));
	prompt_key(prompt, K_CTRL('Y'));
	assert_text(">one tt");
	prompt_key(prompt, K_ALT | 'b');
	prompt_key(prompt, K_CTRL('K'));
	assert_text(">one ");
	prompt_key(prompt, K_ALT | 'b');
	prompt_key(prompt, K_CTRL('U'));
	assert_text("one ");
	prompt_key(prompt, K_ALT | 'f');
	type("!");
	assert_text("one! ");
	prompt_key(prompt, K_CTRL('A'));
	prompt_key(prompt, K_ALT | 'd');
	assert_text("! ");
	assert_int_equal(prompt_key(prompt, K_F1), PROMPT_MORE);
	assert_int_equal(prompt_key(prompt, K_CTRL('V')), PROMPT_MORE);
	assert_int_equal(prompt_key(prompt, K_ENTER), PROMPT_DONE);
	assert_text("! ");
}

static void
giving_up(void **state)
{
	begin("x", NULL, NULL);
	assert_int_equal(prompt_key(prompt, K_BACKSPACE), PROMPT_CHANGED);
	assert_int_equal(prompt_key(prompt, K_BACKSPACE), PROMPT_GIVEN_UP);
	begin("x", NULL, NULL);
	assert_int_equal(prompt_key(prompt, K_ESC), PROMPT_GIVEN_UP);
	assert_int_equal(prompt_key(prompt, K_CTRL('C')), PROMPT_GIVEN_UP);
}

static void
characters_are_whole(void **state)
{
	begin("", NULL, NULL);
	prompt_key(prompt, 0x6f22);
	prompt_key(prompt, 'e');
	prompt_key(prompt, 0x301);
	prompt_key(prompt, 0x1f600);
	assert_text("漢e\u0301\U0001f600");
	prompt_key(prompt, K_LEFT);
	prompt_key(prompt, K_LEFT);
	prompt_key(prompt, K_BACKSPACE);
	assert_text("e\u0301\U0001f600");
	prompt_key(prompt, K_DELETE);
	assert_text("\U0001f600");
	prompt_key(prompt, K_RIGHT);
	prompt_key(prompt, K_RIGHT);
	prompt_key(prompt, K_BACKSPACE);
	assert_text("");
}

static void
what_is_pasted_is_text(void **state)
{
	begin("", NULL, NULL);
	assert_int_equal(prompt_key(prompt, K_PASTED | 'a'), PROMPT_CHANGED);
	assert_int_equal(prompt_key(prompt, K_PASTED | '\r'), PROMPT_CHANGED);
	assert_int_equal(prompt_key(prompt, K_PASTED | '\t'), PROMPT_CHANGED);
	prompt_key(prompt, K_PASTED | 3);
	prompt_key(prompt, K_PASTED | 0x6f22);
	assert_text("a   漢");
}

static void
length_is_bounded(void **state)
{
	begin("", NULL, NULL);
	for (int i = 0; i < 20000; i++)
		prompt_key(prompt, K_PASTED | 'x');
	assert_int_equal(strlen(prompt_text(prompt)), 16384);
	prompt_key(prompt, K_CTRL('U'));
	prompt_key(prompt, K_CTRL('Y'));
	assert_int_equal(prompt_key(prompt, K_CTRL('Y')), PROMPT_MORE);
	assert_int_equal(strlen(prompt_text(prompt)), 16384);
}

static void
history_comes_back(void **state)
{
	struct prompt_history h = { 0 };

	prompt_history_add(&h, "one");
	prompt_history_add(&h, "two");
	prompt_history_add(&h, " secret");
	prompt_history_add(&h, "");
	prompt_history_add(&h, "one");
	assert_int_equal(h.n, 2);
	begin("", &h, NULL);
	type("own");
	assert_int_equal(prompt_key(prompt, K_DOWN), PROMPT_MORE);
	assert_int_equal(prompt_key(prompt, K_UP), PROMPT_CHANGED);
	assert_text("one");
	prompt_key(prompt, K_UP);
	assert_text("two");
	assert_int_equal(prompt_key(prompt, K_UP), PROMPT_MORE);
	prompt_key(prompt, K_DOWN);
	type("!");
	assert_text("one!");
	prompt_key(prompt, K_CTRL('N'));
	assert_text("own");
	for (int i = 0; i < 1500; i++) {
		char line[16];

		snprintf(line, sizeof(line), "%d", i);
		prompt_history_add(&h, line);
	}
	assert_int_equal(h.n, 1000);
	assert_string_equal(h.lines[0], "500");
	prompt_free(prompt);
	prompt = NULL;
	prompt_history_free(&h);
}

/* The words of a line of one word. */
static void
words(void *arg, const char *line, size_t cursor,
    struct prompt_candidates *out)
{
	static const char *const all[] = { "show models", "show status",
	    "stop", "swap", "été", "êtes" };

	out->begin = 0;
	out->end = cursor;
	out->words = xcalloc(N_ELEMENTS(all), sizeof(char *));
	out->hints = xcalloc(N_ELEMENTS(all), sizeof(char *));
	for (size_t i = 0; i < N_ELEMENTS(all); i++) {
		if (strncmp(all[i], line, cursor) != 0)
			continue;
		out->words[out->n] = xstrdup(all[i]);
		out->hints[out->n++] = xstrdup("a hint");
	}
}

static void
tab_completes(void **state)
{
	begin("", NULL, words);
	type("sw");
	assert_int_equal(prompt_key(prompt, K_TAB), PROMPT_CHANGED);
	assert_text("swap ");
	assert_int_equal(prompt_key(prompt, K_TAB), PROMPT_MORE);
	begin("sh", NULL, words);
	prompt_key(prompt, K_TAB);
	assert_text("show ");
	prompt_key(prompt, K_TAB);
	assert_text("show models");
	prompt_key(prompt, K_TAB);
	assert_text("show status");
	prompt_key(prompt, K_TAB);
	assert_text("show models");
	prompt_key(prompt, K_BACKTAB);
	assert_text("show status");
	assert_int_equal(prompt_key(prompt, K_ESC), PROMPT_CHANGED);
	assert_text("show ");
	assert_int_equal(prompt_key(prompt, K_ESC), PROMPT_GIVEN_UP);
	/* going on to type narrows what is listed */
	begin("s", NULL, words);
	assert_int_equal(prompt_key(prompt, K_TAB), PROMPT_MORE);
	type("t");
	assert_int_equal(prompt_key(prompt, K_TAB), PROMPT_CHANGED);
	assert_text("stop ");
	/* no half characters: these begin with the same byte */
	begin("\xc3", NULL, words);
	prompt_key(prompt, K_TAB);
	assert_text("\xc3");
}

static void
assert_screen(int h, int w, bool ascii, const char *expected, int cursor)
{
	struct canvas c;
	struct area a;
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);

	canvas_init(&c, ascii);
	canvas_resize(&c, h, w);
	a = area_all(&c);
	prompt_draw(prompt, &a);
	canvas_dump(&c, LOOKS_NONE, to);
	fclose(to);
	assert_string_equal(text, expected);
	assert_int_equal(c.cursor_y, cursor < 0 ? -1 : h - 1);
	assert_int_equal(c.cursor_x, cursor);
	free(text);
	canvas_fini(&c);
}

static void
it_draws(void **state)
{
	begin("", NULL, words);
	assert_screen(2, 9, false, "\n:\n", 1);
	type("abcdefgh");
	assert_screen(1, 9, false, ":…cdefgh\n", 8);
	prompt_key(prompt, K_LEFT);
	assert_screen(1, 9, false, ":…cdefgh\n", 7);
	prompt_key(prompt, K_HOME);
	assert_screen(1, 9, false, ":abcdefgh\n", 1);
	begin("漢\033e\u0301", NULL, NULL);
	assert_screen(1, 20, false, ":漢\\x1be\u0301\n", 8);
	assert_screen(1, 20, true, ":??\\x1be\n", 8);
	begin("s", NULL, words);
	prompt_key(prompt, K_TAB);
	assert_screen(6, 30, false, "\n"
	    " show models  a hint\n show status  a hint\n"
	    " stop         a hint\n swap         a hint\n:s\n", 2);
	prompt_key(prompt, K_BACKTAB);
	assert_screen(3, 30, false, " stop  a hint\n"
	    " swap  a hint          4 of 4\n:swap\n", 5);
	for (int h = 1; h < 4; h++)
		for (int w = 1; w < 4; w++) {
			struct canvas c;
			struct area a;

			canvas_init(&c, false);
			canvas_resize(&c, h, w);
			a = area_all(&c);
			prompt_draw(prompt, &a);
			canvas_fini(&c);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_edit),
		cmocka_unit_test(giving_up),
		cmocka_unit_test(characters_are_whole),
		cmocka_unit_test(what_is_pasted_is_text),
		cmocka_unit_test(length_is_bounded),
		cmocka_unit_test(history_comes_back),
		cmocka_unit_test(tab_completes),
		cmocka_unit_test(it_draws),
	};
	int failed;

	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
		puts("1..0 # SKIP no locale C.UTF-8");
		return 77;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	prompt_free(prompt);
	return failed;
}

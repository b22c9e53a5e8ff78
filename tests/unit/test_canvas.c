/* SPDX-License-Identifier: MIT */
/*
 * The canvas: what hostile text becomes, that nothing leaves its area, and
 * that the invariants of cells hold whatever is drawn over what.
 */
#include "config.h"

#include <sys/mman.h>

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "console/tui/canvas.h"

static struct canvas canvas;
static struct area all;

static void
fresh(int h, int w, bool ascii)
{
	canvas_fini(&canvas);
	canvas_init(&canvas, ascii);
	canvas_resize(&canvas, h, w);
	all = area_all(&canvas);
}

static void
assert_cells_hold(void)
{
	for (int y = 0; y < canvas.h; y++) {
		for (int x = 0; x < canvas.w; x++) {
			const struct cell *c = &canvas.cells[y * canvas.w + x];

			assert_in_range(c->width, 0, 2);
			if (c->width == 2)
				assert_true(x + 1 < canvas.w &&
				    c[1].width == 0);
			if (c->width == 0)
				assert_true(x > 0 && c[-1].width == 2);
			assert_true((c->ch[0] == 0) == (c->width == 0));
			assert_true(c->ch[0] == 0 || c->ch[0] >= ' ');
			assert_true(c->ch[0] < 0x7f || c->ch[0] >= 0xa0);
			if (canvas.ascii)
				assert_true(c->ch[0] < 0x7f && c->ch[1] == 0);
		}
	}
}

/* What the canvas holds is this text. */
static void
assert_dump(enum canvas_looks looks, const char *expected)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);

	assert_non_null(to);
	canvas_dump(&canvas, looks, to);
	fclose(to);
	assert_string_equal(text, expected);
	free(text);
	assert_cells_hold();
}

static void
assert_line(const char *drawn, int w, const char *expected)
{
	char line[256];

	fresh(1, w, false);
	area_puts(&all, 0, 0, ROLE_TEXT, drawn);
	snprintf(line, sizeof(line), "%s\n", expected);
	assert_dump(LOOKS_NONE, line);
}

static void
hostile_text_is_escaped(void **state)
{
	assert_line("a\033[2Jb\nc\td\r", 40, "a\\x1b[2Jb\\nc\\td\\r");
	assert_line("C:\\dir", 40, "C:\\dir");
	assert_line("\x7f\xc2\x9b" "31m", 40, "\\x7f\\xc2\\x9b31m");
	assert_line("\xff\xc0\x80\xed\xa0\x80", 40,
	    "\\xff\\xc0\\x80\\xed\\xa0\\x80");
	assert_line("cut\xe2\x82", 40, "cut\\xe2\\x82");
}

static void
order_and_hidden_characters_show(void **state)
{
	assert_line("exe\u202egpj", 40, "exe\\u202egpj");
	assert_line("\u200e\u200f\u061c", 40, "\\u200e\\u200f\\u061c");
	assert_line("\u2066x\u2069", 40, "\\u2066x\\u2069");
	assert_line("a\u200bb\u2060c\ufeffd\u00ad", 60,
	    "a\\u200bb\\u2060c\\ufeffd\\xad");
	assert_line("\U000e0041", 40, "\\U0e0041");
	/* unassigned: no width known */
	assert_line("\u0378", 40, "\\u0378");
	/* letters written from right to left are letters */
	assert_line("שלום 12", 40, "שלום 12");
}

static void
marks_stay_with_their_base(void **state)
{
	assert_line("e\u0301x", 40, "e\u0301x");
	assert_line("\u0301x", 40, "\\u0301x");
	assert_line("\n\u0301", 40, "\\n\\u0301");
	/* CELL_CHARS - 1 marks show, more are left out */
	assert_line("e\u0301\u0302\u0303\u0304x", 40, "e\u0301\u0302x");
	assert_line("漢\u0301x", 40, "漢\u0301x");
	/* the last column keeps its marks */
	assert_line("abe\u0301x", 3, "abe\u0301");
	/* joiners and selectors are left out */
	assert_line("a\u200db\u200cc\ufe0fd", 40, "abcd");
	assert_line("\u200d", 40, "\\u200d");
}

static void
cost_is_bounded_by_columns(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 1 << 20;
	char *text = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* a text of 1 MB, of which only the first page can be read */
	assert_true(text != MAP_FAILED);
	assert_int_equal(mprotect(text + page, page, PROT_NONE), 0);
	for (size_t i = 0; i < page; i += 2)
		memcpy(text + i, "\xcc\x81", 2);
	memcpy(text, "ef", 2);
	fresh(1, 30, false);
	area_fit(&all, 0, 0, 30, ROLE_TEXT, false, (struct slice){ text, n });
	area_put(&all, 0, 0, ROLE_TEXT, (struct slice){ text, n });
	assert_dump(LOOKS_NONE, "ef\u0301\u0301"
	    "\\u0301\\u0301\\u0301\\u0301\\u03\n");
	munmap(text, 2 * page);
}

static void
wide_characters_take_two_cells_or_none(void **state)
{
	assert_line("漢字", 4, "漢字");
	assert_line("漢字", 3, "漢");
	assert_line("漢", 1, "");
	fresh(1, 6, false);
	assert_int_equal(area_puts(&all, 0, 0, ROLE_TEXT, "a漢字z"), 6);
	assert_int_equal(area_puts(&all, 0, 5, ROLE_TEXT, "漢"), 1);
	assert_dump(LOOKS_NONE, "a漢字\n");
	/* each half, overwritten, takes the other along */
	area_puts(&all, 0, 2, ROLE_TEXT, "x");
	assert_dump(LOOKS_NONE, "a x字\n");
	area_puts(&all, 0, 3, ROLE_TEXT, "y");
	assert_dump(LOOKS_NONE, "a xy\n");
	/* a wide one over the halves of two */
	fresh(1, 4, false);
	area_puts(&all, 0, 0, ROLE_TEXT, "漢字");
	area_puts(&all, 0, 1, ROLE_TEXT, "語");
	assert_dump(LOOKS_NONE, " 語\n");
	/* half outside on the left */
	fresh(1, 4, false);
	area_puts(&all, 0, -1, ROLE_TEXT, "漢字");
	assert_dump(LOOKS_NONE, " 字\n");
}

static void
nothing_leaves_its_area(void **state)
{
	struct area mid, none;

	fresh(5, 8, false);
	area_fill(&all, ROLE_TEXT);
	mid = area_sub(&all, 1, 2, 3, 4);
	for (int y = -3; y < 8; y++)
		area_puts(&mid, y, -2, ROLE_TEXT, "0123456789");
	assert_dump(LOOKS_NONE, "\n  2345\n  2345\n  2345\n\n");
	area_fill(&mid, ROLE_BAD);
	area_puts(&mid, 0, 4, ROLE_TEXT, "x");
	area_puts(&mid, 0, 100000, ROLE_TEXT, "x");
	area_flag(&mid, 0, -5, 100, CELL_SELECTED);
	area_flag(&mid, 9, 0, -1, CELL_SELECTED);
	assert_dump(LOOKS_COLOR,
	    "\n\n\n..####\n\n..BBBB\n\n..BBBB\n\n\n");
	none = area_sub(&mid, 7, 7, 5, 5);
	assert_int_equal(none.h, 0);
	assert_int_equal(none.w, 0);
	none = area_sub(&all, -4, -4, INT32_MAX, INT32_MAX);
	assert_int_equal(none.h, 5);
	assert_int_equal(none.w, 8);
	/* an area that outlived its canvas' size */
	canvas_resize(&canvas, 2, 2);
	area_fill(&mid, ROLE_BAD);
	area_puts(&all, 3, 0, ROLE_BAD, "abcdefgh");
	assert_dump(LOOKS_NONE, "\n\n");
}

static void
everything_draws_at_every_size(void **state)
{
	static const double v[] = { 1, NAN, -1, INFINITY, 0, 3, 2 };

	for (int h = 0; h < 4; h++) {
		for (int w = 0; w < 9; w++) {
			struct area a, in;

			fresh(3, 7, w % 2 == 0);
			a = area_sub(&all, 1, 1, h, w);
			in = area_box(&a, ROLE_RULE, "a 漢字 title");
			area_wrap(&in, 0, 0, ROLE_TEXT,
			    slice_of("one two 漢字\n\nthree"));
			area_rule(&a, h, ROLE_RULE, "t");
			area_bar(&a, 0, w, w, ROLE_GRAPH, NAN);
			area_spark(&a, 0, 0, h, w, ROLE_GRAPH, v, 7, 0);
			area_fit(&a, 0, 0, w, ROLE_TEXT, true,
			    slice_of("漢字漢字"));
			area_cursor(&in, 0, 0);
			assert_cells_hold();
			assert_true(canvas.cursor_y < canvas.h);
		}
	}
}

static void
fit_takes_exactly_its_columns(void **state)
{
	fresh(1, 8, false);
	area_puts(&all, 0, 0, ROLE_TEXT, "########");
	area_fit(&all, 0, 1, 6, ROLE_TEXT, false, slice_of("abc"));
	assert_dump(LOOKS_NONE, "#abc   #\n");
	area_fit(&all, 0, 1, 6, ROLE_TEXT, true, slice_of("abc"));
	assert_dump(LOOKS_NONE, "#   abc#\n");
	area_fit(&all, 0, 1, 6, ROLE_TEXT, true, slice_of("abcdef"));
	assert_dump(LOOKS_NONE, "#abcdef#\n");
	area_fit(&all, 0, 1, 6, ROLE_TEXT, true, slice_of("abcdefg"));
	assert_dump(LOOKS_NONE, "#abcde…#\n");
	area_fit(&all, 0, 1, 6, ROLE_TEXT, false, slice_of("漢字漢字"));
	assert_dump(LOOKS_NONE, "#漢字 …#\n");
	area_fit(&all, 0, 1, 1, ROLE_TEXT, false, slice_of("漢"));
	assert_dump(LOOKS_NONE, "#… 字 …#\n");
}

static void
text_wraps_at_words(void **state)
{
	fresh(4, 7, false);
	assert_int_equal(area_wrap(&all, 0, 0, ROLE_TEXT,
	    slice_of("one two three  four\n\nx")), 5);
	assert_dump(LOOKS_NONE, "one two\nthree\nfour\n\n");
	fresh(3, 7, false);
	assert_int_equal(area_wrap(&all, 1, 2, ROLE_TEXT,
	    slice_of("one two three  four\r\nxyz")), 4);
	assert_dump(LOOKS_NONE, "\nfour\nxyz\n");
	/* a word longer than the line, indented; a tab */
	fresh(4, 7, false);
	assert_int_equal(area_wrap(&all, 0, 0, ROLE_TEXT,
	    slice_of("  abcdefghijkl\n\033[Hx")), 3);
	assert_dump(LOOKS_NONE, "  abcde\nfghijkl\n\\x1b[Hx\n\n");
	fresh(1, 12, false);
	area_wrap(&all, 0, 0, ROLE_TEXT, slice_of("a\tb"));
	assert_dump(LOOKS_NONE, "a       b\n");
	assert_int_equal(area_wrap(&all, 0, 0, ROLE_TEXT, slice_of("")), 0);
}

static void
figures_draw(void **state)
{
	static const double v[] = { 9, 0, 1, NAN, 4, 8 };
	struct area in;

	fresh(2, 5, false);
	area_spark(&all, 0, 0, 1, 5, ROLE_GRAPH, v, 6, 8);
	area_spark(&all, 1, 0, 1, 5, ROLE_GRAPH, v, 2, 0);
	assert_dump(LOOKS_NONE, " ▁ ▄█\n   █\n");
	fresh(2, 5, false);
	area_spark(&all, 0, 0, 2, 5, ROLE_GRAPH, v, 6, 8);
	assert_dump(LOOKS_NONE, "    █\n ▂ ██\n");
	fresh(3, 4, false);
	area_bar(&all, 0, 0, 4, ROLE_GRAPH, 0.01);
	area_bar(&all, 1, 0, 4, ROLE_GRAPH, 0.99);
	area_bar(&all, 2, 0, 4, ROLE_GRAPH, 1);
	assert_dump(LOOKS_NONE, "█░░░\n███░\n████\n");
	fresh(3, 9, false);
	in = area_box(&all, ROLE_RULE, "ab");
	assert_int_equal(in.h, 1);
	assert_int_equal(in.w, 7);
	area_puts(&in, 0, 0, ROLE_TEXT, "inside too long");
	assert_dump(LOOKS_NONE, "┌─ ab ──┐\n"
	    "│inside │\n"
	    "└───────┘\n");
}

static void
ascii_is_ascii(void **state)
{
	static const double v[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };
	struct area in;

	fresh(4, 12, true);
	in = area_box(&all, ROLE_RULE, "é漢");
	area_fit(&in, 0, 0, 4, ROLE_TEXT, false, slice_of("naïve漢"));
	area_puts(&in, 0, 5, ROLE_TEXT, "e\u0301\u202e");
	area_spark(&in, 1, 0, 1, 9, ROLE_GRAPH, v, 9, 8);
	assert_dump(LOOKS_NONE,
	    "+- ??? ----+\n|na?~ e\\u20|\n| .,:;+*%# |\n+----------+\n");
}

static void
looks_are_dumped(void **state)
{
	fresh(2, 6, false);
	area_puts(&all, 0, 0, ROLE_TITLE, "ab");
	area_puts(&all, 0, 2, ROLE_HEAD, "c");
	area_puts(&all, 1, 0, ROLE_WARN, "xyz");
	area_flag(&all, 1, 0, 1, CELL_SELECTED | CELL_TAGGED);
	area_flag(&all, 1, 1, 1, CELL_STALE);
	assert_dump(LOOKS_COLOR, "abc\nTTh\nxyz\n#,w\n");
	assert_dump(LOOKS_MONO, "abc\nrru\nxyz\n#,b\n");
}

static void
printf_keeps_characters_whole(void **state)
{
	char text[5000];

	memset(text, 'a', sizeof(text));
	text[4094] = '\xe2';
	text[4095] = '\x82';
	text[4096] = '\xac';
	text[4999] = '\0';
	fresh(1, 1000, false);
	assert_int_equal(area_printf(&all, 0, 0, ROLE_TEXT, "%s", text), 1000);
	assert_int_equal(area_printf(&all, 0, 990, ROLE_TEXT, "%d€", 12), 3);
	assert_int_equal(canvas_text_width(&canvas, slice_of("漢\033e\u0301")),
	    7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_text_is_escaped),
		cmocka_unit_test(order_and_hidden_characters_show),
		cmocka_unit_test(marks_stay_with_their_base),
		cmocka_unit_test(cost_is_bounded_by_columns),
		cmocka_unit_test(wide_characters_take_two_cells_or_none),
		cmocka_unit_test(nothing_leaves_its_area),
		cmocka_unit_test(everything_draws_at_every_size),
		cmocka_unit_test(fit_takes_exactly_its_columns),
		cmocka_unit_test(text_wraps_at_words),
		cmocka_unit_test(figures_draw),
		cmocka_unit_test(ascii_is_ascii),
		cmocka_unit_test(looks_are_dumped),
		cmocka_unit_test(printf_keeps_characters_whole),
	};
	int failed;

	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
		puts("1..0 # SKIP no locale C.UTF-8");
		return 77;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	canvas_fini(&canvas);
	return failed;
}

/* SPDX-License-Identifier: MIT */
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
#include "console/tui/list.h"

static const struct list_column columns[] = {
	{ .column = { "id", "ID", FORM_NUMBER, 4 } },
	{ .column = { "name", "NAME", FORM_TEXT, 6 }, .grows = true },
	{ .column = { "ms", "MS", FORM_MS, 7 }, .priority = 2 },
	{ .column = { "state", "STATE", FORM_STATE, 8 }, .priority = 1 },
	{ .column = { "used", "USED", FORM_NUMBER, 9 }, .priority = 3,
	    .total = "all" },
};
enum { BY_ID, BY_NAME, BY_MS, BY_STATE, AS_GIVEN = 5 };

static struct list l;
static struct canvas canvas;

static int
setup(void **state)
{
	list_init(&l, columns, N_ELEMENTS(columns), "id");
	canvas_init(&canvas, true);
	return 0;
}

static int
teardown(void **state)
{
	list_fini(&l);
	canvas_fini(&canvas);
	return 0;
}

/* The JSON text of an array of rows. */
static void
set(const char *text)
{
	json_t *rows = json_loads(text, 0, NULL);

	assert_non_null(rows);
	list_set_array(&l, rows);
	json_decref(rows);
}

#define FOUR "[{\"id\":1,\"name\":\"delta\",\"ms\":30,\"state\":\"ready\"}," \
    "{\"id\":2,\"name\":\"Alpha\",\"ms\":4,\"state\":\"failed\"}," \
    "{\"id\":3,\"name\":\"bravo\",\"state\":\"ready\"}," \
    "{\"id\":4,\"name\":\"charlie\",\"ms\":2000}]"

/* The ids of the rows in their order: "1 2 3". */
static const char *
order(void)
{
	static char text[256];

	text[0] = '\0';
	for (size_t i = 0; i < l.n_rows; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "%s%d", i > 0 ? " " : "", (int)json_integer_value(
		    json_object_get(l.rows[i].json, "id")));
	return text;
}

static int
selected(void)
{
	const json_t *row = list_selected(&l);

	return row == NULL ? -1 :
	    (int)json_integer_value(json_object_get(row, "id"));
}

/* Line y of a drawing of this size. */
static const char *
drawn(int h, int w, int y)
{
	static char text[1024];
	struct area a;

	canvas_resize(&canvas, h, w);
	a = area_all(&canvas);
	list_draw(&l, &a, "empty");
	text[0] = '\0';
	for (int x = 0; y < h && x < w; x++)
		text[x] = (char)canvas.cells[y * w + x].ch[0];
	text[w] = '\0';
	while (w > 0 && text[w - 1] == ' ')
		text[--w] = '\0';
	return text;
}

/* ---- order ---- */

static void
rows_are_sorted_by_number_text_and_absence(void **state)
{
	set(FOUR);
	assert_string_equal(order(), "1 2 3 4");
	list_sort(&l, BY_NAME, false);
	assert_string_equal(order(), "2 3 4 1");
	list_sort(&l, BY_MS, false);
	assert_string_equal(order(), "2 1 4 3");
	list_sort(&l, BY_MS, true);		/* absent ones stay last */
	assert_string_equal(order(), "4 1 2 3");
	list_sort(&l, BY_STATE, false);		/* equal: as given */
	assert_string_equal(order(), "2 1 3 4");
	list_sort(&l, AS_GIVEN, true);
	assert_string_equal(order(), "4 3 2 1");
	list_sort(&l, 99, false);
	assert_string_equal(order(), "1 2 3 4");
}

static void
the_sort_column_moves_in_a_circle(void **state)
{
	set(FOUR);
	assert_true(list_act(&l, ACT_SORT_RIGHT));
	assert_int_equal(l.sort, BY_ID);
	list_act(&l, ACT_SORT_RIGHT);
	assert_string_equal(order(), "2 3 4 1");
	list_act(&l, ACT_REVERSE);
	assert_string_equal(order(), "1 4 3 2");
	list_act(&l, ACT_SORT_LEFT);
	list_act(&l, ACT_SORT_LEFT);
	assert_int_equal(l.sort, AS_GIVEN);
	list_act(&l, ACT_SORT_LEFT);
	assert_int_equal(l.sort, 4);
	assert_false(list_act(&l, ACT_SORT));
	assert_false(list_act(&l, ACT_DETAIL));
}

/* ---- filter ---- */

static void
filters(void **state)
{
	static const struct {
		const char *filter, *order;
	} cases[] = {
		{ "ALPHA", "2" }, { "a", "1 2 3 4" }, { "!ready", "2 4" },
		{ "state:ready", "1 3" }, { "NAME:a", "1 2 3 4" },
		{ "ID:3", "3" }, { "!id:3", "1 2 4" }, { "2.00s", "4" },
		{ "nothing:a", "" }, { "!", "" }, { "zzz", "" },
		{ "state:", "1 2 3 4" }, { "", "1 2 3 4" },
	};

	set(FOUR);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		list_filter(&l, cases[i].filter);
		assert_string_equal(order(), cases[i].order);
	}
	list_filter(&l, NULL);
	assert_int_equal(l.n_rows, 4);
}

static void
a_filter_judges_new_rows(void **state)
{
	list_filter(&l, "b");
	set(FOUR);
	assert_string_equal(order(), "3");
	set("[{\"id\":8,\"name\":\"bob\"},{\"id\":9,\"name\":\"x\"}]");
	assert_string_equal(order(), "8");
	assert_int_equal(l.n_all, 2);
}

/* Rows that stay keep their verdict, those that come get one. */
static void
known_rows_are_not_judged_again(void **state)
{
	json_t *all = json_loads(FOUR, 0, NULL);
	const json_t *rows[3];

	list_filter(&l, "a");
	list_sort(&l, BY_MS, false);
	for (size_t i = 0; i < 3; i++)
		rows[i] = json_array_get(all, i);
	list_set(&l, rows, NULL, 3);
	assert_string_equal(order(), "2 1 3");
	/* Nobody changes rows; a change that is not seen shows it. */
	json_object_set_new((json_t *)rows[1], "ms", json_integer(99));
	for (size_t i = 0; i < 3; i++)
		rows[i] = json_array_get(all, i + 1);
	list_set(&l, rows, NULL, 3);
	assert_string_equal(order(), "2 4 3");
	json_decref(all);
}

/* ---- selection ---- */

static void
the_selection_stays_with_its_row(void **state)
{
	set(FOUR);
	assert_int_equal(selected(), 1);
	list_act(&l, ACT_DOWN);
	list_act(&l, ACT_DOWN);
	assert_int_equal(selected(), 3);
	list_sort(&l, BY_NAME, false);
	assert_int_equal(selected(), 3);
	set("[{\"id\":9},{\"id\":8},{\"id\":3,\"name\":\"z\"},{\"id\":4}]");
	assert_int_equal(selected(), 3);
	set("[{\"id\":4},{\"id\":9}]");
	assert_true(selected() == 4 || selected() == 9);
	set("[]");
	assert_int_equal(selected(), -1);
	set("[{\"id\":7}]");
	assert_int_equal(selected(), 7);
}

static void
a_hidden_row_is_selected_again(void **state)
{
	set(FOUR);
	list_act(&l, ACT_BOTTOM);
	assert_int_equal(selected(), 4);
	list_filter(&l, "zzz");
	assert_int_equal(selected(), -1);
	list_filter(&l, NULL);
	assert_int_equal(selected(), 4);
}

static void
moves_end_at_the_ends(void **state)
{
	set(FOUR);
	drawn(3, 40, 0);	/* a page of two */
	list_act(&l, ACT_UP);
	assert_int_equal(selected(), 1);
	list_act(&l, ACT_PAGE_DOWN);
	assert_int_equal(selected(), 3);
	list_act(&l, ACT_PAGE_DOWN);
	list_act(&l, ACT_PAGE_DOWN);
	assert_int_equal(selected(), 4);
	list_act(&l, ACT_TOP);
	assert_int_equal(selected(), 1);
	assert_false(list_select(&l, 4));
	assert_true(list_select(&l, 2));
	assert_int_equal(selected(), 3);
	set("[]");
	list_act(&l, ACT_DOWN);
	list_act(&l, ACT_TAG);
	assert_int_equal(selected(), -1);
}

static void
following_stays_at_the_end(void **state)
{
	l.follows = true;
	set("[{\"id\":1},{\"id\":2}]");
	assert_int_equal(selected(), 2);
	set("[{\"id\":1},{\"id\":2},{\"id\":3}]");
	assert_int_equal(selected(), 3);
	list_act(&l, ACT_UP);
	assert_false(l.follows);
	set("[{\"id\":1},{\"id\":2},{\"id\":3},{\"id\":4}]");
	assert_int_equal(selected(), 2);
	list_follow(&l, true);
	assert_int_equal(selected(), 4);
}

/* ---- tags ---- */

static void
tags_are_the_subjects(void **state)
{
	const json_t *out[4];

	set(FOUR);
	assert_int_equal(list_subjects(&l, out, 4), 1);
	list_act(&l, ACT_TAG);		/* and goes down */
	list_act(&l, ACT_DOWN);
	list_act(&l, ACT_TAG);
	assert_int_equal(selected(), 4);
	assert_int_equal(list_subjects(&l, out, 4), 2);
	assert_int_equal(json_integer_value(json_object_get(out[1], "id")),
	    3);
	assert_int_equal(list_subjects(&l, out, 1), 1);
	/* A tagged row that is hidden is no subject, one that goes no tag. */
	list_filter(&l, "delta");
	assert_int_equal(list_subjects(&l, out, 4), 1);
	list_filter(&l, NULL);
	set("[{\"id\":3},{\"id\":4}]");
	assert_int_equal(list_subjects(&l, out, 4), 1);
	set(FOUR);
	assert_int_equal(list_subjects(&l, out, 4), 1);
	list_act(&l, ACT_UNTAG);
	assert_int_equal(json_object_size(l.tags), 0);
	assert_false(l.rows[2].is_tagged);
}

/* ---- drawing ---- */

static void
columns_give_way_by_priority(void **state)
{
	set(FOUR);
	assert_string_equal(drawn(5, 42, 0), "   ID NAME         MS STATE      "
	    "     USED");
	assert_string_equal(drawn(5, 32, 0), "   ID NAME         MS STATE");
	assert_string_equal(drawn(5, 24, 0), "   ID NAME    STATE");
	assert_string_equal(drawn(5, 14, 0), "   ID NAME");
	assert_string_equal(drawn(5, 7, 0), "   ID ~");
	assert_string_equal(drawn(1, 1, 0), "");
}

static void
cells_are_aligned_and_cut(void **state)
{
	set(FOUR);
	assert_string_equal(drawn(5, 32, 1), "    1 delta    30.0ms ready");
	assert_string_equal(drawn(5, 32, 3), "    3 bravo         - ready");
	assert_string_equal(drawn(5, 20, 4), "    4 charlie");
	assert_string_equal(drawn(5, 12, 4), "    4 charl~");
}

static void
the_sorted_column_is_marked(void **state)
{
	set(FOUR);
	list_sort(&l, BY_NAME, false);
	assert_non_null(strstr(drawn(5, 42, 0), "NAME^"));
	list_sort(&l, BY_NAME, true);
	assert_non_null(strstr(drawn(5, 42, 0), "NAMEv"));
}

static void
columns_are_scrolled(void **state)
{
	set(FOUR);
	drawn(5, 15, 0);
	list_act(&l, ACT_RIGHT);
	assert_string_equal(drawn(5, 15, 0), "   ID STATE");
	list_act(&l, ACT_LEFT);
	list_act(&l, ACT_LEFT);
	assert_string_equal(drawn(5, 15, 0), "   ID NAME");
	drawn(5, 80, 0);
	list_act(&l, ACT_RIGHT);	/* all are there */
	assert_int_equal(l.left, 0);
}

static void
a_part_has_a_bar(void **state)
{
	set("[{\"id\":1,\"used\":50,\"all\":100},{\"id\":2,\"used\":1,"
	    "\"all\":0}]");
	assert_non_null(strstr(drawn(3, 80, 1), " ###"));
	assert_non_null(strstr(drawn(3, 80, 1), "50/100"));
	assert_null(strchr(drawn(3, 80, 2), '/'));
}

static void
the_selected_row_is_in_sight(void **state)
{
	char text[4096] = "[";

	for (int i = 1; i <= 100; i++)
		snprintf(text + strlen(text), 32, "%s{\"id\":%d}",
		    i > 1 ? "," : "", i);
	strncat(text, "]", 2);
	set(text);
	list_act(&l, ACT_BOTTOM);
	assert_string_equal(drawn(11, 20, 10), "  100 -");
	assert_int_equal(l.top, 90);
	list_act(&l, ACT_UP);
	assert_string_equal(drawn(11, 20, 10), "  100 -");
	list_select(&l, 5);
	assert_string_equal(drawn(11, 20, 1), "    6 -");
	assert_int_equal(list_row_at(&l, 0), -1);
	assert_int_equal(list_row_at(&l, 1), 5);
	assert_int_equal(list_row_at(&l, 10), 14);
	assert_int_equal(list_row_at(&l, 11), -1);
	assert_int_equal(list_row_at(&l, -5), -1);
	/* Rows go: no empty room stays below. */
	list_act(&l, ACT_BOTTOM);
	drawn(11, 20, 0);
	text[strlen("[{\"id\":1}")] = ']';
	text[strlen("[{\"id\":1}") + 1] = '\0';
	set(text);
	assert_string_equal(drawn(11, 20, 1), "    1 -");
}

static void
an_empty_list_says_why(void **state)
{
	assert_string_equal(drawn(3, 30, 1), " empty");
}

static void
a_table_says_what_it_leaves_out(void **state)
{
	l.is_still = true;
	set(FOUR);
	assert_string_equal(drawn(4, 30, 3), " 2 more");
	assert_string_equal(drawn(5, 30, 4), "    4 charlie   2.00s -");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rows_are_sorted_by_number_text_and_absence),
		T(the_sort_column_moves_in_a_circle),
		T(filters),
		T(a_filter_judges_new_rows),
		T(known_rows_are_not_judged_again),
		T(the_selection_stays_with_its_row),
		T(a_hidden_row_is_selected_again),
		T(moves_end_at_the_ends),
		T(following_stays_at_the_end),
		T(tags_are_the_subjects),
		T(columns_give_way_by_priority),
		T(cells_are_aligned_and_cut),
		T(the_sorted_column_is_marked),
		T(columns_are_scrolled),
		T(a_part_has_a_bar),
		T(the_selected_row_is_in_sight),
		T(an_empty_list_says_why),
		T(a_table_says_what_it_leaves_out),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}

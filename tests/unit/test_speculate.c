/* SPDX-License-Identifier: MIT */
/* Guesses from the text itself, against a search of the whole text. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "worker/speculate.h"

#define N_MAX 70000

static uint32_t text[N_MAX + 8];

/* Where the last `length` tokens stood before, the latest time; 0: nowhere. */
static size_t
search(size_t n, size_t length)
{
	for (size_t end = n - 1; end >= length; end--)
		if (memcmp(text + end - length, text + n - length,
		    length * sizeof(*text)) == 0)
			return end;
	return 0;
}

static void
fill(size_t n, uint32_t n_words, uint32_t seed)
{
	uint32_t x = seed;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525u + 1013904223u;
		text[i] = (x >> 16) % n_words;
	}
}

/* One token at a time and many at once: the longest and latest is found, but
 * for what others have taken the slot of. */
static void
finds_what_was_there(void **state)
{
	struct speculate one, many;
	size_t n_there = 0, n_found = 0;

	fill(600, 12, 5);
	speculate_init(&one);
	for (size_t n = 1; n <= 600; n++) {
		size_t want = 0, length = SPECULATE_MOST;

		speculate_add(&one, text, n);
		while (length >= SPECULATE_LEAST && (n <= length ||
		    (want = search(n, length)) == 0))
			length--;
		n_there += want > 0;
		n_found += want > 0 && one.match == want &&
		    one.length == length;
		if (one.match > 0)
			assert_int_equal(one.match, search(n, one.length));
		assert_int_equal(speculate_chance(&one) > 0, one.match > 0);
		if (n % 97 != 0)
			continue;
		speculate_init(&many);
		speculate_add(&many, text, n);
		assert_int_equal(many.match, one.match);
		speculate_fini(&many);
	}
	assert_true(n_there > 400);
	assert_true(n_found * 10 >= n_there * 8);
	speculate_fini(&one);
}

/* A guess goes on with guesses: a rhythm is kept up. */
static void
goes_on_with_itself(void **state)
{
	static const uint32_t rhythm[] = { 7, 8, 9, 7, 8, 9, 7 };
	static const uint32_t want[] = { 8, 9, 7, 8, 9, 7, 8, 9 };
	struct speculate s;

	memcpy(text, rhythm, sizeof(rhythm));
	speculate_init(&s);
	speculate_add(&s, text, 7);
	speculate_draft(&s, text, 7, 8);
	assert_memory_equal(text + 7, want, sizeof(want));
	speculate_fini(&s);
}

/* A long text: memory is bounded, and what is found is true. */
static void
long_texts(void **state)
{
	struct speculate s;
	size_t n_found = 0;

	fill(N_MAX, 300, 1);
	speculate_init(&s);
	for (size_t n = 1000; n <= N_MAX; n += 1000) {
		speculate_add(&s, text, n);
		if (s.match == 0)
			continue;
		n_found++;
		assert_true(s.match < n);
		assert_memory_equal(text + s.match - s.length,
		    text + n - s.length, s.length * sizeof(*text));
	}
	assert_true(n_found > 10);
	assert_true(s.n_slots <= (size_t)1 << 16);
	speculate_fini(&s);
}

static void
learns_and_forgets(void **state)
{
	static const uint32_t twice[] = { 1, 2, 3, 4, 5, 1, 2, 3, 4 };
	struct speculate s;
	double first, low;

	memcpy(text, twice, sizeof(twice));
	speculate_init(&s);
	assert_true(speculate_chance(&s) == 0);
	speculate_add(&s, text, 9);
	first = speculate_chance(&s);
	for (int i = 0; i < 10; i++)
		speculate_learn(&s, 4, 0);
	low = speculate_chance(&s);
	assert_true(low < 0.1);
	for (int i = 0; i < 10; i++)
		speculate_learn(&s, 4, 3);
	assert_true(speculate_chance(&s) > first - 0.1);
	for (int i = 0; i < 10; i++)
		speculate_learn(&s, 2, 0);
	/* after a while without it is worth another try */
	for (int i = 0; i < 200; i++)
		speculate_add(&s, text, 9);
	assert_true(speculate_chance(&s) > first / 2);
	speculate_fini(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_was_there),
		cmocka_unit_test(goes_on_with_itself),
		cmocka_unit_test(long_texts),
		cmocka_unit_test(learns_and_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

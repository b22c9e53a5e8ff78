/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gate/affinity.h"

#define TEXT_MAX ((size_t)AFFINITY_BLOCK * (AFFINITY_BLOCKS_MAX + 10))

static struct affinity seen;
static char text[TEXT_MAX];

static int
setup(void **state)
{
	memset(&seen, 0, sizeof(seen));
	for (size_t i = 0; i < TEXT_MAX; i++)
		text[i] = (char)('a' + (i * i / 7 + i) % 26);
	return 0;
}

static struct affinity_key
key_of(const char *p, size_t n)
{
	struct msg_run run = { .input = RUN_TEXT, .text = { .p = p, .n = n } };
	struct affinity_key k;

	affinity_key_init(&k, &run);
	return k;
}

static void
note(const char *p, size_t n)
{
	struct affinity_key k = key_of(p, n);

	affinity_note(&seen, &k);
	affinity_key_fini(&k);
}

static size_t
score(const char *p, size_t n)
{
	struct affinity_key k = key_of(p, n);
	size_t blocks = affinity_score(&seen, &k);

	affinity_key_fini(&k);
	return blocks;
}

static void
a_common_begin_counts(void **state)
{
	const size_t n = (size_t)AFFINITY_BLOCK * 4;

	assert_int_equal(score(text, n), 0);
	note(text, n + 5);
	assert_int_equal(score(text, n - 1), 3);
	assert_int_equal(score(text, n), 4);
	assert_int_equal(score(text, 2 * n), 4);
	text[AFFINITY_BLOCK * 2] ^= 1;
	assert_int_equal(score(text, n), 2);
	text[0] ^= 1;
	assert_int_equal(score(text, n), 0);
	/* The same bytes elsewhere are something else. */
	assert_int_equal(score(text + AFFINITY_BLOCK, n), 0);
}

static void
short_and_long_prompts(void **state)
{
	struct affinity_key k = key_of(text, AFFINITY_BLOCK - 1);

	assert_int_equal(k.n, 0);
	assert_null(k.v);
	affinity_key_fini(&k);
	note(text, TEXT_MAX);
	/* One prompt never pushes out its own begin. */
	assert_int_equal(score(text, TEXT_MAX), AFFINITY_BLOCKS_MAX);
	text[TEXT_MAX - 1] ^= 1;
	assert_int_equal(score(text, TEXT_MAX), AFFINITY_BLOCKS_MAX);
}

static void
put_message(struct buf *b, const char *role, const char *p, size_t n)
{
	strs_put(b, slice_of(role));
	strs_put(b, (struct slice){ .p = p, .n = n });
}

/* Two long first messages with the same begin, and a chat that goes on. */
static void
chats(void **state)
{
	const size_t n = (size_t)AFFINITY_BLOCK * 3;
	struct msg_run run = { .input = RUN_CHAT };
	struct affinity_key k;
	struct buf b;

	buf_init(&b, 1 << 20);
	put_message(&b, "user", text, n);
	run.messages = (struct slice){ .p = buf_cstr(&b), .n = b.len };
	affinity_key_init(&k, &run);
	assert_int_equal(k.n, 3);
	affinity_note(&seen, &k);
	affinity_key_fini(&k);
	put_message(&b, "assistant", text + 5, n);
	run.messages = (struct slice){ .p = buf_cstr(&b), .n = b.len };
	affinity_key_init(&k, &run);
	assert_int_equal(k.n, 6);
	assert_int_equal(affinity_score(&seen, &k), 3);
	affinity_key_fini(&k);
	buf_clear(&b);
	put_message(&b, "user", text, n * 2);
	run.messages = (struct slice){ .p = buf_cstr(&b), .n = b.len };
	affinity_key_init(&k, &run);
	assert_int_equal(affinity_score(&seen, &k), 3);
	affinity_key_fini(&k);
	/* The same bytes as text are another prompt. */
	assert_int_equal(score(text, n), 0);
	buf_fini(&b);
}

static void
tokens(void **state)
{
	struct msg_run run = { .input = RUN_TOKENS,
	    .tokens = { (const uint8_t *)text, AFFINITY_BLOCK / 2 } };
	struct affinity_key k;

	affinity_key_init(&k, &run);
	assert_int_equal(k.n, 2);
	affinity_note(&seen, &k);
	assert_int_equal(affinity_score(&seen, &k), 2);
	affinity_key_fini(&k);
}

/* What is used stays, and the oldest goes. */
static void
the_oldest_is_forgotten(void **state)
{
	const size_t n = (size_t)AFFINITY_BLOCK * 2;
	char other[AFFINITY_BLOCK * 2];

	note(text, n);
	memcpy(other, text + n, n);
	for (unsigned i = 0; i < AFFINITY_SETS * AFFINITY_WAYS * 4; i++) {
		memcpy(other, &i, sizeof(i));
		note(other, n);
		if (i % 64 == 0) {
			assert_int_equal(score(text, n), 2);
			note(text, n);
		}
	}
	assert_int_equal(score(other, n), 2);
	memset(other, 0, sizeof(unsigned));
	assert_int_equal(score(other, n), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_common_begin_counts, setup),
		cmocka_unit_test_setup(short_and_long_prompts, setup),
		cmocka_unit_test_setup(chats, setup),
		cmocka_unit_test_setup(tokens, setup),
		cmocka_unit_test_setup(the_oldest_is_forgotten, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

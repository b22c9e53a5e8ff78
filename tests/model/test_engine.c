/* SPDX-License-Identifier: MIT */
/*
 * The engine with the shipped model: what a request gets must not depend on
 * what else runs, on how much KV cache there is, or on having been begun by
 * another worker.
 */
#include "config.h"

#include "engine_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kernels/kernels.h"

#define N_MANY 20

/* Steps take any time, so slices have any size. */
static uint64_t
wild_clock(void)
{
	static uint64_t now_ns = 1, x = 1;

	x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return now_ns += (x >> 33) % (x >> 63 != 0 ? 100000000 : 100000);
}

/* Every run with nothing beside it. */
static struct answer *
answers_alone(void)
{
	struct answer *alone = xcalloc(N_MANY, sizeof(*alone));
	struct bench b;

	bench_open(&b, N_CTX);
	for (size_t i = 0; i < N_MANY; i++) {
		struct msg_run m = request(i);

		engine_run(b.e, &link_a, i, &m);
		bench_finish(&b);
		assert_true(answers[i].ended);
		assert_int_equal(answers[i].code, 0);
		assert_true(answers[i].n > 0);
		alone[i] = answers[i];
		memset(&answers[i], 0, sizeof(answers[i]));
	}
	bench_close(&b);
	return alone;
}

static void
free_answers(struct answer *a)
{
	for (size_t i = 0; i < N_MANY; i++) {
		buf_fini(&a[i].text);
		buf_fini(&a[i].logprobs);
	}
	free(a);
}

static void
check_together(uint32_t n_ctx)
{
	struct answer *alone = answers_alone();
	struct bench b;

	bench_open(&b, n_ctx);
	for (size_t i = 0; i < N_MANY; i++) {
		struct msg_run m = request(i);

		engine_run(b.e, &link_a, i, &m);
		/* Others come while these run. */
		for (size_t j = 0; j < i % 4; j++)
			bench_step(&b);
	}
	bench_finish(&b);
	for (size_t i = 0; i < N_MANY; i++)
		assert_same_answer(&alone[i], &answers[i]);
	bench_close(&b);
	free_answers(alone);
}

static void
neighbours_change_nothing(void **state)
{
	check_together(N_CTX);
}

/* The cache holds one context: runs lose their pages all the time. */
static void
preemption_changes_nothing(void **state)
{
	check_together(SMALL_CTX);
}

static void
resuming_changes_nothing(void **state)
{
	static const size_t after[] = { 1, 2, 31, 59 };
	struct answer *alone = answers_alone();
	/* The sanitizers make this slow; they need no more than a few. */
	size_t step = getenv("BM_SANITIZED") != NULL ? 8 : 1;
	struct bench b;

	bench_open(&b, N_CTX);
	for (size_t i = 0; i < N_MANY; i += step) {
		for (size_t j = 0; j < N_ELEMENTS(after); j++) {
			struct msg_run m = request(i);
			struct answer *a = &answers[0];
			size_t n = MEM_MIN(after[j], alone[i].n);

			forget_answers();
			m.resume = (struct words){ alone[i].tokens, n };
			engine_run(b.e, &link_a, 0, &m);
			bench_finish(&b);
			assert_int_equal(a->n, alone[i].n - n);
			assert_memory_equal(a->tokens, alone[i].tokens + n,
			    a->n * sizeof(*a->tokens));
			assert_int_equal(a->finish, alone[i].finish);
			assert_int_equal(a->completion_tokens,
			    alone[i].completion_tokens);
			assert_true(a->text.len <= alone[i].text.len);
			if (a->text.len > 0)
				assert_memory_equal(a->text.data,
				    alone[i].text.data + alone[i].text.len -
				    a->text.len, a->text.len);
		}
	}
	bench_close(&b);
	free_answers(alone);
}

/* At every token at which a worker may die: the texts join to the whole. */
static void
resumed_text_joins(void **state)
{
	struct bench b;
	struct answer whole;
	struct msg_run m = request(0);
	struct buf stop;

	buf_init(&stop, 256);
	strs_put(&stop, slice_of("qqq"));
	strs_put(&stop, slice_of(" said, \"No"));
	m.stop = (struct slice){ (char *)stop.data, stop.len };
	m.max_tokens = 60;
	bench_open(&b, N_CTX);
	engine_run(b.e, &link_a, 0, &m);
	bench_finish(&b);
	whole = answers[0];
	memset(&answers[0], 0, sizeof(answers[0]));
	for (size_t n = 0; n <= whole.n; n++) {
		struct buf joined;

		forget_answers();
		buf_init(&joined, 1 << 20);
		m.resume = (struct words){ NULL, 0 };
		/* the first worker, until it has given n tokens */
		engine_run(b.e, &link_a, 1, &m);
		while (answers[1].n < n)
			bench_step(&b);
		buf_put(&joined, answers[1].text.data, answers[1].text.len);
		engine_drop_link(b.e, &link_a);
		m.resume = (struct words){ whole.tokens, n };
		engine_run(b.e, &link_a, 2, &m);
		bench_finish(&b);
		buf_put(&joined, answers[2].text.data, answers[2].text.len);
		assert_int_equal(joined.len, whole.text.len);
		assert_memory_equal(joined.data, whole.text.data,
		    joined.len);
		assert_int_equal(answers[2].finish, whole.finish);
		assert_string_equal(answers[2].stop, whole.stop);
		buf_fini(&joined);
	}
	bench_close(&b);
	buf_fini(&whole.text);
	buf_fini(&whole.logprobs);
	buf_fini(&stop);
}

/* ---- guesses, slices, threads ---- */

/* Request i with more of what depends on the text so far; half of the prompts
 * go round in circles. */
static struct msg_run
varied(size_t i)
{
	static const char *const circles[] = {
	    "One day the cat sat. One day the cat sat. One day the",
	    "He ran and ran and ran and ran and ran and",
	    "\"No,\" said Tom. \"No,\" said Mom. \"No,\" said Tom." };
	static const uint32_t biased[] = { 300, 310, 320 };
	static const uint32_t values[] = { 0x40000000, 0xc0000000,
	    0xff800000 };		/* 2, -2, -infinity */
	struct msg_run m = request(i);

	if (i % 2 == 0)
		m.text = slice_of(circles[i / 2 % N_ELEMENTS(circles)]);
	m.n_probs = i % 3 == 0 ? (int32_t)(i % 4) : -1;
	if (i % 4 == 2)
		m.temperature = 0.3f;
	if (i % 5 == 2) {
		m.presence_penalty = 0.2f;
		m.frequency_penalty = 0.1f;
	}
	if (i % 7 == 3) {
		m.bias_tokens = (struct words){ biased, 3 };
		m.bias_values = (struct words){ values, 3 };
	}
	return m;
}

/* All of varied() with arrivals by chance; the load at the end. */
static struct msg_load
run_way(const struct way *w, uint32_t seed)
{
	struct msg_load load;
	struct bench b;

	bench_open_way(&b, w);
	for (size_t i = 0; i < N_MANY; i++) {
		struct msg_run m = varied(i);

		engine_run(b.e, &link_a, i, &m);
		seed = seed * 1664525u + 1013904223u;
		for (uint32_t j = 0; j < (seed >> 16) % 12; j++)
			bench_step(&b);
	}
	bench_finish(&b);
	engine_load(b.e, &load);
	bench_close(&b);
	return load;
}

static struct answer *
answers_plain(void)
{
	static const struct way plain = { N_CTX, 1, SPECULATE_NO, true,
	    still_clock };
	struct answer *want = xcalloc(N_MANY, sizeof(*want));
	struct bench b;

	bench_open_way(&b, &plain);
	for (size_t i = 0; i < N_MANY; i++) {
		struct msg_run m = varied(i);

		engine_run(b.e, &link_a, i, &m);
		bench_finish(&b);
		want[i] = answers[i];
		memset(&answers[i], 0, sizeof(answers[i]));
	}
	bench_close(&b);
	return want;
}

static void
no_way_changes_anything(void **state)
{
	static const struct way ways[] = {
		{ N_CTX, 2, SPECULATE_YES, false, still_clock },
		{ SMALL_CTX, 3, SPECULATE_YES, false, wild_clock },
		{ N_CTX, 1, SPECULATE_AUTO, false, wild_clock },
		{ N_CTX, 3, SPECULATE_NO, false, wild_clock },
		{ N_CTX, 2, SPECULATE_YES, true, wild_clock },
		{ SMALL_CTX, 2, SPECULATE_AUTO, false, NULL },
	};
	size_t step = getenv("BM_SANITIZED") != NULL ? 3 : 1;
	struct answer *want = answers_plain();

	for (size_t i = 0; i < N_ELEMENTS(ways); i += step) {
		struct msg_load l = run_way(&ways[i], (uint32_t)i);

		for (size_t j = 0; j < N_MANY; j++)
			assert_same_answer(&want[j], &answers[j]);
		print_message("# way %zu: %llu guessed, %llu rightly\n", i,
		    (unsigned long long)l.drafted_tokens,
		    (unsigned long long)l.accepted_tokens);
		if (ways[i].speculate == SPECULATE_YES) {
			assert_true(l.accepted_tokens > 50);
			assert_true(l.drafted_tokens > l.accepted_tokens);
		} else if (ways[i].speculate == SPECULATE_NO) {
			assert_int_equal(l.drafted_tokens, 0);
		}
	}
	free_answers(want);
}

/* A run may end at any place among its guesses. */
static void
guesses_end_where_they_must(void **state)
{
	static const struct way guess = { N_CTX, 2, SPECULATE_YES, false,
	    still_clock };
	struct msg_run m = varied(6);
	struct answer whole;
	struct bench b;
	size_t at;

	m.temperature = 0;
	m.max_tokens = 40;
	bench_open_way(&b, &guess);
	engine_run(b.e, &link_a, 0, &m);
	bench_finish(&b);
	assert_true(n_steps < 35);	/* guesses were right */
	whole = answers[0];
	memset(&answers[0], 0, sizeof(answers[0]));
	for (int32_t n = 1; n < 40; n++) {
		forget_answers();
		m.max_tokens = n;
		engine_run(b.e, &link_a, 0, &m);
		bench_finish(&b);
		assert_int_equal(answers[0].n, n);
		assert_int_equal(answers[0].completion_tokens, n);
		assert_int_equal(answers[0].finish, FINISH_LENGTH);
		assert_memory_equal(answers[0].tokens, whole.tokens,
		    (size_t)n * sizeof(*whole.tokens));
	}
	m.max_tokens = 40;
	for (at = 0; at + 3 < whole.text.len; at++) {
		const char *text = buf_cstr(&whole.text);
		struct slice stop = { text + at, 3 };
		size_t first = (size_t)(strstr(text, (char[]){ text[at],
		    text[at + 1], text[at + 2], '\0' }) - text);
		struct buf stops;

		buf_init(&stops, 64);
		strs_put(&stops, stop);
		m.stop = (struct slice){ (char *)stops.data, stops.len };
		forget_answers();
		engine_run(b.e, &link_a, 0, &m);
		bench_finish(&b);
		assert_int_equal(answers[0].finish, FINISH_STOP);
		assert_int_equal(answers[0].text.len, first);
		buf_fini(&stops);
	}
	bench_close(&b);
	buf_fini(&whole.text);
	buf_fini(&whole.logprobs);
}

/* With the context full, too; and all that the cache keeps of a run with wrong
 * guesses is true. */
static void
wrong_guesses_leave_nothing(void **state)
{
	struct way w = { N_CTX, 2, SPECULATE_NO, true, still_clock };
	static uint32_t text[N_CTX];
	struct msg_run m = varied(4);
	struct answer want;
	struct msg_load load;
	struct bench b;

	m.temperature = 1.2f;
	m.max_tokens = -1;
	m.ignore_eos = 1;
	bench_open_way(&b, &w);
	engine_run(b.e, &link_a, 0, &m);
	bench_finish(&b);
	memcpy(text, answers[0].tokens, sizeof(text));
	m.input = RUN_TOKENS;
	m.tokens = (struct words){ text, 300 };
	engine_run(b.e, &link_a, 1, &m);
	bench_finish(&b);
	want = answers[1];
	memset(&answers[1], 0, sizeof(answers[1]));
	bench_close(&b);

	w.speculate = SPECULATE_YES;
	w.no_prefixes = false;
	bench_open_way(&b, &w);
	engine_run(b.e, &link_a, 0, &m);	/* its pages are kept */
	bench_finish(&b);
	assert_same_answer(&want, &answers[0]);
	engine_load(b.e, &load);
	assert_true(load.drafted_tokens > load.accepted_tokens);
	for (size_t n = 310; n < 500; n += 50) {
		forget_answers();
		memcpy(text + 300, want.tokens, want.n * sizeof(*text));
		m.tokens = (struct words){ text, n };
		engine_run(b.e, &link_a, 0, &m);
		bench_finish(&b);
		assert_int_equal(answers[0].n, N_CTX - n);
		assert_memory_equal(answers[0].tokens, want.tokens + n - 300,
		    (N_CTX - n) * sizeof(*want.tokens));
	}
	bench_close(&b);
	buf_fini(&want.text);
	buf_fini(&want.logprobs);
}

/* ---- ends ---- */

static void
lengths_end_it(void **state)
{
	struct bench b;
	struct msg_run m = request(1);		/* ignores the end token */

	bench_open(&b, N_CTX);
	m.max_tokens = 7;
	engine_run(b.e, &link_a, 0, &m);
	m.max_tokens = 0;
	engine_run(b.e, &link_a, 1, &m);
	m.max_tokens = -1;
	engine_run(b.e, &link_a, 2, &m);
	bench_finish(&b);
	for (size_t i = 0; i < 3; i++) {
		assert_true(answers[i].started);
		assert_int_equal(answers[i].finish, FINISH_LENGTH);
		assert_int_equal(answers[i].n, answers[i].completion_tokens);
	}
	assert_int_equal(answers[0].n, 7);
	assert_int_equal(answers[1].n, 0);
	assert_int_equal(answers[2].n + answers[2].prompt_tokens, N_CTX);
	bench_close(&b);
}

static void
bad_requests_are_refused(void **state)
{
	static const uint32_t beyond[] = { 1, 1u << 30 };
	static uint32_t many[N_CTX];
	struct bench b;
	struct msg_run m = request(0);
	const uint32_t value = 0;

	bench_open(&b, N_CTX);
	m.input = RUN_TOKENS;
	m.tokens = (struct words){ many, N_CTX };
	engine_run(b.e, &link_a, 0, &m);
	assert_int_equal(answers[0].code, BM_ETOOLONG);
	assert_non_null(strstr(answers[0].cause, "512"));
	m.tokens = (struct words){ beyond, 2 };
	engine_run(b.e, &link_a, 1, &m);
	assert_int_equal(answers[1].code, BM_EBADREQ);
	m = request(0);
	m.resume = (struct words){ beyond + 1, 1 };
	engine_run(b.e, &link_a, 2, &m);
	assert_int_equal(answers[2].code, BM_EBADREQ);
	m = request(0);
	m.bias_tokens = (struct words){ beyond + 1, 1 };
	m.bias_values = (struct words){ &value, 1 };
	engine_run(b.e, &link_a, 3, &m);
	assert_int_equal(answers[3].code, BM_EBADREQ);
	m.bias_values = (struct words){ NULL, 0 };
	engine_run(b.e, &link_a, 4, &m);
	assert_int_equal(answers[4].code, BM_EBADREQ);
	m = request(0);
	m.temperature = NAN;
	engine_run(b.e, &link_a, 5, &m);
	assert_int_equal(answers[5].code, BM_EBADREQ);
	assert_false(engine_has_work(b.e));
	bench_close(&b);
}

static void
cancelling(void **state)
{
	struct bench b;
	struct msg_run m = request(1);

	bench_open(&b, N_CTX);
	for (size_t i = 0; i < N_PARALLEL + 2; i++)
		engine_run(b.e, &link_a, i, &m);
	engine_run(b.e, &link_b, 0, &m);
	bench_step(&b);
	bench_step(&b);
	assert_true(answers[0].n > 0);
	assert_false(answers[N_PARALLEL].started);
	engine_cancel(b.e, &link_b, 1);		/* another's id */
	assert_false(answers[1].ended);
	engine_cancel(b.e, &link_a, 0);
	engine_cancel(b.e, &link_a, N_PARALLEL);
	assert_int_equal(answers[0].code, BM_ECANCEL);
	assert_int_equal(answers[0].completion_tokens, answers[0].n);
	assert_int_equal(answers[N_PARALLEL].code, BM_ECANCEL);
	engine_cancel(b.e, &link_a, 0);		/* gone already */
	engine_drop_link(b.e, &link_b);
	bench_step(&b);
	assert_true(answers[N_PARALLEL + 1].started);
	engine_drop_link(b.e, &link_a);
	assert_false(engine_has_work(b.e));
	bench_close(&b);
}

static void
echo_comes_with_the_first_token(void **state)
{
	struct bench b;
	struct msg_run m = request(0);

	bench_open(&b, N_CTX);
	m.echo = 1;
	m.max_tokens = 3;
	engine_run(b.e, &link_a, 0, &m);
	bench_finish(&b);
	assert_int_equal(strncmp(buf_cstr(&answers[0].text), m.text.p,
	    m.text.n), 0);
	m.resume = (struct words){ answers[0].tokens, 1 };
	engine_run(b.e, &link_a, 1, &m);
	bench_finish(&b);
	assert_null(strstr(buf_cstr(&answers[1].text), m.text.p));
	bench_close(&b);
}

static void
logprobs_go_with_the_tokens(void **state)
{
	struct bench b;
	struct msg_run m = request(1);
	struct logprob_item item, top;
	struct cur c;
	size_t n = 0;

	bench_open(&b, N_CTX);
	m.n_probs = 3;
	m.temperature = 0;
	engine_run(b.e, &link_a, 0, &m);
	bench_finish(&b);
	c = cur_of(answers[0].logprobs.data, answers[0].logprobs.len);
	while (logprob_next(&c, &item)) {
		assert_int_equal(item.token, answers[0].tokens[n++]);
		assert_true(item.logprob <= 0);
		assert_int_equal(item.n_top, 3);
		for (int i = 0; i < 3; i++) {
			assert_true(logprob_next(&c, &top));
			if (i == 0)	/* greedily the first is taken */
				assert_int_equal(top.token, item.token);
			assert_true(top.logprob <= item.logprob);
		}
	}
	assert_int_equal(n, answers[0].n);
	bench_close(&b);
}

/* A long prompt comes: those who generate get a token in every step. */
static size_t
resident_bytes(void)
{
	unsigned long total, resident;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &total, &resident), 2);
	fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* A file may name a context that nobody will ever fill. */
static void
room_for_a_long_context_is_free(void **state)
{
	const struct kv_shape shape = model_kv_shape(model, ATTEND_F16);
	const int n_threads = 8;
	const size_t n_tokens = (size_t)1 << 24;
	struct cause cause;
	struct pool *pool = NULL;
	struct kv_pool *kv = NULL;
	struct model_run *run = NULL;
	size_t before;

	assert_int_equal(pool_new(&pool, n_threads, &cause), 0);
	before = resident_bytes();
	assert_int_equal(kv_pool_new(&shape, n_tokens / KV_PAGE, &kv, &cause),
	    0);
	assert_int_equal(model_run_new(model, pool, kv, 1, &run, &cause), 0);
	assert_true(model_run_bytes(run) < n_tokens / 4);
	assert_true(resident_bytes() - before < n_tokens / 4);
	model_run_free(&run);
	kv_pool_free(&kv);
	pool_free(&pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_change_nothing),
		cmocka_unit_test(preemption_changes_nothing),
		cmocka_unit_test(resuming_changes_nothing),
		cmocka_unit_test(resumed_text_joins),
		cmocka_unit_test(no_way_changes_anything),
		cmocka_unit_test(guesses_end_where_they_must),
		cmocka_unit_test(wrong_guesses_leave_nothing),
		cmocka_unit_test(lengths_end_it),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(cancelling),
		cmocka_unit_test(echo_comes_with_the_first_token),
		cmocka_unit_test(logprobs_go_with_the_tokens),
		cmocka_unit_test(room_for_a_long_context_is_free),
	};

	return cmocka_run_group_tests(tests, engine_rig_setup,
	    engine_rig_teardown);
}

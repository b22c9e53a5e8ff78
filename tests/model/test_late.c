/* SPDX-License-Identifier: MIT */
/*
 * Steps of the engine that come to be late and are divided between layers:
 * answers are as if none had been, whatever happens before the rest is done.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"
#include "kernels/kernels.h"
#include "wire/msg.h"
#include "worker/engine.h"

#define N_CTX		256
#define N_PARALLEL	6
#define N_RUNS		24

struct answer {
	uint32_t	 tokens[N_CTX];
	size_t		 n;
	struct buf	 logprobs;
	bool		 ended;
	int		 code;
};

static struct model *model;
static struct answer answers[N_RUNS];
static char link_end;
static uint32_t chance = 1;

static uint32_t
draw(uint32_t below)
{
	chance = chance * 1664525u + 1013904223u;
	return (chance >> 16) % below;
}

static void
receive(void *link, enum msg_type type, uint64_t id, const void *m)
{
	const struct msg_out *out = m;
	struct answer *a = &answers[id];

	assert_false(a->ended);
	if (type == MSG_OUT) {
		for (size_t i = 0; i < out->tokens.n; i++)
			a->tokens[a->n++] = words_at(out->tokens, i);
		buf_put(&a->logprobs, out->logprobs.p, out->logprobs.n);
	} else if (type == MSG_ENDED) {
		a->ended = true;
		a->code = ((const struct msg_ended *)m)->code;
	}
}

/* What follows a look at the clock takes so long, or up to that by chance:
 * layers take any time, so many steps with prompts come to be late. */
static uint64_t tick_ms;
static bool is_wild;

static uint64_t
test_clock(void)
{
	static uint64_t next_ns = 1;
	uint64_t now_ns = next_ns;

	next_ns += (is_wild ? draw((uint32_t)tick_ms) : tick_ms) *
	    UINT64_C(1000000);
	return now_ns;
}

static void
clear_answers(void)
{
	for (size_t i = 0; i < N_RUNS; i++) {
		buf_fini(&answers[i].logprobs);
		memset(&answers[i], 0, sizeof(answers[i]));
		buf_init(&answers[i].logprobs, 1 << 20);
	}
}

static uint32_t
token_at(uint32_t text, uint32_t pos)
{
	return 5 + (text * 131 + pos * 37) % 900;
}

/* Long prompts: of every three neighbours, two begin in the same way. */
static void
start(struct engine *e, size_t i)
{
	static uint32_t ids[N_CTX];
	uint32_t n = 20 + (uint32_t)i * 29 % 140;
	struct msg_run m = { .input = RUN_TOKENS, .ignore_eos = 1,
	    .tokens = { ids, n }, .n_probs = 2, .temperature = 0.8f,
	    .top_p = 1, .repeat_penalty = 1, .seed = i,
	    .max_tokens = 20 + (int32_t)i * 7 % 50 };

	for (uint32_t j = 0; j < n; j++)
		ids[j] = token_at(j < 70 ? (uint32_t)i / 3 + (i % 3 == 0) * 50
		    : (uint32_t)i, j);
	engine_run(e, &link_end, i, &m);
}

struct way {
	int		 n_threads;
	size_t		 n_pages;
	uint8_t		 speculate;
	bool		 no_prefixes;
	bool		 cancels;
};

static struct engine *
open_engine(const struct way *w, struct engine_conf *conf)
{
	struct kv_shape shape = model_kv_shape(model, ATTEND_F16);
	struct engine *e;
	struct cause cause;

	*conf = (struct engine_conf){ .model = model,
	    .chat = chat_form_find(slice_of("")), .n_ctx = N_CTX,
	    .n_parallel = N_PARALLEL, .send = receive, .now_ns = test_clock,
	    .speculate = w->speculate, .no_prefixes = w->no_prefixes };
	assert_int_equal(pool_new(&conf->pool, w->n_threads, &cause), 0);
	assert_int_equal(kv_pool_new(&shape, w->n_pages, &conf->kv, &cause),
	    0);
	assert_int_equal(engine_new(conf, &e, &cause), 0);
	clear_answers();
	return e;
}

static void
close_engine(struct engine *e, struct engine_conf *conf)
{
	engine_free(&e);
	assert_int_equal(kv_pool_n_free(conf->kv), kv_pool_n_pages(conf->kv));
	kv_pool_free(&conf->kv);
	pool_free(&conf->pool);
}

static void
run_to_end(struct engine *e)
{
	while (engine_has_work(e))
		engine_step(e);
}

/* All runs by chance, and how many steps were divided. */
static size_t
run_all(const struct way *w, bool together)
{
	struct engine_conf conf;
	struct engine *e = open_engine(w, &conf);
	size_t n_divided = 0;

	is_wild = true;
	tick_ms = together ? 120 : 1;
	for (size_t i = 0; i < N_RUNS || engine_has_work(e);) {
		if (i < N_RUNS && (together ? draw(4) == 0 :
		    !engine_has_work(e)))
			start(e, i++);
		if (w->cancels && i > 0 && draw(6) == 0)
			engine_cancel(e, &link_end, i - 1 -
			    draw(MEM_MIN((uint32_t)i, 4u)));
		engine_step(e);
		n_divided += engine_last_work(e).put_off > 0;
	}
	close_engine(e, &conf);
	return n_divided;
}

/* A run that was cancelled had got the begin of its answer. */
static void
compare(const struct answer *a, const struct answer *whole)
{
	assert_true(a->ended);
	assert_true(a->code == 0 || a->code == BM_ECANCEL);
	assert_true(a->n <= whole->n);
	if (a->code == 0)
		assert_int_equal(a->n, whole->n);
	assert_memory_equal(a->tokens, whole->tokens, a->n *
	    sizeof(*a->tokens));
	assert_true(a->logprobs.len <= whole->logprobs.len);
	if (a->logprobs.len > 0)
		assert_memory_equal(a->logprobs.data, whole->logprobs.data,
		    a->logprobs.len);
}

static void
late_steps_change_nothing(void **state)
{
	static const struct way plain = { 1, 64, SPECULATE_NO, true, false };
	static const struct way ways[] = {
		{ 2, 64, SPECULATE_NO, false, false },
		{ 1, 64, SPECULATE_NO, true, false },
		{ 2, 9, SPECULATE_NO, false, false },
		{ 2, 64, SPECULATE_YES, false, true },
		{ 2, 9, SPECULATE_AUTO, false, true },
	};
	struct answer *whole = xcalloc(N_RUNS, sizeof(*whole));

	assert_int_equal(run_all(&plain, false), 0);
	memcpy(whole, answers, sizeof(answers));
	memset(answers, 0, sizeof(answers));
	for (size_t i = 0; i < N_ELEMENTS(ways); i++) {
		size_t n = run_all(&ways[i], true);

		print_message("# way %zu: %zu steps were divided\n", i, n);
		assert_true(n > 10);
		for (size_t j = 0; j < N_RUNS; j++)
			compare(&answers[j], &whole[j]);
	}
	for (size_t i = 0; i < N_RUNS; i++)
		buf_fini(&whole[i].logprobs);
	free(whole);
	clear_answers();
	for (size_t i = 0; i < N_RUNS; i++)
		buf_fini(&answers[i].logprobs);
}

/* Whose rows were put off is cancelled: these are gone, and its pages another's
 * at once. */
static void
leaving_while_put_off(void **state)
{
	static const struct way w = { 2, 16, SPECULATE_NO, true, false };
	struct engine_conf conf;
	struct engine *e = open_engine(&w, &conf);

	is_wild = true;
	tick_ms = 120;
	start(e, 6);
	engine_step(e);
	for (size_t i = 0; i < 3; i++) {
		start(e, 3);
		while (!(engine_last_work(e).put_off > 0))
			engine_step(e);
		engine_cancel(e, &link_end, 3);
		assert_int_equal(answers[3].code, BM_ECANCEL);
		engine_step(e);
		assert_int_equal(engine_last_work(e).n_prompt, 0);
		assert_true(engine_last_work(e).put_off <= 0);
		answers[3].ended = false;
	}
	assert_false(answers[6].ended);
	close_engine(e, &conf);
}

static void
start_greedy(struct engine *e, size_t i, uint32_t *tokens, size_t n,
    int32_t max_tokens)
{
	const struct msg_run m = { .input = RUN_TOKENS, .ignore_eos = 1,
	    .tokens = { tokens, n }, .n_probs = 2, .top_p = 1,
	    .repeat_penalty = 1, .max_tokens = max_tokens };

	engine_run(e, &link_end, i, &m);
}

#define N_STREAM	(KV_PAGE + 2)

/*
 * A stream is about to write what the prompt beside it goes on with, whose
 * rows are put off, and soon has more of it than that one's pages: nothing is
 * taken of it, for the rows that come back are of what it held before.
 */
static void
nothing_is_taken_while_put_off(void **state)
{
	static const struct way w = { 2, 64, SPECULATE_NO, false, false };
	struct engine_conf conf;
	struct engine *e = open_engine(&w, &conf);
	uint32_t tokens[N_STREAM + 40];
	struct answer alone;

	is_wild = false;
	tick_ms = 0;
	for (uint32_t i = 0; i < N_STREAM; i++)
		tokens[i] = token_at(0, i);
	start_greedy(e, 0, tokens, N_STREAM, 40);
	run_to_end(e);
	memcpy(tokens + N_STREAM, answers[0].tokens, 40 * sizeof(*tokens));
	close_engine(e, &conf);

	e = open_engine(&w, &conf);
	start_greedy(e, 1, tokens, N_ELEMENTS(tokens), 8);
	run_to_end(e);
	alone = answers[1];
	memset(&answers[1], 0, sizeof(answers[1]));
	close_engine(e, &conf);

	e = open_engine(&w, &conf);
	start_greedy(e, 0, tokens, N_STREAM, 40);
	engine_step(e);
	assert_int_equal(answers[0].n, 1);
	start_greedy(e, 1, tokens, N_ELEMENTS(tokens), 8);
	/* each a thousand times as slow as the one before */
	for (tick_ms = 1000; answers[0].n < 4; tick_ms *= 1000) {
		engine_step(e);
		assert_true(engine_last_work(e).put_off > 0);
	}
	run_to_end(e);
	compare(&answers[1], &alone);
	buf_fini(&alone.logprobs);
	close_engine(e, &conf);
}

static int
setup(void **state)
{
	model = open_tale_model();
	return 0;
}

static int
teardown(void **state)
{
	model_free(&model);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_steps_change_nothing),
		cmocka_unit_test(leaving_while_put_off),
		cmocka_unit_test(nothing_is_taken_while_put_off),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

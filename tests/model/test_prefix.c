/* SPDX-License-Identifier: MIT */
/*
 * Prefixes that runs share: what a request gets is bit for bit what it gets
 * from an engine that computes every prompt in full, and the work done is that
 * of the distinct texts.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"
#include "kernels/kernels.h"
#include "model/kv_index.h"
#include "wire/msg.h"
#include "worker/engine.h"

#define N_CTX		512
#define N_RUNS		16
#define MAX_STEPS	20000
/* With room for all runs, and for hardly more than one. */
#define MANY_PAGES	(N_RUNS * N_CTX / KV_PAGE)
#define FEW_PAGES	(N_CTX / KV_PAGE + 4)

struct answer {
	uint32_t	 tokens[N_CTX];
	size_t		 n;
	struct buf	 logprobs;
	uint32_t	 started_cached;
	uint32_t	 cached;
	bool		 is_started;
	bool		 is_ended;
	int		 code;
};

struct prompt {
	uint32_t	 tokens[N_CTX];
	size_t		 n;
};

struct bench {
	struct pool	*pool;
	struct kv_pool	*kv;
	struct engine	*e;
	size_t		 n_steps;
};

static struct model *model;
static bool no_guesses;
static bool is_slow;		/* the sanitizers are in */
static struct answer answers[N_RUNS];
static char link_a;

/* ---- the engine and the other end ---- */

static void
receive(void *link, enum msg_type type, uint64_t id, const void *m)
{
	struct answer *a = &answers[id];
	const struct msg_out *out = m;
	const struct msg_ended *ended = m;

	assert_false(a->is_ended);
	switch (type) {
	case MSG_STARTED:
		assert_false(a->is_started);
		a->is_started = true;
		a->started_cached =
		    ((const struct msg_started *)m)->cached_tokens;
		break;
	case MSG_OUT:
		assert_true(a->is_started);
		for (size_t i = 0; i < out->tokens.n; i++)
			a->tokens[a->n++] = words_at(out->tokens, i);
		buf_put(&a->logprobs, out->logprobs.p, out->logprobs.n);
		break;
	case MSG_ENDED:
		a->is_ended = true;
		a->code = ended->code;
		a->cached = ended->cached_tokens;
		break;
	default:
		fail_msg("message %s", msg_name(type));
	}
}

static void
forget(struct answer *a)
{
	buf_fini(&a->logprobs);
	memset(a, 0, sizeof(*a));
	buf_init(&a->logprobs, 1 << 20);
}

/* Of no step can be said how long it takes. */
static uint64_t
still_clock(void)
{
	return 1;
}

static void
bench_open(struct bench *b, size_t n_pages, bool no_prefixes)
{
	struct kv_shape shape = model_kv_shape(model, ATTEND_F16);
	struct engine_conf conf = { .model = model,
	    .chat = chat_form_find(slice_of("")),
	    .n_ctx = (uint32_t)MEM_MIN(n_pages * KV_PAGE, (size_t)N_CTX),
	    .n_parallel = N_RUNS, .no_prefixes = no_prefixes,
	    .send = receive, .now_ns = still_clock,
	    .speculate = no_guesses ? SPECULATE_NO : SPECULATE_YES };
	struct cause cause;

	memset(b, 0, sizeof(*b));
	assert_int_equal(pool_new(&b->pool, 2, &cause), 0);
	assert_int_equal(kv_pool_new(&shape, n_pages, &b->kv, &cause), 0);
	conf.pool = b->pool;
	conf.kv = b->kv;
	assert_int_equal(engine_new(&conf, &b->e, &cause), 0);
	for (size_t i = 0; i < N_RUNS; i++)
		forget(&answers[i]);
}

static void
bench_step(struct bench *b)
{
	engine_step(b->e);
	assert_in_range(++b->n_steps, 1, MAX_STEPS);
}

static void
bench_finish(struct bench *b)
{
	while (engine_has_work(b->e))
		bench_step(b);
	assert_int_equal(kv_pool_n_free(b->kv), kv_pool_n_pages(b->kv));
}

static void
bench_close(struct bench *b)
{
	engine_free(&b->e);
	assert_int_equal(kv_pool_n_free(b->kv), kv_pool_n_pages(b->kv));
	kv_pool_free(&b->kv);
	pool_free(&b->pool);
	for (size_t i = 0; i < N_RUNS; i++)
		forget(&answers[i]);
}

/* ---- prompts ---- */

static void
add_tokens(struct prompt *p, size_t n, uint32_t seed)
{
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525u + 1013904223u;
		p->tokens[p->n++] = 10 + (x >> 8) % 900;
	}
}

/* n_common tokens that all have, then n_own that only this one has. */
static struct prompt
prompt_of(size_t n_common, size_t n_own, uint32_t which)
{
	struct prompt p = { .n = 0 };

	add_tokens(&p, n_common, 1);
	add_tokens(&p, n_own, 1000 + which);
	return p;
}

static void
ask(struct bench *b, size_t id, const struct prompt *p, int32_t max_tokens)
{
	struct msg_run m = { .input = RUN_TOKENS,
	    .tokens = { p->tokens, p->n }, .ignore_eos = 1, .n_probs = 2,
	    .max_tokens = max_tokens, .seed = 7,
	    .temperature = p->n % 2 == 0 ? 0.8f : 0, .top_p = 1,
	    .repeat_penalty = 1 };

	engine_run(b->e, &link_a, id, &m);
}

/* What each prompt gives, alone and computed in full. */
static void
answers_in_full(const struct prompt *p, size_t n, int32_t max_tokens,
    struct answer *to)
{
	struct bench b;

	bench_open(&b, MANY_PAGES, true);
	for (size_t i = 0; i < n; i++) {
		ask(&b, i, &p[i], max_tokens);
		bench_finish(&b);
		assert_int_equal(answers[i].cached, 0);
		to[i] = answers[i];
		memset(&answers[i], 0, sizeof(answers[i]));
	}
	bench_close(&b);
}

static void
free_answers(struct answer *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_fini(&a[i].logprobs);
}

static void
assert_same(const struct answer *want, const struct answer *got)
{
	assert_true(got->is_ended);
	assert_int_equal(got->code, 0);
	assert_int_equal(got->n, want->n);
	assert_memory_equal(got->tokens, want->tokens,
	    want->n * sizeof(*want->tokens));
	assert_int_equal(got->logprobs.len, want->logprobs.len);
	assert_memory_equal(got->logprobs.data, want->logprobs.data,
	    want->logprobs.len);
}

/* ---- tests ---- */

static void
index_tells_texts_apart(void **state)
{
	enum { N = 96 };
	static uint32_t texts[N][KV_PAGE];
	uint32_t parents[N];
	struct kv_index *ix = NULL;
	size_t n;

	assert_int_equal(kv_index_new(N, &ix), 0);
	for (uint32_t i = 0; i < N; i++) {
		/* The same 4 texts below different parents. */
		texts[i][KV_PAGE - 1] = i % 4;
		parents[i] = i < 4 ? KV_NO_PAGE : i / 4 - 1;
		assert_int_equal(kv_index_find(ix, parents[i], texts[i]),
		    KV_NO_PAGE);
		kv_index_add(ix, i, parents[i], texts[i]);
	}
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(kv_index_find(ix, parents[i], texts[i]), i);
	texts[0][3] = 9;
	assert_int_equal(kv_index_find(ix, KV_NO_PAGE, texts[0]), KV_NO_PAGE);
	assert_in_range(kv_index_nearest(ix, KV_NO_PAGE, texts[0], KV_PAGE,
	    &n), 0, 3);
	assert_int_equal(n, 3);
	texts[0][3] = 0;
	for (uint32_t i = N; i-- > 0; ) {
		kv_index_remove(ix, i);
		assert_int_equal(kv_index_find(ix, parents[i], texts[i]),
		    KV_NO_PAGE);
		assert_false(kv_index_has(ix, i));
	}
	assert_int_equal(kv_index_nearest(ix, KV_NO_PAGE, texts[0], KV_PAGE,
	    &n), KV_NO_PAGE);
	kv_index_free(&ix);
}

/* A prompt again, one after the other: full hits, and none of the last token;
 * of a last page that was full, all but the last token is copied. */
static void
repeated_prompts(void **state)
{
	static const struct {
		size_t n, cached;
	} cases[] = { { 1, 0 }, { 4, 0 }, { 31, 0 }, { 32, 31 }, { 33, 32 },
	    { 63, 32 }, { 64, 63 }, { 65, 64 }, { 100, 96 }, { 320, 319 },
	    { 330, 320 } };

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct prompt p = prompt_of(0, cases[i].n, (uint32_t)i);
		struct answer want;
		struct bench b;

		answers_in_full(&p, 1, 6, &want);
		bench_open(&b, MANY_PAGES, false);
		for (size_t j = 0; j < 3; j++) {
			uint64_t rows = engine_prompt_rows(b.e);
			size_t cached = j == 0 ? 0 : cases[i].cached;

			/* Tokens that were generated may fill a page. */
			ask(&b, j, &p, 6);
			bench_finish(&b);
			assert_same(&want, &answers[j]);
			rows = engine_prompt_rows(b.e) - rows;
			assert_int_equal(rows + answers[j].cached, p.n);
			assert_int_equal(answers[j].started_cached,
			    answers[j].cached);
			if (p.n % KV_PAGE + 5 < KV_PAGE)
				assert_int_equal(answers[j].cached, cached);
			else
				assert_true(answers[j].cached >= cached);
		}
		bench_close(&b);
		free_answers(&want, 1);
	}
}

/* Texts that part in the middle of a page, or at its end. */
static void
partial_hits(void **state)
{
	static const size_t common[] = { 3, 31, 32, 50, 64, 95, 96, 130 };
	struct prompt p[N_ELEMENTS(common)];
	struct answer want[N_ELEMENTS(common)];
	struct bench b;

	for (size_t i = 0; i < N_ELEMENTS(common); i++)
		p[i] = prompt_of(common[i], 90, (uint32_t)i);
	answers_in_full(p, N_ELEMENTS(common), 40, want);
	bench_open(&b, MANY_PAGES, false);
	for (size_t i = 0; i < N_ELEMENTS(common); i++) {
		size_t n = i == 0 ? 0 : common[i - 1];

		ask(&b, i, &p[i], 40);
		bench_finish(&b);
		assert_same(&want[i], &answers[i]);
		/* 3 tokens are not worth it */
		assert_int_equal(answers[i].cached, n < 4 ? 0 : n);
	}
	bench_close(&b);
	free_answers(want, N_ELEMENTS(common));
}

/* The end of a text goes before its beginning. */
static void
eviction(void **state)
{
	struct prompt p[] = { prompt_of(0, 129, 1), prompt_of(0, 180, 2) };
	struct answer want[2];
	struct bench b;

	answers_in_full(p, 2, 1, want);
	bench_open(&b, 8, false);
	ask(&b, 0, &p[0], 1);		/* 4 of 8 pages are kept */
	bench_finish(&b);
	ask(&b, 1, &p[1], 1);		/* needs 6 */
	bench_finish(&b);
	ask(&b, 2, &p[0], 1);
	bench_finish(&b);
	assert_same(&want[0], &answers[0]);
	assert_same(&want[1], &answers[1]);
	assert_same(&want[0], &answers[2]);
	assert_int_equal(answers[1].cached, 0);
	assert_int_equal(answers[2].cached, 64);
	bench_close(&b);
	free_answers(want, 2);
}

/* Runs that begin alike, together: the common text is computed once. */
static void
check_together(size_t n_common, size_t n_own, size_t n_pages, size_t pause)
{
	static struct prompt p[N_RUNS];
	struct answer want[N_RUNS];
	size_t distinct = n_common + N_RUNS * n_own;
	struct bench b;
	uint64_t rows;

	for (size_t i = 0; i < N_RUNS; i++)
		p[i] = prompt_of(n_common, n_own, (uint32_t)i);
	answers_in_full(p, N_RUNS, 12, want);
	bench_open(&b, n_pages, false);
	for (size_t i = 0; i < N_RUNS; i++) {
		ask(&b, i, &p[i], 12);
		for (size_t j = 0; j < pause; j++)
			bench_step(&b);
	}
	bench_finish(&b);
	for (size_t i = 0; i < N_RUNS; i++)
		assert_same(&want[i], &answers[i]);
	rows = engine_prompt_rows(b.e);
	if (pause == 0 && n_pages == MANY_PAGES)
		print_message("# %zu + %d x %zu tokens: %llu rows, %.3f of "
		    "the distinct\n", n_common, N_RUNS, n_own,
		    (unsigned long long)rows, (double)rows /
		    (double)distinct);
	if (n_pages == MANY_PAGES)
		assert_true(rows * 10 <= distinct * 11);
	bench_close(&b);
	free_answers(want, N_RUNS);
}

/* Whoever computes what all have in common stops where it ends: nobody waits
 * for what is its alone, and nobody generates before the others may begin. */
static void
common_texts_come_first(void **state)
{
	static struct prompt p[N_RUNS];
	struct bench b;

	bench_open(&b, MANY_PAGES, false);
	for (size_t i = 0; i < N_RUNS; i++) {
		p[i] = prompt_of(100, 10, (uint32_t)i);
		ask(&b, i, &p[i], 4);
	}
	bench_step(&b);
	assert_int_equal(engine_prompt_rows(b.e), 100);
	bench_step(&b);
	assert_int_equal(engine_prompt_rows(b.e), 100 + N_RUNS * 10);
	for (size_t i = 0; i < N_RUNS; i++)
		assert_int_equal(answers[i].n, 1);
	bench_finish(&b);
	bench_close(&b);
	/* a few tokens are not worth a step */
	bench_open(&b, MANY_PAGES, false);
	for (size_t i = 0; i < N_RUNS; i++) {
		p[i] = prompt_of(100, PLAN_ROWS_LEAST - 1, (uint32_t)i);
		ask(&b, i, &p[i], 4);
	}
	bench_step(&b);
	assert_int_equal(answers[0].n, 1);
	bench_finish(&b);
	bench_close(&b);
}

static void
common_texts_are_computed_once(void **state)
{
	static const size_t common[] = { 96, 100, 127, 128, 131, 159 };

	for (size_t i = 0; i < N_ELEMENTS(common); i += is_slow ? 4 : 1)
		for (size_t pause = 0; pause < 3; pause += 2)
			check_together(common[i], 25, MANY_PAGES, pause);
	if (!is_slow)
		check_together(300, 40, MANY_PAGES, 1);
	/* the same texts: all but the last token of each is common */
	check_together(64, 1, MANY_PAGES, 0);
}

/* Hardly more than one context fits: runs lose their pages all the time. */
static void
preemption_changes_nothing(void **state)
{
	check_together(100, 25, FEW_PAGES, 0);
	if (is_slow)
		return;
	check_together(300, 150, FEW_PAGES, 1);
	check_together(40, 200, FEW_PAGES, 3);
}

/* Those who were behind a run that is cancelled go on from its pages. */
static void
check_cancel(bool by_link, size_t steps)
{
	struct prompt talker = prompt_of(0, 5, 99), p[5];
	struct answer want[5];
	struct bench b;
	uint64_t rows;

	for (size_t i = 0; i < 5; i++)
		p[i] = prompt_of(400, 10, (uint32_t)i);
	answers_in_full(p, 5, 8, want);
	bench_open(&b, MANY_PAGES, false);
	/* While somebody generates, prompts come in small slices. */
	ask(&b, 9, &talker, 400);
	bench_step(&b);
	for (size_t i = 0; i < 5; i++)
		ask(&b, i, &p[i], 8);
	for (size_t i = 0; i < steps; i++)
		bench_step(&b);
	assert_true(answers[0].is_started);
	assert_false(answers[1].is_started);
	if (by_link) {
		/* all go, others come */
		engine_drop_link(b.e, &link_a);
		for (size_t i = 0; i < 5; i++)
			ask(&b, i + 10, &p[i], 8);
	} else {
		engine_cancel(b.e, &link_a, 0);
	}
	bench_finish(&b);
	for (size_t i = by_link ? 0 : 1; i < 5; i++)
		assert_same(&want[i], &answers[by_link ? i + 10 : i]);
	/* the full pages of the first were not computed again */
	rows = engine_prompt_rows(b.e);
	assert_in_range(rows, 400 + 5 + 40, 400 + 5 + 40 + KV_PAGE + 3 * 4);
	bench_close(&b);
	free_answers(want, 5);
}

static void
cancelling_the_first(void **state)
{
	check_cancel(false, 1);
	check_cancel(false, 3);
	check_cancel(true, 2);
}

static void
resuming(void **state)
{
	struct prompt p = prompt_of(0, 90, 5);
	struct answer want;
	struct bench b;

	answers_in_full(&p, 1, 60, &want);
	bench_open(&b, MANY_PAGES, false);
	for (size_t i = 0; i < 4; i++) {
		size_t n = i * 19;
		struct msg_run m = { .input = RUN_TOKENS,
		    .tokens = { p.tokens, p.n }, .ignore_eos = 1,
		    .n_probs = -1, .max_tokens = 60, .seed = 7,
		    .temperature = 0.8f, .top_p = 1, .repeat_penalty = 1,
		    .resume = { want.tokens, n } };

		engine_run(b.e, &link_a, i, &m);
		bench_finish(&b);
		assert_int_equal(answers[i].n, want.n - n);
		assert_memory_equal(answers[i].tokens, want.tokens + n,
		    answers[i].n * sizeof(*want.tokens));
		assert_int_equal(answers[i].cached, i == 0 ? 0 : p.n);
	}
	bench_close(&b);
	free_answers(&want, 1);
}

/* A preempted run finds its pages again, if nobody needed them. */
static void
preempted_runs_find_their_pages(void **state)
{
	uint64_t rows[2];

	no_guesses = true;	/* who has how many pages when is known */
	for (int off = 0; off < 2; off++) {
		struct prompt older = prompt_of(0, 5, 1);
		struct prompt younger = prompt_of(0, 400, 2);
		struct bench b;

		/* Of 18 pages they come to need 4 and 16. */
		bench_open(&b, 18, off != 0);
		ask(&b, 0, &older, 120);
		bench_step(&b);
		ask(&b, 1, &younger, 112);
		bench_finish(&b);
		assert_int_equal(answers[0].n, 120);
		assert_int_equal(answers[1].n, 112);
		assert_int_equal(answers[1].cached, 0);
		rows[off] = engine_prompt_rows(b.e);
		bench_close(&b);
	}
	no_guesses = false;
	assert_int_equal(rows[1], 5 + 2 * 400);
	assert_in_range(rows[0], 5 + 400, 5 + 400 + KV_PAGE);
}

/* Whatever comes and goes, in whatever order. */
static void
any_order(void **state)
{
	enum { N_PROMPTS = 12 };
	static struct prompt p[N_PROMPTS];
	struct answer want[N_PROMPTS];
	size_t which[N_RUNS] = { 0 };
	size_t n = is_slow ? 150 : 600;
	uint32_t x = 4711;
	struct bench b;

	for (size_t i = 0; i < N_PROMPTS; i++) {
		/* blocks of a few kinds, of odd lengths */
		for (size_t j = 0; j < 1 + i % 4; j++)
			add_tokens(&p[i], 41, (uint32_t)(1 + (i >> j) % 2));
		add_tokens(&p[i], i % 3, (uint32_t)i);
	}
	answers_in_full(p, N_PROMPTS, 20, want);
	bench_open(&b, FEW_PAGES, false);
	for (size_t i = 0; i < N_RUNS; i++)
		answers[i].is_ended = true;
	for (size_t i = 0; i < n; i++) {
		size_t id = (x = x * 1664525u + 1013904223u) >> 28;

		if (answers[id].is_ended) {
			if (answers[id].code == 0 && answers[id].n > 0)
				assert_same(&want[which[id]], &answers[id]);
			forget(&answers[id]);
			which[id] = (x >> 16) % N_PROMPTS;
			ask(&b, id, &p[which[id]], 20);
		} else if ((x >> 16) % 16 == 0) {
			engine_cancel(b.e, &link_a, id);
			assert_int_equal(answers[id].code, BM_ECANCEL);
		}
		bench_step(&b);
	}
	bench_finish(&b);
	for (size_t i = 0; i < N_RUNS; i++)
		if (answers[i].code == 0 && answers[i].n > 0)
			assert_same(&want[which[i]], &answers[i]);
	bench_close(&b);
	free_answers(want, N_PROMPTS);
}

static int
setup(void **state)
{
	is_slow = getenv("BM_SANITIZED") != NULL;
	model = open_tale_model();
	return 0;
}

static int
teardown(void **state)
{
	for (size_t i = 0; i < N_RUNS; i++)
		buf_fini(&answers[i].logprobs);
	model_free(&model);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(index_tells_texts_apart),
		cmocka_unit_test(repeated_prompts),
		cmocka_unit_test(partial_hits),
		cmocka_unit_test(eviction),
		cmocka_unit_test(common_texts_come_first),
		cmocka_unit_test(common_texts_are_computed_once),
		cmocka_unit_test(preemption_changes_nothing),
		cmocka_unit_test(cancelling_the_first),
		cmocka_unit_test(resuming),
		cmocka_unit_test(preempted_runs_find_their_pages),
		cmocka_unit_test(any_order),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "fixture.h"

struct model *model;
struct answer answers[MAX_RUNS];
size_t n_steps;
char link_a, link_b;

static const char *const prompts[] = { "Once upon a time",
    "The little dog", "\xc3\x89tude: ", "Lily and Tom went to the park.",
    "One day a bird", "Mom said", "In the big wood there was a fox who",
    "x", "The king had three sons. The first", "Why" };

/* ---- the other end ---- */

static void
on_out(struct answer *a, const struct msg_out *m)
{
	assert_true(a->started);
	for (size_t i = 0; i < m->tokens.n; i++)
		a->tokens[a->n++] = words_at(m->tokens, i);
	assert_true(utf8_is_valid(m->text.p, m->text.n));
	buf_put(&a->text, m->text.p, m->text.n);
	buf_put(&a->logprobs, m->logprobs.p, m->logprobs.n);
}

static void
on_ended(struct answer *a, const struct msg_ended *m)
{
	a->ended = true;
	a->code = m->code;
	snprintf(a->cause, sizeof(a->cause), "%.*s", (int)m->text.n,
	    m->text.n > 0 ? m->text.p : "");
	a->finish = m->finish;
	a->prompt_tokens = m->prompt_tokens;
	a->completion_tokens = m->completion_tokens;
	snprintf(a->stop, sizeof(a->stop), "%.*s", (int)m->stop_text.n,
	    m->stop_text.n > 0 ? m->stop_text.p : "");
	a->n_steps = n_steps;
}

static void
receive(void *link, enum msg_type type, uint64_t id, const void *m)
{
	struct answer *a = &answers[id];

	assert_ptr_equal(link, &link_a);
	assert_false(a->ended);
	switch (type) {
	case MSG_STARTED:
		assert_false(a->started);
		a->started = true;
		break;
	case MSG_OUT:
		on_out(a, m);
		break;
	case MSG_ENDED:
		on_ended(a, m);
		break;
	default:
		fail_msg("message %s", msg_name(type));
	}
}

void
forget_answers(void)
{
	for (size_t i = 0; i < MAX_RUNS; i++) {
		buf_fini(&answers[i].text);
		buf_fini(&answers[i].logprobs);
		memset(&answers[i], 0, sizeof(answers[i]));
		buf_init(&answers[i].text, 1 << 20);
		buf_init(&answers[i].logprobs, 1 << 20);
	}
	n_steps = 0;
}

/* ---- the engine ---- */

uint64_t
still_clock(void)
{
	return 1;
}

void
bench_open_way(struct bench *b, const struct way *w)
{
	struct kv_shape shape = model_kv_shape(model, ATTEND_F16);
	struct engine_conf conf = { .model = model,
	    .chat = chat_form_find(slice_of("")), .n_ctx = w->n_ctx,
	    .n_parallel = N_PARALLEL, .send = receive, .now_ns = w->now_ns,
	    .speculate = w->speculate, .no_prefixes = w->no_prefixes };
	struct cause cause;

	memset(b, 0, sizeof(*b));
	assert_int_equal(pool_new(&b->pool, w->n_threads, &cause), 0);
	assert_int_equal(kv_pool_new(&shape, w->n_ctx == N_CTX ?
	    N_PARALLEL * N_CTX / KV_PAGE : w->n_ctx / KV_PAGE, &b->kv,
	    &cause), 0);
	conf.pool = b->pool;
	conf.kv = b->kv;
	assert_int_equal(engine_new(&conf, &b->e, &cause), 0);
	forget_answers();
}

void
bench_open(struct bench *b, uint32_t n_ctx)
{
	const struct way w = { .n_ctx = n_ctx, .n_threads = 2,
	    .now_ns = still_clock };

	bench_open_way(b, &w);
}

void
bench_step(struct bench *b)
{
	n_steps++;
	engine_step(b->e);
}

void
bench_finish(struct bench *b)
{
	while (engine_has_work(b->e)) {
		bench_step(b);
		assert_in_range(n_steps, 1, MAX_STEPS);
	}
	assert_int_equal(kv_pool_n_free(b->kv), kv_pool_n_pages(b->kv));
}

void
bench_close(struct bench *b)
{
	engine_free(&b->e);
	assert_int_equal(kv_pool_n_free(b->kv), kv_pool_n_pages(b->kv));
	kv_pool_free(&b->kv);
	pool_free(&b->pool);
}

struct msg_run
request(size_t i)
{
	return (struct msg_run){ .input = RUN_TEXT,
	    .text = slice_of(prompts[i % N_ELEMENTS(prompts)]),
	    .add_special = 1, .ignore_eos = i % 2, .n_probs = -1,
	    .max_tokens = (int32_t)(60 + 37 * i % 100), .seed = 1000 + i,
	    .temperature = i % 4 == 3 ? 0 : 0.8f,
	    .top_k = i % 3 == 1 ? 40 : 0, .top_p = i % 3 == 2 ? 0.9f : 1,
	    .repeat_penalty = i % 5 == 4 ? 1.1f : 1, .repeat_last_n = 64 };
}

void
assert_same_answer(const struct answer *a, const struct answer *b)
{
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->tokens, b->tokens, a->n * sizeof(*a->tokens));
	assert_int_equal(a->text.len, b->text.len);
	if (a->text.len > 0)
		assert_memory_equal(a->text.data, b->text.data, a->text.len);
	assert_int_equal(a->logprobs.len, b->logprobs.len);
	if (a->logprobs.len > 0)
		assert_memory_equal(a->logprobs.data, b->logprobs.data,
		    a->logprobs.len);
	assert_int_equal(a->code, b->code);
	assert_int_equal(a->finish, b->finish);
	assert_string_equal(a->stop, b->stop);
	assert_int_equal(a->completion_tokens, b->completion_tokens);
}

int
engine_rig_setup(void **state)
{
	model = open_tale_model();
	return 0;
}

int
engine_rig_teardown(void **state)
{
	forget_answers();
	model_free(&model);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Steps that are divided between layers: rows that were put off go on as if
 * nothing had been, at whatever layer, however often, whoever leaves meanwhile.
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
#define MAX_ROWS	128

static struct model *model;

/* ---- the forward pass ---- */

struct pass {
	struct pool	*pool;
	struct kv_pool	*kv;
	struct model_run *run;
	struct model_run *other;	/* for what is wanted */
	size_t		 n_vocab;
	uint32_t	 until;		/* late after that layer */
};

static uint32_t
token_at(uint32_t text, uint32_t pos)
{
	return 5 + (text * 131 + pos * 37) % 900;
}

static void
pass_open(struct pass *p)
{
	struct kv_shape shape = model_kv_shape(model, ATTEND_F16);
	struct cause cause;

	memset(p, 0, sizeof(*p));
	assert_int_equal(pool_new(&p->pool, 2, &cause), 0);
	assert_int_equal(kv_pool_new(&shape, 4 * N_CTX / KV_PAGE, &p->kv,
	    &cause), 0);
	assert_int_equal(model_run_new(model, p->pool, p->kv, MAX_ROWS,
	    &p->run, &cause), 0);
	assert_int_equal(model_run_new(model, p->pool, p->kv, MAX_ROWS,
	    &p->other, &cause), 0);
	p->n_vocab = model_desc(model)->n_vocab;
}

static void
pass_close(struct pass *p)
{
	model_run_free(&p->run);
	model_run_free(&p->other);
	kv_pool_free(&p->kv);
	pool_free(&p->pool);
}

static bool
is_late(void *arg, uint32_t n_layers_done)
{
	struct pass *p = arg;

	return n_layers_done >= p->until;
}

/* n more rows of a sequence; the last one has logits. */
static void
add(struct pass *p, struct batch *b, struct kv_seq *seq, uint32_t text,
    uint32_t pos, uint32_t n)
{
	assert_int_equal(kv_seq_reserve(p->kv, seq, pos + n), 0);
	for (uint32_t i = 0; i < n; i++)
		b->rows[b->n++] = (struct batch_row){ token_at(text, pos + i),
		    pos + i, seq, i + 1 == n };
}

/* What the sequence of a text gives after n tokens, alone. */
static float *
want(struct pass *p, uint32_t text, uint32_t n)
{
	float *logits = xcalloc(p->n_vocab, sizeof(*logits));
	struct batch_row rows[MAX_ROWS];
	struct batch b = { rows, 0 };
	struct kv_seq seq = { 0 };

	add(p, &b, &seq, text, 0, n);
	model_forward(p->other, &b, logits, NULL);
	kv_seq_clear(p->kv, &seq);
	return logits;
}

static void
check(struct pass *p, const float *logits, uint32_t text, uint32_t n)
{
	float *w = want(p, text, n);

	assert_memory_equal(logits, w, p->n_vocab * sizeof(*w));
	free(w);
}

/* A step with the next row of text 0, urgent, and whatever b has behind it. */
static void
step(struct pass *p, struct batch *b, uint32_t until, float *logits)
{
	const struct model_haste haste = { 1, is_late, p };

	p->until = until;
	model_forward_urgent(p->run, b, &haste, logits);
}

#define N_LONG	40u
#define N_SHORT	3u

/* Rows of texts 1 and 2 are put off at layer `first`, again at layer `again` if
 * that is later, and then come to the end; text 3 goes with them until it is
 * dropped. */
static void
divide(struct pass *p, uint32_t first, uint32_t again)
{
	size_t n = p->n_vocab;
	float *logits = xcalloc(4 * n, sizeof(*logits));
	struct batch_row rows[MAX_ROWS];
	struct kv_seq seq[4] = { { 0 } };
	uint32_t n_layers = model_desc(model)->n_layer, held = 7;
	struct batch b = { rows, 0 };

	add(p, &b, &seq[0], 0, 0, held);
	model_forward(p->run, &b, logits, NULL);

	b.n = 0;
	add(p, &b, &seq[0], 0, held++, 1);
	add(p, &b, &seq[1], 1, 0, N_LONG);
	add(p, &b, &seq[3], 3, 0, N_LONG);
	add(p, &b, &seq[2], 2, 0, N_SHORT);
	step(p, &b, first, logits);
	assert_int_equal(model_put_off(p->run), first);
	check(p, logits, 0, held);
	for (int i = 1; i < 4; i++)
		assert_int_equal(seq[i].n_tokens, 0);
	model_drop(p->run, &seq[3]);
	kv_seq_clear(p->kv, &seq[3]);

	b.n = 0;
	add(p, &b, &seq[0], 0, held++, 1);
	step(p, &b, again > first ? again : n_layers, logits);
	assert_int_equal(model_put_off(p->run), again > first ? again : 0);
	while (model_put_off(p->run) > 0) {
		b.n = 0;
		add(p, &b, &seq[0], 0, held++, 1);
		step(p, &b, n_layers, logits);
	}
	assert_int_equal(seq[0].n_tokens, held);
	assert_int_equal(seq[1].n_tokens, N_LONG);
	assert_int_equal(seq[2].n_tokens, N_SHORT);
	check(p, logits, 0, held);
	check(p, logits + n, 1, N_LONG);
	check(p, logits + 2 * n, 2, N_SHORT);

	/* and what they left in the cache is what it has to be */
	b.n = 0;
	add(p, &b, &seq[1], 1, N_LONG, 1);
	add(p, &b, &seq[2], 2, N_SHORT, 1);
	model_forward(p->run, &b, logits, NULL);
	check(p, logits, 1, N_LONG + 1);
	check(p, logits + n, 2, N_SHORT + 1);
	for (int i = 0; i < 3; i++)
		kv_seq_clear(p->kv, &seq[i]);
	free(logits);
}

static void
rows_go_on_at_every_layer(void **state)
{
	uint32_t n_layers = model_desc(model)->n_layer;
	struct pass p;

	assert_true(n_layers > 2);
	pass_open(&p);
	for (uint32_t first = 1; first < n_layers; first++)
		for (uint32_t again = first; again < n_layers; again++)
			divide(&p, first, again);
	assert_int_equal(kv_pool_n_free(p.kv), kv_pool_n_pages(p.kv));
	pass_close(&p);
}

/* Nobody urgent is left, or nobody that was put off. */
static void
rows_go_on_alone(void **state)
{
	struct batch_row rows[MAX_ROWS];
	struct batch b = { rows, 0 };
	struct kv_seq seq[2] = { { 0 } };
	struct pass p;
	float *logits;

	pass_open(&p);
	logits = xcalloc(2 * p.n_vocab, sizeof(*logits));
	for (int dropped = 0; dropped < 2; dropped++) {
		const struct model_haste nobody = { 0, is_late, &p };

		b.n = 0;
		add(&p, &b, &seq[0], 0, 0, 1);
		add(&p, &b, &seq[1], 1, 0, N_LONG);
		step(&p, &b, 1, logits);
		check(&p, logits, 0, 1);
		kv_seq_clear(p.kv, &seq[0]);
		if (dropped) {
			model_drop(p.run, &seq[1]);
			assert_int_equal(model_put_off(p.run), 0);
			b.n = 0;
			add(&p, &b, &seq[1], 1, 0, N_LONG);
			model_forward(p.run, &b, logits, NULL);
		} else {
			b.n = 0;
			model_forward_urgent(p.run, &b, &nobody, logits);
		}
		assert_int_equal(seq[1].n_tokens, N_LONG);
		check(&p, logits, 1, N_LONG);
		kv_seq_clear(p.kv, &seq[1]);
	}
	free(logits);
	pass_close(&p);
}

/* ---- the engine ---- */

#define N_RUNS	24

struct answer {
	uint32_t	 tokens[N_CTX];
	size_t		 n;
	struct buf	 logprobs;
	bool		 ended;
	int		 code;
};

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

/* Layers take any time, so many steps with prompts come to be late. */
static bool is_wild;

static uint64_t
wild_clock(void)
{
	static uint64_t now_ns = 1;

	return now_ns += is_wild ? draw(120) * UINT64_C(1000000) : 0;
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
	    .n_parallel = N_PARALLEL, .send = receive, .now_ns = wild_clock,
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

/* All runs by chance, and how many steps were divided. */
static size_t
run_all(const struct way *w, bool together)
{
	struct engine_conf conf;
	struct engine *e = open_engine(w, &conf);
	size_t n_divided = 0;

	is_wild = together;
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
		cmocka_unit_test(rows_go_on_at_every_layer),
		cmocka_unit_test(rows_go_on_alone),
		cmocka_unit_test(late_steps_change_nothing),
		cmocka_unit_test(leaving_while_put_off),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: MIT */
/*
 * Batches that are divided between layers: rows that were put off go on as if
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
#include "model/model.h"

#define N_CTX		256
#define MAX_ROWS	128

static struct model *model;

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
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

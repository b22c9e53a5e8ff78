/* SPDX-License-Identifier: MIT */
/*
 * How large the engine's steps are, by clocks that tests make up.
 */
#include "config.h"

#include "engine_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

/* ---- a machine in numbers ---- */

/* Its clock goes on by what layers cost when the engine looks at it after a
 * layer, which it does while prompts are beside streams, and by the rest of the
 * step at the look after that. */
static struct engine *timed;	/* NULL: it stands still */
static uint64_t timed_ns = 1;
static size_t timed_step, timed_looks;
static uint64_t timed_start_ns;
static double timed_off;
static bool timed_done;

static double
cost_ms(const struct plan_work *w)
{
	return 60 + 5 * (double)w->n_decode + (5 * (double)w->n_prompt +
	    0.01 * w->prompt_reach) * (1 - w->put_off);
}

static uint64_t
timed_clock(void)
{
	double n_parts = 1, n_done;
	struct plan_work w;

	if (timed == NULL)
		return timed_ns;
	w = engine_last_work(timed);
	if (timed_step != n_steps) {
		timed_step = n_steps;
		timed_looks = 0;
		timed_start_ns = timed_ns;
		timed_done = false;
		return timed_ns;
	}
	if (timed_done)
		return timed_ns;
	if (timed_looks++ == 0)
		timed_off = w.put_off;
	if (w.n_decode > 0 && w.n_prompt > 0 && w.put_off <= timed_off)
		n_parts = (double)model_desc(model)->n_layer * (1 - timed_off);
	timed_done = (double)timed_looks >= n_parts;
	/* the last layer, and the logits */
	n_done = timed_done ? n_parts + 1 : (double)timed_looks;
	timed_ns = timed_start_ns + (uint64_t)(cost_ms(&w) * n_done /
	    (n_parts + 1) * 1e6);
	return timed_ns;
}

/* Between two looks goes a millisecond. */
static uint64_t
probe_clock(void)
{
	static uint64_t ns = 1;

	return ns += 1000000;
}

/* ---- the size of steps ---- */

/* Whatever the prompt, a step costs less than the gap of 200 ms, every stream
 * has its token in every step, and the prompt goes on in each. */
static void
gaps_are_bounded(void **state)
{
	static const struct way w = { N_CTX, 2, SPECULATE_NO, false,
	    timed_clock };
	static uint32_t many[N_CTX - 10];
	struct msg_run m = request(1);
	double rows = 0;
	size_t n = 0;
	struct bench b;

	for (size_t i = 0; i < N_ELEMENTS(many); i++)
		many[i] = 5 + i * 7 % 900;
	bench_open_way(&b, &w);
	timed = b.e;
	m.max_tokens = 300;
	for (size_t i = 0; i < 4; i++)
		engine_run(b.e, &link_a, i, &m);
	for (size_t i = 0; i < 8; i++)
		bench_step(&b);
	m.input = RUN_TOKENS;
	m.tokens = (struct words){ many, N_ELEMENTS(many) };
	m.max_tokens = 1;
	engine_run(b.e, &link_a, 4, &m);
	while (!answers[4].ended) {
		struct plan_work work;

		bench_step(&b);
		work = engine_last_work(b.e);
		assert_int_equal(work.n_decode, 4);
		assert_true(work.n_prompt > 0);
		assert_true(cost_ms(&work) <= 200);
		rows += (double)work.n_prompt * (1 - work.put_off);
		n++;
	}
	assert_int_equal(lround(rows), N_ELEMENTS(many));
	/* the gap is made use of, but for the room that plans leave */
	assert_in_range(n, N_ELEMENTS(many) / 24, N_ELEMENTS(many) / 9);
	timed = NULL;
	bench_finish(&b);
	bench_close(&b);
}

/* After the probe the first slice beside streams makes use of the gap, and no
 * more than that. */
static void
probe_teaches_the_plan(void **state)
{
	static const struct way w = { N_CTX, 2, SPECULATE_NO, false,
	    probe_clock };
	static uint32_t many[N_CTX - 10];
	struct msg_run m = request(1);
	struct plan_work work;
	struct cause cause;
	struct bench b;

	for (size_t i = 0; i < N_ELEMENTS(many); i++)
		many[i] = 5 + i * 7 % 900;
	bench_open_way(&b, &w);
	assert_int_equal(engine_probe(b.e, &cause), 0);
	m.max_tokens = 4;
	engine_run(b.e, &link_a, 0, &m);
	bench_step(&b);
	m.input = RUN_TOKENS;
	m.tokens = (struct words){ many, N_ELEMENTS(many) };
	engine_run(b.e, &link_a, 1, &m);
	bench_step(&b);
	work = engine_last_work(b.e);
	assert_int_equal(work.n_decode, 1);
	/* a quarter more than it has measured */
	assert_int_equal(work.n_decode + work.n_prompt, 40);
	bench_finish(&b);
	bench_close(&b);
}

static void
long_prompts_freeze_nobody(void **state)
{
	static uint32_t many[N_CTX - 10];
	struct bench b;
	struct msg_run m = request(1);
	size_t before;

	for (size_t i = 0; i < N_ELEMENTS(many); i++)
		many[i] = 5 + i % 200;
	bench_open(&b, N_CTX);
	m.max_tokens = 100;
	engine_run(b.e, &link_a, 0, &m);
	bench_step(&b);
	before = answers[0].n;
	m.input = RUN_TOKENS;
	m.tokens = (struct words){ many, N_ELEMENTS(many) };
	m.max_tokens = 1;
	engine_run(b.e, &link_a, 1, &m);
	engine_run(b.e, &link_a, 2, &m);
	for (size_t i = 1; !answers[1].ended || !answers[2].ended; i++) {
		bench_step(&b);
		assert_int_equal(answers[0].n, before + i);
	}
	/* they took more than one step, and took turns */
	assert_true(answers[1].n_steps > 4);
	assert_in_range(answers[2].n_steps, answers[1].n_steps,
	    answers[1].n_steps + 1);
	bench_finish(&b);
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gaps_are_bounded),
		cmocka_unit_test(probe_teaches_the_plan),
		cmocka_unit_test(long_prompts_freeze_nobody),
	};

	return cmocka_run_group_tests(tests, engine_rig_setup,
	    engine_rig_teardown);
}

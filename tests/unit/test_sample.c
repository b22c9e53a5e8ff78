/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kernels/kernels.h"
#include "worker/sample.h"

#define N 1000
#define DRAWS 20000

static struct sample_scratch scratch;

static const struct sample_params neutral = { .temperature = 1, .top_p = 1,
    .repeat_penalty = 1 };
static const struct sample_params greedy = { .temperature = 0, .top_p = 1,
    .repeat_penalty = 1 };

static int
setup(void **state)
{
	struct cause cause;

	sample_scratch_init(&scratch, N);
	return kern_init(&cause);
}

static int
teardown(void **state)
{
	sample_scratch_fini(&scratch);
	return 0;
}

/* Logits that fall from token to token, in a shuffled order. */
static void
falling(float logits[N], float step)
{
	for (uint32_t i = 0; i < N; i++)
		logits[i * 7 % N] = -step * (float)i;
}

static uint32_t
choose_at(const struct sample_params *p, const float *logits, size_t n_before)
{
	static uint32_t before[DRAWS];
	struct sample_history h = { before, n_before, n_before };
	uint32_t token = UINT32_MAX;

	assert_int_equal(sample_token(p, &h, logits, &scratch, &token), 0);
	assert_in_range(token, 0, N - 1);
	return token;
}

/* How often each token is drawn over DRAWS positions. */
static void
count_draws(const struct sample_params *p, const float *logits,
    unsigned counts[N])
{
	memset(counts, 0, N * sizeof(*counts));
	for (size_t i = 0; i < DRAWS; i++)
		counts[choose_at(p, logits, i)]++;
}

static unsigned
n_drawn(const unsigned counts[N])
{
	unsigned n = 0;

	for (size_t i = 0; i < N; i++)
		n += counts[i] > 0;
	return n;
}

static void
greedy_takes_the_lowest_of_the_best(void **state)
{
	float logits[N];
	struct sample_params p = greedy;

	falling(logits, 0.5f);
	logits[300] = logits[200] = 9;
	assert_int_equal(choose_at(&p, logits, 0), 200);
	p.temperature = -1;
	assert_int_equal(choose_at(&p, logits, 0), 200);
}

static void
bias_comes_first(void **state)
{
	float logits[N], values[] = { 1000, -INFINITY };
	uint32_t tokens[] = { 17, 0 };
	struct sample_params p = greedy;

	falling(logits, 0.5f);		/* token 0 is the best */
	p.bias_tokens = tokens;
	p.bias_values = values;
	p.n_bias = 2;
	assert_int_equal(choose_at(&p, logits, 0), 17);
	values[0] = 0;
	assert_int_equal(choose_at(&p, logits, 0), 7);
	assert_true(logits[0] == 0);	/* the row itself is left alone */
}

static uint32_t
choose_after(const struct sample_params *p, const float *logits,
    const uint32_t *tokens, size_t n, size_t n_prompt)
{
	struct sample_history h = { tokens, n, n_prompt };
	uint32_t token;

	assert_int_equal(sample_token(p, &h, logits, &scratch, &token), 0);
	return token;
}

static void
penalties(void **state)
{
	static const uint32_t tokens[] = { 1, 1, 2, 3, 3 };
	float logits[N];
	struct sample_params p = greedy;

	for (size_t i = 0; i < N; i++)
		logits[i] = -50;
	logits[1] = 4;
	logits[3] = 3.9f;
	logits[4] = 2.5f;
	assert_int_equal(choose_after(&p, logits, tokens, 5, 2), 1);
	/* the prompt counts for repetition: 4 / 2, 3.9 / 2 fall below 2.5 */
	p.repeat_penalty = 2;
	p.repeat_last_n = -1;
	assert_int_equal(choose_after(&p, logits, tokens, 5, 2), 4);
	/* only the last three: token 1 is out of sight */
	p.repeat_last_n = 3;
	assert_int_equal(choose_after(&p, logits, tokens, 5, 2), 1);
	p.repeat_last_n = 0;
	assert_int_equal(choose_after(&p, logits, tokens, 5, 2), 1);
	/* presence and frequency are for what was generated */
	p = greedy;
	p.presence_penalty = 2;
	assert_int_equal(choose_after(&p, logits, tokens, 5, 2), 1);
	assert_int_equal(choose_after(&p, logits, tokens, 5, 1), 4);
	p = greedy;
	p.frequency_penalty = 1;
	assert_int_equal(choose_after(&p, logits, tokens, 5, 0), 4);
	/* a negative logit is multiplied */
	logits[1] = -1;
	logits[3] = logits[4] = -1.5f;
	p = greedy;
	p.repeat_penalty = 2;
	p.repeat_last_n = -1;
	assert_int_equal(choose_after(&p, logits, tokens, 5, 5), 4);
}

static void
draws_follow_the_probabilities(void **state)
{
	unsigned counts[N];
	float logits[N];
	struct sample_params p = neutral;

	for (size_t i = 0; i < N; i++)
		logits[i] = -INFINITY;
	logits[10] = logf(0.5f);
	logits[20] = logf(0.3f);
	logits[30] = logf(0.2f);
	for (int filtered = 0; filtered < 2; filtered++) {
		p.top_k = filtered ? 3 : 0;
		count_draws(&p, logits, counts);
		/* 5 standard deviations are under 350 */
		assert_in_range(counts[10], 10000 - 350, 10000 + 350);
		assert_in_range(counts[20], 6000 - 350, 6000 + 350);
		assert_in_range(counts[30], 4000 - 350, 4000 + 350);
		assert_int_equal(n_drawn(counts), 3);
	}
	/* temperature 0.5 squares the probabilities: 25, 9, 4 of 38 */
	p.temperature = 0.5f;
	count_draws(&p, logits, counts);
	assert_in_range(counts[10], 13158 - 350, 13158 + 350);
	assert_in_range(counts[20], 4737 - 350, 4737 + 350);
}

static void
draws_depend_on_seed_and_position_only(void **state)
{
	unsigned same = 0, next = 0;
	float logits[N];
	struct sample_params a = neutral, b = neutral;

	falling(logits, 0.01f);
	a.seed = 1;
	b.seed = 2;
	for (size_t i = 0; i < 2000; i++) {
		uint32_t t = choose_at(&a, logits, i);

		assert_int_equal(choose_at(&a, logits, i), t);
		same += choose_at(&b, logits, i) == t;
		next += choose_at(&b, logits, i + 1) == t;
	}
	assert_in_range(same, 0, 100);
	assert_in_range(next, 0, 100);
	assert_true(sample_uniform(0, 0) != sample_uniform(0, 1));
	for (uint64_t i = 0; i < 1000; i++) {
		assert_true(sample_uniform(i, i) >= 0);
		assert_true(sample_uniform(i, i) < 1);
	}
}

static void
top_k_keeps_k(void **state)
{
	unsigned counts[N];
	float logits[N] = { 0 };
	struct sample_params p = neutral;

	p.top_k = 5;
	count_draws(&p, logits, counts);	/* all the same: lowest ids */
	assert_int_equal(n_drawn(counts), 5);
	for (size_t i = 0; i < 5; i++)
		assert_true(counts[i] > 0);
	falling(logits, 0.01f);
	p.top_k = 40;
	count_draws(&p, logits, counts);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(counts[i * 7 % N] > 0, i < 40);
	p.top_k = 1;
	count_draws(&p, logits, counts);
	assert_int_equal(counts[0], DRAWS);
}

static void
top_p_keeps_the_shortest_prefix(void **state)
{
	unsigned counts[N];
	float logits[N];
	struct sample_params p = neutral;

	for (size_t i = 0; i < N; i++)
		logits[i] = -INFINITY;
	logits[5] = logf(0.4f);
	logits[6] = logf(0.3f);
	logits[7] = logf(0.2f);
	logits[8] = logf(0.1f);
	p.top_p = 0.65f;
	count_draws(&p, logits, counts);
	assert_int_equal(n_drawn(counts), 2);
	p.top_p = 0.75f;
	count_draws(&p, logits, counts);
	assert_int_equal(n_drawn(counts), 3);
	/* after top_k the mass is that of the kept: 0.4 of 0.7 is too little */
	p.top_k = 2;
	p.top_p = 0.55f;
	count_draws(&p, logits, counts);
	assert_int_equal(n_drawn(counts), 1);
	p.top_p = 0;
	p.top_k = 0;
	count_draws(&p, logits, counts);
	assert_int_equal(counts[5], DRAWS);
}

/* A flat tail far below the top still carries mass. */
static void
top_p_reaches_as_far_as_it_must(void **state)
{
	unsigned counts[N];
	float logits[N];
	struct sample_params p = neutral;

	for (size_t i = 0; i < N; i++)
		logits[i] = -6;		/* 999 e^-6 is 2.5 times token 3 */
	logits[3] = 0;
	p.top_p = 0.999f;
	count_draws(&p, logits, counts);
	assert_in_range(n_drawn(counts), 950, N);
	p.top_p = 0.99999994f;
	(void)choose_at(&p, logits, 1);
}

/* falling() says which token has which rank, so the list needs no sorting. */
static void
top_p_draws_as_from_a_sorted_list(void **state)
{
	static const float steps[] = { 0, 0.001f, 0.01f, 0.3f };
	float logits[N];

	for (size_t i = 0; i < 400; i++) {
		float step = steps[i % 4];
		struct sample_params p = neutral;
		double sum = 0, kept = 0, at = 0, u;
		size_t n = 0, rank = 0;

		p.seed = i;
		p.top_p = 0.05f + 0.9f * (float)(i % 7) / 7;
		p.temperature = i % 3 == 0 ? 0.7f : 1;
		falling(logits, step);
		for (size_t j = 0; j < N; j++)
			sum += exp(-(double)step * (double)j);
		for (double s = 0; s < (double)p.top_p * sum; n++)
			s += exp(-(double)step * (double)n);
		for (size_t j = 0; j < n; j++)
			kept += exp(-(double)step * (double)j /
			    (double)p.temperature);
		u = sample_uniform(p.seed, 3) * kept;
		for (; rank + 1 < n; rank++)
			if ((at += exp(-(double)step * (double)rank /
			    (double)p.temperature)) > u)
				break;
		/* equal logits rank by id */
		assert_int_equal(choose_at(&p, logits, 3),
		    step == 0 ? rank : rank * 7 % N);
	}
}

static void
min_p_is_relative_to_the_best(void **state)
{
	unsigned counts[N];
	float logits[N];
	struct sample_params p = neutral;

	for (size_t i = 0; i < N; i++)
		logits[i] = -20;
	logits[1] = 0;
	logits[2] = logf(0.5f);
	logits[3] = logf(0.09f);
	p.min_p = 0.1f;
	count_draws(&p, logits, counts);
	assert_int_equal(n_drawn(counts), 2);
	p.top_k = 100;
	count_draws(&p, logits, counts);
	assert_int_equal(n_drawn(counts), 2);
	p.min_p = 2;		/* more than the best has: the best stays */
	count_draws(&p, logits, counts);
	assert_int_equal(counts[1], DRAWS);
}

static void
unsound_logits_are_an_error(void **state)
{
	static const float bad[] = { NAN, INFINITY };
	struct sample_history h = { NULL, 0, 0 };
	struct sample_params p[] = { greedy, neutral, neutral };
	float logits[N];
	uint32_t token;

	p[2].top_k = 10;
	p[2].top_p = 0.9f;
	for (size_t i = 0; i < N_ELEMENTS(p); i++) {
		for (size_t j = 0; j < N_ELEMENTS(bad); j++) {
			falling(logits, 0.5f);
			logits[500] = bad[j];
			assert_int_equal(sample_token(&p[i], &h, logits,
			    &scratch, &token), BM_EINTERNAL);
		}
		for (size_t j = 0; j < N; j++)
			logits[j] = -INFINITY;
		assert_int_equal(sample_token(&p[i], &h, logits, &scratch,
		    &token), BM_EINTERNAL);
	}
}

/* That is the request's fault, not the model's. */
static void
banning_everything_is_a_bad_request(void **state)
{
	static uint32_t tokens[N];
	static float values[N], logits[N];
	struct sample_history h = { NULL, 0, 0 };
	struct sample_params p[] = { greedy, neutral };
	uint32_t token;

	falling(logits, 0.5f);
	for (size_t i = 0; i < N; i++) {
		tokens[i] = (uint32_t)i;
		values[i] = -INFINITY;
	}
	for (size_t i = 0; i < N_ELEMENTS(p); i++) {
		p[i].bias_tokens = tokens;
		p[i].bias_values = values;
		p[i].n_bias = N;
		assert_int_equal(sample_token(&p[i], &h, logits, &scratch,
		    &token), BM_EBADREQ);
		p[i].n_bias = N - 1;
		assert_int_equal(sample_token(&p[i], &h, logits, &scratch,
		    &token), 0);
		assert_int_equal(token, N - 1);
	}
}

static void
logprobs_are_of_the_raw_logits(void **state)
{
	struct token_logprob out[4];
	float logits[N];

	for (size_t i = 0; i < N; i++)
		logits[i] = -INFINITY;
	logits[4] = logf(0.25f) + 3;
	logits[2] = logf(0.25f) + 3;
	logits[9] = logf(0.5f) + 3;
	assert_int_equal(sample_logprobs(logits, 4, 3, &scratch, out), 3);
	assert_int_equal(out[0].token, 4);
	assert_true(fabsf(out[0].logprob - logf(0.25f)) < 1e-6f);
	assert_int_equal(out[1].token, 9);
	assert_true(fabsf(out[1].logprob - logf(0.5f)) < 1e-6f);
	assert_int_equal(out[2].token, 2);
	assert_int_equal(out[3].token, 4);
	assert_int_equal(sample_logprobs(logits, 4, 0, &scratch, out), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(greedy_takes_the_lowest_of_the_best),
		cmocka_unit_test(bias_comes_first),
		cmocka_unit_test(penalties),
		cmocka_unit_test(draws_follow_the_probabilities),
		cmocka_unit_test(draws_depend_on_seed_and_position_only),
		cmocka_unit_test(top_k_keeps_k),
		cmocka_unit_test(top_p_keeps_the_shortest_prefix),
		cmocka_unit_test(top_p_reaches_as_far_as_it_must),
		cmocka_unit_test(top_p_draws_as_from_a_sorted_list),
		cmocka_unit_test(min_p_is_relative_to_the_best),
		cmocka_unit_test(unsound_logits_are_an_error),
		cmocka_unit_test(banning_everything_is_a_bad_request),
		cmocka_unit_test(logprobs_are_of_the_raw_logits),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

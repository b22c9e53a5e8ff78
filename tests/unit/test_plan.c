/* SPDX-License-Identifier: MIT */
/*
 * The step planner against machines that exist in numbers only: their clock is
 * ours, so what is asserted of time holds on every machine that runs this.
 */
#include "config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "worker/plan.h"

#define MAX_GAP_MS	200.0
#define N_PROMPTS	1024
#define N_LAYERS	22
#define N_SEEDS		12

/* Weights are read once, rows are multiplied; the slower of both counts. */
struct machine {
	const char *name;
	double	 step_ms;
	double	 read_ms;
	double	 row_ms;
	double	 decode_reach_ms;
	double	 prompt_reach_ms;
};

static const struct machine machines[] = {
	{ "1.1B on 2 cores", 2, 60, 5.2, 2e-3, 2e-3 },
	{ "1.1B on 64 cores", 1, 5, 0.2, 4e-5, 1e-4 },
	{ "8B on 8 cores", 5, 110, 6, 2e-3, 2e-3 },
	{ "3.7M", 0.05, 0.1, 0.02, 1e-5, 1e-5 },
};

/* A prompt's way through; times in ms of the simulation. */
struct job {
	double	 came_ms;
	double	 first_ms;	/* 0: no token yet */
	size_t	 n_tokens;
	size_t	 n_held;
	size_t	 n_off;		/* rows that were put off */
};

/* A neighbour, who comes and goes. */
struct neighbour {
	double	 every_ms;	/* 0: never */
	double	 stays_ms;
	double	 pace;		/* everything takes so many times what it
				 * does alone */
};

struct sim {
	const struct machine *m;
	struct plan	 plan;
	uint64_t	 random;
	double		 noise;		/* +- this part of a step */
	struct neighbour neighbour;
	double		 comes_ms, goes_ms;
	uint32_t	 layer_off;	/* where prompts' rows go on, or 0 */
	size_t		 n_divided;
	bool		 is_whole;	/* no step is divided */
	double		 now_ms;
	size_t		 n_streams;	/* of so many tokens each: */
	size_t		 n_held;
	struct job	 jobs[N_PROMPTS];
	size_t		 n_jobs;
	/* of steps with streams */
	size_t		 n_steps;
	size_t		 n_over;	/* the bound */
	double		 longest_ms;
	size_t		 last_rows;
};

static double
uniform(struct sim *s)
{
	s->random = s->random * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (double)(s->random >> 11) * 0x1p-53;
}

/* All layers, without noise. */
static double
quiet_ms(const struct machine *m, const struct plan_work *w)
{
	double rows = (double)(w->n_decode + w->n_prompt);

	return m->step_ms + fmax(m->read_ms, rows * m->row_ms) +
	    w->decode_reach * m->decode_reach_ms +
	    w->prompt_reach * m->prompt_reach_ms;
}

static double
real_ms(struct sim *s, const struct plan_work *w)
{
	return quiet_ms(s->m, w) * (1 + s->noise * (2 * uniform(s) - 1));
}

/* How many times its time something takes that begins then. */
static double
pace_at(struct sim *s, double ms)
{
	const struct neighbour *n = &s->neighbour;

	if (n->every_ms <= 0)
		return 1;
	while (ms >= s->goes_ms) {
		s->comes_ms = s->goes_ms - log(1 - uniform(s)) * n->every_ms;
		s->goes_ms = s->comes_ms - log(1 - uniform(s)) * n->stays_ms;
	}
	return ms >= s->comes_ms ? n->pace : 1;
}

static void
sim_init(struct sim *s, const struct machine *m, size_t n_streams,
    double noise)
{
	memset(s, 0, sizeof(*s));
	s->m = m;
	s->random = 42;
	s->noise = noise;
	s->n_streams = n_streams;
	s->n_held = 150;
	plan_init(&s->plan, MAX_GAP_MS);
}

static void
sim_add(struct sim *s, size_t n_tokens)
{
	assert_in_range(s->n_jobs, 0, N_PROMPTS - 1);
	s->jobs[s->n_jobs++] = (struct job){ .came_ms = s->now_ms,
	    .n_tokens = n_tokens };
}

/* The prompts that still lack rows. */
static size_t
sim_prompts(struct sim *s, struct plan_prompt *prompts)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_jobs; i++)
		if (s->jobs[i].n_held < s->jobs[i].n_tokens)
			prompts[n++] = (struct plan_prompt){
			    .run = &s->jobs[i], .n_held = s->jobs[i].n_held,
			    .n_missing = s->jobs[i].n_tokens -
			    s->jobs[i].n_held,
			    .waited_ms = s->now_ms - s->jobs[i].came_ms };
	return n;
}

/* What a step has of prompts: new rows, or those that were put off. */
static void
sim_plan(struct sim *s, struct plan_work *w, struct plan_prompt *prompts,
    size_t n)
{
	for (size_t i = 0; i < s->n_streams; i++)
		plan_add_decode(w, s->n_held, 1);
	if (s->layer_off == 0) {
		plan_prompts(&s->plan, w, 0, prompts, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		prompts[i].n_rows = ((struct job *)prompts[i].run)->n_off;
		plan_add_prompt(w, prompts[i].n_held, prompts[i].n_rows);
	}
	w->put_off = (double)s->layer_off / N_LAYERS;
}

/* One layer after the other, the logits as one more; how long it takes. */
static double
sim_layers(struct sim *s, struct plan_work *w)
{
	struct plan_work alone = { .n_decode = w->n_decode,
	    .decode_reach = w->decode_reach };
	double part = 1 + s->noise * (2 * uniform(s) - 1);
	double stream_ms = w->n_decode == 0 ? 0 : quiet_ms(s->m, &alone) *
	    part / (N_LAYERS + 1);
	double prompt_ms = quiet_ms(s->m, w) * part / N_LAYERS - stream_ms *
	    (N_LAYERS + 1) / N_LAYERS;
	struct plan_progress at = { .n_layers = N_LAYERS, .n_after = 1,
	    .first = s->layer_off };
	uint32_t end = N_LAYERS;

	s->layer_off = 0;
	while (at.n_done <= N_LAYERS) {
		double ms = stream_ms;

		if (at.n_done >= at.first && at.n_done < end)
			ms += prompt_ms;
		at.spent_ms += ms * pace_at(s, s->now_ms + at.spent_ms);
		at.n_done++;
		if (s->is_whole || w->n_decode == 0 || w->n_prompt == 0 ||
		    at.n_done <= at.first || at.n_done >= end ||
		    !plan_is_late(&s->plan, w, &at))
			continue;
		end = s->layer_off = at.n_done;
		s->n_divided++;
		w->put_off = 1 - (double)(end - at.first) / N_LAYERS;
	}
	return at.spent_ms;
}

static void
sim_step(struct sim *s)
{
	struct plan_prompt prompts[N_PROMPTS];
	struct plan_work w = { 0 };
	size_t n = sim_prompts(s, prompts);
	double ms;

	sim_plan(s, &w, prompts, n);
	ms = sim_layers(s, &w);
	plan_observe(&s->plan, &w, ms);
	s->now_ms += ms;
	s->n_held += s->n_streams > 0;
	s->last_rows = w.n_prompt;
	for (size_t i = 0; i < n; i++) {
		struct job *j = prompts[i].run;

		j->n_off = s->layer_off > 0 ? prompts[i].n_rows : 0;
		j->n_held += prompts[i].n_rows - j->n_off;
		if (prompts[i].n_rows > 0 && j->n_held == j->n_tokens)
			j->first_ms = s->now_ms;
	}
	if (s->n_streams == 0)
		return;
	s->n_steps++;
	s->n_over += ms > MAX_GAP_MS;
	s->longest_ms = fmax(s->longest_ms, ms);
}

static size_t
sim_finish(struct sim *s)
{
	struct plan_prompt prompts[N_PROMPTS];
	size_t n = 0;

	for (; sim_prompts(s, prompts) > 0; n++) {
		assert_in_range(n, 0, 100000);
		sim_step(s);
	}
	return n;
}

/* ---- slices ---- */

/* Nobody waits: as much as goes into a step, soon; at first little, since
 * others may be on their way. */
static void
alone_prompts_fill_steps(void **state)
{
	struct sim s;

	sim_init(&s, &machines[0], 0, 0);
	sim_add(&s, 200);
	sim_finish(&s);
	sim_add(&s, 4000);
	sim_step(&s);
	assert_in_range(s.last_rows, 24, 1.2 * MAX_GAP_MS / 5.2);
	sim_step(&s);
	assert_in_range(s.last_rows, 100, 1.2 * MAX_GAP_MS * 4 / 5.2);
	sim_step(&s);
	assert_int_equal(s.last_rows, PLAN_ROWS_MAX);
	assert_int_equal(sim_finish(&s), 7);
}

/* Of 16 who come together, one is seen first; the others do not wait for it. */
static void
bursts_begin_together(void **state)
{
	struct sim s;
	double first_ms;

	sim_init(&s, &machines[0], 0, 0);
	sim_add(&s, 200);
	sim_finish(&s);
	first_ms = s.now_ms;
	sim_add(&s, 500);
	sim_step(&s);
	for (int i = 0; i < 15; i++) {
		sim_add(&s, 20);
		s.jobs[s.n_jobs - 1].came_ms = first_ms + 5;
	}
	while (s.jobs[2].first_ms == 0)
		sim_step(&s);
	assert_true(s.jobs[2].first_ms - first_ms < 7 * MAX_GAP_MS);
	assert_true(s.jobs[1].first_ms == 0);
}

static void
first_slice_is_small(void **state)
{
	struct sim s;

	sim_init(&s, &machines[0], 8, 0);
	sim_add(&s, 4000);
	sim_step(&s);
	assert_int_equal(s.last_rows, PLAN_ROWS_LEAST);
	/* and steps grow by a quarter at a time */
	sim_step(&s);
	assert_int_equal(s.last_rows + 8, 5 * (PLAN_ROWS_LEAST + 8) / 4);
}

/* A long prompt beside streams, on machines of all kinds: no gap is longer
 * than the bound, and most of the bound is made use of. */
static void
gaps_are_bounded(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(machines); i++) {
		const struct machine *m = &machines[i];
		struct plan_work all = { 0 };
		struct sim s;
		double least_ms;

		sim_init(&s, m, 8, 0);
		for (int j = 0; j < 50; j++)
			sim_step(&s);
		sim_add(&s, 4000);
		plan_add_prompt(&all, 0, 4000);
		least_ms = real_ms(&s, &all);
		sim_finish(&s);
		print_message("# %s: longest %.1f ms, prompt %.0f ms, alone "
		    "%.0f\n", m->name, s.longest_ms,
		    s.jobs[0].first_ms - s.jobs[0].came_ms, least_ms);
		/* one may be while it learns */
		assert_in_range(s.n_over, 0, 1);
		assert_true(s.longest_ms < 1.05 * MAX_GAP_MS);
		/* the streams' own rows are much of a step of the slow */
		assert_true(s.jobs[0].first_ms - s.jobs[0].came_ms <
		    3 * least_ms + 5 * MAX_GAP_MS);
	}
}

/* Neighbours take time at random. */
static void
gaps_with_noise(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(machines); i++) {
		struct sim s;

		sim_init(&s, &machines[i], 8, 0.15);
		for (int j = 0; j < 12; j++) {
			s.n_held = 150;
			sim_add(&s, 4000);
			sim_finish(&s);
		}
		print_message("# %s: %zu of %zu over, longest %.1f ms\n",
		    machines[i].name, s.n_over, s.n_steps, s.longest_ms);
		assert_true(s.n_over * 20 <= s.n_steps);
		assert_true(s.longest_ms < 1.15 * MAX_GAP_MS);
	}
}

/* Ten prompts of 4,000 tokens beside 8 streams, one after the other. */
static void
sim_disturbed(struct sim *s, uint64_t seed, const struct neighbour *n,
    bool is_whole)
{
	sim_init(s, &machines[0], 8, 0.05);
	s->random = seed;
	s->neighbour = *n;
	s->is_whole = is_whole;
	for (int i = 0; i < 10; i++) {
		s->n_held = 150;
		sim_add(s, 4000);
		sim_finish(s);
	}
}

/* Counts and times of all seeds together; the longest gap is that of any. */
static void
sim_disturbed_often(struct sim *sum, const struct neighbour *n, bool is_whole)
{
	static struct sim s;

	memset(sum, 0, sizeof(*sum));
	for (uint64_t seed = 1; seed <= N_SEEDS; seed++) {
		sim_disturbed(&s, seed, n, is_whole);
		sum->now_ms += s.now_ms;
		sum->n_steps += s.n_steps;
		sum->n_over += s.n_over;
		sum->n_divided += s.n_divided;
		sum->longest_ms = fmax(sum->longest_ms, s.longest_ms);
	}
}

/* Neighbours take half of the machine or more, for parts of a step or for many:
 * nearly all steps end within the bound, which those that are not divided do
 * not, and prompts do not take much longer for that than the neighbours make
 * them.  Nobody can help what comes when the streams' rows are alone already:
 * it takes some milliseconds at twice the time. */
static void
late_steps_are_divided(void **state)
{
	static const struct neighbour nobody, all[] = { { 5000, 30, 2 },
	    { 1500, 150, 2 }, { 4000, 2000, 2 }, { 20000, 20000, 1.5 } };
	static struct sim quiet, s, whole;

	sim_disturbed_often(&quiet, &nobody, false);
	assert_int_equal(quiet.n_over, 0);
	sim_disturbed_often(&whole, &nobody, true);
	print_message("# nobody: prompts take %.0f s, undivided %.0f, %zu of "
	    "%zu divided\n", quiet.now_ms / 1000, whole.now_ms / 1000,
	    quiet.n_divided, quiet.n_steps);
	for (size_t i = 0; i < N_ELEMENTS(all); i++) {
		const struct neighbour *n = &all[i];

		sim_disturbed_often(&s, n, false);
		sim_disturbed_often(&whole, n, true);
		print_message("# %.1f times the time for %.0f ms all %.0f ms: "
		    "%.0f s, longest %.0f ms, %zu of %zu over, %zu divided; "
		    "undivided: %.0f s, %.0f ms, %zu of %zu\n", n->pace,
		    n->stays_ms, n->every_ms, s.now_ms / 1000, s.longest_ms,
		    s.n_over, s.n_steps, s.n_divided, whole.now_ms / 1000,
		    whole.longest_ms, whole.n_over, whole.n_steps);
		assert_true(s.n_over * 1000 <= s.n_steps);
		assert_true(s.n_over * 3 < whole.n_over);
		assert_true(s.longest_ms < 1.1 * MAX_GAP_MS);
		assert_true(s.now_ms < 1.4 * whole.now_ms);
	}
}

/* From one step to the next everything takes three times as long; one step in
 * between that took for ever does not matter. */
static void
slower_machines_are_followed(void **state)
{
	struct machine slow = machines[0];
	struct plan_work w = { 0 };
	struct sim s;

	sim_init(&s, &machines[0], 4, 0);
	sim_add(&s, 20000);
	for (int i = 0; i < 30; i++)
		sim_step(&s);
	plan_add_decode(&w, s.n_held, 4);
	plan_add_prompt(&w, s.jobs[0].n_held, s.last_rows);
	plan_observe(&s.plan, &w, 60000);
	sim_step(&s);
	sim_step(&s);
	assert_true(s.last_rows >= PLAN_ROWS_LEAST);
	assert_true(s.longest_ms <= MAX_GAP_MS);
	slow.read_ms *= 1.5;
	slow.row_ms *= 1.5;
	s.m = &slow;
	for (int i = 0; i < 15; i++)
		sim_step(&s);
	s.n_over = 0;
	for (int i = 0; i < 100; i++)
		sim_step(&s);
	assert_int_equal(s.n_over, 0);
}

/* A neighbour takes a third of the machine for some seconds: few gaps are
 * longer than the bound, and soon after it slices are what they would be. */
static void
neighbours_are_forgotten(void **state)
{
	struct machine less = machines[0];
	static struct sim s, undisturbed;

	less.step_ms *= 1.5;
	less.read_ms *= 1.5;
	less.row_ms *= 1.5;
	less.prompt_reach_ms *= 1.5;
	less.decode_reach_ms *= 1.5;
	sim_init(&s, &machines[0], 4, 0.05);
	sim_add(&s, 20000);
	for (int i = 0; i < 60; i++)
		sim_step(&s);
	undisturbed = s;
	s.m = &less;
	s.n_over = 0;
	for (int i = 0; i < 20; i++)
		sim_step(&s);
	print_message("# %zu of 20 over\n", s.n_over);
	assert_in_range(s.n_over, 0, 4);
	s.m = &machines[0];
	for (int i = 0; i < 20 + 60; i++) {
		sim_step(&undisturbed);
		if (i >= 20)
			sim_step(&s);
	}
	print_message("# %zu rows, %zu without\n", s.last_rows,
	    undisturbed.last_rows);
	assert_true(s.last_rows * 10 >= undisturbed.last_rows * 9);
}

/* A neighbour that disturbs short steps, by much of their little time, does not
 * make slices small: what the bound is left for are long ones. */
static void
short_steps_say_nothing_of_long_ones(void **state)
{
	struct sim s;
	double margin;

	sim_init(&s, &machines[1], 1, 0);
	for (int i = 0; i < 50; i++)
		sim_step(&s);
	margin = s.plan.margin;
	for (int i = 0; i < 50; i++) {
		struct plan_work w = { 0 };

		plan_add_decode(&w, 100, 1);
		plan_observe(&s.plan, &w, real_ms(&s, &w) * (1 + i % 2));
	}
	assert_true(s.plan.margin <= margin);
}

/* The streams' long texts went before a prompt that begins: what its rows cost
 * is not mixed up with what they reach. */
static void
costs_are_told_apart(void **state)
{
	struct plan_work w = { 0 };
	struct sim s;
	double ms;

	sim_init(&s, &machines[0], 8, 0.05);
	for (int j = 0; j < 4; j++) {
		s.n_held = 150;
		sim_add(&s, 4000);
		sim_finish(&s);
	}
	plan_add_decode(&w, 150, 8);
	plan_add_prompt(&w, 0, 24);
	s.noise = 0;
	ms = real_ms(&s, &w);
	print_message("# %.1f ms, estimate %.1f\n", ms,
	    plan_estimate_ms(&s.plan, &w));
	assert_true(fabs(plan_estimate_ms(&s.plan, &w) / ms - 1) < 0.04);
}

/* Where the streams alone take longer than the bound, prompts still come to
 * an end: the least slice in every step. */
static void
least_slices(void **state)
{
	const struct machine slow = { "slow", 10, 300, 40, 1e-2, 1e-2 };
	struct sim s;

	sim_init(&s, &slow, 8, 0);
	sim_add(&s, 16 * PLAN_ROWS_LEAST);
	for (int i = 0; i < 15; i++) {
		sim_step(&s);
		assert_int_equal(s.last_rows, PLAN_ROWS_LEAST);
	}
	/* of the first steps, when nothing is known yet, parts may be left */
	assert_in_range(sim_finish(&s), 1, 2);
}

/* What a stream has waited already is not there to be used again. */
static void
late_streams(void **state)
{
	struct sim s;
	size_t rows[3];

	sim_init(&s, &machines[0], 4, 0);
	sim_add(&s, 20000);
	for (int i = 0; i < 50; i++)
		sim_step(&s);
	for (size_t i = 0; i < 3; i++) {
		struct plan_prompt q = { .n_missing = 1000 };
		struct plan_work w = { 0 };

		plan_add_decode(&w, 100, 4);
		plan_prompts(&s.plan, &w, 70.0 * (double)i, &q, 1);
		rows[i] = q.n_rows;
		if (q.n_rows > PLAN_ROWS_LEAST)
			assert_int_equal((w.n_prompt + w.n_decode) %
			    PLAN_TILE, 0);
	}
	assert_true(rows[0] > rows[1] && rows[1] >= rows[2]);
	assert_true(rows[2] >= PLAN_ROWS_LEAST);
}

/* ---- whose turn ---- */

/* A short prompt does not wait for a long one that came before. */
static void
short_prompts_come_soon(void **state)
{
	struct sim s;
	double alone_ms;

	sim_init(&s, &machines[0], 4, 0);
	sim_add(&s, 60);
	sim_finish(&s);
	alone_ms = s.jobs[0].first_ms;
	sim_add(&s, 8000);
	for (int i = 0; i < 20; i++)
		sim_step(&s);
	for (int i = 0; i < 5; i++) {
		double came_ms = s.now_ms;
		struct job *j = &s.jobs[s.n_jobs];

		sim_add(&s, 60);
		while (j->first_ms == 0)
			sim_step(&s);
		assert_true(j->first_ms - came_ms < 3 * alone_ms);
		assert_true(s.jobs[1].first_ms == 0);
	}
	sim_finish(&s);
}

/* Short prompts without end, nine tenths of what the machine can do: the long
 * one comes to its end all the same, and they wait less than in order. */
static void
long_prompts_come_in_the_end(void **state)
{
	struct sim s;
	double sum_ms = 0, every_ms = 60 * 1.1 * 5.2;
	size_t n = 0;

	sim_init(&s, &machines[0], 0, 0);
	sim_add(&s, 4000);
	for (; s.jobs[0].first_ms == 0; n = s.n_jobs) {
		while ((double)(s.n_jobs - 1) * every_ms <= s.now_ms)
			sim_add(&s, 60);
		sim_step(&s);
	}
	for (size_t i = 1; i < n; i++)
		if (s.jobs[i].first_ms > 0)
			sum_ms += s.jobs[i].first_ms - s.jobs[i].came_ms;
	print_message("# long: %.1f s; %zu short ones: %.2f s each\n",
	    s.jobs[0].first_ms / 1000, n, sum_ms / (double)n / 1000);
	assert_true(sum_ms / (double)n < 0.25 * s.jobs[0].first_ms);
}

/* ---- guesses ---- */

static size_t
total(const struct plan_draft *d, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += d[i].n_rows;
	return sum;
}

/* Steps of 1 to 24 rows, until their costs are known. */
static void
learn_rows(struct sim *s)
{
	for (size_t i = 0; i < 400; i++) {
		struct plan_work w = { 0 };

		plan_add_decode(&w, 100, 1 + i % 24);
		plan_observe(&s->plan, &w, real_ms(s, &w));
	}
}

static void
guesses_pay(void **state)
{
	struct sim s;
	struct plan_draft d[8];
	struct plan_work one = { 0 }, full = { 0 };

	sim_init(&s, &machines[0], 0, 0.05);
	learn_rows(&s);
	plan_add_decode(&one, 100, 1);
	plan_add_decode(&full, 100, 16);
	for (size_t i = 0; i < 8; i++)
		d[i] = (struct plan_draft){ .n_most = PLAN_DRAFT_MAX,
		    .n_held = 100, .accept = 0.9 };
	/* likely ones are made, unlikely ones not */
	plan_drafts(&s.plan, &one, false, 8, d, 1);
	assert_in_range(d[0].n_rows, 3, 8);
	d[0].accept = 0.02;
	plan_drafts(&s.plan, &one, false, 8, d, 1);
	assert_int_equal(d[0].n_rows, 0);
	/* unless always, but no more than there are */
	d[0].n_most = 5;
	plan_drafts(&s.plan, &one, true, 8, d, 1);
	assert_int_equal(d[0].n_rows, 5);
	plan_drafts(&s.plan, &one, true, 3, d, 1);
	assert_int_equal(d[0].n_rows, 3);
	/* a full batch has no use for what is right half the time */
	for (size_t i = 0; i < 8; i++)
		d[i].accept = 0.4;
	plan_drafts(&s.plan, &full, false, 8, d, 8);
	assert_int_equal(total(d, 8), 0);
	/* rows go to those who are right more often */
	d[3].accept = 0.9;
	plan_drafts(&s.plan, &one, true, 4, d, 8);
	assert_int_equal(d[3].n_rows, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone_prompts_fill_steps),
		cmocka_unit_test(bursts_begin_together),
		cmocka_unit_test(first_slice_is_small),
		cmocka_unit_test(gaps_are_bounded),
		cmocka_unit_test(gaps_with_noise),
		cmocka_unit_test(late_steps_are_divided),
		cmocka_unit_test(slower_machines_are_followed),
		cmocka_unit_test(neighbours_are_forgotten),
		cmocka_unit_test(short_steps_say_nothing_of_long_ones),
		cmocka_unit_test(costs_are_told_apart),
		cmocka_unit_test(least_slices),
		cmocka_unit_test(late_streams),
		cmocka_unit_test(short_prompts_come_soon),
		cmocka_unit_test(long_prompts_come_in_the_end),
		cmocka_unit_test(guesses_pay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

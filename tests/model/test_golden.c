/* SPDX-License-Identifier: MIT */
/*
 * The forward pass against float64 expectations, at every kernel level of the
 * machine, and against itself: how a prompt is cut, what else is in the batch
 * and how many threads there are must not change a single bit.
 */
#include "config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "fixture.h"
#include "kernels/kernels.h"
#include "rig.h"

#define MAX_TOKENS	640
#define PATH_BYTES	4096

static json_t *manifest;

struct tokens {
	uint32_t	 ids[MAX_TOKENS];
	size_t		 n;
};

static const char *
golden_path(const char *name, char path[PATH_BYTES])
{
	char under[512];

	snprintf(under, sizeof(under), "golden/%s", name);
	return shared_path(under, path, PATH_BYTES);
}

static void
load_manifest(void)
{
	char path[PATH_BYTES];

	golden_path("golden.json", path);
	if (manifest == NULL)
		manifest = open_json(path);
}

static const char *
text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void
tokens_of(const json_t *array, struct tokens *t)
{
	t->n = json_array_size(array);
	assert_in_range(t->n, 1, MAX_TOKENS);
	for (size_t i = 0; i < t->n; i++)
		t->ids[i] = (uint32_t)json_integer_value(
		    json_array_get(array, i));
}

static void
rig_of(struct rig *r, const json_t *object, int n_threads)
{
	char path[PATH_BYTES];

	rig_open(r, golden_path(text_of(object, "file"), path), n_threads,
	    MAX_TOKENS * 2);
}

/* All of a file of floats. */
static float *
load_floats(const char *name, size_t *n)
{
	char path[PATH_BYTES];
	FILE *f = fopen(golden_path(name, path), "rb");
	float *v = xcalloc(1 << 20, sizeof(*v));

	assert_non_null(f);
	*n = fread(v, sizeof(*v), 1 << 20, f);
	fclose(f);
	return v;
}

/* Walk over the cases of architecture llama. */
#define FOR_EACH_CASE(i, c) \
	json_array_foreach(json_object_get(manifest, "cases"), i, c) \
		if (strcmp(text_of(c, "architecture"), "llama") == 0)

/* ---- against the expectations ---- */

/* What the golden data's README says can be asked for. */
static double
limit_of(const json_t *c)
{
	static const char *const per_256[] = { "Q2_K", "Q3_K", "Q4_K", "Q5_K",
	    "Q6_K", "IQ4_XS" };
	const json_t *types = json_object_get(c, "tensor_types");

	for (size_t i = 0; i < N_ELEMENTS(per_256); i++)
		if (json_object_get(types, per_256[i]) != NULL)
			return 1e-3;
	if (json_object_get(types, "BF16") != NULL)
		return 1e-6;
	if (json_object_size(types) == 1 ||
	    json_object_get(types, "F16") != NULL)
		return 2e-6;
	return 6e-4;
}

static double
nmse(const float *got, const float *want, size_t n)
{
	double error = 0, power = 0;

	for (size_t i = 0; i < n; i++) {
		double d = (double)got[i] - (double)want[i];

		error += d * d;
		power += (double)want[i] * (double)want[i];
	}
	return error / power;
}

/* The rows that the case names, or all. */
static float *
case_logits(struct rig *r, const json_t *c, const struct tokens *t, size_t *n)
{
	const json_t *rows = json_object_get(c, "rows"), *row;
	float *logits = rig_logits(r, t->ids, t->n, t->n);
	size_t i;

	*n = t->n * r->n_vocab;
	if (rows == NULL)
		return logits;
	json_array_foreach(rows, i, row)
		memmove(logits + i * r->n_vocab,
		    logits + (size_t)json_integer_value(row) * r->n_vocab,
		    r->n_vocab * sizeof(*logits));
	*n = json_array_size(rows) * r->n_vocab;
	return logits;
}

/* The mean of the normalised hidden states. */
static float *
case_embedding(struct rig *r, const struct tokens *t, size_t *n)
{
	float *hidden = xcalloc(t->n * r->n_embd, sizeof(*hidden));
	struct kv_seq seq = { 0 };

	rig_feed(r, &seq, t->ids, t->n, t->n, NULL, hidden);
	kv_seq_clear(r->kv, &seq);
	for (size_t j = 0; j < r->n_embd; j++) {
		double sum = 0;

		for (size_t i = 0; i < t->n; i++)
			sum += (double)hidden[i * r->n_embd + j];
		hidden[j] = (float)(sum / (double)t->n);
	}
	*n = r->n_embd;
	return hidden;
}

static void
check_case(const json_t *c, const char *level)
{
	struct rig r;
	struct tokens t;
	size_t n_got, n_want;
	float *got, *want = load_floats(text_of(c, "expected"), &n_want);
	bool is_embed = strcmp(text_of(c, "what"), "embed") == 0;
	double error;

	rig_of(&r, c, 2);
	tokens_of(json_object_get(c, "tokens"), &t);
	got = is_embed ? case_embedding(&r, &t, &n_got) :
	    case_logits(&r, c, &t, &n_got);
	assert_int_equal(n_got, n_want);
	error = nmse(got, want, n_got);
	print_message("# %-18s %-5s NMSE %.2e, at most %.0e\n",
	    text_of(c, "name"), level, error, limit_of(c));
	assert_true(error <= limit_of(c));
	free(got);
	free(want);
	rig_close(&r);
}

static void
check_cases(const char *level)
{
	json_t *c;
	size_t i;

	FOR_EACH_CASE(i, c)
		check_case(c, level);
}

static void
cases_are_within_limits(void **state)
{
	load_manifest();
	for_each_level(check_cases);
}

/* ---- against itself ---- */

static void
assert_same(const float *a, const float *b, size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(&a[i], &b[i], sizeof(*a)) != 0)
			fail_msg("%s: value %zu of %zu is %.9g, not %.9g",
			    what, i, n, (double)b[i], (double)a[i]);
}

static void
check_pieces(const char *level)
{
	static const size_t pieces[] = { 1, 7, 32 };
	json_t *c;
	size_t i;

	FOR_EACH_CASE(i, c) {
		struct rig r;
		struct tokens t;
		float *whole;

		rig_of(&r, c, 2);
		tokens_of(json_object_get(c, "tokens"), &t);
		whole = rig_logits(&r, t.ids, t.n, t.n);
		for (size_t j = 0; j < N_ELEMENTS(pieces); j++) {
			float *cut = rig_logits(&r, t.ids, t.n, pieces[j]);

			assert_same(whole, cut, t.n * r.n_vocab,
			    text_of(c, "name"));
			free(cut);
		}
		free(whole);
		rig_close(&r);
	}
}

static void
pieces_change_nothing(void **state)
{
	load_manifest();
	for_each_level(check_pieces);
}

static void
check_threads(const char *level)
{
	json_t *c;
	size_t i;

	FOR_EACH_CASE(i, c) {
		struct tokens t;
		float *first = NULL;

		tokens_of(json_object_get(c, "tokens"), &t);
		for (int n_threads = 1; n_threads <= 3; n_threads++) {
			struct rig r;
			float *logits;

			rig_of(&r, c, n_threads);
			logits = rig_logits(&r, t.ids, t.n, t.n);
			if (first == NULL) {
				first = logits;
			} else {
				assert_same(first, logits, t.n * r.n_vocab,
				    text_of(c, "name"));
				free(logits);
			}
			rig_close(&r);
		}
		free(first);
	}
}

static void
threads_change_nothing(void **state)
{
	load_manifest();
	for_each_level(check_threads);
}

#define N_SEQS 8

/* Sequence i: the case's tokens from i on, three fewer of each next one. */
static size_t
seq_tokens(const struct tokens *t, size_t i, struct tokens *out)
{
	out->n = MEM_MIN(t->n, (size_t)24) - 2 * i;
	for (size_t j = 0; j < out->n; j++)
		out->ids[j] = t->ids[(i + j) % t->n];
	return out->n;
}

/* All sequences in one: first a prompt of 4 + i rows each, then a row each a
 * step, the ended ones dropping out. */
static void
feed_together(struct rig *r, const struct tokens seqs[N_SEQS],
    float *logits[N_SEQS])
{
	struct kv_seq kv[N_SEQS] = { 0 };
	struct batch_row rows[MAX_TOKENS];
	float *out = xcalloc(MAX_TOKENS * r->n_vocab, sizeof(*out));
	bool more = true;

	for (size_t i = 0; i < N_SEQS; i++)
		assert_int_equal(kv_seq_reserve(r->kv, &kv[i],
		    (uint32_t)seqs[i].n), 0);
	for (size_t step = 0; more; step++) {
		struct batch b = { rows, 0 };
		uint32_t from[N_SEQS];

		more = false;
		for (size_t i = 0; i < N_SEQS; i++) {
			size_t n = step == 0 ? MEM_MIN(4 + i, seqs[i].n) : 1;

			from[i] = kv[i].n_tokens;
			for (size_t j = 0; j < n; j++) {
				uint32_t pos = from[i] + (uint32_t)j;

				if (pos < seqs[i].n)
					rows[b.n++] = (struct batch_row){
					    seqs[i].ids[pos], pos, &kv[i],
					    true };
			}
		}
		model_forward(r->run, &b, out, NULL);
		for (size_t k = 0, i = 0; k < b.n; k++) {
			i = (size_t)(rows[k].seq - kv);
			memcpy(logits[i] + rows[k].pos * r->n_vocab,
			    out + k * r->n_vocab,
			    r->n_vocab * sizeof(*out));
			more = true;
		}
	}
	for (size_t i = 0; i < N_SEQS; i++)
		kv_seq_clear(r->kv, &kv[i]);
	free(out);
}

static void
check_batch(const char *level)
{
	static struct tokens seqs[N_SEQS];
	json_t *c;
	size_t n;

	FOR_EACH_CASE(n, c) {
		float *logits[N_SEQS];
		struct tokens t;
		struct rig r;

		rig_of(&r, c, 2);
		tokens_of(json_object_get(c, "tokens"), &t);
		for (size_t i = 0; i < N_SEQS; i++)
			logits[i] = xcalloc(seq_tokens(&t, i, &seqs[i]) *
			    r.n_vocab, sizeof(float));
		feed_together(&r, seqs, logits);
		for (size_t i = 0; i < N_SEQS; i++) {
			float *alone = rig_logits(&r, seqs[i].ids, seqs[i].n,
			    seqs[i].n);

			assert_same(alone, logits[i], seqs[i].n * r.n_vocab,
			    text_of(c, "name"));
			free(alone);
			free(logits[i]);
		}
		rig_close(&r);
	}
}

static void
neighbours_change_nothing(void **state)
{
	load_manifest();
	for_each_level(check_batch);
}

/* Logits of the rows that ask for them only are the same ones. */
static void
check_wanted_rows(const char *level)
{
	json_t *c;
	size_t n;

	FOR_EACH_CASE(n, c) {
		struct batch_row rows[MAX_TOKENS];
		struct kv_seq seq = { 0 };
		struct tokens t;
		struct rig r;
		float *all, *some;

		rig_of(&r, c, 2);
		tokens_of(json_object_get(c, "tokens"), &t);
		all = rig_logits(&r, t.ids, t.n, t.n);
		some = xcalloc(t.n * r.n_vocab, sizeof(*some));
		assert_int_equal(kv_seq_reserve(r.kv, &seq, (uint32_t)t.n),
		    0);
		for (uint32_t i = 0; i < t.n; i++)
			rows[i] = (struct batch_row){ t.ids[i], i, &seq,
			    i % 5 == 2 };
		model_forward(r.run, &(struct batch){ rows, t.n }, some, NULL);
		for (size_t i = 2; i < t.n; i += 5)
			assert_same(all + i * r.n_vocab,
			    some + i / 5 * r.n_vocab, r.n_vocab,
			    text_of(c, "name"));
		kv_seq_clear(r.kv, &seq);
		free(all);
		free(some);
		rig_close(&r);
	}
}

static void
unwanted_rows_are_left_out(void **state)
{
	load_manifest();
	for_each_level(check_wanted_rows);
}

/* ---- the trained model ---- */

static void
check_greedy(const char *level)
{
	json_t *g = json_object_get(manifest, "greedy");
	struct tokens prompt, want;
	struct kv_seq seq = { 0 };
	struct rig r;
	float *logits;
	uint32_t next;

	if (json_is_array(g))
		g = json_array_get(g, 0);
	tokens_of(json_object_get(g, "prompt"), &prompt);
	tokens_of(json_object_get(g, "continuation"), &want);
	rig_of(&r, g, 2);
	logits = xcalloc(prompt.n * r.n_vocab, sizeof(*logits));
	rig_feed(&r, &seq, prompt.ids, prompt.n, prompt.n, logits, NULL);
	next = (uint32_t)kern->argmax(logits + (prompt.n - 1) * r.n_vocab,
	    r.n_vocab);
	for (size_t i = 0; i < want.n; i++) {
		assert_int_equal(next, want.ids[i]);
		rig_feed(&r, &seq, &next, 1, 1, logits, NULL);
		next = (uint32_t)kern->argmax(logits, r.n_vocab);
	}
	print_message("# %s: %zu tokens greedily as given\n", level, want.n);
	kv_seq_clear(r.kv, &seq);
	free(logits);
	rig_close(&r);
}

static void
trained_model_continues_as_given(void **state)
{
	load_manifest();
	for_each_level(check_greedy);
}

/* -ln of the probability of `token` by a row of logits. */
static double
surprise(const float *logits, size_t n, uint32_t token)
{
	double max = (double)logits[0], sum = 0;

	for (size_t i = 1; i < n; i++)
		max = fmax(max, (double)logits[i]);
	for (size_t i = 0; i < n; i++)
		sum += exp((double)logits[i] - max);
	return log(sum) + max - (double)logits[token];
}

static double
mean_surprise(struct rig *r, const struct tokens *t, size_t n_ctx)
{
	double total = 0;
	size_t scored = 0;

	for (size_t at = 0; at < t->n; at += n_ctx) {
		size_t n = MEM_MIN(n_ctx, t->n - at);
		float *logits = rig_logits(r, t->ids + at, n, n);

		for (size_t i = 0; i + 1 < n; i++, scored++)
			total += surprise(logits + i * r->n_vocab, r->n_vocab,
			    t->ids[at + i + 1]);
		free(logits);
	}
	return total / (double)scored;
}

static void
load_token_list(const char *name, struct tokens *t)
{
	char path[PATH_BYTES];
	FILE *f = fopen(golden_path(name, path), "r");

	assert_non_null(f);
	t->n = 0;
	while (t->n < MAX_TOKENS && fscanf(f, "%u%*[, \n]",
	    &t->ids[t->n]) == 1)
		t->n++;
	fclose(f);
}

static void
check_perplexity(const char *level)
{
	const json_t *list = json_object_get(manifest, "perplexity"), *p;
	size_t i;

	json_array_foreach(list, i, p) {
		size_t n_ctx = (size_t)json_integer_value(
		    json_object_get(p, "n_ctx"));
		double want = json_real_value(json_object_get(p,
		    "mean_nll")), got;
		struct tokens t;
		struct rig r;

		rig_of(&r, p, 2);
		load_token_list(text_of(p, "tokens"), &t);
		assert_int_equal(t.n, json_integer_value(json_object_get(p,
		    "n_tokens")));
		got = mean_surprise(&r, &t, n_ctx);
		print_message("# %s: windows of %zu, perplexity %.6f for %.6f"
		    "\n", level, n_ctx, exp(got), exp(want));
		assert_true(fabs(got - want) <= 1e-4);
		assert_true(fabs(exp(got) - exp(want)) <= 1e-4);
		rig_close(&r);
	}
}

static void
perplexity_is_as_given(void **state)
{
	load_manifest();
	for_each_level(check_perplexity);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cases_are_within_limits),
		cmocka_unit_test(pieces_change_nothing),
		cmocka_unit_test(threads_change_nothing),
		cmocka_unit_test(neighbours_change_nothing),
		cmocka_unit_test(unwanted_rows_are_left_out),
		cmocka_unit_test(trained_model_continues_as_given),
		cmocka_unit_test(perplexity_is_as_given),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	json_decref(manifest);
	return r;
}

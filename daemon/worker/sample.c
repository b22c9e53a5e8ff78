/* SPDX-License-Identifier: MIT */
/*
 * The vocabulary is never sorted: top_k keeps a heap of k, and top_p parts the
 * tokens near the top where their mass is what is asked for, as quickselect
 * does.  What has to look at the whole vocabulary does so through kernels;
 * probabilities are summed in double, in an order that only the logits decide.
 */
#include "config.h"

#include "worker/sample.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/kernels.h"

/* The first guess of how far below the best logit the mass of top_p lies. */
#define TOP_P_REACH	4.0f
/* e^-1000 is 0 even in double. */
#define TOP_P_REACH_MAX	1000.0f
/* So few candidates are sorted. */
#define SORT_MAX	64

void
sample_scratch_init(struct sample_scratch *s, size_t n_vocab)
{
	s->n_vocab = n_vocab;
	s->logits = xcalloc(n_vocab, sizeof(*s->logits));
	s->probs = xcalloc(n_vocab, sizeof(*s->probs));
	s->counts = xcalloc(n_vocab, sizeof(*s->counts));
	s->candidates = xcalloc(n_vocab, sizeof(*s->candidates));
}

void
sample_scratch_fini(struct sample_scratch *s)
{
	free(s->logits);
	free(s->probs);
	free(s->counts);
	free(s->candidates);
	memset(s, 0, sizeof(*s));
}

/* The output function of SplitMix64 (Steele, Lea and Flood, "Fast splittable
 * pseudorandom number generators", 2014). */
static uint64_t
mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

double
sample_uniform(uint64_t seed, uint64_t position)
{
	const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
	/* The seed is mixed first, so that seed s at position p + 1 is not
	 * seed s + 1 at position p. */
	uint64_t z = mix(mix(seed + golden) + (position + 1) * golden);

	return (double)(z >> 11) * 0x1p-53;
}

/* ---- bias and penalties ---- */

static void
add_bias(const struct sample_params *p, float *logits, size_t n_vocab)
{
	for (size_t i = 0; i < p->n_bias; i++)
		if (p->bias_tokens[i] < n_vocab)
			logits[p->bias_tokens[i]] += p->bias_values[i];
}

/* Each different token of the last repeat_last_n becomes less likely. */
static void
penalize_repeats(const struct sample_params *p,
    const struct sample_history *h, float *logits, uint32_t *counts)
{
	size_t n = p->repeat_last_n < 0 ? h->n :
	    MEM_MIN((size_t)p->repeat_last_n, h->n);
	const uint32_t *recent = h->tokens + h->n - n;

	for (size_t i = 0; i < n; i++) {
		float *l = &logits[recent[i]];

		if (counts[recent[i]]++ > 0)
			continue;
		*l = *l <= 0 ? *l * p->repeat_penalty :
		    *l / p->repeat_penalty;
	}
	for (size_t i = 0; i < n; i++)
		counts[recent[i]] = 0;
}

/* Presence once, frequency as often as the token was generated. */
static void
penalize_generated(const struct sample_params *p,
    const struct sample_history *h, float *logits, uint32_t *counts)
{
	for (size_t i = h->n_prompt; i < h->n; i++)
		counts[h->tokens[i]]++;
	for (size_t i = h->n_prompt; i < h->n; i++) {
		uint32_t *count = &counts[h->tokens[i]];

		if (*count == 0)
			continue;
		logits[h->tokens[i]] -= p->presence_penalty +
		    (float)*count * p->frequency_penalty;
		*count = 0;
	}
}

/* The logits with bias and penalties; the given ones when there are none. */
static const float *
adjust(const struct sample_params *p, const struct sample_history *h,
    const float *logits, struct sample_scratch *s)
{
	bool repeats = p->repeat_penalty > 0 && p->repeat_penalty != 1 &&
	    p->repeat_last_n != 0;
	bool generated = p->presence_penalty != 0 ||
	    p->frequency_penalty != 0;

	if (p->n_bias == 0 && !repeats && !generated)
		return logits;
	memcpy(s->logits, logits, s->n_vocab * sizeof(*logits));
	add_bias(p, s->logits, s->n_vocab);
	if (repeats)
		penalize_repeats(p, h, s->logits, s->counts);
	if (generated)
		penalize_generated(p, h, s->logits, s->counts);
	return s->logits;
}

/* ---- the best few ---- */

/* Is a behind b?  The order of candidates: by logit, then the lowest id. */
static bool
is_behind(const struct candidate *a, const struct candidate *b)
{
	return a->logit < b->logit ||
	    (a->logit == b->logit && a->token > b->token);
}

static int
compare_candidates(const void *va, const void *vb)
{
	const struct candidate *a = va, *b = vb;

	return is_behind(a, b) ? 1 : is_behind(b, a) ? -1 : 0;
}

/* Let heap[0] of a heap whose root is the last in order sink to its place. */
static void
sift_down(struct candidate *heap, size_t n, size_t i)
{
	struct candidate c = heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && is_behind(&heap[child + 1],
		    &heap[child]))
			child++;
		if (!is_behind(&heap[child], &c))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = c;
}

/* The k best of n logits, sorted. */
static void
select_top(const float *logits, size_t n, size_t k, struct candidate *out)
{
	for (size_t i = 0; i < k; i++)
		out[i] = (struct candidate){ logits[i], (uint32_t)i };
	for (size_t i = k / 2; i-- > 0;)
		sift_down(out, k, i);
	for (size_t i = k; i < n; i++) {
		/* On ties the one that is there has the lower id. */
		if (!(logits[i] > out[0].logit))
			continue;
		out[0] = (struct candidate){ logits[i], (uint32_t)i };
		sift_down(out, k, 0);
	}
	qsort(out, k, sizeof(*out), compare_candidates);
}

/* All logits from `least` on, in the order of ids; how many. */
static size_t
select_above(const float *logits, size_t n, float least,
    struct candidate *out)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (logits[i] >= least)
			out[k++] = (struct candidate){ logits[i],
			    (uint32_t)i };
	return k;
}

/* ---- filters ---- */

/* Weighs logits relative to the best; what min_p drops weighs nothing. */
struct weigher {
	double	 max;
	double	 least;
	double	 temperature;
};

static double
weight(const struct weigher *w, float logit)
{
	double l = (double)logit;

	return l < w->least ? 0 : exp((l - w->max) / w->temperature);
}

/* Candidates that come before the middle one of three to the front; how many
 * are in front then, at least one and not all of n > 2. */
static size_t
part(struct candidate *c, size_t n)
{
	struct candidate three[3] = { c[0], c[n / 2], c[n - 1] };
	size_t k = 0;

	qsort(three, 3, sizeof(*three), compare_candidates);
	for (size_t i = 0; i < n; i++) {
		struct candidate swap = c[i];

		if (!is_behind(&three[1], &swap))
			continue;
		c[i] = c[k];
		c[k++] = swap;
	}
	return k;
}

/*
 * The shortest prefix, in the order of candidates, that weighs the mass or, if
 * that is to be gone beyond, more; n + 1 when all weigh less.  Moves the
 * candidates such that the prefix comes first, its last one last.
 */
static size_t
prefix_with_mass(const struct weigher *w, struct candidate *c, size_t n,
    double mass, bool beyond)
{
	size_t first = 0, end = n;
	double before = 0;

	while (end - first > SORT_MAX) {
		size_t mid = first + part(c + first, end - first);
		double sum = before;

		for (size_t i = first; i < mid; i++)
			sum += weight(w, c[i].logit);
		if (beyond ? sum > mass : sum >= mass) {
			end = mid;
		} else {
			first = mid;
			before = sum;
		}
	}
	qsort(c + first, end - first, sizeof(*c), compare_candidates);
	for (; first < end; first++) {
		before += weight(w, c[first].logit);
		if (beyond ? before > mass : before >= mass)
			return first + 1;
	}
	/* Sums in another order may differ by a rounding. */
	return end < n ? end : n + 1;
}

/* The candidates of top_p out of the whole vocabulary, in any order. */
static size_t
select_top_p(const float *logits, size_t best, float top_p,
    struct sample_scratch *s)
{
	const struct weigher w = { (double)logits[best], -INFINITY, 1 };
	struct candidate *out = s->candidates;
	size_t n = s->n_vocab;
	double total = 0;

	memcpy(s->probs, logits, n * sizeof(*logits));
	kern->softmax(s->probs, n);
	for (size_t i = 0; i < n; i++)
		total += (double)s->probs[i];
	/* The best weighs 1, as in prefix_with_mass. */
	total /= (double)s->probs[best];
	for (float reach = TOP_P_REACH;; reach *= 2) {
		float least = logits[best] - reach;
		size_t k, prefix;

		k = select_above(logits, n, least, out);
		prefix = prefix_with_mass(&w, out, k, (double)top_p * total,
		    false);
		if (prefix <= k)
			return prefix;
		if (k == n || reach > TOP_P_REACH_MAX)
			return k;
	}
}

/* What top_k and top_p leave, in any order. */
static size_t
filter_top(const struct sample_params *p, const float *logits, size_t best,
    struct sample_scratch *s)
{
	const struct weigher w = { (double)logits[best], -INFINITY, 1 };
	struct candidate *out = s->candidates;
	size_t k = (size_t)p->top_k, n = s->n_vocab, prefix;
	double total = 0;

	if (p->top_k <= 0 || k >= n)
		return select_top_p(logits, best, p->top_p, s);
	select_top(logits, n, k, out);
	if (p->top_p >= 1)
		return k;
	for (size_t i = 0; i < k; i++)
		total += weight(&w, out[i].logit);
	prefix = prefix_with_mass(&w, out, k, (double)p->top_p * total, false);
	return MEM_MIN(prefix, k);
}

/* ---- the draw ---- */

static uint32_t
draw_candidate(const struct weigher *w, struct candidate *c, size_t n,
    double uniform)
{
	double sum = 0;
	size_t prefix;

	for (size_t i = 0; i < n; i++)
		sum += weight(w, c[i].logit);
	prefix = prefix_with_mass(w, c, n, uniform * sum, true);
	return c[MEM_MIN(prefix, n) - 1].token;
}

/* The same over the whole vocabulary, in the order of ids. */
static uint32_t
draw_any(const struct weigher *w, const float *logits,
    struct sample_scratch *s, double uniform)
{
	size_t n = s->n_vocab;
	double sum = 0, at = 0;
	uint32_t last = 0;

	for (size_t i = 0; i < n; i++)
		s->probs[i] = (double)logits[i] < w->least ? -INFINITY :
		    (float)(((double)logits[i] - w->max) / w->temperature);
	kern->softmax(s->probs, n);
	for (size_t i = 0; i < n; i++)
		sum += (double)s->probs[i];
	for (size_t i = 0; i < n; i++) {
		/* What is dropped or banned is never drawn, even if the
		 * kernel leaves it the least of all floats. */
		if (logits[i] == -INFINITY || (double)logits[i] < w->least)
			continue;
		last = (uint32_t)i;
		at += (double)s->probs[i];
		if (uniform * sum < at)
			break;
	}
	return last;
}

/* No NaN and no +infinity, which would leave nothing to compare. */
static bool
is_sound(const float *logits, size_t n)
{
	bool sound = true;

	for (size_t i = 0; i < n; i++)
		sound &= logits[i] < INFINITY;
	return sound;
}

int
sample_token(const struct sample_params *p, const struct sample_history *h,
    const float *logits, struct sample_scratch *s, uint32_t *token)
{
	const float *l = adjust(p, h, logits, s);
	size_t n = s->n_vocab, best = kern->argmax(l, n);
	struct weigher w = { .max = (double)l[best], .least = -INFINITY,
	    .temperature = (double)p->temperature };
	double uniform;

	if (!is_sound(l, n))
		return BM_EINTERNAL;
	if (l[best] == -INFINITY)
		return logits[kern->argmax(logits, n)] == -INFINITY ?
		    BM_EINTERNAL : BM_EBADREQ;
	if (!(p->temperature > 0)) {
		*token = (uint32_t)best;
		return 0;
	}
	if (p->min_p > 0)
		w.least = w.max + log(fmin((double)p->min_p, 1));
	uniform = sample_uniform(p->seed, h->n);
	if (p->top_p >= 1 && (p->top_k <= 0 || (size_t)p->top_k >= n)) {
		*token = draw_any(&w, l, s, uniform);
		return 0;
	}
	n = filter_top(p, l, best, s);
	*token = draw_candidate(&w, s->candidates, n, uniform);
	return 0;
}

size_t
sample_logprobs(const float *logits, uint32_t token, size_t n_top,
    struct sample_scratch *s, struct token_logprob *out)
{
	double max = (double)logits[kern->argmax(logits, s->n_vocab)];
	double sum = 0, log_sum;

	for (size_t i = 0; i < s->n_vocab; i++)
		sum += exp((double)logits[i] - max);
	log_sum = max + log(sum);
	out[0] = (struct token_logprob){ token,
	    (float)((double)logits[token] - log_sum) };
	n_top = MEM_MIN(n_top, s->n_vocab);
	if (n_top > 0)
		select_top(logits, s->n_vocab, n_top, s->candidates);
	for (size_t i = 0; i < n_top; i++)
		out[1 + i] = (struct token_logprob){ s->candidates[i].token,
		    (float)((double)s->candidates[i].logit - log_sum) };
	return n_top;
}

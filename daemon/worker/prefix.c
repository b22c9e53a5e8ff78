/* SPDX-License-Identifier: MIT */
/*
 * Among runs that hold the same full pages and are in the next one, those that
 * hold more of it come first, then those that came first.  A run is behind
 * only those before it in this order, and the first is behind nobody: runs
 * never wait for each other in a circle.
 */
#include "config.h"

#include "worker/prefix.h"

#include "base/mem.h"

/* To wait a step, or to copy a page, for fewer tokens is not worth it: many
 * texts have a word or two in common. */
#define MIN_TOKENS	4

/* How many tokens of r another text has too: the page that both are in, but
 * not the last token of r. */
static size_t
n_common(const struct run *r, const struct run *other)
{
	size_t i = r->kv.n_tokens / KV_PAGE * KV_PAGE;
	size_t end = MEM_MIN(i + KV_PAGE, MEM_MIN(r->n_tokens - 1,
	    other->n_tokens));

	while (i < end && r->tokens[i] == other->tokens[i])
		i++;
	return i;
}

/* The beginning of a page that was kept. */
static void
copy_kept(struct kv_pool *kv, struct run *r)
{
	size_t n;
	uint32_t page = kv_seq_nearest(kv, &r->kv, r->tokens,
	    r->n_tokens - 1, &n);

	if (n >= r->kv.n_tokens + MIN_TOKENS)
		kv_seq_copy(kv, &r->kv, page, (uint32_t)n);
}

/* The beginning of a page that another run is in, once it holds all that the
 * texts have in common; before that, r is behind it. */
static void
copy_active(struct kv_pool *kv, const struct run_list *active, struct run *r)
{
	const struct run *other;

	TAILQ_FOREACH(other, active, entry) {
		size_t n;

		if (other == r || !kv_seq_is_beside(kv, &r->kv, &other->kv))
			continue;
		n = n_common(r, other);
		if (n >= r->kv.n_tokens + MIN_TOKENS &&
		    n <= other->kv.n_tokens)
			kv_seq_copy(kv, &r->kv, other->kv.pages[n / KV_PAGE],
			    (uint32_t)n);
	}
}

void
prefix_take(struct kv_pool *kv, const struct run_list *active, struct run *r)
{
	size_t end;

	if (run_n_missing(r) > 1) {
		kv_seq_adopt(kv, &r->kv, r->tokens, r->n_tokens - 1);
		copy_kept(kv, r);
		copy_active(kv, active, r);
	}
	end = MEM_MIN((size_t)r->kv.n_tokens, r->n_prompt);
	/* What it held before, and lost to others, it had computed. */
	if (end > r->n_held)
		r->n_cached += end - r->n_held;
	r->n_held = MEM_MAX(r->n_held, (size_t)r->kv.n_tokens);
}

/* Is r behind `other`, which computes its next tokens? */
static bool
waits_for(const struct kv_pool *kv, const struct run *r,
    const struct run *other)
{
	if (other == r || run_n_missing(r) == 1 ||
	    !kv_seq_is_beside(kv, &r->kv, &other->kv) ||
	    n_common(r, other) < r->kv.n_tokens + MIN_TOKENS)
		return false;
	return other->kv.n_tokens > r->kv.n_tokens ||
	    (other->kv.n_tokens == r->kv.n_tokens &&
	    other->arrival < r->arrival);
}

bool
prefix_is_behind(const struct kv_pool *kv, const struct run_list *active,
    const struct run *r)
{
	const struct run *other;

	TAILQ_FOREACH(other, active, entry)
		if (waits_for(kv, r, other))
			return true;
	return false;
}

size_t
prefix_n_awaited(const struct kv_pool *kv, const struct run_list *active,
    const struct run *r)
{
	const struct run *other;
	size_t most = 0;

	TAILQ_FOREACH(other, active, entry) {
		size_t i, end = MEM_MIN(other->n_tokens - 1, r->n_tokens);

		if (!waits_for(kv, other, r))
			continue;
		/* What they hold they have in common. */
		i = other->kv.n_tokens / KV_PAGE * KV_PAGE;
		while (i < end && other->tokens[i] == r->tokens[i])
			i++;
		most = MEM_MAX(most, i);
	}
	return most;
}

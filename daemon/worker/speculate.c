/* SPDX-License-Identifier: MIT */
/*
 * A table of positions by the hash of the 2, 3 or 4 tokens before them; the
 * latest takes the slot.  What is found is compared, so a collision loses a
 * guess and gives no wrong one.  The table is made anew, twice as large, when
 * the text outgrows it, up to SLOTS_MAX.
 */
#include "config.h"

#include "worker/speculate.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SLOTS_FIRST	((size_t)1 << 10)
#define SLOTS_MAX	((size_t)1 << 16)
#define SLOTS_A_TOKEN	8

/* A length that was not tried yet, or not for long, is taken to be right so
 * often; that is also how what was given up is tried again now and then. */
static const double accept_first[SPECULATE_MOST + 1] = { [2] = 0.4,
    [3] = 0.6, [4] = 0.7 };
#define LEARN		0.2	/* weight of one guess */
#define FORGET		0.01	/* of each token without a guess */

void
speculate_init(struct speculate *s)
{
	memset(s, 0, sizeof(*s));
	memcpy(s->accept, accept_first, sizeof(s->accept));
}

void
speculate_fini(struct speculate *s)
{
	free(s->slots);
	memset(s, 0, sizeof(*s));
}

static uint32_t *
slot_of(const struct speculate *s, const uint32_t *tokens, size_t length)
{
	uint64_t h = length;

	for (size_t i = 0; i < length; i++)
		h = (h ^ tokens[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return &s->slots[(h >> 32) & (s->n_slots - 1)];
}

/* Room for n tokens; a new table is empty. */
static void
grow(struct speculate *s, size_t n)
{
	size_t want = SLOTS_FIRST;

	while (want < n * SLOTS_A_TOKEN && want < SLOTS_MAX)
		want *= 2;
	if (want <= s->n_slots)
		return;
	free(s->slots);
	s->slots = xcalloc(want, sizeof(*s->slots));
	s->n_slots = want;
	s->n_seen = 0;
}

/* The text ends behind position `end` - 1: note that, and what was there. */
static void
add_end(struct speculate *s, const uint32_t *tokens, size_t end)
{
	s->match = 0;
	for (size_t n = SPECULATE_MOST; n >= SPECULATE_LEAST; n--) {
		const uint32_t *last = tokens + end - n;
		uint32_t *slot;

		if (n > end)
			continue;
		slot = slot_of(s, last, n);
		if (s->match == 0 && *slot >= n && *slot < end &&
		    memcmp(tokens + *slot - n, last,
		    n * sizeof(*last)) == 0) {
			s->match = *slot;
			s->length = n;
		}
		*slot = (uint32_t)end;
	}
}

void
speculate_add(struct speculate *s, const uint32_t *tokens, size_t n)
{
	grow(s, n);
	while (s->n_seen < n)
		add_end(s, tokens, ++s->n_seen);
	for (size_t i = SPECULATE_LEAST; i <= SPECULATE_MOST; i++)
		s->accept[i] += FORGET * (accept_first[i] - s->accept[i]);
}

double
speculate_chance(const struct speculate *s)
{
	return s->match == 0 ? 0 : s->accept[s->length];
}

void
speculate_draft(const struct speculate *s, uint32_t *tokens, size_t n_tokens,
    size_t n)
{
	/* One by one: a guess may go on with guesses. */
	for (size_t i = 0; i < n; i++)
		tokens[n_tokens + i] = tokens[s->match + i];
}

void
speculate_learn(struct speculate *s, size_t n, size_t n_right)
{
	double *a = &s->accept[s->length];

	for (size_t i = 0; i < n_right; i++)
		*a += LEARN * (1 - *a);
	if (n_right < n)
		*a -= LEARN * *a;
}

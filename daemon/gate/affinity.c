/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gate/affinity.h"

#include <stdlib.h>

#include "base/mem.h"

/* FNV-1a of 64 bits, spread by the last step of a multiplicative hash. */
#define FNV_BASIS	UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME	UINT64_C(0x100000001b3)
#define SPREAD		UINT64_C(0x9e3779b97f4a7c15)
/* Not a byte of UTF-8. */
#define SEPARATOR	0xff

struct chain {
	struct affinity_key *k;
	uint64_t	 h;
	size_t		 n_bytes;
};

static void
put_byte(struct chain *c, uint8_t byte)
{
	uint64_t h;

	c->h = (c->h ^ byte) * FNV_PRIME;
	if (++c->n_bytes % AFFINITY_BLOCK != 0)
		return;
	h = c->h * SPREAD;
	/* 0 is an empty place. */
	c->k->v[c->k->n++] = (h ^ h >> 32) | 1;
}

static void
put_bytes(struct chain *c, const void *p, size_t n)
{
	const uint8_t *byte = p;

	for (size_t i = 0; i < n &&
	    c->n_bytes < AFFINITY_BLOCK * AFFINITY_BLOCKS_MAX; i++)
		put_byte(c, byte[i]);
}

/* Without their lengths: one that goes on where another ends has its blocks. */
static void
put_messages(struct chain *c, struct slice list)
{
	static const uint8_t separator = SEPARATOR;
	struct cur words = strs_of(list);
	struct slice s;

	while (strs_next(&words, &s)) {
		put_bytes(c, s.p, s.n);
		put_bytes(c, &separator, 1);
	}
}

void
affinity_key_init(struct affinity_key *k, const struct msg_run *run)
{
	struct chain c = { .k = k, .h = FNV_BASIS ^ run->input };
	size_t n_max = (run->text.n + run->tokens.n * 4 + run->messages.n) /
	    AFFINITY_BLOCK;

	*k = (struct affinity_key){ 0 };
	if (n_max == 0)
		return;
	n_max = MEM_MIN(n_max, (size_t)AFFINITY_BLOCKS_MAX);
	k->v = xreallocarray(NULL, n_max, sizeof(*k->v));
	if (run->input == RUN_TEXT)
		put_bytes(&c, run->text.p, run->text.n);
	else if (run->input == RUN_TOKENS)
		put_bytes(&c, run->tokens.p, run->tokens.n * 4);
	else
		put_messages(&c, run->messages);
}

void
affinity_key_fini(struct affinity_key *k)
{
	free(k->v);
	*k = (struct affinity_key){ 0 };
}

/* The low bit says nothing. */
static size_t
set_of(uint64_t h)
{
	return h >> 1 & (AFFINITY_SETS - 1);
}

static size_t
way_of(const struct affinity *a, uint64_t h)
{
	const uint64_t *set = a->seen[set_of(h)];
	size_t way = 0;

	while (way < AFFINITY_WAYS && set[way] != h)
		way++;
	return way;
}

size_t
affinity_score(const struct affinity *a, const struct affinity_key *k)
{
	size_t n = 0;

	while (n < k->n && way_of(a, k->v[n]) < AFFINITY_WAYS)
		n++;
	return n;
}

void
affinity_note(struct affinity *a, const struct affinity_key *k)
{
	for (size_t i = 0; i < k->n; i++) {
		uint64_t *set = a->seen[set_of(k->v[i])];
		size_t way = way_of(a, k->v[i]);

		/* To the front; the last falls out if it was not there. */
		for (way = MEM_MIN(way, (size_t)AFFINITY_WAYS - 1); way > 0;
		    way--)
			set[way] = set[way - 1];
		set[0] = k->v[i];
	}
}

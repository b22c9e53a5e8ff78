/* SPDX-License-Identifier: MIT */
/*
 * A tokenizer once its vocabulary is loaded: looking texts up, printing
 * tokens.  The hash of the texts has a secret seed, since the file's author
 * chooses them.
 */
#include "config.h"

#include "model/tokenizer_impl.h"

#include <sys/random.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Eight bytes at a time, each step one multiplication. */
static uint64_t
hash_text(uint64_t seed, struct slice s)
{
	uint64_t h = seed ^ s.n, w;
	size_t i;

	for (i = 0; i + sizeof(w) <= s.n; i += sizeof(w)) {
		memcpy(&w, s.p + i, sizeof(w));
		h = (h ^ w) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	for (w = 0; i < s.n; i++)
		w = w << 8 | (uint8_t)s.p[i];
	h = (h ^ w) * UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

static bool
same(struct slice a, struct slice b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

uint32_t
tokenizer_find(const struct tokenizer *t, struct slice text)
{
	size_t mask = t->n_slots - 1;
	size_t at = hash_text(t->seed, text) & mask;

	for (; t->slots[at] != 0; at = (at + 1) & mask)
		if (same(t->tokens[t->slots[at] - 1].text, text))
			return t->slots[at] - 1;
	return TOKEN_NONE;
}

int
index_texts(struct tokenizer *t, struct cause *cause)
{
	size_t mask, at;

	t->n_slots = 8;
	while (t->n_slots < (size_t)t->n * 2)
		t->n_slots *= 2;
	mask = t->n_slots - 1;
	t->slots = try_calloc(t->n_slots, sizeof(*t->slots));
	if (t->slots == NULL)
		return cause_set(cause, BM_ENOMEM, "no memory for %u tokens",
		    (unsigned)t->n);
	if (getrandom(&t->seed, sizeof(t->seed), 0) < 0)
		t->seed = (uintptr_t)t->slots;
	for (uint32_t id = 0; id < t->n; id++) {
		at = hash_text(t->seed, t->tokens[id].text) & mask;
		while (t->slots[at] != 0 && !same(t->tokens[t->slots[at] -
		    1].text, t->tokens[id].text))
			at = (at + 1) & mask;
		t->slots[at] = id + 1;
	}
	return 0;
}

int
tokenizer_open(const struct gguf *g, struct tokenizer **out,
    struct cause *cause)
{
	struct tokenizer *t;
	int rc;

	t = xcalloc(1, sizeof(*t));
	if ((rc = vocab_load(t, g, cause)) < 0) {
		tokenizer_free(&t);
		return rc;
	}
	*out = t;
	return 0;
}

void
tokenizer_free(struct tokenizer **tp)
{
	struct tokenizer *t = *tp;

	if (t == NULL)
		return;
	free(t->tokens);
	free(t->text);
	free(t->slots);
	free(t->special);
	free(t);
	*tp = NULL;
}

uint32_t
tokenizer_n_vocab(const struct tokenizer *t)
{
	return t->n;
}

const char *
tokenizer_kind(const struct tokenizer *t)
{
	(void)t;
	return "llama";
}

uint32_t
tokenizer_bos(const struct tokenizer *t)
{
	return t->bos;
}

uint32_t
tokenizer_eos(const struct tokenizer *t)
{
	return t->eos;
}

bool
tokenizer_adds_bos(const struct tokenizer *t)
{
	return t->adds_bos && t->bos != TOKEN_NONE;
}

bool
tokenizer_is_eog(const struct tokenizer *t, uint32_t id)
{
	return id < t->n && t->tokens[id].ends;
}

struct slice
tokenizer_piece(const struct tokenizer *t, uint32_t id, bool special)
{
	const struct token *tok;

	if (id >= t->n)
		return (struct slice){ "", 0 };
	tok = &t->tokens[id];
	if (!special && (tok->kind == TOKEN_CONTROL ||
	    tok->kind == TOKEN_UNKNOWN))
		return (struct slice){ "", 0 };
	return tok->piece;
}

int
tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n,
    bool special, struct buf *out, struct cause *cause)
{
	bool strip = t->adds_space;
	struct slice s;

	for (size_t i = 0; i < n; i++)
		if (ids[i] >= t->n)
			return cause_set(cause, BM_EBADREQ, "token %u is not "
			    "in the vocabulary of %u", (unsigned)ids[i],
			    (unsigned)t->n);
	/* A BOS that is dropped took the place of the space to drop. */
	if (!special && n > 0 && tokenizer_adds_bos(t) && ids[0] == t->bos) {
		strip = false;
		ids++;
		n--;
	}
	if (!special && n > 0 && t->adds_eos && ids[n - 1] == t->eos)
		n--;
	for (size_t i = 0; i < n; i++) {
		s = tokenizer_piece(t, ids[i], special);
		if (strip && i == 0 && s.n > 0 && s.p[0] == ' ') {
			s.p++;
			s.n--;
		}
		buf_put(out, s.p, s.n);
	}
	if (out->failed)
		return cause_set(cause, BM_ENOMEM,
		    "no memory for the text of %zu tokens", n);
	return 0;
}

void
token_list_free(struct token_list *l)
{
	free(l->ids);
	*l = (struct token_list){ 0 };
}

int
token_list_add(struct token_list *l, uint32_t id)
{
	uint32_t *ids;
	size_t cap;

	if (l->n == l->cap) {
		cap = l->cap > 0 ? l->cap + l->cap / 2 : 64;
		ids = try_reallocarray(l->ids, cap, sizeof(*ids));
		if (ids == NULL)
			return BM_ENOMEM;
		l->ids = ids;
		l->cap = cap;
	}
	l->ids[l->n++] = id;
	return 0;
}

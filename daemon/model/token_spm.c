/* SPDX-License-Identifier: MIT */
/*
 * Encoding, second half: SentencePiece's byte-pair merging.  The text begins
 * as a list of characters; of all adjacent pairs whose text together is a
 * token, the one with the highest score (leftmost among equals) is joined,
 * until there is none.  Characters that are no token become byte tokens.
 *
 * A heap holds the candidate pairs; one that has gone stale is recognised by
 * its length when it surfaces, so nothing is ever removed from the middle and
 * a text of n characters costs O(n log n).
 */
#include "config.h"

#include "model/tokenizer_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

#define NO_SYMBOL UINT32_MAX

struct symbol {
	uint32_t	 at;		/* in the text */
	uint32_t	 n;		/* bytes; 0 when it was joined away */
	uint32_t	 prev;
	uint32_t	 next;
};

struct pair {
	float		 score;
	uint32_t	 left;
	uint32_t	 right;
	uint32_t	 n;		/* bytes of both together */
};

struct spm_scratch {
	char		*text;		/* with word marks */
	size_t		 text_cap;
	struct symbol	*symbols;
	size_t		 n_symbols;
	size_t		 symbols_cap;
	struct pair	*heap;
	size_t		 n_heap;
	size_t		 heap_cap;
};

struct spm_scratch *
spm_scratch_new(void)
{
	return xcalloc(1, sizeof(struct spm_scratch));
}

void
spm_scratch_free(struct spm_scratch *s)
{
	free(s->text);
	free(s->symbols);
	free(s->heap);
	free(s);
}

/* Room for n elements in *v, growing by half. */
static int
grow(void *pv, size_t *cap, size_t n, size_t size)
{
	void **v = pv, *more;
	size_t want = MEM_MAX(n, *cap + *cap / 2);

	if (n <= *cap)
		return 0;
	if ((more = try_reallocarray(*v, want, size)) == NULL)
		return BM_ENOMEM;
	*v = more;
	*cap = want;
	return 0;
}

static bool
before(const struct pair *a, const struct pair *b)
{
	return a->score > b->score ||
	    (a->score == b->score && a->left < b->left);
}

static int
heap_push(struct spm_scratch *s, struct pair p)
{
	size_t at = s->n_heap, up;

	if (grow(&s->heap, &s->heap_cap, at + 1, sizeof(*s->heap)) < 0)
		return BM_ENOMEM;
	s->n_heap++;
	for (; at > 0 && before(&p, &s->heap[up = (at - 1) / 2]); at = up)
		s->heap[at] = s->heap[up];
	s->heap[at] = p;
	return 0;
}

static struct pair
heap_pop(struct spm_scratch *s)
{
	struct pair top = s->heap[0], last = s->heap[--s->n_heap];
	size_t at = 0, down;

	while ((down = at * 2 + 1) < s->n_heap) {
		if (down + 1 < s->n_heap &&
		    before(&s->heap[down + 1], &s->heap[down]))
			down++;
		if (!before(&s->heap[down], &last))
			break;
		s->heap[at] = s->heap[down];
		at = down;
	}
	s->heap[at] = last;
	return top;
}

/* The pair becomes a candidate if its text is a token. */
static int
try_pair(const struct tokenizer *t, struct spm_scratch *s, const char *text,
    uint32_t left, uint32_t right)
{
	struct slice both;
	uint32_t id;

	if (left == NO_SYMBOL || right == NO_SYMBOL)
		return 0;
	both.p = text + s->symbols[left].at;
	both.n = s->symbols[left].n + s->symbols[right].n;
	if ((id = tokenizer_find(t, both)) == TOKEN_NONE)
		return 0;
	return heap_push(s, (struct pair){ .score = t->tokens[id].score,
	    .left = left, .right = right, .n = (uint32_t)both.n });
}

static int
split_characters(struct spm_scratch *s, struct slice text)
{
	struct symbol *y;
	size_t n;

	s->n_symbols = 0;
	for (size_t at = 0; at < text.n; at += n) {
		n = utf8_length(text.p + at, text.n - at);
		if (n == 0)	/* no UTF-8: a byte by itself */
			n = 1;
		if (grow(&s->symbols, &s->symbols_cap, s->n_symbols + 1,
		    sizeof(*y)) < 0)
			return BM_ENOMEM;
		y = &s->symbols[s->n_symbols];
		y->at = (uint32_t)at;
		y->n = (uint32_t)n;
		y->prev = s->n_symbols > 0 ? (uint32_t)s->n_symbols - 1 :
		    NO_SYMBOL;
		y->next = (uint32_t)++s->n_symbols;
	}
	s->symbols[s->n_symbols - 1].next = NO_SYMBOL;
	return 0;
}

static int
merge(const struct tokenizer *t, struct spm_scratch *s, const char *text)
{
	int rc;

	s->n_heap = 0;
	for (uint32_t i = 1; i < s->n_symbols; i++)
		if ((rc = try_pair(t, s, text, i - 1, i)) < 0)
			return rc;
	while (s->n_heap > 0) {
		struct pair p = heap_pop(s);
		struct symbol *left = &s->symbols[p.left];
		struct symbol *right = &s->symbols[p.right];

		if (left->n == 0 || right->n == 0 ||
		    left->n + right->n != p.n)
			continue;
		left->n = p.n;
		right->n = 0;
		left->next = right->next;
		if (right->next != NO_SYMBOL)
			s->symbols[right->next].prev = p.left;
		if ((rc = try_pair(t, s, text, left->prev, p.left)) < 0 ||
		    (rc = try_pair(t, s, text, p.left, left->next)) < 0)
			return rc;
	}
	return 0;
}

/* A character that is no token: its bytes, if each has a token. */
static int
put_bytes(const struct tokenizer *t, struct slice s, struct token_list *out)
{
	uint32_t ids[4];
	int rc;

	for (size_t i = 0; i < s.n; i++) {
		ids[i] = t->byte_ids[(uint8_t)s.p[i]];
		if (ids[i] == TOKEN_NONE)
			ids[i] = tokenizer_find(t,
			    (struct slice){ s.p + i, 1 });
		if (ids[i] == TOKEN_NONE)
			return t->unknown == TOKEN_NONE ? 0 :
			    token_list_add(out, t->unknown);
	}
	for (size_t i = 0; i < s.n; i++)
		if ((rc = token_list_add(out, ids[i])) < 0)
			return rc;
	return 0;
}

/* One stretch that no merge leaves. */
static int
encode_stretch(const struct tokenizer *t, struct spm_scratch *s,
    struct slice text, struct token_list *out)
{
	int rc;

	if ((rc = split_characters(s, text)) < 0 ||
	    (rc = merge(t, s, text.p)) < 0)
		return rc;
	for (uint32_t i = 0; i != NO_SYMBOL; i = s->symbols[i].next) {
		struct slice y = { text.p + s->symbols[i].at,
		    s->symbols[i].n };
		uint32_t id = tokenizer_find(t, y);

		rc = id != TOKEN_NONE ? token_list_add(out, id) :
		    put_bytes(t, y, out);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Spaces to word marks, with one more in front if the model wants it. */
static int
mark_words(const struct tokenizer *t, struct spm_scratch *s,
    struct slice text, struct slice *out)
{
	size_t n = text.n + WORD_MARK_BYTES;
	char *to;

	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == ' ')
			n += WORD_MARK_BYTES - 1;
	if (grow(&s->text, &s->text_cap, n, 1) < 0)
		return BM_ENOMEM;
	to = s->text;
	if (t->adds_space) {
		memcpy(to, WORD_MARK, WORD_MARK_BYTES);
		to += WORD_MARK_BYTES;
	}
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == ' ') {
			memcpy(to, WORD_MARK, WORD_MARK_BYTES);
			to += WORD_MARK_BYTES;
		} else
			*to++ = text.p[i];
	}
	*out = (struct slice){ s->text, (size_t)(to - s->text) };
	return 0;
}

static bool
is_mark(struct slice s, size_t at)
{
	return s.n - at >= WORD_MARK_BYTES &&
	    memcmp(s.p + at, WORD_MARK, WORD_MARK_BYTES) == 0;
}

/* Bytes up to the next begin of a word: a mark after something else. */
static size_t
stretch_length(struct slice s)
{
	size_t at = 0;

	while (at < s.n && is_mark(s, at))
		at += WORD_MARK_BYTES;
	while (at < s.n && !is_mark(s, at))
		at++;
	return at;
}

int
spm_encode(const struct tokenizer *t, struct spm_scratch *s,
    struct slice text, struct token_list *out)
{
	struct slice rest;
	size_t n;
	int rc;

	if (text.n == 0)
		return 0;
	if ((rc = mark_words(t, s, text, &rest)) < 0)
		return rc;
	while (rest.n > 0) {
		n = t->splits_at_words ? stretch_length(rest) : rest.n;
		rc = encode_stretch(t, s, (struct slice){ rest.p, n }, out);
		if (rc < 0)
			return rc;
		rest.p += n;
		rest.n -= n;
	}
	return 0;
}

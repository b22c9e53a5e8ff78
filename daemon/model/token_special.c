/* SPDX-License-Identifier: MIT */
/*
 * Encoding, first half: tokens that are cut out of the raw text (control,
 * unknown and user-defined ones), longest first wherever they stand, before
 * what is left between them goes to the merging encoder.
 *
 * One pass finds all places where any of them occurs; they are then claimed in
 * order of length.  So the cost depends on what the text contains, not on how
 * many such tokens a vocabulary has.
 */
#include "config.h"

#include "model/tokenizer_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Positions are kept in 32 bits, with room for three bytes a space. */
#define TEXT_MAX_BYTES (UINT32_C(1) << 30)

struct cut {
	uint32_t	 at;
	uint32_t	 end;		/* white space swallowed included */
	uint32_t	 id;
	uint32_t	 n;		/* bytes of the token alone */
};

struct cuts {
	struct cut	*v;
	size_t		 n;
	size_t		 cap;
};

static bool
is_special(const struct token *tok)
{
	return tok->text.n > 0 && (tok->kind == TOKEN_CONTROL ||
	    tok->kind == TOKEN_UNKNOWN || tok->kind == TOKEN_USER_DEFINED);
}

static int
text_cmp(const void *va, const void *vb, void *arg)
{
	const struct tokenizer *t = arg;
	uint32_t ia = *(const uint32_t *)va, ib = *(const uint32_t *)vb;
	struct slice a = t->tokens[ia].text, b = t->tokens[ib].text;
	int d = memcmp(a.p, b.p, MEM_MIN(a.n, b.n));

	if (d == 0)
		d = (a.n > b.n) - (a.n < b.n);
	return d != 0 ? d : (ia > ib) - (ia < ib);
}

void
special_index(struct tokenizer *t)
{
	uint32_t n = 0, kept = 0, c = 0;

	for (uint32_t id = 0; id < t->n; id++)
		n += is_special(&t->tokens[id]);
	t->special = xcalloc(n + 1, sizeof(*t->special));
	n = 0;
	for (uint32_t id = 0; id < t->n; id++)
		if (is_special(&t->tokens[id]))
			t->special[n++] = id;
	qsort_r(t->special, n, sizeof(*t->special), text_cmp, t);
	for (uint32_t i = 0; i < n; i++) {
		struct slice s = t->tokens[t->special[i]].text;
		struct slice last = kept == 0 ? (struct slice){ "", 0 } :
		    t->tokens[t->special[kept - 1]].text;

		if (s.n == last.n && memcmp(s.p, last.p, s.n) == 0)
			continue;
		for (; c <= (uint8_t)s.p[0]; c++)
			t->special_begin[c] = kept;
		t->special[kept++] = t->special[i];
	}
	for (; c <= N_BYTES; c++)
		t->special_begin[c] = kept;
}

/* The first of special[low..high) whose byte at depth is not below c; all
 * have that byte. */
static uint32_t
lower(const struct tokenizer *t, uint32_t low, uint32_t high, size_t depth,
    int c)
{
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		struct slice s = t->tokens[t->special[mid]].text;

		if ((uint8_t)s.p[depth] < c)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int
add_cut(struct cuts *cuts, struct cut cut)
{
	struct cut *v;
	size_t cap;

	if (cuts->n == cuts->cap) {
		cap = cuts->cap > 0 ? cuts->cap * 2 : 32;
		v = try_reallocarray(cuts->v, cap, sizeof(*v));
		if (v == NULL)
			return BM_ENOMEM;
		cuts->v = v;
		cuts->cap = cap;
	}
	cuts->v[cuts->n++] = cut;
	return 0;
}

/* All special tokens that begin at one place. */
static int
match_at(const struct tokenizer *t, struct slice text, size_t at,
    bool parse_special, struct cuts *cuts)
{
	uint8_t c = (uint8_t)text.p[at];
	uint32_t low = t->special_begin[c], high = t->special_begin[c + 1];
	int rc;

	for (size_t n = 1; low < high; n++) {
		const struct token *tok = &t->tokens[t->special[low]];

		if (tok->text.n == n) {
			if ((parse_special || tok->kind == TOKEN_USER_DEFINED)
			    && (rc = add_cut(cuts, (struct cut){
			    .at = (uint32_t)at, .id = t->special[low],
			    .n = (uint32_t)n })) < 0)
				return rc;
			low++;
		}
		if (at + n == text.n)
			break;
		c = (uint8_t)text.p[at + n];
		low = lower(t, low, high, n, c);
		high = lower(t, low, high, n, c + 1);
	}
	return 0;
}

static int
by_length(const void *va, const void *vb)
{
	const struct cut *a = va, *b = vb;

	if (a->n != b->n)
		return a->n < b->n ? 1 : -1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return (a->at > b->at) - (a->at < b->at);
}

static int
by_place(const void *va, const void *vb)
{
	const struct cut *a = va, *b = vb;

	return (a->at > b->at) - (a->at < b->at);
}

static bool
is_white(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Keep the cuts that do not touch one that came before, in order of place. */
static int
claim(const struct tokenizer *t, struct slice text, struct cuts *cuts)
{
	uint8_t *taken = try_calloc(text.n + 1, 1);
	size_t kept = 0;

	if (taken == NULL)
		return BM_ENOMEM;
	qsort(cuts->v, cuts->n, sizeof(*cuts->v), by_length);
	for (size_t i = 0; i < cuts->n; i++) {
		struct cut cut = cuts->v[i];

		cut.end = cut.at + cut.n;
		if (memchr(taken + cut.at, 1, cut.n) != NULL)
			continue;
		if (t->tokens[cut.id].swallows)
			while (cut.end < text.n && !taken[cut.end] &&
			    is_white(text.p[cut.end]))
				cut.end++;
		memset(taken + cut.at, 1, cut.end - cut.at);
		cuts->v[kept++] = cut;
	}
	cuts->n = kept;
	qsort(cuts->v, cuts->n, sizeof(*cuts->v), by_place);
	free(taken);
	return 0;
}

static int
find_cuts(const struct tokenizer *t, struct slice text, bool parse_special,
    struct cuts *cuts)
{
	int rc;

	for (size_t at = 0; at < text.n; at++) {
		uint8_t c = (uint8_t)text.p[at];

		if (t->special_begin[c] < t->special_begin[c + 1] &&
		    (rc = match_at(t, text, at, parse_special, cuts)) < 0)
			return rc;
	}
	return cuts->n > 0 ? claim(t, text, cuts) : 0;
}

static int
encode(const struct tokenizer *t, struct slice text, const struct cuts *cuts,
    struct spm_scratch *scratch, struct token_list *out)
{
	size_t at = 0;
	int rc;

	for (size_t i = 0; i < cuts->n; i++) {
		const struct cut *cut = &cuts->v[i];

		if ((rc = spm_encode(t, scratch, (struct slice){ text.p + at,
		    cut->at - at }, out)) < 0 ||
		    (rc = token_list_add(out, cut->id)) < 0)
			return rc;
		at = cut->end;
	}
	return spm_encode(t, scratch, (struct slice){ text.p + at,
	    text.n - at }, out);
}

int
tokenizer_encode(const struct tokenizer *t, struct slice text,
    bool add_special, bool parse_special, struct token_list *out,
    struct cause *cause)
{
	struct spm_scratch *scratch;
	struct cuts cuts = { 0 };
	int rc = 0;

	if (text.n > TEXT_MAX_BYTES)
		return cause_set(cause, BM_ETOOLONG, "a text of %zu bytes is "
		    "too long to encode", text.n);
	scratch = spm_scratch_new();
	if (add_special && tokenizer_adds_bos(t))
		rc = token_list_add(out, t->bos);
	if (rc == 0 && text.n > 0)
		rc = find_cuts(t, text, parse_special, &cuts);
	if (rc == 0 && text.n > 0)
		rc = encode(t, text, &cuts, scratch, out);
	if (rc == 0 && add_special && t->adds_eos && t->eos != TOKEN_NONE)
		rc = token_list_add(out, t->eos);
	free(cuts.v);
	spm_scratch_free(scratch);
	if (rc < 0)
		return cause_set(cause, BM_ENOMEM,
		    "no memory to encode %zu bytes", text.n);
	return 0;
}

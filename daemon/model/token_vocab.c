/* SPDX-License-Identifier: MIT */
/*
 * Reading a vocabulary: tokens, scores, kinds and ids, checked and copied, so
 * that a tokenizer outlives its file.
 *
 * The number of tokens is that of the array of tokens and nothing else; every
 * id that is kept is below it or TOKEN_NONE.
 */
#include "config.h"

#include "model/tokenizer_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

#define VIS 64

/* The array of tokens, and room for two copies of its texts: as they are and
 * as they are printed, which is never longer. */
static int
load_texts(struct tokenizer *t, const struct gguf *g, struct cause *cause)
{
	const struct gguf_kv *kv;
	struct slice *texts;
	size_t total = 0;
	char *at;
	int rc;

	rc = gguf_get_array(g, "tokenizer.ggml.tokens", GGUF_STR, &kv, cause);
	if (rc < 0)
		return rc == BM_ENOTFOUND ? cause_set(cause, BM_EUNSUP,
		    "the file has no vocabulary (key 'tokenizer.ggml.tokens' "
		    "is missing)") : rc;
	if (kv->n == 0 || kv->n > INT32_MAX)
		return cause_set(cause, BM_EFORMAT, "key 'tokenizer.ggml."
		    "tokens' at byte %llu has %llu elements",
		    (unsigned long long)kv->offset, (unsigned long long)kv->n);
	texts = try_calloc((size_t)kv->n, sizeof(*texts));
	t->tokens = try_calloc((size_t)kv->n, sizeof(*t->tokens));
	if (texts == NULL || t->tokens == NULL) {
		free(texts);
		return cause_set(cause, BM_ENOMEM, "no memory for %llu tokens",
		    (unsigned long long)kv->n);
	}
	gguf_array_strings(kv, texts);
	t->n = (uint32_t)kv->n;
	for (uint32_t i = 0; i < t->n; i++)
		total += texts[i].n;	/* less than the file's size */
	at = t->text = try_malloc(total * 2 + 1);
	for (uint32_t i = 0; at != NULL && i < t->n; i++) {
		memcpy(at, texts[i].p, texts[i].n);
		t->tokens[i].text = (struct slice){ at, texts[i].n };
		t->tokens[i].piece.p = at + total;
		at += texts[i].n;
	}
	free(texts);
	if (at == NULL)
		return cause_set(cause, BM_ENOMEM, "no memory for %zu bytes of "
		    "token texts", total);
	return 0;
}

static int
wrong_length(const struct gguf_kv *kv, const struct tokenizer *t,
    const char *key, struct cause *cause)
{
	return cause_set(cause, BM_EFORMAT, "key '%s' at byte %llu has %llu "
	    "elements, but there are %u tokens", key,
	    (unsigned long long)kv->offset, (unsigned long long)kv->n,
	    (unsigned)t->n);
}

static int
load_scores(struct tokenizer *t, const struct gguf *g, struct cause *cause)
{
	static const char key[] = "tokenizer.ggml.scores";
	const struct gguf_kv *kv;
	int rc;

	if ((rc = gguf_get_array(g, key, GGUF_F32, &kv, cause)) < 0)
		return rc == BM_ENOTFOUND ? cause_set(cause, BM_EFORMAT,
		    "key '%s' is missing", key) : rc;
	if (kv->n != t->n)
		return wrong_length(kv, t, key, cause);
	for (uint32_t i = 0; i < t->n; i++) {
		t->tokens[i].score = (float)gguf_array_number(kv, i);
		if (isnan(t->tokens[i].score))
			return cause_set(cause, BM_EFORMAT, "key '%s' at byte "
			    "%llu: the score of token %u is no number", key,
			    (unsigned long long)kv->offset, (unsigned)i);
	}
	return 0;
}

/* Optional; without it every token is a normal one. */
static int
load_kinds(struct tokenizer *t, const struct gguf *g, struct cause *cause)
{
	static const char key[] = "tokenizer.ggml.token_type";
	const struct gguf_kv *kv = gguf_find(g, key);
	int rc;

	for (uint32_t i = 0; i < t->n; i++)
		t->tokens[i].kind = TOKEN_NORMAL;
	if (kv == NULL)
		return 0;
	rc = gguf_get_array(g, key, kv->element == GGUF_U32 ? GGUF_U32 :
	    GGUF_I32, &kv, cause);
	if (rc < 0)
		return rc;
	if (kv->n != t->n)
		return wrong_length(kv, t, key, cause);
	for (uint32_t i = 0; i < t->n; i++) {
		double v = gguf_array_number(kv, i);

		if (v < TOKEN_UNDEFINED || v > TOKEN_BYTE)
			return cause_set(cause, BM_EFORMAT, "key '%s' at byte "
			    "%llu: the type of token %u is %.0f, not 0 to %d",
			    key, (unsigned long long)kv->offset, (unsigned)i,
			    v, TOKEN_BYTE);
		t->tokens[i].kind = (uint8_t)v;
	}
	return 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte of "<0xXX>", or -1. */
static int
byte_of(struct slice s)
{
	int high, low;

	if (s.n != 6 || memcmp(s.p, "<0x", 3) != 0 || s.p[5] != '>')
		return -1;
	high = hex_digit(s.p[3]);
	low = hex_digit(s.p[4]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static int
load_bytes(struct tokenizer *t, struct cause *cause)
{
	char vis[VIS], text[8];
	int b;

	for (int i = 0; i < N_BYTES; i++)
		t->byte_ids[i] = TOKEN_NONE;
	for (uint32_t id = 0; id < t->n; id++) {
		struct slice s = t->tokens[id].text;

		if (t->tokens[id].kind != TOKEN_BYTE)
			continue;
		if ((b = byte_of(s)) < 0)
			return cause_set(cause, BM_EFORMAT, "key 'tokenizer."
			    "ggml.tokens': token %u is a byte, but its text "
			    "'%s' is not of the form <0xXX>", (unsigned)id,
			    str_vis(vis, sizeof(vis), s.p, s.n));
		if (t->byte_ids[b] == TOKEN_NONE)
			t->byte_ids[b] = id;
	}
	/* Old files do not mark them. */
	for (int i = 0; i < N_BYTES; i++) {
		snprintf(text, sizeof(text), "<0x%02X>", i);
		if (t->byte_ids[i] == TOKEN_NONE)
			t->byte_ids[i] = tokenizer_find(t, slice_of(text));
	}
	return 0;
}

/* What a token prints; piece.p already points to room for it. */
static void
make_piece(struct token *tok)
{
	char *to = (char *)(uintptr_t)tok->piece.p;
	size_t n = 0;

	switch (tok->kind) {
	case TOKEN_BYTE:
		to[n++] = (char)byte_of(tok->text);
		break;
	case TOKEN_UNUSED:
		break;
	case TOKEN_UNDEFINED:
	case TOKEN_NORMAL:
		for (size_t i = 0; i < tok->text.n;) {
			if (tok->text.n - i >= WORD_MARK_BYTES &&
			    memcmp(tok->text.p + i, WORD_MARK,
			    WORD_MARK_BYTES) == 0) {
				to[n++] = ' ';
				i += WORD_MARK_BYTES;
			} else
				to[n++] = tok->text.p[i++];
		}
		break;
	default:
		n = tok->text.n;
		memcpy(to, tok->text.p, n);
		break;
	}
	tok->piece.n = n;
}

/* Has the text a word mark after another character? */
static bool
has_inner_mark(struct slice s)
{
	bool other = false;

	for (size_t i = 0; i < s.n;) {
		if (s.n - i >= WORD_MARK_BYTES && memcmp(s.p + i, WORD_MARK,
		    WORD_MARK_BYTES) == 0) {
			if (other)
				return true;
			i += WORD_MARK_BYTES;
		} else {
			other = true;
			i++;
		}
	}
	return false;
}

/*
 * An id under a key.  Absent: preset, if the vocabulary is as large.  All
 * ones is how writers say "none".
 */
static int
load_id(const struct tokenizer *t, const struct gguf *g, const char *key,
    uint32_t preset, uint32_t *out, struct cause *cause)
{
	uint32_t id;
	int rc;

	rc = gguf_get_u32(g, key, &id, cause);
	if (rc == BM_ENOTFOUND) {
		*out = preset < t->n ? preset : TOKEN_NONE;
		return 0;
	}
	/* -1 in a signed type means the same. */
	if (rc < 0 && gguf_find(g, key)->n == 1 &&
	    gguf_array_number(gguf_find(g, key), 0) == -1) {
		*out = TOKEN_NONE;
		return 0;
	}
	if (rc < 0)
		return rc;
	if (id != TOKEN_NONE && id >= t->n)
		return cause_set(cause, BM_EFORMAT, "key '%s' at byte %llu "
		    "names token %u, but there are only %u", key,
		    (unsigned long long)gguf_find(g, key)->offset,
		    (unsigned)id, (unsigned)t->n);
	*out = id;
	return 0;
}

static int
load_flag(const struct gguf *g, const char *key, bool preset, bool *out,
    struct cause *cause)
{
	int rc;

	*out = preset;
	rc = gguf_get_bool(g, key, out, cause);
	return rc == BM_ENOTFOUND ? 0 : rc;
}

/* Tokens that end a generation, by key or by the text everybody uses. */
static int
load_ends(struct tokenizer *t, const struct gguf *g, struct cause *cause)
{
	static const char *const keys[] = { "tokenizer.ggml.eot_token_id",
	    "tokenizer.ggml.eom_token_id", "tokenizer.ggml.fim_pad_token_id",
	    "tokenizer.ggml.fim_rep_token_id",
	    "tokenizer.ggml.fim_sep_token_id" };
	static const char *const texts[] = { "<|eot_id|>", "<|im_end|>",
	    "<|end|>", "<|return|>", "<|call|>", "<end_of_turn>",
	    "<|endoftext|>", "<|eom_id|>", "<EOT>", "_<EOT>",
	    "<|end_of_text|>", "<end_of_utterance>", "<eos>", "</s>" };
	uint32_t id;
	int rc;

	for (size_t i = 0; i < N_ELEMENTS(keys); i++) {
		rc = load_id(t, g, keys[i], TOKEN_NONE, &id, cause);
		if (rc < 0)
			return rc;
		if (id != TOKEN_NONE)
			t->tokens[id].ends = true;
	}
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		id = tokenizer_find(t, slice_of(texts[i]));
		if (id != TOKEN_NONE)
			t->tokens[id].ends = true;
	}
	/* Where these two exist, <|end|> only ends a message among several. */
	id = tokenizer_find(t, slice_of("<|end|>"));
	if (id != TOKEN_NONE &&
	    tokenizer_find(t, slice_of("<|return|>")) != TOKEN_NONE &&
	    tokenizer_find(t, slice_of("<|call|>")) != TOKEN_NONE)
		t->tokens[id].ends = false;
	if (t->eos != TOKEN_NONE)
		t->tokens[t->eos].ends = true;
	return 0;
}

static int
load_ids(struct tokenizer *t, const struct gguf *g, struct cause *cause)
{
	static const char *const others[] = {
	    "tokenizer.ggml.padding_token_id",
	    "tokenizer.ggml.seperator_token_id",	/* sic */
	    "tokenizer.ggml.cls_token_id", "tokenizer.ggml.mask_token_id" };
	uint32_t id;
	int rc;

	if ((rc = load_id(t, g, "tokenizer.ggml.bos_token_id", 1, &t->bos,
	    cause)) < 0 ||
	    (rc = load_id(t, g, "tokenizer.ggml.eos_token_id", 2, &t->eos,
	    cause)) < 0 ||
	    (rc = load_id(t, g, "tokenizer.ggml.unknown_token_id", 0,
	    &t->unknown, cause)) < 0 ||
	    (rc = load_flag(g, "tokenizer.ggml.add_bos_token", true,
	    &t->adds_bos, cause)) < 0 ||
	    (rc = load_flag(g, "tokenizer.ggml.add_eos_token", false,
	    &t->adds_eos, cause)) < 0 ||
	    (rc = load_flag(g, "tokenizer.ggml.add_space_prefix", true,
	    &t->adds_space, cause)) < 0)
		return rc;
	/* Not used, but an id outside the vocabulary means a broken file. */
	for (size_t i = 0; i < N_ELEMENTS(others); i++)
		if ((rc = load_id(t, g, others[i], TOKEN_NONE, &id,
		    cause)) < 0)
			return rc;
	return load_ends(t, g, cause);
}

/*
 * Phi-3's added tokens swallow the white space behind them, which the format
 * has no key for; the model is known by its architecture or name.
 */
static int
load_swallowing(struct tokenizer *t, const struct gguf *g,
    struct cause *cause)
{
	struct slice arch = { "", 0 }, name = { "", 0 };
	bool phi3;
	int rc;

	if ((rc = gguf_get_str(g, "general.architecture", &arch, cause)) < 0 &&
	    rc != BM_ENOTFOUND)
		return rc;
	if ((rc = gguf_get_str(g, "general.name", &name, cause)) < 0 &&
	    rc != BM_ENOTFOUND)
		return rc;
	phi3 = slice_eq(arch, "phi3");
	for (size_t i = 0; i + 4 <= name.n && !phi3; i++)
		phi3 = strncasecmp(name.p + i, "phi3", 4) == 0 ||
		    (i + 5 <= name.n &&
		    strncasecmp(name.p + i, "phi-3", 5) == 0);
	for (uint32_t id = 0; phi3 && id < t->n; id++) {
		struct token *tok = &t->tokens[id];

		tok->swallows = (tok->kind == TOKEN_CONTROL ||
		    tok->kind == TOKEN_UNKNOWN ||
		    tok->kind == TOKEN_USER_DEFINED) &&
		    !slice_eq(tok->text, "<unk>") &&
		    !slice_eq(tok->text, "<s>") &&
		    !slice_eq(tok->text, "<|endoftext|>");
	}
	return 0;
}

static int
check_kind(const struct gguf *g, struct cause *cause)
{
	struct slice model;
	char vis[VIS];
	int rc;

	rc = gguf_get_str(g, "tokenizer.ggml.model", &model, cause);
	if (rc == BM_ENOTFOUND)
		return cause_set(cause, BM_EUNSUP, "the file has no tokenizer "
		    "(key 'tokenizer.ggml.model' is missing)");
	if (rc < 0)
		return rc;
	if (!slice_eq(model, "llama"))
		return cause_set(cause, BM_EUNSUP, "key 'tokenizer.ggml.model'"
		    ": tokenizer '%s' is not supported, only 'llama'",
		    str_vis(vis, sizeof(vis), model.p, model.n));
	return 0;
}

int
vocab_load(struct tokenizer *t, const struct gguf *g, struct cause *cause)
{
	int rc;

	if ((rc = check_kind(g, cause)) < 0 ||
	    (rc = load_texts(t, g, cause)) < 0 ||
	    (rc = load_scores(t, g, cause)) < 0 ||
	    (rc = load_kinds(t, g, cause)) < 0 ||
	    (rc = index_texts(t, cause)) < 0 ||
	    (rc = load_bytes(t, cause)) < 0 ||
	    (rc = load_ids(t, g, cause)) < 0 ||
	    (rc = load_swallowing(t, g, cause)) < 0)
		return rc;
	t->splits_at_words = true;
	for (uint32_t id = 0; id < t->n; id++) {
		make_piece(&t->tokens[id]);
		if (has_inner_mark(t->tokens[id].text))
			t->splits_at_words = false;
	}
	special_index(t);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* The SentencePiece tokenizer against the published vectors. */
#include "config.h"

#include "model/tokenizer.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

#include "base/mem.h"

#define OUT_MAX (1 << 24)

static struct tokenizer *
open_tokenizer(const char *path)
{
	struct tokenizer *t = NULL;
	struct cause cause = { 0 };
	struct gguf *g = open_gguf(path);

	if (tokenizer_open(g, &t, &cause) < 0)
		fail_msg("%s: %s", path, cause.text);
	gguf_free(&g);		/* a tokenizer stands alone */
	return t;
}

static bool
same_ids(const struct token_list *l, const json_t *ids)
{
	if (l->n != json_array_size(ids))
		return false;
	for (size_t i = 0; i < l->n; i++)
		if (json_integer_value(json_array_get(ids, i)) != l->ids[i])
			return false;
	return true;
}

/* The case's own answer, or one of the others it allows. */
static bool
accepted(const struct token_list *l, const json_t *c)
{
	const json_t *other;
	size_t i;

	if (same_ids(l, json_object_get(c, "tokens")))
		return true;
	json_array_foreach(json_object_get(c, "also"), i, other)
		if (same_ids(l, json_object_get(other, "tokens")))
			return true;
	return false;
}

static void
list_of(const json_t *ids, struct token_list *l)
{
	const json_t *id;
	size_t i;

	l->n = 0;
	json_array_foreach(ids, i, id)
		assert_int_equal(token_list_add(l,
		    (uint32_t)json_integer_value(id)), 0);
}

static bool
decodes_to(const struct tokenizer *t, const struct token_list *l,
    bool special, const json_t *want)
{
	struct slice s = json_slice(want);
	struct buf b;
	bool ok;

	buf_init(&b, OUT_MAX);
	ok = tokenizer_decode(t, l->ids, l->n, special, &b, NULL) == 0 &&
	    b.len == s.n && memcmp(buf_cstr(&b), s.p, s.n) == 0;
	buf_fini(&b);
	return ok;
}

/* What is wrong with one case, or NULL. */
static const char *
check_case(const struct tokenizer *t, const json_t *c)
{
	struct token_list l = { 0 };
	struct buf joined;
	const char *wrong = NULL;
	const json_t *concat = json_object_get(c, "concat");

	if (concat == NULL)
		concat = json_object_get(c, "detok_special");
	if (tokenizer_encode(t, json_slice(json_object_get(c, "text")),
	    json_is_true(json_object_get(c, "add_special")),
	    json_is_true(json_object_get(c, "parse_special")), &l, NULL) < 0)
		wrong = "encoding fails";
	else if (!accepted(&l, c))
		wrong = "tokens";
	list_of(json_object_get(c, "tokens"), &l);
	if (!decodes_to(t, &l, false, json_object_get(c, "detok")))
		wrong = "detok";
	if (!decodes_to(t, &l, true, json_object_get(c, "detok_special")))
		wrong = "detok_special";
	buf_init(&joined, OUT_MAX);
	for (size_t i = 0; i < l.n; i++) {
		struct slice s = tokenizer_piece(t, l.ids[i], true);

		buf_put(&joined, s.p, s.n);
	}
	if (joined.len != json_string_length(concat) ||
	    memcmp(buf_cstr(&joined), json_string_value(concat),
	    joined.len) != 0)
		wrong = "concat";
	buf_fini(&joined);
	token_list_free(&l);
	return wrong;
}

static void
check_vectors(const char *dir)
{
	char path[PATH_MAX], name[64];
	struct tokenizer *t;
	json_t *cases;
	const json_t *c;
	const char *wrong;
	size_t i, n_wrong = 0;

	snprintf(name, sizeof(name), "vocab/%s/vocab.gguf", dir);
	t = open_tokenizer(shared_path(name, path, sizeof(path)));
	snprintf(name, sizeof(name), "vocab/%s/vectors.json", dir);
	cases = open_json(shared_path(name, path, sizeof(path)));
	assert_true(json_array_size(cases) > 100);
	json_array_foreach(cases, i, c) {
		if ((wrong = check_case(t, c)) == NULL)
			continue;
		print_message("# %s case %zu (%s): %s\n", dir, i,
		    json_string_value(json_object_get(c, "group")), wrong);
		n_wrong++;
	}
	print_message("# %s: %zu of %zu vectors\n", dir,
	    json_array_size(cases) - n_wrong, json_array_size(cases));
	assert_int_equal(n_wrong, 0);
	json_decref(cases);
	tokenizer_free(&t);
}

/* Bytes as hex digits. */
static void
put_hex(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_printf(b, "%02x", (uint8_t)s.p[i]);
}

static void
check_pieces(const char *dir)
{
	char path[PATH_MAX], name[64];
	struct tokenizer *t;
	json_t *file;
	const json_t *p, *id;
	struct buf b;
	size_t i, k;

	snprintf(name, sizeof(name), "vocab/%s/vocab.gguf", dir);
	t = open_tokenizer(shared_path(name, path, sizeof(path)));
	snprintf(name, sizeof(name), "vocab/%s/pieces.json", dir);
	file = open_json(shared_path(name, path, sizeof(path)));
	buf_init(&b, OUT_MAX);
	json_array_foreach(json_object_get(file, "pieces"), i, p) {
		uint32_t n = (uint32_t)json_integer_value(
		    json_object_get(p, "id"));
		bool hidden = json_is_true(json_object_get(p, "hidden"));

		buf_clear(&b);
		put_hex(&b, tokenizer_piece(t, n, true));
		assert_string_equal(buf_cstr(&b),
		    json_string_value(json_object_get(p, "hex")));
		if (hidden)
			assert_int_equal(tokenizer_piece(t, n, false).n, 0);
	}
	json_array_foreach(json_object_get(file, "sequences"), i, p) {
		buf_clear(&b);
		json_array_foreach(json_object_get(p, "tokens"), k, id)
			put_hex(&b, tokenizer_piece(t,
			    (uint32_t)json_integer_value(id), false));
		assert_string_equal(buf_cstr(&b),
		    json_string_value(json_object_get(p, "hex")));
	}
	print_message("# %s: %zu pieces, %zu sequences\n", dir,
	    json_array_size(json_object_get(file, "pieces")),
	    json_array_size(json_object_get(file, "sequences")));
	buf_fini(&b);
	json_decref(file);
	tokenizer_free(&t);
}

static void
llama_vectors(void **state)
{
	check_vectors("llama-spm");
}

static void
llama_pieces(void **state)
{
	check_pieces("llama-spm");
}

static void
phi3_vectors(void **state)
{
	check_vectors("phi-3");
}

static void
phi3_pieces(void **state)
{
	check_pieces("phi-3");
}

static void
phi3_ends(void **state)
{
	char path[PATH_MAX];
	struct tokenizer *t = open_tokenizer(shared_path(
	    "vocab/phi-3/vocab.gguf", path, sizeof(path)));

	assert_int_equal(tokenizer_bos(t), 1);
	assert_int_equal(tokenizer_eos(t), 32000);
	assert_true(tokenizer_is_eog(t, 32000));
	assert_true(tokenizer_is_eog(t, 32007));	/* <|end|> */
	assert_false(tokenizer_is_eog(t, 1));
	assert_false(tokenizer_is_eog(t, 13));
	assert_false(tokenizer_is_eog(t, TOKEN_NONE));
	tokenizer_free(&t);
}

static void
shipped_model_round_trip(void **state)
{
	static const char text[] = "Once upon a time, Zo\xc3\xab said: \"\xf0"
	    "\x9f\x98\x80\"\n\tand  ran.";
	char path[PATH_MAX];
	struct tokenizer *t = open_tokenizer(source_path(
	    "models/tale-3.7m-f16.gguf", path, sizeof(path)));
	struct token_list l = { 0 };
	struct buf b;

	assert_int_equal(tokenizer_n_vocab(t), 2048);
	assert_string_equal(tokenizer_kind(t), "llama");
	assert_int_equal(tokenizer_encode(t, slice_of(text), true, true, &l,
	    NULL), 0);
	assert_true(l.n > 10);
	assert_int_equal(l.ids[0], tokenizer_bos(t));
	buf_init(&b, OUT_MAX);
	assert_int_equal(tokenizer_decode(t, l.ids + 1, l.n - 1, false, &b,
	    NULL), 0);
	assert_string_equal(buf_cstr(&b), text);
	buf_fini(&b);
	token_list_free(&l);
	tokenizer_free(&t);
}

/* The given tokens of a text, made by the model's own tokenizer. */
static void
given_text_has_given_tokens(void **state)
{
	char path[PATH_MAX], line[4096];
	struct tokenizer *t = open_tokenizer(shared_path(
	    "golden/stories260K.gguf", path, sizeof(path)));
	struct token_list l = { 0 };
	size_t n, at = 0;
	unsigned id;
	FILE *f;

	f = fopen(shared_path("golden/perplexity.txt", path, sizeof(path)),
	    "r");
	assert_non_null(f);
	n = fread(line, 1, sizeof(line), f);
	fclose(f);
	assert_int_equal(tokenizer_encode(t, (struct slice){ line, n }, true,
	    false, &l, NULL), 0);
	f = fopen(shared_path("golden/perplexity.tokens.txt", path,
	    sizeof(path)), "r");
	assert_non_null(f);
	for (; fscanf(f, "%u", &id) == 1; at++) {
		assert_true(at < l.n);
		assert_int_equal(l.ids[at], id);
	}
	fclose(f);
	assert_int_equal(at, l.n);
	token_list_free(&l);
	tokenizer_free(&t);
}

/* Eight MiB without a word's end: quadratic work would not come back. */
static void
long_texts(void **state)
{
	size_t n = 8 << 20;
	char path[PATH_MAX], *text = xmalloc(n);
	struct tokenizer *t = open_tokenizer(source_path(
	    "models/tale-3.7m-f16.gguf", path, sizeof(path)));
	struct token_list l = { 0 };
	struct buf b;

	for (size_t i = 0; i < n; i++)
		text[i] = (char)('a' + (i * 2654435761u >> 13) % 26);
	assert_int_equal(tokenizer_encode(t, (struct slice){ text, n }, false,
	    true, &l, NULL), 0);
	buf_init(&b, n + 1);
	assert_int_equal(tokenizer_decode(t, l.ids, l.n, false, &b, NULL), 0);
	assert_int_equal(b.len, n);
	assert_memory_equal(b.data, text, n);
	buf_fini(&b);
	token_list_free(&l);
	tokenizer_free(&t);
	free(text);
}

static void
other_kinds_are_refused(void **state)
{
	char path[PATH_MAX];
	struct gguf *g = open_gguf(shared_path("vocab/gpt-2/vocab.gguf", path,
	    sizeof(path)));
	struct tokenizer *t = NULL;
	struct cause cause = { 0 };

	assert_int_equal(tokenizer_open(g, &t, &cause), BM_EUNSUP);
	assert_non_null(strstr(cause.text, "gpt2"));
	assert_null(t);
	gguf_free(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(llama_vectors),
		cmocka_unit_test(llama_pieces),
		cmocka_unit_test(phi3_vectors),
		cmocka_unit_test(phi3_pieces),
		cmocka_unit_test(phi3_ends),
		cmocka_unit_test(shipped_model_round_trip),
		cmocka_unit_test(given_text_has_given_tokens),
		cmocka_unit_test(long_texts),
		cmocka_unit_test(other_kinds_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

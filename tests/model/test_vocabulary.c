/* SPDX-License-Identifier: MIT */
/*
 * Broken vocabularies in containers that are whole.
 */
#include "config.h"

#include "hostile.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/tokenizer.h"

static void
put_tokens(struct gguf_writer *w, const char *second)
{
	const char *t[] = { "<unk>", second, "c" };

	gw_vocab(w, "tokenizer.ggml.tokens");
	gw_strings(w, "tokenizer.ggml.tokens", t, N_ELEMENTS(t));
}

/* Forty tokens of which number 3 is a byte with this text. */
static void
put_byte_token(struct gguf_writer *w, const char *text)
{
	const char *t[GW_VOCAB_N];
	struct buf types, scores;

	for (size_t i = 0; i < GW_VOCAB_N; i++)
		t[i] = i == 3 ? text : "x";
	buf_init(&types, GW_FILE_MAX);
	buf_init(&scores, GW_FILE_MAX);
	for (uint32_t i = 0; i < GW_VOCAB_N; i++) {
		buf_put_u32(&types, i == 3 ? TOKEN_BYTE : TOKEN_NORMAL);
		buf_put_f32(&scores, 0);
	}
	gw_str(w, "tokenizer.ggml.model", "llama");
	gw_strings(w, "tokenizer.ggml.tokens", t, GW_VOCAB_N);
	gw_array(w, "tokenizer.ggml.token_type", GGUF_I32, GW_VOCAB_N,
	    types.data, types.len);
	gw_array(w, "tokenizer.ggml.scores", GGUF_F32, GW_VOCAB_N,
	    scores.data, scores.len);
	buf_fini(&types);
	buf_fini(&scores);
}

static void
byte_minus_1(struct gguf_writer *w)
{
	put_byte_token(w, "<0x-1>");
}

static void
byte_of_one_digit(struct gguf_writer *w)
{
	put_byte_token(w, "<0xA>");
}

static void
byte_of_three_digits(struct gguf_writer *w)
{
	put_byte_token(w, "<0x100>");
}

static void
byte_of_nothing(struct gguf_writer *w)
{
	put_byte_token(w, "");
}

static void
byte_with_space(struct gguf_writer *w)
{
	put_byte_token(w, "<0x 1>");
}

static void
no_model(struct gguf_writer *w)
{
	gw_vocab(w, "tokenizer.ggml.model");
}

static void
model_as_number(struct gguf_writer *w)
{
	gw_vocab(w, "tokenizer.ggml.model");
	gw_u32(w, "tokenizer.ggml.model", 1);
}

static void
other_model(struct gguf_writer *w)
{
	gw_vocab(w, "tokenizer.ggml.model");
	gw_str(w, "tokenizer.ggml.model", "bert");
}

static void
no_tokens(struct gguf_writer *w)
{
	gw_vocab(w, "tokenizer.ggml.tokens");
}

static void
tokens_as_numbers(struct gguf_writer *w)
{
	uint32_t v[GW_VOCAB_N] = { 0 };

	gw_vocab(w, "tokenizer.ggml.tokens");
	gw_array(w, "tokenizer.ggml.tokens", GGUF_U32, GW_VOCAB_N, v,
	    sizeof(v));
}

static void
tokens_as_one_string(struct gguf_writer *w)
{
	gw_vocab(w, "tokenizer.ggml.tokens");
	gw_str(w, "tokenizer.ggml.tokens", "a b c");
}

static void
fewer_tokens(struct gguf_writer *w)
{
	put_tokens(w, "b");
}

static void
no_tokens_in_array(struct gguf_writer *w)
{
	gw_vocab(w, "tokenizer.ggml.tokens");
	gw_array(w, "tokenizer.ggml.tokens", GGUF_STR, 0, NULL, 0);
}

static void
scores_as_bytes(struct gguf_writer *w)
{
	uint8_t v[GW_VOCAB_N] = { 0 };

	gw_vocab(w, "tokenizer.ggml.scores");
	gw_array(w, "tokenizer.ggml.scores", GGUF_U8, GW_VOCAB_N, v,
	    sizeof(v));
}

static void
scores_too_few(struct gguf_writer *w)
{
	float v[GW_VOCAB_N - 1] = { 0 };

	gw_vocab(w, "tokenizer.ggml.scores");
	gw_array(w, "tokenizer.ggml.scores", GGUF_F32, GW_VOCAB_N - 1, v,
	    sizeof(v));
}

static void
score_of_nan(struct gguf_writer *w)
{
	float v[GW_VOCAB_N] = { [7] = NAN };

	gw_vocab(w, "tokenizer.ggml.scores");
	gw_array(w, "tokenizer.ggml.scores", GGUF_F32, GW_VOCAB_N, v,
	    sizeof(v));
}

static void
types_as_strings(struct gguf_writer *w)
{
	const char *v[] = { "1" };

	gw_vocab(w, "tokenizer.ggml.token_type");
	gw_strings(w, "tokenizer.ggml.token_type", v, 1);
}

static void
types_too_many(struct gguf_writer *w)
{
	int32_t v[GW_VOCAB_N + 1] = { 0 };

	gw_vocab(w, "tokenizer.ggml.token_type");
	gw_array(w, "tokenizer.ggml.token_type", GGUF_I32, GW_VOCAB_N + 1, v,
	    sizeof(v));
}

static void
type_of_7(struct gguf_writer *w)
{
	int32_t v[GW_VOCAB_N] = { [9] = 7 };

	gw_vocab(w, "tokenizer.ggml.token_type");
	gw_array(w, "tokenizer.ggml.token_type", GGUF_I32, GW_VOCAB_N, v,
	    sizeof(v));
}

static void
type_of_minus_1(struct gguf_writer *w)
{
	int32_t v[GW_VOCAB_N] = { [9] = -1 };

	gw_vocab(w, "tokenizer.ggml.token_type");
	gw_array(w, "tokenizer.ggml.token_type", GGUF_I32, GW_VOCAB_N, v,
	    sizeof(v));
}

static void
bos_outside(struct gguf_writer *w)
{
	gw_vocab(w, "tokenizer.ggml.bos_token_id");
	gw_u32(w, "tokenizer.ggml.bos_token_id", GW_VOCAB_N);
}

static void
eos_as_float(struct gguf_writer *w)
{
	gw_vocab(w, "tokenizer.ggml.eos_token_id");
	gw_f32(w, "tokenizer.ggml.eos_token_id", 2.0f);
}

static void
eot_outside(struct gguf_writer *w)
{
	gw_vocab(w, "");
	gw_u32(w, "tokenizer.ggml.eot_token_id", UINT32_MAX - 1);
}

/* Larger than any vocabulary: only the array of tokens counts. */
static void
header_says_more(struct gguf_writer *w)
{
	gw_vocab(w, "");
	gw_u32(w, "llama.vocab_size", INT32_MAX);
	gw_u32(w, "tokenizer.ggml.eot_token_id", GW_VOCAB_N + 1);
}

static const struct hostile vocabularies[] = {
	{ "<0x-1>", byte_minus_1, BM_EFORMAT, "token 3", "<0x-1>" },
	{ "<0xA>", byte_of_one_digit, BM_EFORMAT, "token 3", "<0xA>" },
	{ "<0x100>", byte_of_three_digits, BM_EFORMAT, "token 3", "<0x100>" },
	{ "empty byte", byte_of_nothing, BM_EFORMAT, "token 3", NULL },
	{ "<0x 1>", byte_with_space, BM_EFORMAT, "token 3", "<0x 1>" },
	{ "no model", no_model, BM_EUNSUP, "tokenizer.ggml.model", NULL },
	{ "model 1", model_as_number, BM_EFORMAT, "tokenizer.ggml.model",
	    "u32" },
	{ "bert", other_model, BM_EUNSUP, "tokenizer.ggml.model", "bert" },
	{ "no tokens", no_tokens, BM_EUNSUP, "tokenizer.ggml.tokens", NULL },
	{ "tokens as numbers", tokens_as_numbers, BM_EFORMAT,
	    "tokenizer.ggml.tokens", "u32" },
	{ "tokens as text", tokens_as_one_string, BM_EFORMAT,
	    "tokenizer.ggml.tokens", "byte" },
	{ "fewer tokens", fewer_tokens, BM_EFORMAT, "tokenizer.ggml.scores",
	    "3 tokens" },
	{ "no elements", no_tokens_in_array, BM_EFORMAT,
	    "tokenizer.ggml.tokens", "0 elements" },
	{ "scores u8", scores_as_bytes, BM_EFORMAT, "tokenizer.ggml.scores",
	    "u8" },
	{ "scores few", scores_too_few, BM_EFORMAT, "tokenizer.ggml.scores",
	    "39" },
	{ "score NaN", score_of_nan, BM_EFORMAT, "tokenizer.ggml.scores",
	    "token 7" },
	{ "types as text", types_as_strings, BM_EFORMAT,
	    "tokenizer.ggml.token_type", "str" },
	{ "types many", types_too_many, BM_EFORMAT,
	    "tokenizer.ggml.token_type", "41" },
	{ "type 7", type_of_7, BM_EFORMAT, "tokenizer.ggml.token_type",
	    "token 9" },
	{ "type -1", type_of_minus_1, BM_EFORMAT,
	    "tokenizer.ggml.token_type", "token 9" },
	{ "bos", bos_outside, BM_EFORMAT, "tokenizer.ggml.bos_token_id",
	    "40" },
	{ "eos", eos_as_float, BM_EFORMAT, "tokenizer.ggml.eos_token_id",
	    "f32" },
	{ "eot", eot_outside, BM_EFORMAT, "tokenizer.ggml.eot_token_id",
	    "4294967294" },
	{ "vocab_size", header_says_more, BM_EFORMAT,
	    "tokenizer.ggml.eot_token_id", "only 40" },
};

static void
hostile_vocabularies(void **state)
{
	check_hostile(vocabularies, N_ELEMENTS(vocabularies), true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_vocabularies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

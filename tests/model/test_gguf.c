/* SPDX-License-Identifier: MIT */
/*
 * Broken model files, written for the purpose.  Each must be refused with a
 * cause that names what is wrong and where.
 */
#include "config.h"

#include "model/gguf.h"

#include <sys/mman.h>

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gguf_writer.h"

#include "base/mem.h"
#include "kernels/kernels.h"
#include "model/model.h"
#include "model/tokenizer.h"

#define FILE_MAX	(1 << 26)
#define MANY		100000

struct hostile {
	const char	*what;
	void		 (*build)(struct gguf_writer *w);
	int		 code;
	const char	*named;		/* in the cause */
	const char	*also;		/* likewise, or NULL */
};

static const uint64_t row32[] = { 32 };

/* -- containers ------------------------------------------------------- */

static void
version_1(struct gguf_writer *w)
{
	w->version = 1;
}

static void
big_endian(struct gguf_writer *w)
{
	w->version = UINT32_C(0x03000000);
}

static void
many_keys(struct gguf_writer *w)
{
	w->n_kv = UINT64_C(0x2000000000000000);
}

static void
many_tensors(struct gguf_writer *w)
{
	w->n_tensors = UINT64_MAX;
}

static void
one_key_too_many(struct gguf_writer *w)
{
	gw_u32(w, "a", 1);
	gw_str(w, "last", "a text long enough for one more key to fit in");
	w->n_kv++;
}

static void
empty_key(struct gguf_writer *w)
{
	gw_u32(w, "", 1);
}

static void
long_key(struct gguf_writer *w)
{
	char *key = xcalloc(1, 65537);

	memset(key, 'k', 65536);
	gw_u32(w, key, 1);
	free(key);
}

static void
same_key_twice(struct gguf_writer *w)
{
	gw_u32(w, "some.key", 1);
	gw_u32(w, "other", 1);
	gw_u32(w, "some.key", 2);
}

static void
unknown_key_type(struct gguf_writer *w)
{
	gw_kv(w, slice_of("odd.key"), 13, "\0\0\0\0", 4);
}

static void
array_of_arrays(struct gguf_writer *w)
{
	gw_array(w, "odd.key", GGUF_ARR, 1, "\x04\0\0\0\0\0\0\0\0\0\0\0", 12);
}

static void
array_of_unknown(struct gguf_writer *w)
{
	gw_array(w, "odd.key", 99, 1, "\0\0\0\0", 4);
}

static void
array_that_allocates(struct gguf_writer *w)
{
	gw_array(w, "odd.key", GGUF_U64, UINT64_C(1) << 61, "12345678", 8);
}

static void
strings_that_allocate(struct gguf_writer *w)
{
	gw_array(w, "odd.key", GGUF_STR, UINT64_C(1) << 40, "12345678", 8);
}

static void
string_beyond_the_end(struct gguf_writer *w)
{
	gw_kv(w, slice_of("odd.key"), GGUF_STR,
	    "\xf8\xff\xff\xff\xff\xff\xff\xff", 8);
}

static void
bool_of_two(struct gguf_writer *w)
{
	gw_bool(w, "odd.key", 2);
}

static void
alignment_of_48(struct gguf_writer *w)
{
	gw_u32(w, "general.alignment", 48);
}

static void
alignment_of_0(struct gguf_writer *w)
{
	gw_u32(w, "general.alignment", 0);
}

static void
alignment_of_1(struct gguf_writer *w)
{
	gw_u32(w, "general.alignment", 1);
}

static void
alignment_as_text(struct gguf_writer *w)
{
	gw_str(w, "general.alignment", "32");
}

static void
alignment_as_array(struct gguf_writer *w)
{
	gw_array(w, "general.alignment", GGUF_U32, 0, NULL, 0);
}

/* -- tensors ---------------------------------------------------------- */

static void
dims_that_wrap(struct gguf_writer *w)
{
	static const uint64_t dims[] = { UINT64_C(1) << 32,
	    UINT64_C(1) << 32, 1 };

	gw_info(w, "odd.weight", TYPE_F32, 3, dims, 0);
}

/* The product is right, the number of bytes is not. */
static void
bytes_that_wrap(struct gguf_writer *w)
{
	static const uint64_t dims[] = { UINT64_C(1) << 62 };

	gw_info(w, "odd.weight", TYPE_F32, 1, dims, 0);
}

static void
dims_of_0(struct gguf_writer *w)
{
	static const uint64_t dims[] = { 32, 0 };

	gw_info(w, "odd.weight", TYPE_F32, 2, dims, 0);
}

static void
five_dims(struct gguf_writer *w)
{
	static const uint64_t dims[] = { 1, 1, 1, 1, 1 };

	gw_info(w, "odd.weight", TYPE_F32, 5, dims, 0);
}

static void
half_a_block(struct gguf_writer *w)
{
	static const uint64_t dims[] = { 48, 2 };

	gw_info(w, "odd.weight", TYPE_Q8_0, 2, dims, 0);
	for (int i = 0; i < 102; i++)
		buf_put_u8(&w->data, 0);
}

static void
type_without_kernel(struct gguf_writer *w)
{
	gw_info(w, "odd.weight", 16, 1, row32, 0);
}

static void
type_out_of_table(struct gguf_writer *w)
{
	gw_info(w, "odd.weight", 0x80000000u, 1, row32, 0);
}

static void
offset_unaligned(struct gguf_writer *w)
{
	gw_tensor(w, "first", TYPE_F32, 32, 0);
	gw_info(w, "odd.weight", TYPE_F32, 1, row32, 132);
}

static void
offset_that_wraps(struct gguf_writer *w)
{
	gw_tensor(w, "first", TYPE_F32, 32, 0);
	gw_info(w, "odd.weight", TYPE_F32, 1, row32, UINT64_MAX - 31);
}

static void
offset_beyond_the_end(struct gguf_writer *w)
{
	gw_tensor(w, "first", TYPE_F32, 32, 0);
	gw_info(w, "odd.weight", TYPE_F32, 1, row32, 128);
}

static void
last_byte_missing(struct gguf_writer *w)
{
	gw_tensor(w, "odd.weight", TYPE_F32, 32, 0);
	w->data.len--;
}

static void
overlapping(struct gguf_writer *w)
{
	gw_tensor(w, "first", TYPE_F32, 32, 0);
	gw_tensor(w, "second", TYPE_F32, 32, 0);
	gw_info(w, "odd.weight", TYPE_F32, 1, row32, 96);
}

static void
same_tensor_twice(struct gguf_writer *w)
{
	gw_tensor(w, "odd.weight", TYPE_F32, 32, 0);
	gw_tensor(w, "odd.weight", TYPE_F32, 32, 0);
}

static void
empty_tensor_name(struct gguf_writer *w)
{
	gw_tensor(w, "", TYPE_F32, 32, 0);
}

static void
long_tensor_name(struct gguf_writer *w)
{
	gw_tensor(w, "0123456789012345678901234567890123456789"
	    "0123456789012345678901234", TYPE_F32, 32, 0);
}

static void
part_of_three(struct gguf_writer *w)
{
	gw_kv(w, slice_of("split.count"), GGUF_U16, "\3\0", 2);
}

static const struct hostile containers[] = {
	{ "version 1", version_1, BM_EUNSUP, "version 1", "byte 4" },
	{ "big endian", big_endian, BM_EUNSUP, "big endian", "byte 4" },
	{ "key count", many_keys, BM_EFORMAT, "key count", "byte 16" },
	{ "tensor count", many_tensors, BM_EFORMAT, "tensor count", "byte 8" },
	{ "a key too many", one_key_too_many, BM_EFORMAT, "key", "byte" },
	{ "empty key", empty_key, BM_EFORMAT, "key", "byte 24" },
	{ "long key", long_key, BM_EFORMAT, "65536", "byte 24" },
	{ "key twice", same_key_twice, BM_EFORMAT, "'some.key'", "24 and" },
	{ "type of key", unknown_key_type, BM_EFORMAT, "'odd.key'", "13" },
	{ "nested array", array_of_arrays, BM_EFORMAT, "'odd.key'", "byte" },
	{ "element type", array_of_unknown, BM_EFORMAT, "'odd.key'", "99" },
	{ "huge array", array_that_allocates, BM_EFORMAT, "'odd.key'",
	    "byte 24" },
	{ "huge string array", strings_that_allocate, BM_EFORMAT,
	    "'odd.key'", "byte 24" },
	{ "string length", string_beyond_the_end, BM_EFORMAT, "'odd.key'",
	    "byte" },
	{ "bool of 2", bool_of_two, BM_EFORMAT, "'odd.key'", "byte" },
	{ "alignment 48", alignment_of_48, BM_EFORMAT, "general.alignment",
	    "48" },
	{ "alignment 0", alignment_of_0, BM_EFORMAT, "general.alignment",
	    "byte 24" },
	{ "alignment 1", alignment_of_1, BM_EFORMAT, "general.alignment",
	    "byte 24" },
	{ "alignment text", alignment_as_text, BM_EFORMAT,
	    "general.alignment", "str" },
	{ "alignment array", alignment_as_array, BM_EFORMAT,
	    "general.alignment", "array" },
	{ "dims wrap", dims_that_wrap, BM_EFORMAT, "'odd.weight'",
	    "overflows" },
	{ "bytes wrap", bytes_that_wrap, BM_EFORMAT, "'odd.weight'",
	    "overflows" },
	{ "dims 0", dims_of_0, BM_EFORMAT, "'odd.weight'", "dimension 1" },
	{ "5 dims", five_dims, BM_EFORMAT, "'odd.weight'", "5 dimensions" },
	{ "half a block", half_a_block, BM_EFORMAT, "'odd.weight'", "48" },
	{ "type 16", type_without_kernel, BM_EUNSUP, "'odd.weight'",
	    "type 16" },
	{ "type 2^31", type_out_of_table, BM_EUNSUP, "'odd.weight'",
	    "2147483648" },
	{ "unaligned", offset_unaligned, BM_EFORMAT, "'odd.weight'", "132" },
	{ "offset wraps", offset_that_wraps, BM_EFORMAT, "'odd.weight'",
	    "overflows" },
	{ "offset too large", offset_beyond_the_end, BM_EFORMAT,
	    "'odd.weight'", "bytes" },
	{ "last byte", last_byte_missing, BM_EFORMAT, "'odd.weight'",
	    "bytes" },
	{ "overlap", overlapping, BM_EFORMAT, "'odd.weight'", "overlap" },
	{ "tensor twice", same_tensor_twice, BM_EFORMAT, "'odd.weight'",
	    "twice" },
	{ "no tensor name", empty_tensor_name, BM_EFORMAT, "tensor name",
	    "byte 24" },
	{ "long tensor name", long_tensor_name, BM_EFORMAT, "tensor name",
	    "65 bytes" },
	{ "a part alone", part_of_three, BM_EFORMAT, "split.count", "3" },
};

/* -- vocabularies ----------------------------------------------------- */

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
	buf_init(&types, FILE_MAX);
	buf_init(&scores, FILE_MAX);
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

/* Opens the container, and the tokenizer if asked; the first refusal. */
static int
open_built(void (*build)(struct gguf_writer *), bool vocabulary,
    struct cause *cause)
{
	struct gguf_writer w;
	struct tokenizer *t = NULL;
	struct gguf *g = NULL;
	struct buf file;
	int rc;

	gw_init(&w);
	buf_init(&file, FILE_MAX);
	build(&w);
	gw_finish(&w, &file);
	rc = gguf_open_memory(file.data, file.len, &g, cause);
	if (rc == 0 && vocabulary)
		rc = tokenizer_open(g, &t, cause);
	if (t != NULL)
		tokenizer_free(&t);
	gguf_free(&g);
	buf_fini(&file);
	gw_fini(&w);
	return rc;
}

static void
check_hostile(const struct hostile *h, size_t n, bool vocabulary)
{
	for (size_t i = 0; i < n; i++) {
		struct cause cause = { 0 };
		int rc = open_built(h[i].build, vocabulary, &cause);

		if (rc != h[i].code || strstr(cause.text, h[i].named) == NULL ||
		    (h[i].also != NULL &&
		    strstr(cause.text, h[i].also) == NULL))
			fail_msg("%s: code %d, cause: %s", h[i].what, rc,
			    cause.text);
	}
}

static void
hostile_containers(void **state)
{
	check_hostile(containers, N_ELEMENTS(containers), false);
}

static void
hostile_vocabularies(void **state)
{
	check_hostile(vocabularies, N_ELEMENTS(vocabularies), true);
}

static void
other_files(void **state)
{
	static const char zip[] __attribute__((aligned(8))) = "PK\3\4.......";
	struct cause cause = { 0 };
	struct gguf *g = NULL;

	assert_int_equal(gguf_open_memory(zip, sizeof(zip), &g, &cause),
	    BM_EFORMAT);
	assert_non_null(strstr(cause.text, "GGUF"));
	assert_int_equal(gguf_open_memory(zip, 0, &g, &cause), BM_EFORMAT);
	assert_null(g);
}

/* A key may hold anything; reading it as something else names it. */
static void
typed_reads(void **state)
{
	struct gguf_writer w;
	struct buf file, text;
	struct gguf *g = NULL;
	struct cause cause = { 0 };
	const struct gguf_kv *kv;
	uint32_t u = 7;
	float f = 0;
	bool b;
	struct slice s;

	gw_init(&w);
	buf_init(&file, FILE_MAX);
	gw_kv(&w, slice_of("i64"), GGUF_I64, "\x05\0\0\0\0\0\0\0", 8);
	gw_kv(&w, slice_of("minus"), GGUF_I8, "\xff", 1);
	gw_kv(&w, slice_of("big"), GGUF_U64, "\0\0\0\0\1\0\0\0", 8);
	gw_f32(&w, "inf", INFINITY);
	gw_str(&w, "str", "a\nb");
	gw_array(&w, "arr", GGUF_U16, 3, "\1\0\2\0\3\0", 6);
	gw_finish(&w, &file);
	assert_int_equal(gguf_open_memory(file.data, file.len, &g, &cause), 0);
	assert_int_equal(gguf_get_u32(g, "absent", &u, &cause), BM_ENOTFOUND);
	assert_int_equal(u, 7);
	assert_int_equal(gguf_get_u32(g, "i64", &u, &cause), 0);
	assert_int_equal(u, 5);
	assert_int_equal(gguf_get_f32(g, "minus", &f, &cause), 0);
	assert_true(f == -1.0f);
	assert_int_equal(gguf_get_u32(g, "minus", &u, &cause), BM_EFORMAT);
	assert_non_null(strstr(cause.text, "'minus'"));
	assert_non_null(strstr(cause.text, "-1"));
	assert_int_equal(gguf_get_u32(g, "big", &u, &cause), BM_EFORMAT);
	assert_int_equal(gguf_get_u32(g, "str", &u, &cause), BM_EFORMAT);
	assert_int_equal(gguf_get_u32(g, "arr", &u, &cause), BM_EFORMAT);
	assert_int_equal(gguf_get_f32(g, "inf", &f, &cause), BM_EFORMAT);
	assert_int_equal(gguf_get_bool(g, "i64", &b, &cause), BM_EFORMAT);
	assert_int_equal(gguf_get_str(g, "i64", &s, &cause), BM_EFORMAT);
	assert_int_equal(gguf_get_u32_at(g, "arr", 2, &u, &cause), 0);
	assert_int_equal(u, 3);
	assert_int_equal(gguf_get_u32_at(g, "i64", 2, &u, &cause), 0);
	assert_int_equal(u, 5);
	assert_int_equal(gguf_get_u32_at(g, "arr", 3, &u, &cause), BM_EFORMAT);
	assert_non_null(strstr(cause.text, "'arr'"));
	assert_int_equal(gguf_get_array(g, "arr", GGUF_U32, &kv, &cause),
	    BM_EFORMAT);
	assert_int_equal(gguf_get_array(g, "arr", GGUF_U16, &kv, &cause), 0);
	assert_true(gguf_array_number(kv, 1) == 2.0);
	buf_init(&text, FILE_MAX);
	gguf_kv_text(kv, &text);
	buf_puts(&text, "; ");
	gguf_kv_text(gguf_find(g, "str"), &text);
	assert_string_equal(buf_cstr(&text), "u16[3] 1, 2, 3; \"a\\nb\"");
	buf_fini(&text);
	gguf_free(&g);
	buf_fini(&file);
	gw_fini(&w);
}

static void
whole_model(void **state)
{
	struct buf file;
	struct gguf *g = NULL;
	struct cause cause = { 0 };
	const struct gguf_tensor *t;

	buf_init(&file, FILE_MAX);
	gw_small_model(&file);
	if (gguf_open_memory(file.data, file.len, &g, &cause) < 0)
		fail_msg("%s", cause.text);
	assert_int_equal(gguf_version(g), 3);
	assert_int_equal(gguf_file_bytes(g), file.len);
	assert_int_equal(gguf_n_tensors(g), 11);
	t = gguf_tensor(g, "blk.0.attn_k.weight");
	assert_non_null(t);
	assert_int_equal(t->n_elements, 512);
	assert_int_equal(t->n_bytes, 352);
	assert_int_equal(t->dims[2], 1);
	assert_ptr_equal(t->data, file.data + t->offset);
	assert_int_equal(t->offset % 32, 0);
	assert_null(gguf_tensor(g, "blk.1.attn_k.weight"));
	assert_null(gguf_tensor_at(g, 11));
	gguf_free(&g);
	buf_fini(&file);
}

/* A whole model in which one number is changed. */
static void
hostile_hparams(void **state)
{
	static const struct {
		const char	*key;
		uint32_t	 value;
		const char	*named;
	} cases[] = {
		{ "llama.block_count", UINT32_MAX, "block_count" },
		{ "llama.block_count", 16777216, "block_count" },
		{ "llama.block_count", 513, "block_count" },
		{ "llama.block_count", 2, "block_count" },
		{ "llama.block_count", 0, "block_count" },
		{ "llama.embedding_length", 64, "token_embd" },
		{ "llama.feed_forward_length", 64, "ffn_" },
		{ "llama.attention.head_count", 0, "head_count" },
		{ "llama.attention.head_count", 3, "llama." },
		{ "llama.attention.head_count_kv", 3, "head" },
		{ "llama.rope.dimension_count", 18, "dimension_count" },
		{ "llama.context_length", 0, "context_length" },
	};
	struct buf file;
	struct cause cause = { 0 };

	assert_int_equal(kern_init(&cause), 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct gguf *g = NULL;
		struct model *m = NULL;
		const struct gguf_kv *kv;

		buf_init(&file, FILE_MAX);
		gw_small_model(&file);
		assert_int_equal(gguf_open_memory(file.data, file.len, &g,
		    &cause), 0);
		kv = gguf_find(g, cases[i].key);
		assert_non_null(kv);
		memcpy(file.data + (kv->data - file.data), &cases[i].value,
		    sizeof(cases[i].value));
		if (model_open(&g, &m, &cause) >= 0 ||
		    strstr(cause.text, cases[i].named) == NULL)
			fail_msg("%s = %u: %s", cases[i].key,
			    (unsigned)cases[i].value, cause.text);
		gguf_free(&g);
		buf_fini(&file);
	}
}

static void
more_not_causal(struct gguf_writer *w)
{
	gw_bool(w, "llama.attention.causal", 0);
}

static void
more_capped_scores(struct gguf_writer *w)
{
	gw_f32(w, "llama.attn_logit_softcapping", 50);
}

static void
more_capped_logits(struct gguf_writer *w)
{
	gw_f32(w, "llama.final_logit_softcapping", 30);
}

static void
more_frequencies(struct gguf_writer *w)
{
	gw_tensor(w, "rope_freqs.weight", TYPE_F32, 8, 0);	/* some are 0 */
}

static void
more_neutral(struct gguf_writer *w)
{
	gw_bool(w, "llama.attention.causal", 1);
	gw_f32(w, "llama.attn_logit_softcapping", 0);
}

/* What would be computed wrongly is refused, by its name. */
static void
other_computations(void **state)
{
	static const struct {
		void		(*more)(struct gguf_writer *);
		const char	*named;
	} cases[] = {
		{ more_not_causal, "attention.causal" },
		{ more_capped_scores, "attn_logit_softcapping" },
		{ more_capped_logits, "final_logit_softcapping" },
		{ more_frequencies, "rope_freqs.weight" },
		{ more_neutral, NULL },
	};
	struct cause cause = { 0 };

	assert_int_equal(kern_init(&cause), 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct gguf *g = NULL;
		struct model *m = NULL;
		struct buf file;
		bool refused;

		buf_init(&file, FILE_MAX);
		gw_small_model_with(&file, cases[i].more);
		assert_int_equal(gguf_open_memory(file.data, file.len, &g,
		    &cause), 0);
		refused = model_open(&g, &m, &cause) < 0;
		if (refused != (cases[i].named != NULL) || (refused &&
		    strstr(cause.text, cases[i].named) == NULL))
			fail_msg("case %zu: %s", i, cause.text);
		model_free(&m);
		gguf_free(&g);
		buf_fini(&file);
	}
}

/* A context no machine has room for is only cut. */
static void
boundless_context(void **state)
{
	static const uint32_t longest = UINT32_MAX;
	struct gguf *g = NULL;
	struct model *m = NULL;
	struct cause cause = { 0 };
	struct buf file;
	const struct gguf_kv *kv;

	assert_int_equal(kern_init(&cause), 0);
	buf_init(&file, FILE_MAX);
	gw_small_model(&file);
	assert_int_equal(gguf_open_memory(file.data, file.len, &g, &cause), 0);
	kv = gguf_find(g, "llama.context_length");
	memcpy(file.data + (kv->data - file.data), &longest, sizeof(longest));
	if (model_open(&g, &m, &cause) < 0)
		fail_msg("%s", cause.text);
	assert_int_equal(model_desc(m)->n_ctx_train, 1 << 30);
	model_free(&m);
	buf_fini(&file);
}

/* Names that share all but their end, and a great many of them. */
static void
many_names(void **state)
{
	struct gguf_writer w;
	struct buf file;
	struct gguf *g = NULL;
	struct cause cause = { 0 };
	char name[64];

	gw_init(&w);
	buf_init(&file, FILE_MAX);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "the.same.begin.of.all.%06d", i);
		gw_u32(&w, name, 1);
		if (i < MANY / 4)
			gw_tensor(&w, name, TYPE_F32, 8, 0);
	}
	gw_finish(&w, &file);
	if (gguf_open_memory(file.data, file.len, &g, &cause) < 0)
		fail_msg("%s", cause.text);
	assert_int_equal(gguf_n_kv(g), MANY);
	assert_non_null(gguf_find(g, "the.same.begin.of.all.099999"));
	assert_non_null(gguf_tensor(g, "the.same.begin.of.all.000077"));
	gguf_free(&g);
	buf_fini(&file);
	gw_fini(&w);
}

/* -- split models ----------------------------------------------------- */

static int
part_file(uint16_t no, uint16_t count, int32_t total, const char *tensor)
{
	struct gguf_writer w;
	struct buf file;
	int fd;

	gw_init(&w);
	buf_init(&file, FILE_MAX);
	if (no == 0)
		gw_str(&w, "general.architecture", "llama");
	gw_kv(&w, slice_of("split.no"), GGUF_U16, &no, 2);
	gw_kv(&w, slice_of("split.count"), GGUF_U16, &count, 2);
	gw_kv(&w, slice_of("split.tensors.count"), GGUF_I32, &total, 4);
	gw_tensor(&w, tensor, TYPE_F32, 32, 0);
	gw_finish(&w, &file);
	fd = memfd_create("part", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, file.data, file.len), file.len);
	buf_fini(&file);
	gw_fini(&w);
	return fd;
}

/* Opens two parts; fds are closed. */
static int
open_two(int a, int b, int n, struct gguf **g, struct cause *cause)
{
	static const char *const names[] = { "/models/m-00001-of-00002.gguf",
	    "/models/m-00002-of-00002.gguf" };
	int fds[2] = { a, b };
	int rc = gguf_open(fds, names, n, g, cause);

	close(a);
	close(b);
	return rc;
}

static void
split_models(void **state)
{
	struct gguf *g = NULL;
	struct cause cause = { 0 };

	assert_int_equal(open_two(part_file(0, 2, 2, "a"),
	    part_file(1, 2, 2, "b"), 2, &g, &cause), 0);
	assert_int_equal(gguf_n_tensors(g), 2);
	assert_int_equal(gguf_tensor(g, "b")->part, 1);
	assert_true(((const float *)gguf_tensor(g, "b")->data)[0] == 0.25f);
	assert_non_null(gguf_find(g, "general.architecture"));
	gguf_free(&g);

	assert_int_equal(open_two(part_file(1, 2, 2, "b"),
	    part_file(0, 2, 2, "a"), 2, &g, &cause), BM_EFORMAT);
	assert_non_null(strstr(cause.text, "split.no"));
	assert_int_equal(open_two(part_file(0, 2, 2, "a"),
	    part_file(1, 2, 2, "b"), 1, &g, &cause), BM_EFORMAT);
	assert_non_null(strstr(cause.text, "split.count"));
	assert_int_equal(open_two(part_file(0, 2, 2, "a"),
	    part_file(1, 3, 2, "b"), 2, &g, &cause), BM_EFORMAT);
	assert_non_null(strstr(cause.text, "m-00002-of-00002.gguf"));
	assert_int_equal(open_two(part_file(0, 2, 3, "a"),
	    part_file(1, 2, 3, "b"), 2, &g, &cause), BM_EFORMAT);
	assert_non_null(strstr(cause.text, "split.tensors.count"));
	assert_int_equal(open_two(part_file(0, 2, 2, "a"),
	    part_file(1, 2, 2, "a"), 2, &g, &cause), BM_EFORMAT);
	assert_non_null(strstr(cause.text, "tensor 'a'"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_containers),
		cmocka_unit_test(hostile_vocabularies),
		cmocka_unit_test(other_files),
		cmocka_unit_test(typed_reads),
		cmocka_unit_test(whole_model),
		cmocka_unit_test(hostile_hparams),
		cmocka_unit_test(other_computations),
		cmocka_unit_test(boundless_context),
		cmocka_unit_test(many_names),
		cmocka_unit_test(split_models),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

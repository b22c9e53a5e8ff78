/* SPDX-License-Identifier: MIT */
/*
 * Broken containers, written for the purpose: heads, keys and tensors.
 */
#include "config.h"

#include "hostile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kernels/types.h"

static const uint64_t row32[] = { 32 };

/* -- keys ------------------------------------------------------------- */

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

static void
hostile_containers(void **state)
{
	check_hostile(containers, N_ELEMENTS(containers), false);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_containers),
		cmocka_unit_test(other_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * What is read of containers that are whole, in one file or several.
 */
#include "config.h"

#include "model/gguf.h"

#include <sys/mman.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gguf_writer.h"
#include "kernels/types.h"

#define MANY		100000

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
	buf_init(&file, GW_FILE_MAX);
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
	buf_init(&text, GW_FILE_MAX);
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

	buf_init(&file, GW_FILE_MAX);
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
	buf_init(&file, GW_FILE_MAX);
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
	buf_init(&file, GW_FILE_MAX);
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
		cmocka_unit_test(typed_reads),
		cmocka_unit_test(whole_model),
		cmocka_unit_test(many_names),
		cmocka_unit_test(split_models),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

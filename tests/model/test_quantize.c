/* SPDX-License-Identifier: MIT */
/*
 * Files in another type: what is converted and what is kept, that the result
 * is a file like any other and the same for any number of threads, what is
 * refused and how, and what is left of a trained model's knowledge.
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "fixture.h"
#include "gguf_writer.h"
#include "kernels/kernels.h"
#include "model/quantize.h"
#include "rig.h"

#define PATH_BYTES	4096

/* A file in memory, and its path. */
static int
new_file(char path[PATH_BYTES])
{
	int fd = memfd_create("quantized", MFD_CLOEXEC);

	assert_true(fd >= 0);
	snprintf(path, PATH_BYTES, "/proc/self/fd/%d", fd);
	return fd;
}

static int
quantize(const struct gguf *g, enum tensor_type type, int n_threads, int fd,
    struct quantize_result *r, struct cause *cause)
{
	struct quantize_job job = { .in = g, .type = type, .fd = fd };
	int rc;

	assert_int_equal(pool_new(&job.pool, n_threads, cause), 0);
	rc = quantize_model(&job, r, cause);
	pool_free(&job.pool);
	return rc;
}

/* A file with one tensor of each sort, rows of 512, 64 and 33. */
static void
make_mixed(struct buf *out, float last)
{
	static const char *const names[] = { "blk.0.attn_q.weight",
	    "blk.0.attn_q_norm.weight", "blk.0.ffn_gate_inp.weight",
	    "token_types.weight", "blk.0.ffn_up.weight", "output.weight" };
	static const uint64_t widths[] = { 512, 512, 512, 512, 64, 33 };
	struct gguf_writer w;

	gw_init(&w);
	gw_str(&w, "general.architecture", "llama");
	gw_u32(&w, "general.file_type", 0);
	gw_u32(&w, "split.count", 1);
	gw_strings(&w, "some.strings", (const char *const[]){ "a", "", "bc" },
	    3);
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		gw_tensor(&w, names[i], TYPE_F32, widths[i], 3);
	gw_tensor(&w, "blk.0.attn_norm.weight", TYPE_F32, 512, 0);
	gw_tensor(&w, "blk.0.attn_q.bias", TYPE_F32, 512, 2);
	gw_tensor(&w, "blk.0.ffn_down.weight", TYPE_F32, 256, 4);
	memcpy(w.data.data + w.data.len - 4, &last, 4);
	gw_finish(&w, out);
	gw_fini(&w);
}

static struct gguf *
open_buf(const struct buf *b)
{
	struct cause cause = { 0 };
	struct gguf *g;

	if (gguf_open_memory(b->data, b->len, &g, &cause) != 0)
		fail_msg("%s", cause.text);
	return g;
}

static void
assert_type(const struct gguf *g, const char *name, enum tensor_type type)
{
	const struct gguf_tensor *t = gguf_tensor(g, name);

	assert_non_null(t);
	assert_string_equal(t->type->name, type_info(type)->name);
}

static void
matrices_are_converted(void **state)
{
	struct quantize_result r;
	struct cause cause = { 0 };
	char path[PATH_BYTES];
	struct buf b;
	struct gguf *in, *out;
	uint32_t v;
	int fd = new_file(path);

	buf_init(&b, 1 << 20);
	make_mixed(&b, 1);
	in = open_buf(&b);
	assert_int_equal(quantize(in, TYPE_Q4_K, 2, fd, &r, &cause), 0);
	out = open_gguf(path);
	assert_int_equal(gguf_version(out), 3);
	assert_int_equal(gguf_file_bytes(out), r.file_bytes);
	assert_type(out, "blk.0.attn_q.weight", TYPE_Q4_K);
	assert_type(out, "blk.0.ffn_down.weight", TYPE_Q4_K);
	assert_type(out, "blk.0.ffn_up.weight", TYPE_Q5_0);
	assert_type(out, "output.weight", TYPE_F16);
	assert_type(out, "blk.0.attn_q_norm.weight", TYPE_F32);
	assert_type(out, "blk.0.ffn_gate_inp.weight", TYPE_F32);
	assert_type(out, "token_types.weight", TYPE_F32);
	assert_type(out, "blk.0.attn_norm.weight", TYPE_F32);
	assert_type(out, "blk.0.attn_q.bias", TYPE_F32);
	assert_int_equal(r.n_of_type[TYPE_Q4_K], 2);
	assert_int_equal(r.n_fallback, 2);
	assert_int_equal(r.n_requantized, 0);
	for (size_t i = 0; i < gguf_n_tensors(in); i++)
		assert_memory_equal(gguf_tensor_at(in, i)->name.p,
		    gguf_tensor_at(out, i)->name.p,
		    gguf_tensor_at(in, i)->name.n);
	/* kept ones to the byte, behind tensors of another length */
	assert_memory_equal(gguf_tensor(in, "blk.0.attn_q.bias")->data,
	    gguf_tensor(out, "blk.0.attn_q.bias")->data, 512 * 2 * 4);
	assert_int_equal(gguf_get_u32(out, "general.file_type", &v, &cause),
	    0);
	assert_int_equal(v, 14);
	assert_int_equal(gguf_get_u32(out, "general.quantization_version", &v,
	    &cause), 0);
	assert_int_equal(v, 2);
	assert_null(gguf_find(out, "split.count"));
	assert_int_equal(gguf_find(out, "some.strings")->n, 3);
	gguf_free(&in);
	gguf_free(&out);
	close(fd);
	buf_fini(&b);
}

static void
rows_choose_the_fallback(void **state)
{
	static const struct {
		enum tensor_type asked, at_32, at_33;
	} rules[] = {
		{ TYPE_Q2_K, TYPE_IQ4_NL, TYPE_F16 },
		{ TYPE_Q3_K, TYPE_IQ4_NL, TYPE_F16 },
		{ TYPE_IQ4_XS, TYPE_IQ4_NL, TYPE_F16 },
		{ TYPE_Q4_K, TYPE_Q5_0, TYPE_F16 },
		{ TYPE_Q5_K, TYPE_Q5_1, TYPE_F16 },
		{ TYPE_Q6_K, TYPE_Q8_0, TYPE_F16 },
		{ TYPE_Q4_0, TYPE_Q4_0, TYPE_F16 },
		{ TYPE_MXFP4, TYPE_MXFP4, TYPE_F16 },
		{ TYPE_BF16, TYPE_BF16, TYPE_BF16 },
	};
	struct gguf_tensor t = { .name = slice_of("blk.0.ffn_up.weight"),
	    .n_dims = 2, .type_id = TYPE_F32 };
	bool fallback;

	for (size_t i = 0; i < N_ELEMENTS(rules); i++) {
		t.dims[0] = 512;
		assert_int_equal(quantize_type_of(&t, rules[i].asked,
		    &fallback), rules[i].asked);
		assert_false(fallback);
		t.dims[0] = 96;
		assert_int_equal(quantize_type_of(&t, rules[i].asked,
		    &fallback), rules[i].at_32);
		assert_int_equal(fallback, rules[i].at_32 != rules[i].asked);
		t.dims[0] = 33;
		assert_int_equal(quantize_type_of(&t, rules[i].asked,
		    &fallback), rules[i].at_33);
	}
}

static void
bad_values_are_refused(void **state)
{
	static const float bad[] = { INFINITY, NAN, -1e20f };
	struct quantize_result r;
	char path[PATH_BYTES];

	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct cause cause = { 0 };
		struct gguf *g;
		struct buf b;
		int fd = new_file(path);

		buf_init(&b, 1 << 20);
		make_mixed(&b, bad[i]);
		g = open_buf(&b);
		assert_int_equal(quantize(g, TYPE_Q6_K, 2, fd, &r, &cause),
		    BM_ELIMIT);
		assert_non_null(strstr(cause.text, "'blk.0.ffn_down.weight', "
		    "row 3"));
		assert_non_null(strstr(cause.text, "column 255"));
		gguf_free(&g);
		close(fd);
		buf_fini(&b);
	}
}

/* All of a descriptor's file. */
static uint8_t *
contents(int fd, size_t *n)
{
	uint8_t *p;

	*n = (size_t)lseek(fd, 0, SEEK_END);
	p = xmalloc(*n);
	assert_int_equal(pread(fd, p, *n, 0), *n);
	return p;
}

static struct gguf *
open_tale(void)
{
	char path[PATH_BYTES];

	return open_gguf(source_path("models/tale-3.7m-f16.gguf", path,
	    sizeof(path)));
}

static void
threads_change_nothing(void **state)
{
	struct gguf *g = open_tale();
	uint8_t *want = NULL, *got;
	size_t n_want = 0, n;

	for (int n_threads = 1; n_threads <= 3; n_threads++) {
		struct quantize_result r;
		struct cause cause = { 0 };
		char path[PATH_BYTES];
		int fd = new_file(path);

		assert_int_equal(quantize(g, TYPE_Q4_0, n_threads, fd, &r,
		    &cause), 0);
		got = contents(fd, &n);
		close(fd);
		if (want == NULL) {
			want = got;
			n_want = n;
			continue;
		}
		assert_int_equal(n, n_want);
		assert_memory_equal(got, want, n);
		free(got);
	}
	free(want);
	gguf_free(&g);
}

/* Quantised to what it is already, nothing changes but the head. */
static void
same_type_is_a_copy(void **state)
{
	struct gguf *g = open_tale(), *out;
	struct quantize_result r;
	struct cause cause = { 0 };
	char path[PATH_BYTES];
	int fd = new_file(path);

	assert_int_equal(quantize(g, TYPE_F16, 1, fd, &r, &cause), 0);
	out = open_gguf(path);
	for (size_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);

		assert_int_equal(t->type_id, gguf_tensor_at(out, i)->type_id);
		assert_memory_equal(t->data, gguf_tensor_at(out, i)->data,
		    t->n_bytes);
	}
	gguf_free(&g);
	gguf_free(&out);
	close(fd);
}

static void
a_full_disk_is_told(void **state)
{
	struct gguf *g = open_tale();
	struct quantize_result r;
	struct cause cause = { 0 };
	struct rlimit old, small;
	char name[] = "/tmp/bm-quantize-XXXXXX";
	int fd = mkstemp(name), rc;

	assert_true(fd >= 0);
	unlink(name);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 1 << 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	rc = quantize(g, TYPE_Q8_0, 1, fd, &r, &cause);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(rc, BM_EDISK);
	assert_non_null(strstr(cause.text, "no room for 3956"));
	close(fd);
	gguf_free(&g);
}

static int
stop_at_half(void *arg, uint64_t done, uint64_t total)
{
	assert_true(done <= total);
	++*(int *)arg;
	return done > total / 2 ? BM_ECANCEL : 0;
}

static void
progress_may_end_it(void **state)
{
	int n_calls = 0;
	struct quantize_job job = { .in = open_tale(), .type = TYPE_Q8_0,
	    .progress = stop_at_half, .arg = &n_calls };
	struct quantize_result r;
	struct cause cause = { 0 };
	char path[PATH_BYTES];

	job.fd = new_file(path);
	assert_int_equal(pool_new(&job.pool, 1, &cause), 0);
	assert_int_equal(quantize_model(&job, &r, &cause), BM_ECANCEL);
	assert_true(n_calls > 1);
	pool_free(&job.pool);
	close(job.fd);
	gguf_free((struct gguf **)(void *)&job.in);
}

/* ---- golden blocks ---- */

/*
 * Types whose unpacked blocks quantise to the same bytes: the golden models of
 * these types, made by other software, come out as they are.
 */
static void
others_blocks_come_back(void **state)
{
	static const char *const names[] = { "q4_0", "q4_1", "q5_0", "q5_1",
	    "q8_0", "mxfp4" };

	assert_int_equal(kern_init_level("ref", &(struct cause){ 0 }), 0);
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		char name[64], path[PATH_BYTES], path_f32[PATH_BYTES];
		struct cause cause = { 0 };
		struct quantize_result r;
		struct gguf *g, *wide, *back;
		char path_back[PATH_BYTES];
		int fd = new_file(path_f32), fd_back = new_file(path_back);

		snprintf(name, sizeof(name), "golden/llama-%s.gguf", names[i]);
		g = open_gguf(shared_path(name, path, sizeof(path)));
		assert_int_equal(quantize(g, TYPE_F32, 2, fd, &r, &cause), 0);
		assert_int_equal(r.n_requantized, 15);
		wide = open_gguf(path_f32);
		assert_int_equal(quantize(wide, (enum tensor_type)
		    type_parse(names[i]), 2, fd_back, &r, &cause), 0);
		back = open_gguf(path_back);
		for (size_t k = 0; k < gguf_n_tensors(g); k++) {
			const struct gguf_tensor *t = gguf_tensor_at(g, k);

			assert_int_equal(t->n_bytes,
			    gguf_tensor_at(back, k)->n_bytes);
			assert_memory_equal(t->data,
			    gguf_tensor_at(back, k)->data, t->n_bytes);
		}
		gguf_free(&g);
		gguf_free(&wide);
		gguf_free(&back);
		close(fd);
		close(fd_back);
	}
}

/* ---- perplexity ---- */

#define WINDOW	256

struct text {
	uint32_t	*tokens;
	size_t		 n;
	uint32_t	 bos;
};

static void
read_text(const char *name, const struct gguf *g, struct text *t)
{
	char path[PATH_BYTES];
	FILE *f = fopen(shared_path(name, path, sizeof(path)), "re");
	struct token_list list = { 0 };
	struct tokenizer *tokenizer;
	struct cause cause = { 0 };
	struct buf b;

	assert_non_null(f);
	buf_init(&b, 1 << 20);
	b.len = fread(buf_reserve(&b, 1 << 19), 1, 1 << 19, f);
	fclose(f);
	assert_int_equal(tokenizer_open(g, &tokenizer, &cause), 0);
	assert_int_equal(tokenizer_encode(tokenizer, (struct slice){
	    (const char *)b.data, b.len }, true, false, &list, &cause), 0);
	t->tokens = list.ids;
	t->n = list.n;
	t->bos = tokenizer_bos(tokenizer);
	tokenizer_free(&tokenizer);
	buf_fini(&b);
}

/* -ln p of a token, given its row of logits. */
static double
surprise(const float *logits, size_t n, uint32_t token)
{
	double max = -INFINITY, sum = 0;

	for (size_t i = 0; i < n; i++)
		max = fmax(max, (double)logits[i]);
	for (size_t i = 0; i < n; i++)
		sum += exp((double)logits[i] - max);
	return log(sum) + max - (double)logits[token];
}

/* Over every step-th window, the second halves: what llama-perplexity does
 * with all windows. */
static double
perplexity(const char *path, const struct text *t, size_t step)
{
	uint32_t window[WINDOW];
	double sum = 0;
	size_t n = 0;
	struct rig r;

	rig_open(&r, path, 2, WINDOW);
	for (size_t i = 0; i + WINDOW <= t->n; i += step * WINDOW) {
		float *logits;

		memcpy(window, t->tokens + i, sizeof(window));
		window[0] = t->bos;
		logits = rig_logits(&r, window, WINDOW, WINDOW);
		for (size_t j = WINDOW / 2; j + 1 < WINDOW; j++, n++)
			sum += surprise(logits + j * r.n_vocab, r.n_vocab,
			    window[j + 1]);
		free(logits);
	}
	rig_close(&r);
	return exp(sum / (double)n);
}

/*
 * The model card's figures are of all windows; here are some of them, unless
 * BM_PERPLEXITY_STEP says 1, so what is compared is the ratio to F16.  `most`
 * is the card's ratio and the room for the sample; for types that the card
 * does not have, what they reached over all windows.
 */
static void
knowledge_is_kept(void **state)
{
	static const struct {
		enum tensor_type type;
		double		 most;
	} limits[] = {
		{ TYPE_Q8_0, 1.002 }, { TYPE_Q6_K, 1.004 },
		{ TYPE_Q5_K, 1.006 }, { TYPE_Q5_1, 1.006 },
		{ TYPE_Q5_0, 1.006 }, { TYPE_Q4_K, 1.014 },
		{ TYPE_Q4_1, 1.02 }, { TYPE_Q4_0, 1.02 },
		{ TYPE_IQ4_NL, 1.02 }, { TYPE_IQ4_XS, 1.02 },
		{ TYPE_MXFP4, 1.05 }, { TYPE_Q3_K, 1.03 },
		{ TYPE_Q2_K, 1.11 },
	};
	const char *word = getenv("BM_PERPLEXITY_STEP");
	struct gguf *g = open_tale();
	char path[PATH_BYTES];
	struct text t;
	double f16, got;
	int step = 32;

	if (word != NULL)
		assert_int_equal(str_to_int(word, 1, 1000, &step), 0);
	assert_int_equal(kern_init(&(struct cause){ 0 }), 0);
	read_text("models/tale-valid.txt", g, &t);
	f16 = perplexity(source_path("models/tale-3.7m-f16.gguf", path,
	    sizeof(path)), &t, (size_t)step);
	print_message("# %zu tokens, every window of %d: F16 %.4f\n", t.n,
	    step, f16);
	for (size_t i = 0; i < N_ELEMENTS(limits); i++) {
		struct quantize_result r;
		struct cause cause = { 0 };
		int fd = new_file(path);

		assert_int_equal(quantize(g, limits[i].type, 2, fd, &r,
		    &cause), 0);
		got = perplexity(path, &t, (size_t)step);
		close(fd);
		print_message("# %s: %llu bytes, perplexity %.4f, %.4f of "
		    "F16\n", type_info(limits[i].type)->name,
		    (unsigned long long)r.file_bytes, got, got / f16);
		assert_true(got / f16 <= limits[i].most);
	}
	free(t.tokens);
	gguf_free(&g);
}

static int
setup(void **state)
{
	struct cause cause;

	return kern_init(&cause);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matrices_are_converted),
		cmocka_unit_test(rows_choose_the_fallback),
		cmocka_unit_test(bad_values_are_refused),
		cmocka_unit_test(threads_change_nothing),
		cmocka_unit_test(same_type_is_a_copy),
		cmocka_unit_test(a_full_disk_is_told),
		cmocka_unit_test(progress_may_end_it),
		cmocka_unit_test(others_blocks_come_back),
		cmocka_unit_test(knowledge_is_kept),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

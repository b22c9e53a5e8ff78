/* SPDX-License-Identifier: MIT */
/*
 * bench: how fast a model computes, and what part that is of the machine's
 * limits.  The worker measures; here the figures become fractions.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/args.h"
#include "console/helper_io.h"

#define MAX_TOKENS	1000000
#define MAX_BATCH	1024
#define MAX_BATCHES	64
#define MAX_RUNS	100
#define MAX_THREADS	512

struct job {
	const struct ctl *ctl;
	struct helper	 helper;
	const char	*file;
	uint8_t		 kv_type;	/* enum kv_type */
	int		 n_prompt, n_generate, n_context, n_runs, n_threads;
	uint32_t	 batches[MAX_BATCHES];	/* ascending, from 1 */
	size_t		 n_batches;

	/* what the worker said */
	struct msg_bench_result a;
	double		 tg[MAX_BATCHES];	/* tokens a second */
	char		 type[16], level[16];
	uint32_t	 used_threads;
	uint64_t	 model_bytes;
};

/* ---- words ---- */

static int
parse_count(const char *name, const char *word, int least, int most, int *out,
    struct cause *cause)
{
	if (word == NULL || str_to_int(word, least, most, out) == 0)
		return 0;
	return cause_set(cause, BM_EUSAGE, "%s wants a count from %d to %d, "
	    "not %s", name, least, most, word);
}

/* Put n where it belongs, unless it is there. */
static int
add_batch(struct job *j, uint32_t n)
{
	size_t i = 0;

	while (i < j->n_batches && j->batches[i] < n)
		i++;
	if (i < j->n_batches && j->batches[i] == n)
		return 0;
	if (j->n_batches == MAX_BATCHES)
		return BM_ELIMIT;
	memmove(&j->batches[i + 1], &j->batches[i],
	    (j->n_batches - i) * sizeof(*j->batches));
	j->batches[i] = n;
	j->n_batches++;
	return 0;
}

/* "1,2,4"; a batch of one is always measured. */
static int
parse_batches(struct job *j, const char *text, struct cause *cause)
{
	char word[16];
	int n;

	(void)add_batch(j, 1);
	for (;;) {
		size_t len = strcspn(text, ",");

		snprintf(word, sizeof(word), "%.*s", (int)MEM_MIN(len,
		    sizeof(word) - 1), text);
		if (str_to_int(word, 1, MAX_BATCH, &n) != 0)
			return cause_set(cause, BM_EUSAGE, "--batch wants "
			    "sizes from 1 to %d such as 1,2,4, not \"%s\"",
			    MAX_BATCH, word);
		if (add_batch(j, (uint32_t)n) != 0)
			return cause_set(cause, BM_EUSAGE,
			    "--batch takes up to %d sizes", MAX_BATCHES);
		if (text[len] == '\0')
			return 0;
		text += len + 1;
	}
}

static int
parse(struct job *j, const char *const *args, size_t n_args,
    struct cause *cause)
{
	const char *prompt = NULL, *generate = NULL, *batch = "1,2,4,8,16";
	const char *context = NULL, *runs = NULL, *threads = NULL;
	const char *kv_type = "f16";
	const struct arg spec[] = {
		{ "--prompt", &prompt, NULL },
		{ "--generate", &generate, NULL },
		{ "--batch", &batch, NULL },
		{ "--context", &context, NULL },
		{ "--kv-type", &kv_type, NULL },
		{ "--runs", &runs, NULL },
		{ "--threads", &threads, NULL },
	};
	int r;

	if ((r = args_parse(args, n_args, spec, N_ELEMENTS(spec), &j->file,
	    1, cause)) != 0 ||
	    (r = parse_count("--prompt", prompt, 1, MAX_TOKENS, &j->n_prompt,
	    cause)) != 0 ||
	    (r = parse_count("--generate", generate, 1, MAX_TOKENS,
	    &j->n_generate, cause)) != 0 ||
	    (r = parse_count("--context", context, 0, MAX_TOKENS,
	    &j->n_context, cause)) != 0 ||
	    (r = parse_count("--runs", runs, 1, MAX_RUNS, &j->n_runs,
	    cause)) != 0 ||
	    (r = parse_count("--threads", threads, 0, MAX_THREADS,
	    &j->n_threads, cause)) != 0)
		return r;
	j->kv_type = strcmp(kv_type, "q8_0") == 0 ? KV_TYPE_Q8_0 : KV_TYPE_F16;
	if (j->kv_type == KV_TYPE_F16 && strcmp(kv_type, "f16") != 0)
		return cause_set(cause, BM_EUSAGE,
		    "--kv-type is f16 or q8_0, not \"%s\"", kv_type);
	return parse_batches(j, batch, cause);
}

/* ---- the work ---- */

/* What is kept of MODEL_INFO, whose frame goes with the next one. */
static int
load(struct job *j, struct cause *cause)
{
	struct msg_model m = { .n_ctx = 1, .n_parallel = 1,
	    .kv_type = j->kv_type,
	    .n_threads = (uint32_t)j->n_threads };
	struct msg_model_info info;
	struct frame f;
	int r = helper_call(&j->helper, MSG_MODEL, &m, MSG_MODEL_INFO, &f,
	    cause);

	if (r != 0)
		return r;
	if (msg_get_model_info(f.body, &info) != 0)
		return cause_set(cause, BM_EPROTO,
		    "the worker sent a broken answer");
	str_vis(j->type, sizeof(j->type), info.type.p, info.type.n);
	str_vis(j->level, sizeof(j->level), info.cpu_level.p,
	    info.cpu_level.n);
	j->used_threads = info.n_threads;
	j->model_bytes = info.file_bytes;
	return 0;
}

static int
take_result(struct job *j, const struct frame *f, struct cause *cause)
{
	if (f->type != MSG_BENCH_RESULT ||
	    msg_get_bench_result(f->body, &j->a) != 0 ||
	    j->a.tg_tokens_per_s.n != j->n_batches)
		return cause_set(cause, BM_EPROTO,
		    "the worker answered BENCH with %s that does not fit",
		    msg_name(f->type));
	for (size_t i = 0; i < j->n_batches; i++) {
		uint32_t bits = words_at(j->a.tg_tokens_per_s, i);
		float v;

		memcpy(&v, &bits, sizeof(v));
		j->tg[i] = (double)v;
	}
	return 0;
}

static int
measure(struct job *j, struct cause *cause)
{
	struct msg_bench m = { .n_prompt = (uint32_t)j->n_prompt,
	    .n_generate = (uint32_t)j->n_generate,
	    .batches = { j->batches, j->n_batches },
	    .n_runs = (uint32_t)j->n_runs,
	    .n_context = (uint32_t)j->n_context };
	struct msg_progress p;
	struct frame f;
	int r;

	if ((r = load(j, cause)) != 0 ||
	    (r = helper_ask(&j->helper, MSG_BENCH, &m, cause)) != 0)
		return r;
	j->helper.progress.unit = " tokens";
	while ((r = helper_next(&j->helper, &f, cause)) == 0) {
		if (f.type != MSG_PROGRESS ||
		    msg_get_progress(f.body, &p) != 0)
			return take_result(j, &f, cause);
		j->helper.progress.done = p.done;
		j->helper.progress.total = p.total;
	}
	return r;
}

/* ---- the answer ---- */

/* Of a limit in 10^9 a second; negative when that is not known. */
static double
fraction(double per_token, double tokens_per_s, double limit)
{
	return limit > 0 ? per_token * tokens_per_s / 1e9 / limit : -1;
}

/* Of prefill. */
static double
fraction_pp(const struct job *j, double limit)
{
	return fraction(2 * j->a.pp_madds, j->a.pp_tokens_per_s, limit);
}

static double
fraction_read(const struct job *j)
{
	return fraction(j->a.tg_bytes, j->tg[0], j->a.read_gb_s);
}

/* A field; null for a limit of 0 and for a fraction of such a one. */
static void
put_field(struct buf *b, const char *name, double v)
{
	if (v > 0)
		buf_printf(b, ",\"%s\":%.6g", name, v);
	else
		buf_printf(b, ",\"%s\":null", name);
}

static void
put_text(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, ",\"%s\":", name);
	buf_put_json(b, slice_of(value));
}

/* One measure for all levels of x86, so that they compare: what AVX2 could do.
 * Elsewhere what the level itself could. */
static double
int8_gops(const struct job *j)
{
	return j->a.maddubs_paddw_gops > 0 ? j->a.maddubs_paddw_gops :
	    j->a.int8_gops;
}

static void
print_json(const struct job *j)
{
	struct buf b;

	buf_init(&b, SIZE_MAX / 2);
	buf_puts(&b, "{\"file\":");
	buf_put_json(&b, slice_of(j->file));
	put_text(&b, "type", j->type);
	buf_printf(&b, ",\"model_bytes\":%" PRIu64 ",\"threads\":%u",
	    j->model_bytes, j->used_threads);
	put_text(&b, "cpu_level", j->level);
	buf_printf(&b, ",\"prompt\":%d,\"generate\":%d,\"context\":%d,"
	    "\"runs\":%d", j->n_prompt, j->n_generate, j->n_context,
	    j->n_runs);
	put_text(&b, "kv_type", j->kv_type == KV_TYPE_Q8_0 ? "q8_0" : "f16");
	put_field(&b, "read_gb_s", j->a.read_gb_s);
	put_field(&b, "fma_gflops", j->a.fma_gflops);
	put_field(&b, "int8_gops", int8_gops(j));
	put_field(&b, "int8_level_gops", j->a.int8_gops);
	put_field(&b, "int8_maddwd_gops", j->a.maddubs_maddwd_gops);
	put_field(&b, "pp_tokens_per_s", j->a.pp_tokens_per_s);
	put_field(&b, "tg_tokens_per_s", j->tg[0]);
	buf_puts(&b, ",\"tg_batch\":{");
	for (size_t i = 0; i < j->n_batches; i++)
		buf_printf(&b, "%s\"%u\":%.6g", i > 0 ? "," : "",
		    j->batches[i], j->tg[i]);
	buf_puts(&b, "}");
	put_field(&b, "pp_madds_per_token", j->a.pp_madds);
	put_field(&b, "madds_per_token", j->a.tg_madds);
	put_field(&b, "bytes_per_token", j->a.tg_bytes);
	put_field(&b, "pp_fraction_int8", fraction_pp(j, int8_gops(j)));
	put_field(&b, "pp_fraction_int8_level",
	    fraction_pp(j, j->a.int8_gops));
	put_field(&b, "pp_fraction_fma", fraction_pp(j, j->a.fma_gflops));
	put_field(&b, "tg_fraction_read", fraction_read(j));
	put_field(&b, "pp_cpu_share", j->a.pp_cpu_share);
	buf_puts(&b, "}");
	puts(buf_cstr(&b));
	buf_fini(&b);
}

static void
print_limit(const char *name, double v, const char *unit)
{
	if (v > 0)
		printf("%-16s  %8.1f %s\n", name, v, unit);
	else
		printf("%-16s  not known\n", name);
}

/* ", 41.2 % of reading" */
static void
print_fraction(double v, const char *of)
{
	if (v > 0)
		printf(", %.1f %% of %s", 100 * v, of);
}

static void
print_text(const struct job *j)
{
	char bytes[32], name[32];

	printf("%-16s  %s, %s\n", "model", j->type,
	    str_from_bytes(bytes, sizeof(bytes), j->model_bytes));
	printf("%-16s  %u, level %s\n", "threads", j->used_threads, j->level);
	print_limit("reading", j->a.read_gb_s, "GB/s");
	print_limit("FMA", j->a.fma_gflops, "GFLOP/s");
	print_limit("bytes", j->a.int8_gops, "GOP/s");
	print_limit("maddubs, paddw", j->a.maddubs_paddw_gops, "GOP/s");
	print_limit("maddubs, maddwd", j->a.maddubs_maddwd_gops, "GOP/s");
	printf("%-16s  %.1f million multiply-adds, %s\n", "a token",
	    j->a.tg_madds / 1e6, str_from_bytes(bytes, sizeof(bytes),
	    (uint64_t)j->a.tg_bytes));
	snprintf(name, sizeof(name), "prompt of %d", j->n_prompt);
	printf("%-16s  %8.1f tokens/s", name, j->a.pp_tokens_per_s);
	print_fraction(fraction_pp(j, j->a.int8_gops), "bytes");
	print_fraction(fraction_pp(j, j->a.fma_gflops), "FMA");
	printf("\n%-16s  %8.0f %% of the CPU time of %u threads\n",
	    "  it got", 100 * j->a.pp_cpu_share, j->used_threads);
	for (size_t i = 0; i < j->n_batches; i++) {
		snprintf(name, sizeof(name), i == 0 ? "generate %d" :
		    "  %d at once", i == 0 ? j->n_generate :
		    (int)j->batches[i]);
		printf("%-16s  %8.1f tokens/s", name, j->tg[i]);
		if (i == 0)
			print_fraction(fraction_read(j), "reading");
		else if (j->tg[0] > 0)
			printf(", %.2f times one", j->tg[i] / j->tg[0]);
		printf("\n");
	}
}

int
do_bench(const struct ctl *ctl, const struct command *cmd,
    const char *const *args, size_t n_args)
{
	struct job j = { .ctl = ctl, .n_prompt = 512, .n_generate = 128,
	    .n_runs = 3 };
	struct cause cause = { 0 };
	int r;

	if ((r = parse(&j, args, n_args, &cause)) == 0 &&
	    (r = helper_start(&j.helper, ctl, j.file, &cause)) == 0) {
		r = measure(&j, &cause);
		helper_stop(&j.helper);
	}
	if (r != 0)
		return ctl_fail(ctl, &cause);
	if (ctl->json)
		print_json(&j);
	else
		print_text(&j);
	return CTL_DONE;
}

/* SPDX-License-Identifier: MIT */
/*
 * A bench is a few rounds of the same series: the machine's limits, prefill,
 * and decode with each batch size.  Rounds are interleaved so that whoever
 * else uses the machine disturbs reading and model alike, and what is told of
 * a series is the median of its rounds; of loops in registers it is the best,
 * which short runs find on a busy machine too.  All of it runs on the pool
 * that the model computes with.
 *
 * Tokens are random, since speed does not depend on what they say, and so are
 * the keys and values of a context, which would take long to compute.  Nothing
 * is sampled.
 */
#include "config.h"

#include "worker/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/granted.h"
#include "base/mem.h"
#include "kernels/ceiling.h"

/* Rows of a prefill step. */
#define CHUNK		512
/* What reading is measured over, or less where memory is scarce. */
#define READ_BYTES	((uint64_t)1 << 30)
#define READ_SHARE	4
#define LIMIT_RUNS	400	/* of the loops in one round */

#define MAX_TOKENS	1000000
#define MAX_BATCH	1024
#define MAX_BATCHES	64
#define MAX_RUNS	100

#define PROGRESS_MS	200
#define READ_TIMEOUT_MS	60000

/* The series; behind SERIES_DECODE one for each batch size. */
enum { SERIES_READ, SERIES_FMA, SERIES_INT8, SERIES_PADDW, SERIES_MADDWD,
    SERIES_PREFILL, SERIES_CPU, SERIES_DECODE };

struct bench {
	struct chan	*c;
	uint32_t	 seq_no;
	uint64_t	 id;
	struct loaded	*l;
	const struct msg_bench *m;
	uint32_t	 n_vocab;
	size_t		 max_batch;

	struct kv_pool	*kv;
	struct model_run *run;
	struct kv_seq	 prompt;
	struct kv_seq	*seqs;		/* max_batch that are decoded */
	struct batch_row *rows;
	float		*logits;	/* of max_batch rows */
	double		*samples;	/* n_runs a series */

	uint64_t	 random;
	uint64_t	 done, total;	/* tokens */
	uint64_t	 told_ns;
};

/* A console that has gone is noticed here and ends the work. */
static int
tell(struct bench *b, size_t n_tokens)
{
	uint64_t now = clock_now_ns();
	struct msg_progress m;

	b->done += n_tokens;
	if (clock_ms_between(b->told_ns, now) < PROGRESS_MS)
		return 0;
	b->told_ns = now;
	m = (struct msg_progress){ .done = b->done, .total = b->total };
	chan_send(b->c, MSG_PROGRESS, b->seq_no, b->id, &m);
	return chan_flush(b->c, READ_TIMEOUT_MS);
}

static uint32_t
random_bits(struct bench *b)
{
	b->random = b->random * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return (uint32_t)(b->random >> 33);
}

static uint32_t
random_token(struct bench *b)
{
	return random_bits(b) % b->n_vocab;
}

/* The key and the value of a position, the same in all layers. */
static void
store_random(struct bench *b, struct kv_seq *seq, float *k, float *v)
{
	const struct kv_shape *s = kv_pool_shape(b->kv);
	size_t page = seq->pages[seq->n_tokens / KV_PAGE];

	for (uint32_t i = 0; i < s->head_dim; i++) {
		k[i] = ldexpf((float)random_bits(b), -30) - 1;
		v[i] = ldexpf((float)random_bits(b), -30) - 1;
	}
	for (uint32_t i = 0; i < s->n_layer; i++)
		for (uint32_t j = 0; j < s->n_head_kv; j++)
			attend_store(s->form, k, v, s->head_dim,
			    kv_head(b->kv, i, j) + page * kv_page_bytes(b->kv),
			    seq->n_tokens % KV_PAGE);
	seq->n_tokens++;
}

static int
fill_context(struct bench *b, struct kv_seq *seq)
{
	size_t n = kv_pool_shape(b->kv)->head_dim;
	float *k = xcalloc(2 * n, sizeof(*k));
	int r = 0;

	while (seq->n_tokens < b->m->n_context && r == 0) {
		store_random(b, seq, k, k + n);
		r = tell(b, 1);
	}
	free(k);
	return r;
}

/* ---- what the model does ---- */

/* n more tokens for a sequence that has room; only the last wants logits. */
static int
prefill(struct bench *b, struct kv_seq *seq, size_t n)
{
	int r = 0;

	for (size_t i = 0, k; i < n && r == 0; i += k) {
		struct batch step = { b->rows, 0 };

		k = MEM_MIN(n - i, (size_t)CHUNK);
		for (; step.n < k; step.n++)
			b->rows[step.n] = (struct batch_row){
			    random_token(b), seq->n_tokens + (uint32_t)step.n,
			    seq, i + step.n + 1 == n };
		model_forward(b->run, &step, b->logits, NULL);
		r = tell(b, k);
	}
	return r;
}

/* n_steps steps of the first n sequences. */
static int
decode(struct bench *b, size_t n, size_t n_steps)
{
	struct batch step = { b->rows, n };
	int r = 0;

	for (; n_steps > 0 && r == 0; n_steps--) {
		for (size_t i = 0; i < n; i++)
			b->rows[i] = (struct batch_row){ random_token(b),
			    b->seqs[i].n_tokens, &b->seqs[i], true };
		model_forward(b->run, &step, b->logits, NULL);
		r = tell(b, n);
	}
	return r;
}

/* Forget what was decoded; the context before it stays. */
static void
rewind_seqs(struct bench *b)
{
	for (size_t i = 0; i < b->max_batch; i++)
		b->seqs[i].n_tokens = b->m->n_context;
}

/* ---- rounds ---- */

static double *
sample(struct bench *b, size_t series, size_t round)
{
	return &b->samples[series * b->m->n_runs + round];
}

static double
per_s(uint64_t n, uint64_t from_ns)
{
	double ms = clock_ms_between(from_ns, clock_now_ns());

	return ms > 0 ? (double)n * 1000 / ms : 0;
}

/* CPU time of all threads. */
static uint64_t
cpu_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}

static int
measure_prefill(struct bench *b, size_t round)
{
	uint64_t cpu = cpu_now_ns(), from = clock_now_ns();
	double ms;
	int r;

	b->prompt.n_tokens = 0;
	if ((r = prefill(b, &b->prompt, b->m->n_prompt)) != 0)
		return r;
	*sample(b, SERIES_PREFILL, round) = per_s(b->m->n_prompt, from);
	ms = clock_ms_between(from, clock_now_ns()) * b->l->n_threads;
	*sample(b, SERIES_CPU, round) = ms > 0 ?
	    clock_ms_between(cpu, cpu_now_ns()) / ms : 0;
	return 0;
}

static int
measure_limits(struct bench *b, size_t round, struct cause *cause)
{
	uint64_t bytes = MEM_MIN(READ_BYTES,
	    granted_memory_bytes() / READ_SHARE);
	struct ceiling top;
	int r = ceiling_measure(b->l->pool, (size_t)bytes, LIMIT_RUNS, &top,
	    cause);

	if (r != 0)
		return r;
	*sample(b, SERIES_READ, round) = top.read_gb_s;
	*sample(b, SERIES_FMA, round) = top.fma_gflops;
	*sample(b, SERIES_INT8, round) = top.int8_gops;
	*sample(b, SERIES_PADDW, round) = top.maddubs_paddw_gops;
	*sample(b, SERIES_MADDWD, round) = top.maddubs_maddwd_gops;
	return 0;
}

static int
measure_round(struct bench *b, size_t round, struct cause *cause)
{
	const struct msg_bench *m = b->m;
	uint64_t from;
	int r;

	if ((r = measure_limits(b, round, cause)) != 0 ||
	    (r = measure_prefill(b, round)) != 0)
		return r;
	for (size_t i = 0; i < m->batches.n; i++) {
		size_t n = words_at(m->batches, i);

		rewind_seqs(b);
		from = clock_now_ns();
		if ((r = decode(b, n, m->n_generate)) != 0)
			return r;
		*sample(b, SERIES_DECODE + i, round) =
		    per_s((uint64_t)n * m->n_generate, from);
	}
	return 0;
}

/* Every shape once, and the context of the sequences. */
static int
warm_up(struct bench *b)
{
	const struct msg_bench *m = b->m;
	int r = prefill(b, &b->prompt, MEM_MIN(m->n_prompt, (uint32_t)CHUNK));

	for (size_t i = 0; i < b->max_batch && r == 0; i++)
		r = fill_context(b, &b->seqs[i]);
	for (size_t i = 0; i < m->batches.n && r == 0; i++) {
		rewind_seqs(b);
		r = decode(b, words_at(m->batches, i), 1);
	}
	return r;
}

/* All tokens that will be computed, those of warm_up too. */
static uint64_t
count_tokens(const struct bench *b)
{
	const struct msg_bench *m = b->m;
	uint64_t n = (uint64_t)m->n_prompt * m->n_runs +
	    MEM_MIN(m->n_prompt, (uint32_t)CHUNK) +
	    (uint64_t)m->n_context * b->max_batch;

	for (size_t i = 0; i < m->batches.n; i++)
		n += words_at(m->batches, i) *
		    ((uint64_t)m->n_generate * m->n_runs + 1);
	return n;
}

/* ---- the answer ---- */

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts the series. */
static double
median(struct bench *b, size_t series)
{
	double *v = sample(b, series, 0);
	size_t n = b->m->n_runs;

	qsort(v, n, sizeof(*v), by_value);
	return (v[(n - 1) / 2] + v[n / 2]) / 2;
}

static double
best(struct bench *b, size_t series)
{
	double v = 0;

	for (size_t i = 0; i < b->m->n_runs; i++)
		v = MEM_MAX(v, *sample(b, series, i));
	return v;
}

static void
send_answer(struct bench *b)
{
	const struct msg_bench *m = b->m;
	struct model_need need = model_need(b->l->model);
	double n_read = m->n_context + (m->n_generate + 1) / 2.0;
	float rates[MAX_BATCHES];
	struct msg_bench_result a = {
	    .read_gb_s = median(b, SERIES_READ),
	    .fma_gflops = best(b, SERIES_FMA),
	    .int8_gops = best(b, SERIES_INT8),
	    .maddubs_paddw_gops = best(b, SERIES_PADDW),
	    .maddubs_maddwd_gops = best(b, SERIES_MADDWD),
	    .pp_tokens_per_s = median(b, SERIES_PREFILL),
	    .pp_cpu_share = median(b, SERIES_CPU),
	    .tg_tokens_per_s = { rates, m->batches.n },
	    .pp_madds = need.layer_madds + need.output_madds / m->n_prompt,
	    .tg_madds = need.layer_madds + need.output_madds,
	    .tg_bytes = need.bytes + n_read *
	    (double)kv_page_bytes(b->kv) / KV_PAGE };

	for (size_t i = 0; i < m->batches.n; i++)
		rates[i] = (float)median(b, SERIES_DECODE + i);
	chan_send(b->c, MSG_BENCH_RESULT, b->seq_no, b->id, &a);
}

/* ---- the whole ---- */

static int
check(struct bench *b, struct cause *cause)
{
	const struct msg_bench *m = b->m;

	if (b->l->engine == NULL)
		return cause_set(cause, BM_ENOMODEL, "no model is loaded");
	if (m->n_prompt == 0 || m->n_prompt > MAX_TOKENS ||
	    m->n_generate == 0 || m->n_generate > MAX_TOKENS ||
	    m->n_context > MAX_TOKENS)
		return cause_set(cause, BM_EBADREQ, "counts of tokens are "
		    "1 to %d", MAX_TOKENS);
	if (m->n_runs == 0 || m->n_runs > MAX_RUNS)
		return cause_set(cause, BM_EBADREQ, "runs are 1 to %d",
		    MAX_RUNS);
	if (m->batches.n == 0 || m->batches.n > MAX_BATCHES)
		return cause_set(cause, BM_EBADREQ, "1 to %d batch sizes",
		    MAX_BATCHES);
	for (size_t i = 0; i < m->batches.n; i++) {
		size_t n = words_at(m->batches, i);

		if (n == 0 || n > MAX_BATCH)
			return cause_set(cause, BM_EBADREQ,
			    "a batch has 1 to %d sequences", MAX_BATCH);
		b->max_batch = MEM_MAX(b->max_batch, n);
	}
	return 0;
}

static int
reserve(struct bench *b, struct cause *cause)
{
	const struct msg_bench *m = b->m;
	int r = kv_seq_reserve(b->kv, &b->prompt, m->n_prompt);

	for (size_t i = 0; i < b->max_batch && r == 0; i++)
		r = kv_seq_reserve(b->kv, &b->seqs[i],
		    m->n_context + m->n_generate);
	return r == 0 ? 0 : cause_set(cause, r,
	    "no memory for %zu sequences", b->max_batch);
}

static int
prepare(struct bench *b, struct cause *cause)
{
	const struct msg_bench *m = b->m;
	const struct model_desc *d = model_desc(b->l->model);
	size_t max_rows = MEM_MAX((size_t)CHUNK, b->max_batch), n_logits;
	size_t n_pages = kv_pages_of(m->n_prompt) + b->max_batch *
	    kv_pages_of((size_t)m->n_context + m->n_generate);
	int r;

	b->n_vocab = d->n_vocab;
	b->total = count_tokens(b);
	if ((r = kv_pool_new(kv_pool_shape(b->l->kv), n_pages, &b->kv,
	    cause)) != 0 ||
	    (r = model_run_new(b->l->model, b->l->pool, b->kv, max_rows,
	    &b->run, cause)) != 0)
		return r;
	b->seqs = xcalloc(b->max_batch, sizeof(*b->seqs));
	b->rows = xcalloc(max_rows, sizeof(*b->rows));
	b->samples = xcalloc((SERIES_DECODE + m->batches.n) * m->n_runs,
	    sizeof(*b->samples));
	if (!size_mul(b->max_batch, d->n_vocab, &n_logits) ||
	    (b->logits = try_calloc(n_logits, sizeof(*b->logits))) == NULL)
		return cause_set(cause, BM_ENOMEM,
		    "no memory for the logits of %zu sequences",
		    b->max_batch);
	return reserve(b, cause);
}

static void
bench_fini(struct bench *b)
{
	if (b->kv != NULL)
		kv_seq_clear(b->kv, &b->prompt);
	for (size_t i = 0; b->seqs != NULL && i < b->max_batch; i++)
		kv_seq_clear(b->kv, &b->seqs[i]);
	model_run_free(&b->run);
	kv_pool_free(&b->kv);
	free(b->seqs);
	free(b->rows);
	free(b->logits);
	free(b->samples);
}

static int
bench(struct bench *b, struct cause *cause)
{
	int r;

	if ((r = check(b, cause)) != 0 || (r = prepare(b, cause)) != 0 ||
	    (r = warm_up(b)) != 0)
		return r;
	for (size_t i = 0; i < b->m->n_runs && r == 0; i++)
		r = measure_round(b, i, cause);
	return r;
}

void
offline_bench(struct chan *c, uint32_t seq, uint64_t id, struct loaded *l,
    const struct msg_bench *m)
{
	struct bench b = { .c = c, .seq_no = seq, .id = id, .l = l, .m = m };
	struct cause cause = { 0 };
	int r = bench(&b, &cause);

	if (r == 0)
		send_answer(&b);
	else
		chan_send_result(c, seq, id, r,
		    cause.text[0] != '\0' ? cause.text : NULL);
	bench_fini(&b);
}

/* SPDX-License-Identifier: MIT */
/*
 * Attention as the forward pass uses it: whatever rows make a batch, however
 * prompts are cut and whoever computes, a row gets the same bits; and they are
 * those of attention, nearly so with keys and values of 8 bits.
 */
#include "config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kernels/kernels.h"
#include "model/attend.h"

#define N_SEQS		3
#define LONGEST		700
#define MAX_ROWS	800
#define N_LAYER		2

static const uint32_t lengths[N_SEQS] = { LONGEST, 40, 33 };

static const struct shape {
	uint32_t	 n_head, n_head_kv, head_dim, n_rot;
} shapes[] = {
	{ 8, 1, 64, 64 }, { 4, 4, 80, 32 }, { 6, 2, 33, 8 }, { 2, 1, 128, 128 },
	{ 50, 1, 8, 8 }, { 7, 1, 1, 0 }
};

struct bench {
	struct hparams	 h;
	struct rope	 rope;
	struct pool	*pool;
	struct kv_pool	*kv;
	struct attend	*a;
	struct kv_seq	 seqs[N_SEQS];
	struct rows	 q, k, v, out;
};

static void
bench_open(struct bench *b, const struct shape *s, enum attend_form form,
    int n_threads)
{
	const struct kv_shape shape = { form, N_LAYER, s->n_head_kv,
	    s->head_dim };
	struct cause cause;
	uint64_t n_bytes = 0;
	size_t n_q = (size_t)s->n_head * s->head_dim;
	size_t n_kv = (size_t)s->n_head_kv * s->head_dim;

	memset(b, 0, sizeof(*b));
	b->h.n_head = s->n_head;
	b->h.n_head_kv = s->n_head_kv;
	b->h.head_dim = s->head_dim;
	b->h.rope = (struct rope_params){ .n_rot = s->n_rot,
	    .freq_base = 10000, .factor = 1, .gain = 1 };
	rope_init(&b->rope, &b->h.rope, NULL);
	assert_int_equal(pool_new(&b->pool, n_threads, &cause), 0);
	assert_int_equal(kv_pool_new(&shape, MAX_ROWS / KV_PAGE + N_SEQS,
	    &b->kv, &cause), 0);
	assert_int_equal(attend_new(&b->h, &b->rope, b->pool, b->kv, MAX_ROWS,
	    &b->a, &n_bytes), 0);
	assert_true(rows_new(&b->q, MAX_ROWS, n_q, &n_bytes) &&
	    rows_new(&b->k, MAX_ROWS, n_kv, &n_bytes) &&
	    rows_new(&b->v, MAX_ROWS, n_kv, &n_bytes) &&
	    rows_new(&b->out, MAX_ROWS, n_q, &n_bytes));
	/* pages of one sequence are not neighbours */
	for (uint32_t n = KV_PAGE; n < LONGEST + KV_PAGE; n += KV_PAGE)
		for (int i = 0; i < N_SEQS; i++)
			assert_int_equal(kv_seq_reserve(b->kv, &b->seqs[i],
			    MEM_MIN(n, lengths[i])), 0);
}

static void
bench_close(struct bench *b)
{
	for (int i = 0; i < N_SEQS; i++)
		kv_seq_clear(b->kv, &b->seqs[i]);
	attend_free(&b->a);
	kv_pool_free(&b->kv);
	pool_free(&b->pool);
	rope_fini(&b->rope);
	free(b->q.p);
	free(b->k.p);
	free(b->v.p);
	free(b->out.p);
}

/* In [-1, 1), by what it is for. */
static float
value(uint32_t what, uint32_t layer, int seq, uint32_t pos, size_t i)
{
	uint64_t z = ((uint64_t)what << 56) + ((uint64_t)layer << 48) +
	    ((uint64_t)seq << 40) + ((uint64_t)pos << 20) + i;

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (float)(z >> 40) * 0x1p-23f - 1;
}

static void
fill(struct rows *rows, size_t row, uint32_t what, uint32_t layer, int seq,
    uint32_t pos)
{
	for (size_t i = 0; i < rows->n; i++)
		row_at(rows, row)[i] = value(what, layer, seq, pos, i);
}

struct place {
	int		 seq;
	uint32_t	 pos;
};

/* Where the result of a place is kept, for all layers. */
static float *
result_of(const struct bench *b, float *results, uint32_t layer, int seq,
    uint32_t pos)
{
	return results + ((layer * N_SEQS + (size_t)seq) * LONGEST + pos) *
	    b->out.n;
}

static void
run_batch(struct bench *b, const struct place *places, size_t n,
    float *results)
{
	for (size_t i = 0; i < n; i++)
		attend_set_row(b->a, i, &b->seqs[places[i].seq],
		    places[i].pos);
	for (uint32_t layer = 0; layer < N_LAYER; layer++) {
		for (size_t i = 0; i < n; i++) {
			int seq = places[i].seq;
			uint32_t pos = places[i].pos;

			fill(&b->q, i, 1, layer, seq, pos);
			fill(&b->k, i, 2, layer, seq, pos);
			fill(&b->v, i, 3, layer, seq, pos);
			attend_put_row(b->a, layer, i, row_at(&b->q, i),
			    row_at(&b->k, i), row_at(&b->v, i));
		}
		attend_rows(b->a, layer, n, &b->q, &b->out);
		for (size_t i = 0; i < n; i++)
			memcpy(result_of(b, results, layer, places[i].seq,
			    places[i].pos), row_at(&b->out, i),
			    b->out.n * sizeof(float));
	}
}

/* All sequences to their ends, in batches of `piece` positions of each. */
static void
run_pieces(struct bench *b, uint32_t piece, float *results)
{
	static struct place places[MAX_ROWS];

	for (uint32_t from = 0; from < LONGEST; from += piece) {
		size_t n = 0;

		for (int s = 0; s < N_SEQS; s++)
			for (uint32_t pos = from; pos < MEM_MIN(from + piece,
			    lengths[s]); pos++)
				places[n++] = (struct place){ s, pos };
		run_batch(b, places, n, results);
	}
}

static float *
results_new(const struct bench *b)
{
	return xcalloc((size_t)N_LAYER * N_SEQS * LONGEST * b->out.n,
	    sizeof(float));
}

static void
batches_change_nothing(void **state)
{
	static const struct { uint32_t piece; int n_threads; } ways[] = {
		{ 1, 1 }, { 1, 3 }, { 5, 2 }, { 64, 1 }, { LONGEST, 3 }
	};

	for (size_t i = 0; i < N_ELEMENTS(shapes); i++)
		for (int f = 0; f < ATTEND_FORM_LIMIT; f++) {
			float *first = NULL, *results;

			for (size_t j = 0; j < N_ELEMENTS(ways); j++) {
				struct bench b;
				size_t n;

				bench_open(&b, &shapes[i],
				    (enum attend_form)f, ways[j].n_threads);
				results = results_new(&b);
				n = (size_t)N_LAYER * N_SEQS * LONGEST *
				    b.out.n;
				run_pieces(&b, ways[j].piece, results);
				if (first == NULL) {
					first = results;
				} else {
					assert_memory_equal(first, results,
					    n * sizeof(float));
					free(results);
				}
				bench_close(&b);
			}
			free(first);
		}
}

/* A head of q or k, turned. */
static void
turned(const struct bench *b, uint32_t what, uint32_t pos, size_t head,
    float *x)
{
	float cos_sin[256];
	size_t dim = b->h.head_dim;

	rope_angles(&b->rope, pos, cos_sin);
	for (size_t i = 0; i < dim; i++)
		x[i] = value(what, 1, 0, pos, head * dim + i);
	rope_rotate(&b->rope, cos_sin, x, 1, dim);
}

/* The largest error of the last position of the long sequence, layer 1. */
static double
largest_error(const struct bench *b, float *results)
{
	uint32_t last = LONGEST - 1, share = b->h.n_head / b->h.n_head_kv;
	const float *got = result_of(b, results, 1, 0, last);
	size_t dim = b->h.head_dim;
	float q[256], k[256];
	double largest = 0;

	for (uint32_t head = 0; head < b->h.n_head; head++) {
		double out[256] = { 0 }, sum = 0;

		turned(b, 1, last, head, q);
		for (uint32_t pos = 0; pos <= last; pos++) {
			double s = 0;

			turned(b, 2, pos, head / share, k);
			for (size_t i = 0; i < dim; i++)
				s += (double)q[i] * k[i];
			s = exp(s / sqrt((double)dim));
			sum += s;
			for (size_t i = 0; i < dim; i++)
				out[i] += s * value(3, 1, 0, pos, head /
				    share * dim + i);
		}
		for (size_t i = 0; i < dim; i++)
			largest = fmax(largest, fabs(out[i] / sum -
			    got[head * dim + i]));
	}
	return largest;
}

/* Values are below 1, and hundreds of them average: half precision errs by
 * 2^-12 of one at most, 8 bits by 1 / 254; scores move weights by as much. */
static void
it_is_attention(void **state)
{
	static const double limits[ATTEND_FORM_LIMIT] = { 1e-4, 1e-3 };

	for (size_t i = 0; i < N_ELEMENTS(shapes); i++)
		for (int f = 0; f < ATTEND_FORM_LIMIT; f++) {
			struct bench b;
			float *results;
			double error;

			bench_open(&b, &shapes[i], (enum attend_form)f, 2);
			results = results_new(&b);
			run_pieces(&b, 300, results);
			error = largest_error(&b, results);
			print_message("# %u heads of %u, %s: error %.2e\n",
			    shapes[i].n_head, shapes[i].head_dim,
			    f == ATTEND_F16 ? "f16" : "q8_0", error);
			assert_true(error <= limits[f]);
			free(results);
			bench_close(&b);
		}
}

static void
pages_cost_what_they_hold(void **state)
{
	const struct kv_shape half = { ATTEND_F16, 22, 4, 64 };
	const struct kv_shape bytes = { ATTEND_Q8_0, 22, 4, 64 };
	const size_t n_values = (size_t)KV_PAGE * 22 * 4 * 64 * 2;

	assert_int_equal(kv_shape_page_bytes(&half), n_values * 2);
	assert_int_equal(kv_shape_page_bytes(&bytes), n_values / 32 * 34);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_change_nothing),
		cmocka_unit_test(it_is_attention),
		cmocka_unit_test(pages_cost_what_they_hold),
	};
	struct cause cause;

	if (kern_init(&cause) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

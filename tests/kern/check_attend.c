/* SPDX-License-Identifier: MIT */
/*
 * Attention of tiles, against double precision; and that a query's bits are
 * its own: alone or in a tile, and whatever lies behind the keys it sees.
 * Keys and values are such that both forms hold them exactly: whole numbers
 * below 128, times a power of two, the largest of them in every block.
 */
#include "config.h"

#include "check.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/attend.h"

#define MAX_DIM		264
#define N_PAGES		(ATTEND_CHUNK / ATTEND_PAGE)
#define LOG2_E		1.4426950408889634

static const size_t dims[] = {
	1, 5, 8, 16, 33, 64, 80, 96, 100, 128, 130, 256, 264
};

/* How many queries, and how many keys the first and the last of them see. */
static const struct tile_case {
	size_t		 n_queries, first, last;
} cases[] = {
	{ 1, 1, 1 }, { 1, 31, 31 }, { 1, 32, 32 }, { 1, 33, 33 },
	{ 2, 256, 256 }, { 3, 17, 19 }, { 5, 1, 64 }, { 6, 32, 33 },
	{ 7, 100, 107 }, { 8, 250, 256 }, { 13, 16, 17 }, { 25, 60, 85 },
	{ 48, 1, 48 }, { 48, 200, 256 }
};

/* What one case is tried with. */
static struct input {
	enum attend_form form;
	size_t		 dim, head_bytes;
	float		*q[ATTEND_QUERIES];
	float		 k[ATTEND_CHUNK][MAX_DIM], v[ATTEND_CHUNK][MAX_DIM];
	uint8_t		*head;
	uint32_t	 pages[N_PAGES];
} in;

static float
whole(struct rng *r, size_t i)
{
	int n = (int)(rng_u64(r) % 255) - 127;

	return (float)(i % ATTEND_BLOCK == 0 ? 127 : n) / 64;
}

static void
store(size_t key, const float *k, const float *v)
{
	attend_store(in.form, k, v, in.dim, in.head + in.head_bytes *
	    in.pages[key / ATTEND_PAGE], key % ATTEND_PAGE);
}

/* Pages out of order; queries that tell keys apart by a few powers of two. */
static void
fill(struct rng *r, enum attend_form form, size_t dim, size_t n_queries,
    enum place place)
{
	float *q;

	in.form = form;
	in.dim = dim;
	in.head_bytes = attend_head_bytes(form, dim);
	in.head = area_get(AREA_W, place, N_PAGES * in.head_bytes, 2);
	q = area_get(AREA_X, place, n_queries * dim * sizeof(*q), 4);
	fill_floats(r, SHAPE_RANDOM, q, n_queries * dim);
	for (size_t i = 0; i < n_queries; i++)
		in.q[i] = q + i * dim;
	for (uint32_t i = 0; i < N_PAGES; i++)
		in.pages[i] = (i * 3 + 1) % N_PAGES;
	for (size_t j = 0; j < ATTEND_CHUNK; j++) {
		for (size_t i = 0; i < dim; i++) {
			in.k[j][i] = whole(r, i);
			in.v[j][i] = whole(r, i);
		}
		store(j, in.k[j], in.v[j]);
	}
}

static size_t
keys_of(const struct tile_case *t, size_t i)
{
	return t->n_queries == 1 ? t->last : t->first +
	    (t->last - t->first) * i / (t->n_queries - 1);
}

/* Queries from .. from + n - 1 of a case over keys from n_before on. */
static void
run(const struct check *c, const struct tile_case *t, size_t from, size_t n,
    size_t n_before, float *acc, struct attend_sum *sums)
{
	struct attend_tile tile = { .head_dim = in.dim, .n_queries = n,
	    .scale = (float)(LOG2_E / sqrt((double)in.dim)), .head = in.head,
	    .page_bytes = in.head_bytes, .acc = acc, .sums = sums,
	    .pages = in.pages + n_before / ATTEND_PAGE,
	    .n_pages = N_PAGES - n_before / ATTEND_PAGE };

	for (size_t i = 0; i < n; i++) {
		size_t n_keys = keys_of(t, from + i);

		tile.q[i] = in.q[from + i];
		tile.n_keys[i] = n_keys > n_before ? n_keys - n_before : 0;
	}
	if (in.form == ATTEND_F16)
		c->now->attend_f16(&tile);
	else
		c->now->attend_q8_0(&tile);
}

/* What a query should get, and by how much a float may miss it: chains of
 * products for scores, which count as often as the weights follow them.  With
 * q8_0 a level may round queries and weights to 16 bits, half a step of which
 * is 2^-16 of the largest. */
static double
expect(size_t query, size_t n_keys, double *out)
{
	double s[ATTEND_CHUNK], max = -INFINITY, sum = 0, most = 0;
	double largest = 0, widest = 0, tolerance;

	for (size_t i = 0; i < in.dim; i++)
		largest = fmax(largest, fabs((double)in.q[query][i]));
	for (size_t j = 0; j < n_keys; j++) {
		double size = 0, wide = 0;

		s[j] = 0;
		for (size_t i = 0; i < in.dim; i++) {
			s[j] += (double)in.q[query][i] * in.k[j][i];
			size += fabs((double)in.q[query][i] * in.k[j][i]);
			wide += largest * fabs((double)in.k[j][i]);
		}
		s[j] /= sqrt((double)in.dim);
		most = fmax(most, size / sqrt((double)in.dim));
		widest = fmax(widest, wide / sqrt((double)in.dim));
		max = fmax(max, s[j]);
	}
	memset(out, 0, in.dim * sizeof(*out));
	for (size_t j = 0; j < n_keys; j++) {
		sum += exp(s[j] - max);
		for (size_t i = 0; i < in.dim; i++)
			out[i] += exp(s[j] - max) * in.v[j][i];
	}
	for (size_t i = 0; i < in.dim; i++)
		out[i] /= sum;
	tolerance = 2 * 0x1p-24 * (most * ((double)in.dim + 8) +
	    (double)n_keys + 16) * 2;
	if (in.form == ATTEND_Q8_0)
		tolerance += 2 * 0x1p-16 * (2 * widest + (double)n_keys);
	return tolerance;
}

static bool
is_expected(struct check *c, size_t query, size_t n_keys, const float *acc,
    const struct attend_sum *sum)
{
	double want[MAX_DIM], tolerance = expect(query, n_keys, want);
	float got[MAX_DIM];

	attend_finish(acc, sum, got, in.dim);
	for (size_t i = 0; i < in.dim; i++)
		if (!(fabs(got[i] - want[i]) <= tolerance))
			return fail(c, "query %zu, element %zu: got %.9g, "
			    "want %.9g", query, i, (double)got[i], want[i]);
	return true;
}

/* Behind the keys that queries up to `query` see, nothing is true. */
static void
spoil_behind(size_t n_keys)
{
	static float x[MAX_DIM];

	for (size_t i = 0; i < in.dim; i++)
		x[i] = in.form == ATTEND_F16 ? (i % 2 == 0 ? NAN : INFINITY) :
		    30000.0f;
	for (size_t j = n_keys; j < ATTEND_CHUNK; j++)
		store(j, x, x);
}

/* Each query alone, the last first, so that what is spoilt grows. */
static bool
alone_is_the_same(struct check *c, const struct tile_case *t,
    const float *acc, const struct attend_sum *sums)
{
	size_t n_dims = attend_dims(in.dim);
	float own[MAX_DIM + ATTEND_DIMS];
	struct attend_sum sum;

	for (size_t i = t->n_queries; i-- > 0;) {
		spoil_behind(keys_of(t, i));
		run(c, t, i, 1, 0, own, &sum);
		if (memcmp(own, acc + i * n_dims, in.dim * sizeof(*own)) !=
		    0 || memcmp(&sum, &sums[i], sizeof(sum)) != 0)
			return fail(c, "query %zu differs alone", i);
	}
	return true;
}

/* In two parts, merged; the second part may have nothing for some. */
static bool
parts_make_a_whole(struct check *c, const struct tile_case *t, float *acc,
    struct attend_sum *sums)
{
	static float later[ATTEND_QUERIES * (MAX_DIM + ATTEND_DIMS)];
	static struct attend_sum later_sums[ATTEND_QUERIES];
	static struct tile_case head;
	size_t n_dims = attend_dims(in.dim);
	size_t cut = t->last / 2 / ATTEND_PAGE * ATTEND_PAGE;

	if (cut == 0 || cut > t->first)
		return true;
	head = (struct tile_case){ t->n_queries, cut, cut };
	run(c, &head, 0, t->n_queries, 0, acc, sums);
	run(c, t, 0, t->n_queries, cut, later, later_sums);
	for (size_t i = 0; i < t->n_queries; i++) {
		attend_merge(acc + i * n_dims, &sums[i], later + i * n_dims,
		    &later_sums[i], n_dims);
		if (!is_expected(c, i, keys_of(t, i), acc + i * n_dims,
		    &sums[i]))
			return false;
	}
	return true;
}

static bool
try_case(struct check *c, const struct tile_case *t, enum place place)
{
	static struct attend_sum sums[ATTEND_QUERIES];
	size_t n_dims = attend_dims(in.dim);
	float *acc = area_get(AREA_OUT, place, t->n_queries * n_dims *
	    sizeof(*acc), 4);

	run(c, t, 0, t->n_queries, 0, acc, sums);
	for (size_t i = 0; i < t->n_queries; i++)
		if (!is_expected(c, i, keys_of(t, i), acc + i * n_dims,
		    &sums[i]))
			return false;
	if (!areas_whole(c) || !parts_make_a_whole(c, t, acc, sums))
		return false;
	run(c, t, 0, t->n_queries, 0, acc, sums);
	return alone_is_the_same(c, t, acc, sums);
}

/* A level that rounds queries to integers has no -infinity: NaN may come of
 * it; and a weight may be 16 bits. */
static bool
is_extreme(enum attend_form form, int i, float got, float value)
{
	if (i == 0)
		return got == 0 || (form == ATTEND_Q8_0 && isnan(got));
	if (i == 1)
		return isnan(got);
	if (form == ATTEND_Q8_0)
		return fabsf(got - value) <= 0x1p-14f;
	return got == value;
}

/* Scores of nothing but -infinity or NaN, and ones far apart. */
static bool
try_extremes(struct check *c, enum attend_form form)
{
	static const struct tile_case t = { 1, 40, 40 };
	struct attend_sum sum;
	struct rng r = rng_of(c, 1, 2);
	float acc[ATTEND_DIMS], out[8];

	fill(&r, form, 8, 1, PLACE_END);
	for (int i = 0; i < 3; i++) {
		float x = i == 0 ? -INFINITY : i == 1 ? NAN : 3000;

		try_input(c, "all of the query %g", (double)x);
		for (size_t j = 0; j < 8; j++)
			in.q[0][j] = j == 0 ? x : 0;
		for (size_t j = 0; j < 40; j++) {
			/* of those far apart, one */
			in.k[j][0] = i < 2 || j == 37 ? 127.0f / 64 : 0;
			store(j, in.k[j], in.v[j]);
		}
		run(c, &t, 0, 1, 0, acc, &sum);
		attend_finish(acc, &sum, out, 8);
		for (size_t j = 0; j < 8; j++)
			if (!is_extreme(form, i, out[j], in.v[37][j]))
				return fail(c, "element %zu is %g", j,
				    (double)out[j]);
	}
	return true;
}

static bool
check_form(struct check *c, enum attend_form form)
{
	for (size_t i = 0; i < N_ELEMENTS(dims); i++)
		for (size_t j = 0; j < N_ELEMENTS(cases); j++) {
			const struct tile_case *t = &cases[j];
			struct rng r = rng_of(c, dims[i], j);
			enum place place = (enum place)((i + j) %
			    PLACE_LIMIT);

			try_input(c, "head_dim %zu, %zu queries of %zu to "
			    "%zu keys, place %d", dims[i], t->n_queries,
			    t->first, t->last, (int)place);
			fill(&r, form, dims[i], t->n_queries, place);
			if (!try_case(c, t, place) || !areas_whole(c))
				return false;
		}
	return try_extremes(c, form);
}

bool
check_attend_f16(struct check *c)
{
	return check_form(c, ATTEND_F16);
}

bool
check_attend_q8_0(struct check *c)
{
	return check_form(c, ATTEND_Q8_0);
}

/* Each product and the sum are rounded to float, no more and no less. */
bool
check_rope_pairs(struct check *c)
{
	for (size_t i = 0; i < n_odd_lengths; i++) {
		size_t n = odd_lengths[i];
		struct rng r = rng_of(c, n, 3);
		enum place place = (enum place)(i % PLACE_LIMIT);
		float *turn = area_get(AREA_X, place, 2 * n * sizeof(*turn),
		    4);
		float *x = area_get(AREA_OUT, place, 2 * n * sizeof(*x), 4);
		float want[2 * 1024];

		try_input(c, "n %zu, place %d", n, (int)place);
		fill_floats(&r, SHAPE_RANDOM, turn, 2 * n);
		fill_floats(&r, SHAPE_MIXED, x, 2 * n);
		for (size_t j = 0; j < n; j++) {
			float a = x[2 * j], b = x[2 * j + 1];
			float ac = a * turn[j], bs = b * turn[n + j];
			float as = a * turn[n + j], bc = b * turn[j];

			want[2 * j] = ac - bs;
			want[2 * j + 1] = as + bc;
		}
		c->now->rope_pairs(turn, x, n);
		if (memcmp(x, want, 2 * n * sizeof(*x)) != 0)
			return fail(c, "bits differ");
		if (!areas_whole(c))
			return false;
	}
	return true;
}

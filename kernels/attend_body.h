/* SPDX-License-Identifier: MIT */
/*
 * Attention of a tile (attend.h) for a level with vectors of floats.  The
 * level's file includes this once, after defining
 *
 *	vf		a vector of VF_LANES floats; 16 is a multiple
 *	VF_HERE		how functions are marked that are always inlined
 *	vf_set1 vf_load vf_store vf_add vf_mul vf_max vf_fma(a, b, c) = a b + c
 *			loads and stores of any alignment; vf_max(a, b) is b
 *			when either is NaN
 *	vf_exp2		2^x for x <= 0, and 0 below -126; NaN stays NaN
 *	vf_largest vf_total	across the lanes, in a fixed order
 *	vf_load_f16 vf_load_i8	that many halves or bytes, as floats
 *
 * and gets attend_f16() and attend_q8_0().
 *
 * A page goes through in panels [k][BLOCK] of floats in the near cache, once
 * for all queries: a block of keys with k = head_dim for the scores, a block
 * of values with k = keys for the sums.  Both are the same product, out[query]
 * += sum over k of a[query][k] panel[k], of up to 6 queries at a time: 12
 * sums, 2 registers of the panel and 1 of a.  Each sum is one chain in the
 * order of k, so it doesn't matter which queries go together.
 *
 * The next page is fetched while this one is computed, some lines at a time,
 * or the pages' first lines would be waited for.
 */

#include <math.h>
#include <string.h>

#include "kernels/attend.h"

#define BLOCK		(2 * VF_LANES)
#define PANEL_K		128	/* most rows of a panel */
#define TILE		6	/* queries */
#define LINE		64

/* Of the last tile of queries nothing is left over that is much smaller. */
static size_t
tile_queries(size_t n)
{
	size_t n_tiles = (n + TILE - 1) / TILE;

	return (n + n_tiles - 1) / n_tiles;
}

#define ATTEND_EACH(DO) do {						\
	DO(0);								\
	if (n > 1)							\
		DO(1);							\
	if (n > 2)							\
		DO(2);							\
	if (n > 3)							\
		DO(3);							\
	if (n > 4)							\
		DO(4);							\
	if (n > 5)							\
		DO(5);							\
} while (0)
#define ATTEND_BEGIN(i) do {						\
	vf f = vf_set1(factor[i]);					\
									\
	a##i = a[i];							\
	lo##i = vf_mul(f, vf_load(out + i * stride));			\
	if (w > 1)							\
		hi##i = vf_mul(f, vf_load(out + i * stride + VF_LANES)); \
} while (0)
#define ATTEND_STEP(i) do {						\
	vf x = vf_set1(a##i[k]);					\
									\
	lo##i = vf_fma(x, p0, lo##i);					\
	if (w > 1)							\
		hi##i = vf_fma(x, p1, hi##i);				\
} while (0)
#define ATTEND_END(i) do {						\
	vf_store(out + i * stride, lo##i);				\
	if (w > 1)							\
		vf_store(out + i * stride + VF_LANES, hi##i);		\
} while (0)

/* out[i] = factor[i] out[i] + sum of a[i][k] panel[k], of n queries (1..6)
 * and w vectors (1..2). */
VF_HERE void
product(const int n, const int w, const float *panel, size_t n_k,
    const float *const *a, const float *factor, float *out, size_t stride)
{
	const float *a0, *a1, *a2, *a3, *a4, *a5;
	vf lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3, lo4, hi4, lo5, hi5;

	ATTEND_EACH(ATTEND_BEGIN);
	for (size_t k = 0; k < n_k; k++, panel += BLOCK) {
		vf p0 = vf_load(panel), p1 = vf_load(panel + VF_LANES);

		ATTEND_EACH(ATTEND_STEP);
	}
	ATTEND_EACH(ATTEND_END);
}

static void
products(size_t n, size_t n_lanes, const float *panel, size_t n_k,
    const float *const *a, const float *factor, float *out, size_t stride)
{
#define CASE(n, w)							\
	case (n) * 2 + (w) - 1:						\
		product(n, w, panel, n_k, a, factor, out, stride);	\
		break
#define CASES(w)							\
	CASE(1, w);							\
	CASE(2, w);							\
	CASE(3, w);							\
	CASE(4, w);							\
	CASE(5, w);							\
	CASE(6, w)
	switch (n * 2 + (n_lanes > VF_LANES)) {
	CASES(2);
#if 2 * VF_LANES > ATTEND_DIMS
	CASES(1);
#endif
	}
#undef CASES
#undef CASE
}

/* ---- fetching ---- */

struct ahead {
	const uint8_t	*p, *end;
	size_t		 bytes_a_tile;
};

/* The page behind this one, over n_tiles calls. */
static void
ahead_begin(struct ahead *h, const struct attend_tile *t, size_t page,
    size_t head_bytes, size_t n_tiles)
{
	h->p = h->end = NULL;
	if (page + 1 >= t->n_pages)
		return;
	h->p = t->head + t->pages[page + 1] * t->page_bytes;
	h->end = h->p + head_bytes;
	h->bytes_a_tile = (head_bytes / LINE / n_tiles + 1) * LINE;
}

VF_HERE void
ahead_some(struct ahead *h)
{
	size_t left = (size_t)(h->end - h->p);
	const uint8_t *end = h->p + (left < h->bytes_a_tile ? left :
	    h->bytes_a_tile);

	for (; h->p < end; h->p += LINE)
		__builtin_prefetch(h->p);
}

/* ---- panels ---- */

/* Rows from .. from + n - 1 of a block of keys. */
VF_HERE void
panel_of_keys(const enum attend_form form, const uint8_t *keys,
    size_t head_dim, size_t from, size_t n, size_t block, float *panel)
{
	const uint16_t *half = (const void *)keys, *scales;
	const int8_t *q = (const void *)keys;

	scales = (const void *)(q + head_dim * ATTEND_PAGE);
	for (size_t i = from; i < from + n; i++, panel += BLOCK)
		for (size_t j = 0; j < BLOCK; j += VF_LANES) {
			size_t at = i * ATTEND_PAGE + block + j;

			vf_store(panel + j, form == ATTEND_F16 ?
			    vf_load_f16(half + at) :
			    vf_mul(vf_load_i8(q + at), vf_load_f16(scales +
			    i / ATTEND_BLOCK * ATTEND_PAGE + block + j)));
		}
}

/* The first n keys' values of a block of n_lanes dims. */
VF_HERE void
panel_of_values(const enum attend_form form, const uint8_t *values,
    size_t dims, size_t n, size_t block, size_t n_lanes, float *panel)
{
	const uint16_t *half = (const void *)values, *scales;
	const int8_t *q = (const void *)values;
	float scale[ATTEND_PAGE];

	scales = (const uint16_t *)(const void *)(q + dims * ATTEND_PAGE) +
	    block / ATTEND_BLOCK * ATTEND_PAGE;
	if (form == ATTEND_Q8_0)
		for (size_t i = 0; i < ATTEND_PAGE; i += VF_LANES)
			vf_store(scale + i, vf_load_f16(scales + i));
	for (size_t i = 0; i < n; i++, panel += BLOCK)
		for (size_t j = 0; j < n_lanes; j += VF_LANES) {
			size_t at = i * dims + block + j;

			vf_store(panel + j, form == ATTEND_F16 ?
			    vf_load_f16(half + at) :
			    vf_mul(vf_load_i8(q + at), vf_set1(scale[i])));
		}
}

/* ---- a page ---- */

struct attend_work {
	const struct attend_tile *t;
	struct ahead	 ahead;
	size_t		 first;		/* query that sees any of the page */
	size_t		 n_keys[ATTEND_QUERIES];	/* of the page */
	float		 factor[ATTEND_QUERIES];	/* of acc */
	float		 sum[ATTEND_QUERIES][VF_LANES];
	const float	*weights[ATTEND_QUERIES];	/* rows of scores */
	float		 scores[ATTEND_QUERIES][ATTEND_PAGE];
	float		 panel[PANEL_K * BLOCK];
};

static const float attend_ones[TILE] = { 1, 1, 1, 1, 1, 1 };

VF_HERE void
scores_of_page(const enum attend_form form, struct attend_work *x,
    const uint8_t *keys, size_t n_keys)
{
	const struct attend_tile *t = x->t;
	size_t n, n_k;

	memset(x->scores[x->first], 0, (t->n_queries - x->first) *
	    sizeof(x->scores[0]));
	for (size_t block = 0; block < n_keys; block += BLOCK)
		for (size_t d = 0; d < t->head_dim; d += n_k) {
			const float *q[TILE];

			n_k = t->head_dim - d < PANEL_K ? t->head_dim - d :
			    PANEL_K;
			panel_of_keys(form, keys, t->head_dim, d, n_k, block,
			    x->panel);
			for (size_t i = x->first; i < t->n_queries; i += n) {
				n = tile_queries(t->n_queries - i);
				for (size_t j = 0; j < n; j++)
					q[j] = t->q[i + j] + d;
				ahead_some(&x->ahead);
				products(n, BLOCK, x->panel, n_k, q,
				    attend_ones, x->scores[i] + block,
				    ATTEND_PAGE);
			}
		}
}

/* Turn a query's scores into weights, for a new maximum. */
VF_HERE void
weigh(struct attend_work *x, size_t i)
{
	struct attend_sum *s = &x->t->sums[i];
	float *score = x->scores[i], max;
	vf scale = vf_set1(x->t->scale), largest, above, sum, w;

	for (size_t j = x->n_keys[i]; j < ATTEND_PAGE; j++)
		score[j] = -INFINITY;
	largest = vf_set1(-INFINITY);
	for (size_t j = 0; j < ATTEND_PAGE; j += VF_LANES)
		largest = vf_max(vf_load(score + j), largest);
	max = vf_largest(largest) * x->t->scale;
	x->factor[i] = 1;
	sum = vf_load(x->sum[i]);
	if (max > s->max) {
		w = vf_exp2(vf_set1(s->max - max));
		sum = vf_mul(sum, w);
		vf_store(x->sum[i], w);
		x->factor[i] = x->sum[i][0];
		s->max = max;
	}
	above = vf_set1(s->max == -INFINITY ? 0 : -s->max);
	for (size_t j = 0; j < ATTEND_PAGE; j += VF_LANES) {
		w = vf_exp2(vf_fma(vf_load(score + j), scale, above));
		vf_store(score + j, w);
		sum = vf_add(sum, w);
	}
	vf_store(x->sum[i], sum);
}

/* Of tiles whose queries don't see the same keys, those that all see, then
 * those that only later ones do. */
VF_HERE void
values_of_tile(struct attend_work *x, size_t i, size_t n, size_t block,
    size_t n_lanes, size_t dims)
{
	float *acc = x->t->acc + i * dims + block;
	size_t n_keys = x->n_keys[i];

	products(n, n_lanes, x->panel, n_keys, x->weights + i, x->factor + i,
	    acc, dims);
	for (size_t j = 1; j < n; j++) {
		const float *rest = x->weights[i + j] + n_keys;

		if (x->n_keys[i + j] > n_keys)
			products(1, n_lanes, x->panel + n_keys * BLOCK,
			    x->n_keys[i + j] - n_keys, &rest, attend_ones,
			    acc + j * dims, dims);
	}
}

VF_HERE void
values_of_page(const enum attend_form form, struct attend_work *x,
    const uint8_t *values, size_t n_keys)
{
	size_t dims = attend_dims(x->t->head_dim), n;

	for (size_t block = 0; block < dims; block += BLOCK) {
		size_t n_lanes = dims - block < BLOCK ? dims - block : BLOCK;

		panel_of_values(form, values, dims, n_keys, block, n_lanes,
		    x->panel);
		for (size_t i = x->first; i < x->t->n_queries; i += n) {
			n = tile_queries(x->t->n_queries - i);
			ahead_some(&x->ahead);
			values_of_tile(x, i, n, block, n_lanes, dims);
		}
	}
}

/* ---- a tile ---- */

static void
attend_begin(struct attend_work *x, struct attend_tile *t)
{
	memset(t->acc, 0, t->n_queries * attend_dims(t->head_dim) *
	    sizeof(*t->acc));
	x->t = t;
	x->first = 0;
	for (size_t i = 0; i < t->n_queries; i++) {
		t->sums[i] = (struct attend_sum){ -INFINITY, 0 };
		vf_store(x->sum[i], vf_set1(0));
		x->weights[i] = x->scores[i];
	}
}

/* What the queries see of a page. */
static void
look_at_page(struct attend_work *x, size_t page)
{
	const struct attend_tile *t = x->t;
	size_t n_before = page * ATTEND_PAGE;

	while (t->n_keys[x->first] <= n_before)
		x->first++;
	for (size_t i = x->first; i < t->n_queries; i++) {
		size_t n = t->n_keys[i] - n_before;

		x->n_keys[i] = n < ATTEND_PAGE ? n : ATTEND_PAGE;
	}
}

VF_HERE void
attend(const enum attend_form form, struct attend_tile *t)
{
	struct attend_work x;
	size_t last = t->n_queries - 1, dims = attend_dims(t->head_dim);
	size_t key_bytes = attend_key_bytes(form, t->head_dim);
	size_t head_bytes = attend_head_bytes(form, t->head_dim);
	size_t n_tiles = (t->head_dim + PANEL_K - 1) / PANEL_K *
	    (ATTEND_PAGE / BLOCK) + dims / BLOCK;

	n_tiles *= (t->n_queries + TILE - 1) / TILE;
	attend_begin(&x, t);
	for (size_t i = 0; i * ATTEND_PAGE < t->n_keys[last]; i++) {
		const uint8_t *keys = t->head + t->pages[i] * t->page_bytes;

		look_at_page(&x, i);
		ahead_begin(&x.ahead, t, i, head_bytes, n_tiles);
		scores_of_page(form, &x, keys, x.n_keys[last]);
		for (size_t j = x.first; j < t->n_queries; j++)
			weigh(&x, j);
		values_of_page(form, &x, keys + key_bytes, x.n_keys[last]);
	}
	for (size_t i = 0; i < t->n_queries; i++)
		t->sums[i].sum = vf_total(vf_load(x.sum[i]));
}

static void
attend_f16(struct attend_tile *t)
{
	attend(ATTEND_F16, t);
}

static void
attend_q8_0(struct attend_tile *t)
{
	attend(ATTEND_Q8_0, t);
}

/* SPDX-License-Identifier: MIT */
/*
 * Attention of a tile (attend.h) for a level with vectors of floats (vf.h).
 * The level's file includes this once, after defining
 *
 *	vf_fma2(a, p0, p1, s0, s1)  *s0 += *a p0, *s1 += *a p1, and vf_fma3
 *	vf_exp2		2^x for x <= 0, and 0 below -126; NaN stays NaN
 *	vs		8 sums, for all levels, so that these give the same
 *	vs_load vs_store vs_scale vs_total	the last in a fixed order
 *	vs_add		a vf to a vs, 8 lanes after the other
 *
 * and gets attend(), which does a tile of either form.
 *
 * A step of STEP_PAGES pages has one maximum.  It goes through in panels
 * [k][BLOCK] of floats in the near cache, once for all queries: a block of keys
 * with k = head_dim for the scores, a block of values with k = keys for the
 * sums.  Both are the same product, out[query] += sum over k of a[query][k]
 * panel[k], of up to 6 queries at a time: 12 sums, 2 registers of the panel
 * and 1 of a.  Each sum is one chain in the order of k, so it doesn't matter
 * which queries go together.
 *
 * Few queries need no panels (attend_few.h).
 *
 * The pages of the next step are fetched while this one is computed, a line at
 * a time where memory bounds it (few queries): many at once would fill the
 * buffers through which lines come from the second cache, too.
 */

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/attend.h"
#include "kernels/each.h"
#include "kernels/vf.h"

#define BLOCK		(2 * VF_LANES)
#define PANEL_K		128	/* most rows of a panel */
#define TILE		6	/* queries */
#define UNROLL		2	/* k: short loops end as predicted */
#define STEP_PAGES	4
#define STEP		(STEP_PAGES * ATTEND_PAGE)	/* keys */
#define STRIDE		(STEP + 16)	/* rows of scores miss each other */
#define LINE		64
#define FEW_MOST	8	/* queries that need no panels */
#define FEW_DIMS	256	/* of a head, likewise */
#if VF_REGISTERS >= 32
#define FEW_TILE	8	/* queries */
#define FEW_WIDTH	2	/* vectors, at most */
#else
#define FEW_TILE	4
#define FEW_WIDTH	3
#endif
#define FEW_LANES	(FEW_WIDTH * VF_LANES)
#define RUN		32	/* rows with common scales */

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
#define ATTEND_POINT(i)	a##i = a[i]
#define ATTEND_ZERO(i)	lo##i = hi##i = vf_set1(0)
#define ATTEND_BEGIN(i) do {						\
	vf f = vf_set1(factor[i]);					\
									\
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

#define ATTEND_ROW(at) do {						\
	const size_t k = from + (at);					\
	vf p0 = vf_load(panel + k * BLOCK);				\
	vf p1 = vf_load(panel + k * BLOCK + VF_LANES);			\
									\
	ATTEND_EACH(ATTEND_STEP);					\
} while (0)

/* out[i] = factor[i] out[i] + sum of a[i][k] panel[k], of n queries (1..6)
 * and w vectors (1..2); without factors just the sum. */
VF_HERE void
product(const int n, const int w, const float *panel, size_t n_k,
    const float *const *a, const float *factor, float *out, size_t stride)
{
	const float *a0, *a1, *a2, *a3, *a4, *a5;
	vf lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3, lo4, hi4, lo5, hi5;
	size_t from = 0;

	ATTEND_EACH(ATTEND_POINT);
	if (factor == NULL)
		ATTEND_EACH(ATTEND_ZERO);
	else
		ATTEND_EACH(ATTEND_BEGIN);
	for (; from + UNROLL <= n_k; from += UNROLL) {
		ATTEND_ROW(0);
		ATTEND_ROW(1);
	}
	for (; from < n_k; from++)
		ATTEND_ROW(0);
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
	const struct attend_tile *t;
	const uint8_t	*head;
	const uint32_t	*pages;
	size_t		 page, end;
	size_t		 head_bytes, at;
	size_t		 bytes_a_call;
};

/* Up to n_most pages from a page on, or the first of what comes next, over
 * n_calls calls. */
static void
ahead_begin(struct ahead *h, const struct attend_tile *t, size_t page,
    size_t n_most, size_t head_bytes, size_t n_calls)
{
	size_t n = t->n_pages;

	*h = (struct ahead){ .t = t, .head = t->head, .pages = t->pages,
	    .page = page, .head_bytes = head_bytes,
	    .bytes_a_call = (head_bytes / LINE * n_most / n_calls + 1) *
	    LINE };
	if (page >= n && t->next_head != NULL) {
		h->head = t->next_head;
		h->pages = t->next_pages;
		h->page = 0;
		n = t->n_next_pages;
	}
	h->end = h->page + n_most < n ? h->page + n_most : n;
}

/* Where bytes_a_call bytes to be fetched begin; NULL when there are none. */
VF_HERE const uint8_t *
ahead_take(struct ahead *h)
{
	const uint8_t *p;

	if (h->page >= h->end)
		return NULL;
	p = h->head + h->pages[h->page] * h->t->page_bytes + h->at;
	h->at += h->bytes_a_call;
	if (h->at >= h->head_bytes) {
		h->at = 0;
		h->page++;
	}
	return p;
}

VF_HERE void
ahead_some(struct ahead *h)
{
	const uint8_t *p = ahead_take(h);

	for (size_t i = 0; p != NULL && i < h->bytes_a_call; i += LINE)
		__builtin_prefetch(p + i, 0, 2);
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

/* ---- a step ---- */

struct attend_work {
	const struct attend_tile *t;
	struct ahead	 ahead;
	const uint8_t	*heads[STEP_PAGES];	/* of the step's pages */
	size_t		 first;		/* query that sees any of the step */
	size_t		 n_keys[ATTEND_QUERIES];	/* of the step */
	float		 factor[ATTEND_QUERIES];	/* of acc */
	float		 sum[ATTEND_QUERIES][8];
	const float	*weights[ATTEND_QUERIES];	/* rows of scores */
	_Alignas(LINE) float scores[ATTEND_QUERIES][STRIDE];
	_Alignas(LINE) float panel[PANEL_K * BLOCK];
	/* of attend_few.h */
	float		 few_q[FEW_MOST * FEW_DIMS];
	_Alignas(LINE) float few_floats[FEW_DIMS * FEW_LANES];
};

static const float attend_ones[FEW_MOST] = { 1, 1, 1, 1, 1, 1, 1, 1 };

VF_HERE void
scores_of_step(const enum attend_form form, struct attend_work *x,
    size_t n_keys)
{
	const struct attend_tile *t = x->t;
	size_t n, n_k;

	for (size_t block = 0; block < n_keys; block += BLOCK)
		for (size_t d = 0; d < t->head_dim; d += n_k) {
			const float *q[TILE];

			n_k = t->head_dim - d < PANEL_K ? t->head_dim - d :
			    PANEL_K;
			panel_of_keys(form, x->heads[block / ATTEND_PAGE],
			    t->head_dim, d, n_k, block % ATTEND_PAGE,
			    x->panel);
			for (size_t i = x->first; i < t->n_queries; i += n) {
				n = tile_queries(t->n_queries - i);
				for (size_t j = 0; j < n; j++)
					q[j] = t->q[i + j] + d;
				ahead_some(&x->ahead);
				products(n, BLOCK, x->panel, n_k, q,
				    d == 0 ? NULL : attend_ones,
				    x->scores[i] + block, STRIDE);
			}
		}
}

/* The largest of the first n scores; the next ones, up to a whole vector,
 * become -infinity. */
VF_HERE float
largest_score(float *score, size_t n)
{
	vf even = vf_set1(-INFINITY), odd = even;
	size_t j;

	for (; n % VF_LANES != 0; n++)
		score[n] = -INFINITY;
	for (j = 0; j + 2 * VF_LANES <= n; j += 2 * VF_LANES) {
		even = vf_max(vf_load(score + j), even);
		odd = vf_max(vf_load(score + j + VF_LANES), odd);
	}
	if (j < n)
		even = vf_max(vf_load(score + j), even);
	return vf_largest(vf_max(even, odd));
}

/* Turn scores into weights, which are added to sum.  A function of its own, so
 * that the constants of the loop find registers. */
static void __attribute__((noinline))
weigh(float *score, size_t n, float by, float max, float *sum)
{
	vf above = vf_set1(max == -INFINITY ? 0 : -max);
	vf scale = vf_set1(by), w;
	vs total = vs_load(sum);

	for (size_t j = 0; j < n; j += VF_LANES) {
		w = vf_exp2(vf_fma(vf_load(score + j), scale, above));
		vf_store(score + j, w);
		total = vs_add(total, w);
	}
	vs_store(sum, total);
}

/* The maximum of a query with this step's scores, and what becomes of the
 * sums so far. */
VF_HERE void
raise_max(struct attend_work *x, size_t i)
{
	struct attend_sum *s = &x->t->sums[i];
	float max = largest_score(x->scores[i], x->n_keys[i]) * x->t->scale;
	vf w;

	x->factor[i] = 1;
	if (!(max > s->max))
		return;
	w = vf_exp2(vf_set1(s->max - max));
	x->factor[i] = vf_first(w);
	vs_store(x->sum[i], vs_scale(vs_load(x->sum[i]), x->factor[i]));
	s->max = max;
}

/* Of tiles whose queries don't see the same keys, those that all see, then
 * those that only later ones do. */
VF_HERE void
values_of_tile(struct attend_work *x, size_t i, size_t n, size_t block,
    size_t n_lanes, size_t dims)
{
	size_t from = x->n_keys[i];

	products(n, n_lanes, x->panel, from, x->weights + i, x->factor + i,
	    x->t->acc + i * dims + block, dims);
	for (; n > 0; i++, n--) {
		size_t n_keys = x->n_keys[i];
		const float *rest[TILE];

		if (n_keys == from)
			continue;
		for (size_t j = 0; j < n; j++)
			rest[j] = x->weights[i + j] + from;
		products(n, n_lanes, x->panel + from * BLOCK, n_keys - from,
		    rest, attend_ones, x->t->acc + i * dims + block, dims);
		from = n_keys;
	}
}

VF_HERE void
values_of_step(const enum attend_form form, struct attend_work *x,
    size_t n_keys)
{
	size_t dims = attend_dims(x->t->head_dim), n;
	size_t key_bytes = attend_key_bytes(form, x->t->head_dim);

	for (size_t block = 0; block < dims; block += BLOCK) {
		size_t n_lanes = dims - block < BLOCK ? dims - block : BLOCK;

		for (size_t k = 0; k < n_keys; k += n) {
			n = n_keys - k < ATTEND_PAGE ? n_keys - k :
			    ATTEND_PAGE;
			panel_of_values(form, x->heads[k / ATTEND_PAGE] +
			    key_bytes, dims, n, block, n_lanes,
			    x->panel + k * BLOCK);
		}
		for (size_t i = x->first; i < x->t->n_queries; i += n) {
			n = tile_queries(x->t->n_queries - i);
			ahead_some(&x->ahead);
			values_of_tile(x, i, n, block, n_lanes, dims);
		}
	}
}

#include "kernels/attend_few.h"

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
		memset(x->sum[i], 0, sizeof(x->sum[i]));
		x->weights[i] = x->scores[i];
	}
}

/* The pages of a step up to the last key, and what the queries see of them. */
static void
look_at_step(struct attend_work *x, size_t step)
{
	const struct attend_tile *t = x->t;
	size_t n_before = step * STEP, last = t->n_keys[t->n_queries - 1];

	for (size_t i = 0; i < STEP_PAGES && n_before + i * ATTEND_PAGE < last;
	    i++)
		x->heads[i] = t->head + t->pages[step * STEP_PAGES + i] *
		    t->page_bytes;
	while (t->n_keys[x->first] <= n_before)
		x->first++;
	for (size_t i = x->first; i < t->n_queries; i++) {
		size_t n = t->n_keys[i] - n_before;

		x->n_keys[i] = n < STEP ? n : STEP;
	}
}

/* How often something will be fetched in a step of whole pages. */
static size_t
calls_of_step(const struct attend_tile *t)
{
	size_t dims = attend_dims(t->head_dim);

	if (few_will_do(t))
		return few_calls(t->n_queries, t->head_dim, STEP) +
		    few_calls(t->n_queries, STEP, dims);
	return ((t->head_dim + PANEL_K - 1) / PANEL_K * (STEP / BLOCK) +
	    dims / BLOCK) * ((t->n_queries + TILE - 1) / TILE);
}

VF_HERE void
attend(const enum attend_form form, struct attend_tile *t)
{
	struct attend_work x;
	size_t last = t->n_queries - 1;
	size_t head_bytes = attend_head_bytes(form, t->head_dim);
	size_t n_calls = calls_of_step(t);
	bool is_few = few_will_do(t);

	attend_begin(&x, t);
	if (is_few)
		few_begin(&x);
	for (size_t i = 0; i * STEP < t->n_keys[last]; i++) {
		look_at_step(&x, i);
		ahead_begin(&x.ahead, t, (i + 1) * STEP_PAGES, STEP_PAGES,
		    head_bytes, n_calls);
		if (is_few)
			few_scores(form, &x, x.n_keys[last]);
		else
			scores_of_step(form, &x, x.n_keys[last]);
		for (size_t j = x.first; j < t->n_queries; j++)
			raise_max(&x, j);
		for (size_t j = x.first; j < t->n_queries; j++)
			weigh(x.scores[j], x.n_keys[j], t->scale,
			    t->sums[j].max, x.sum[j]);
		if (is_few)
			few_values(form, &x);
		else
			values_of_step(form, &x, x.n_keys[last]);
	}
	for (size_t i = 0; i < t->n_queries; i++)
		t->sums[i].sum = vs_total(vs_load(x.sum[i]));
}

/* SPDX-License-Identifier: MIT */
/*
 * Attention of a tile as attend.h says it, query by query, in double; and the
 * rotation of pairs.
 */
#include "config.h"

#include "kernels/ref/ref.h"

#include <math.h>
#include <string.h>

#include "kernels/attend.h"
#include "kernels/half.h"

/* Where a scale lies behind the elements of keys or of values. */
static double
scale_of(const int8_t *behind, size_t i, size_t key)
{
	return f16_to_f32(load_u16(behind +
	    (i / ATTEND_BLOCK * ATTEND_PAGE + key) * sizeof(uint16_t)));
}

/* Element i of a key or value; n of them make up the page's part. */
static double
element(enum attend_form form, const uint8_t *part, size_t n, size_t at,
    size_t i, size_t key)
{
	const int8_t *q = (const void *)part;

	if (form == ATTEND_F16)
		return f16_to_f32(load_u16(part + at * sizeof(uint16_t)));
	return q[at] * scale_of(q + n, i, key);
}

static double
key_element(enum attend_form form, const struct attend_tile *t, size_t key,
    size_t i)
{
	const uint8_t *keys = t->head + t->pages[key / ATTEND_PAGE] *
	    t->page_bytes;

	key %= ATTEND_PAGE;
	return element(form, keys, t->head_dim * ATTEND_PAGE,
	    i * ATTEND_PAGE + key, i, key);
}

static double
value_element(enum attend_form form, const struct attend_tile *t, size_t key,
    size_t i)
{
	const uint8_t *values = t->head + t->pages[key / ATTEND_PAGE] *
	    t->page_bytes + attend_key_bytes(form, t->head_dim);
	size_t dims = attend_dims(t->head_dim);

	key %= ATTEND_PAGE;
	return element(form, values, dims * ATTEND_PAGE, key * dims + i, i,
	    key);
}

static double
score(enum attend_form form, const struct attend_tile *t, size_t query,
    size_t key)
{
	double sum = 0;

	for (size_t i = 0; i < t->head_dim; i++)
		sum += t->q[query][i] * key_element(form, t, key, i);
	return sum * t->scale;
}

static void
attend_query(enum attend_form form, struct attend_tile *t, size_t query)
{
	size_t dims = attend_dims(t->head_dim), n = t->n_keys[query];
	float *acc = t->acc + query * dims;
	double s[ATTEND_CHUNK], max = -INFINITY, sum = 0, total;

	for (size_t j = 0; j < n; j++)
		if ((s[j] = score(form, t, query, j)) > max)
			max = s[j];
	for (size_t j = 0; j < n; j++) {
		s[j] = exp2(s[j] - (max == -INFINITY ? 0 : max));
		sum += s[j];
	}
	memset(acc, 0, dims * sizeof(*acc));
	for (size_t i = 0; i < t->head_dim; i++) {
		total = 0;
		for (size_t j = 0; j < n; j++)
			total += s[j] * value_element(form, t, j, i);
		acc[i] = (float)total;
	}
	t->sums[query] = (struct attend_sum){ (float)max, (float)sum };
}

static void
attend_f16(struct attend_tile *t)
{
	for (size_t i = 0; i < t->n_queries; i++)
		attend_query(ATTEND_F16, t, i);
}

static void
attend_q8_0(struct attend_tile *t)
{
	for (size_t i = 0; i < t->n_queries; i++)
		attend_query(ATTEND_Q8_0, t, i);
}

static void
rope_pairs(const float *cos_sin, float *x, size_t n)
{
	const float *c = cos_sin, *s = cos_sin + n;

	for (size_t i = 0; i < n; i++) {
		float a = x[2 * i], b = x[2 * i + 1];

		x[2 * i] = a * c[i] - b * s[i];
		x[2 * i + 1] = a * s[i] + b * c[i];
	}
}

void
ref_table_attend(struct kern_table *t)
{
	t->attend_f16 = attend_f16;
	t->attend_q8_0 = attend_q8_0;
	t->rope_pairs = rope_pairs;
}

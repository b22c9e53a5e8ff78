/* SPDX-License-Identifier: MIT */
/*
 * Elementwise kernels and reductions over one row.  Sums are in double.
 */
#include "config.h"

#include "kernels/ref/ref.h"

#include <math.h>

#include "kernels/half.h"

static void
add(const float *x, float *y, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		y[i] += x[i];
}

static void
blend(float *y, float a, const float *x, float b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		y[i] = a * y[i] + b * x[i];
}

static void
rms_norm(const float *x, const float *w, float *out, size_t n, float eps)
{
	double sum = 0;
	float scale;
	size_t i;

	for (i = 0; i < n; i++)
		sum += (double)x[i] * x[i];
	scale = (float)(1.0 / sqrt(sum / (double)n + eps));
	for (i = 0; i < n; i++)
		out[i] = x[i] * scale * w[i];
}

/* A row that is -infinity everywhere has nothing to attend to: zeros.  A NaN
 * beside a number makes the whole row NaN. */
static void
softmax(float *x, size_t n)
{
	float max = -INFINITY;
	double sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		if (x[i] > max)
			max = x[i];
	if (max == -INFINITY) {
		/* Nothing to share out; NaN must not look like that. */
		for (i = 0; i < n; i++)
			x[i] = isnan(x[i]) ? x[i] : 0;
		return;
	}
	for (i = 0; i < n; i++) {
		x[i] = expf(x[i] - max);
		sum += x[i];
	}
	for (i = 0; i < n; i++)
		x[i] = (float)(x[i] / sum);
}

static void
silu_mul(const float *gate, const float *up, float *out, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

/* 0 when there is no element but NaN. */
static size_t
argmax(const float *x, size_t n)
{
	size_t i, best = n;

	for (i = 0; i < n; i++)
		if (!isnan(x[i]) && (best == n || x[i] > x[best]))
			best = i;
	return best == n ? 0 : best;
}

void
ref_table_vec(struct kern_table *t)
{
	t->add = add;
	t->blend = blend;
	t->rms_norm = rms_norm;
	t->softmax = softmax;
	t->silu_mul = silu_mul;
	t->argmax = argmax;
}

void
ref_table(struct kern_table *t)
{
	ref_table_dot(t);
	ref_table_unpack(t);
	ref_table_quant(t);
	ref_table_panel(t);
	ref_table_vec(t);
	ref_table_attend(t);
}

/* SPDX-License-Identifier: MIT */
/*
 * Scales of sub-blocks.  The order of every sum and every division is part of
 * the formats' common practice: change it and files differ from those of other
 * software, if only in a few blocks.  Lanes that have nothing to search (all
 * equal, all zero) compute nonsense to the end and are masked there; no lane
 * reads another's values.
 */
#include "config.h"

#include "kernels/quant/search.h"

#include <math.h>
#include <string.h>

#include "kernels/quant/quant.h"

/* Below it 1 / range may overflow; the scale is 0 in half precision. */
#define RANGE_MIN	1e-30f

float
quant_largest(const float *x, int n)
{
	lanes size = lanes_all(0), v;
	float most;
	int i;

	for (i = 0; i < n; i += N_LANES) {
		memcpy(&v, x + i, sizeof(v));
		size = lanes_max(lanes_abs(v), size);
	}
	for (most = size[0], i = 1; i < N_LANES; i++)
		most = size[i] > most ? size[i] : most;
	for (i = 0; i + 1 < n && fabsf(x[i]) != most; i++)
		;
	return most > 0 ? x[i] : 0;
}

float
quant_mean_x2(const float *x, size_t n)
{
	float sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += x[i] * x[i];
	return sum / (float)n;
}

/* ---- scale and minimum ---- */

struct affine {
	const lanes	*x;
	const lanes	*w;
	int		 n;
	lanes		 q_max;
	int		 absolute;
	lanes		 sum_w, sum_x;
};

static void
affine_quants(const struct affine *a, lanes inverse, lanes min, lanes *q)
{
	const lanes zero = lanes_all(0);
	int i;

	for (i = 0; i < a->n; i++)
		q[i] = lanes_clamp(lanes_round(inverse * (a->x[i] - min)),
		    zero, a->q_max);
}

static lanes
affine_error(const struct affine *a, const lanes *q, lanes scale, lanes min)
{
	lanes error = lanes_all(0), e;
	int i;

	for (i = 0; i < a->n; i++) {
		e = scale * q[i] + min - a->x[i];
		error += a->w[i] * (a->absolute ? lanes_abs(e) : e * e);
	}
	return error;
}

/* The least-squares scale and minimum for given quants; the lanes that have
 * one. */
static lane_mask
affine_fit(const struct affine *a, const lanes *q, lanes *scale, lanes *min)
{
	const lanes zero = lanes_all(0);
	lanes sum_q = zero, sum_qq = zero, sum_qx = zero, det, wq;
	lane_mask positive;
	int i;

	for (i = 0; i < a->n; i++) {
		wq = a->w[i] * q[i];
		sum_q += wq;
		sum_qq += wq * q[i];
		sum_qx += wq * a->x[i];
	}
	det = a->sum_w * sum_qq - sum_q * sum_q;
	*scale = (a->sum_w * sum_qx - a->sum_x * sum_q) / det;
	*min = (sum_qq * a->sum_x - sum_q * sum_qx) / det;
	positive = *min > zero;
	*scale = lanes_pick(positive, sum_qx / sum_qq, *scale);
	*min = lanes_pick(positive, zero, *min);
	return det > zero;
}

static void
affine_limits(struct affine *a, lanes *min, lanes *max)
{
	int i;

	*min = *max = a->x[0];
	a->sum_w = a->w[0];
	a->sum_x = a->sum_w * a->x[0];
	for (i = 1; i < a->n; i++) {
		*min = lanes_pick(a->x[i] < *min, a->x[i], *min);
		*max = lanes_pick(a->x[i] > *max, a->x[i], *max);
		a->sum_w += a->w[i];
		a->sum_x += a->w[i] * a->x[i];
	}
	*min = lanes_pick(*min > lanes_all(0), lanes_all(0), *min);
}

lanes
search_affine(const lanes *x, const lanes *w, int n, float q_max,
    const struct search_steps *steps, lanes *q, lanes *out_min)
{
	struct affine a = { .x = x, .w = w, .n = n, .q_max = lanes_all(q_max),
	    .absolute = steps->absolute };
	lanes min, max, scale, best, inverse, try_scale, try_min, error;
	lanes tried[SEARCH_MAX_N];
	lane_mask better, alive;
	int i, step;

	affine_limits(&a, &min, &max);
	alive = max - min > lanes_all(RANGE_MIN);
	inverse = a.q_max / (max - min);
	scale = lanes_all(1) / inverse;
	affine_quants(&a, inverse, min, q);
	best = affine_error(&a, q, scale, min);
	for (step = 0; step <= steps->n_steps; step++) {
		/* min is that of the best try so far, also in the range */
		inverse = lanes_all(steps->first + steps->step * (float)step +
		    q_max) / (max - min);
		affine_quants(&a, inverse, min, tried);
		better = affine_fit(&a, tried, &try_scale, &try_min) & alive;
		error = affine_error(&a, tried, try_scale, try_min);
		better &= error < best;
		if (!lanes_any(better))
			continue;
		for (i = 0; i < n; i++)
			q[i] = lanes_pick(better, tried[i], q[i]);
		best = lanes_pick(better, error, best);
		scale = lanes_pick(better, try_scale, scale);
		min = lanes_pick(better, try_min, min);
	}
	for (i = 0; i < n; i++)
		q[i] = lanes_pick(alive, q[i], lanes_all(0));
	*out_min = -min;
	return lanes_pick(alive, scale, lanes_all(0));
}

/* ---- a scale alone ---- */

/* quant_largest of each lane. */
static lanes
largest(const lanes *x, int n)
{
	lanes size = lanes_all(0), max = size, here;
	lane_mask more;
	int i;

	for (i = 0; i < n; i++) {
		here = lanes_abs(x[i]);
		more = here > size;
		size = lanes_pick(more, here, size);
		max = lanes_pick(more, x[i], max);
	}
	return max;
}

/* Quants for an inverse scale, and the two sums of the fit. */
static void
symmetric_quants(const lanes *x, const lanes *w, int n, float q_max,
    lanes inverse, lanes *q, lanes *sum_qx, lanes *sum_qq)
{
	const lanes low = lanes_all(-q_max), high = lanes_all(q_max - 1);
	lanes qx = lanes_all(0), qq = qx, weight;
	int i;

	for (i = 0; i < n; i++) {
		weight = w != NULL ? w[i] : x[i] * x[i];
		q[i] = lanes_clamp(lanes_round(inverse * x[i]), low, high);
		qx += weight * x[i] * q[i];
		qq += weight * q[i] * q[i];
	}
	*sum_qx = qx;
	*sum_qq = qq;
}

static lanes
ratio_or_0(lanes a, lanes b)
{
	return lanes_pick(b > lanes_all(0), a / b, lanes_all(0));
}

/* Nothing is stored of a lane that is not alive. */
static lanes
only_alive(lane_mask alive, lanes scale, lanes *q, int n, float q_max)
{
	int i;

	for (i = 0; i < n; i++)
		q[i] = lanes_pick(alive, q[i], lanes_all(-q_max));
	return lanes_pick(alive, scale, lanes_all(0));
}

lanes
search_symmetric(const lanes *x, const lanes *w, int n, float q_max, lanes *q)
{
	lanes max = largest(x, n), sum_qx, sum_qq, scale, best;
	lanes tried[SEARCH_MAX_N];
	lane_mask alive = lanes_abs(max) >= lanes_all(QUANT_TINY), better;
	int i, step;

	symmetric_quants(x, w, n, q_max, lanes_all(-q_max) / max, q, &sum_qx,
	    &sum_qq);
	scale = ratio_or_0(sum_qx, sum_qq);
	best = scale * sum_qx;
	for (step = -9; step <= 9; step++) {
		if (step == 0)
			continue;
		symmetric_quants(x, w, n, q_max,
		    lanes_all(-(q_max + 0.1f * (float)step)) / max, tried,
		    &sum_qx, &sum_qq);
		better = (sum_qq > lanes_all(0)) &
		    (sum_qx * sum_qx > best * sum_qq);
		if (!lanes_any(better))
			continue;
		for (i = 0; i < n; i++)
			q[i] = lanes_pick(better, tried[i], q[i]);
		scale = lanes_pick(better, sum_qx / sum_qq, scale);
		best = lanes_pick(better, scale * sum_qx, best);
	}
	return only_alive(alive, scale, q, n, q_max);
}

/* One pass over the elements; the lanes in which a quant was moved. */
static lane_mask
descend(const lanes *x, int n, float q_max, lanes *q, lanes *sum_qx,
    lanes *sum_qq)
{
	const lanes low = lanes_all(-q_max), high = lanes_all(q_max - 1);
	const lanes zero = lanes_all(0);
	lane_mask moved = { 0 }, move;
	lanes w, qx, qq, to;
	int i;

	for (i = 0; i < n; i++) {
		w = x[i] * x[i];
		qx = *sum_qx - w * x[i] * q[i];
		qq = *sum_qq - w * q[i] * q[i];
		move = qx > zero;
		to = lanes_clamp(lanes_round(x[i] * qq / qx), low, high);
		move &= to != q[i];
		qx += w * x[i] * to;
		qq += w * to * to;
		move &= (qq > zero) &
		    (qx * qx * *sum_qq > *sum_qx * *sum_qx * qq);
		q[i] = lanes_pick(move, to, q[i]);
		*sum_qx = lanes_pick(move, qx, *sum_qx);
		*sum_qq = lanes_pick(move, qq, *sum_qq);
		moved |= move;
	}
	return moved;
}

lanes
search_descent(const lanes *x, int n, float q_max, lanes *q)
{
	lanes max = largest(x, n), sum_qx, sum_qq;
	lane_mask alive = lanes_abs(max) >= lanes_all(QUANT_TINY);
	int pass;

	symmetric_quants(x, NULL, n, q_max, lanes_all(-q_max) / max, q,
	    &sum_qx, &sum_qq);
	for (pass = 0; pass < 5; pass++)
		if (!lanes_any(descend(x, n, q_max, q, &sum_qx, &sum_qq)))
			break;
	return only_alive(alive, ratio_or_0(sum_qx, sum_qq), q, n, q_max);
}

/* ---- scales of scales ---- */

static float
positive_error(const float *x, const float *w, int n, float inverse)
{
	float scale = 1 / inverse, error = 0, e;
	int i;

	for (i = 0; i < n; i++) {
		e = x[i] - scale * round_even(inverse * x[i]);
		error += w[i] * e * e;
	}
	return error;
}

static float
positive_start(const float *x, const float *w, int n, float q_max, float max)
{
	float inverse = q_max / max, best, error, tried;
	int step;

	best = positive_error(x, w, n, inverse);
	for (step = -4; step <= 4; step++) {
		if (step == 0)
			continue;
		tried = (0.1f * (float)step + q_max) / max;
		error = positive_error(x, w, n, tried);
		if (error < best) {
			best = error;
			inverse = tried;
		}
	}
	return inverse;
}

/* One pass of moving single quants; how many moved. */
static int
positive_descend(const float *x, const float *w, int n, float q_max, float *q,
    float *sum_qx, float *sum_qq)
{
	float qx, qq, to;
	int i, moved = 0;

	for (i = 0; i < n; i++) {
		qx = *sum_qx - w[i] * x[i] * q[i];
		qq = *sum_qq - w[i] * q[i] * q[i];
		if (!(qx > 0) || !(qq > 0))
			continue;
		to = clampf(round_even(x[i] * qq / qx), 0, q_max);
		if (to == q[i])
			continue;
		qx += w[i] * x[i] * to;
		qq += w[i] * to * to;
		if (!(qx * qx * *sum_qq > *sum_qx * *sum_qx * qq))
			continue;
		q[i] = to;
		*sum_qx = qx;
		*sum_qq = qq;
		moved++;
	}
	return moved;
}

float
search_positive(const float *x, const float *w, int n, float q_max, float *q)
{
	float max = 0, inverse, sum_qx = 0, sum_qq = 0;
	int i, pass;

	for (i = 0; i < n; i++)
		max = x[i] > max ? x[i] : max;
	if (max < RANGE_MIN) {
		for (i = 0; i < n; i++)
			q[i] = 0;
		return 0;
	}
	inverse = positive_start(x, w, n, q_max, max);
	for (i = 0; i < n; i++) {
		q[i] = clampf(round_even(inverse * x[i]), 0, q_max);
		sum_qx += w[i] * x[i] * q[i];
		sum_qq += w[i] * q[i] * q[i];
	}
	for (pass = 0; pass < 5; pass++)
		if (positive_descend(x, w, n, q_max, q, &sum_qx, &sum_qq) == 0)
			break;
	return sum_qq > 0 ? sum_qx / sum_qq : 1 / inverse;
}

/* SPDX-License-Identifier: MIT */
/*
 * Products of weights and activations against a sum in double over the values
 * that the blocks stand for.  Where all scales are one and no partial sum
 * exceeds 2^24 there is nothing to round, and the result must be the exact
 * integer: a saturated or wrapped lane shows.
 */
#include "config.h"

#include "check.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/half.h"
#include "kernels/matmul.h"
#include "kernels/ref/ref.h"

#define MAX_N 4096

/* Where the half-precision scales of a block are; -1: none. */
static void
scale_offsets(enum tensor_type t, int off[2])
{
	off[0] = 0;
	off[1] = -1;
	switch (t) {
	case TYPE_Q4_1: case TYPE_Q5_1: case TYPE_Q4_K: case TYPE_Q5_K:
		off[1] = 2;
		break;
	case TYPE_Q2_K:
		off[0] = 80;
		off[1] = 82;
		break;
	case TYPE_Q3_K:
		off[0] = 108;
		break;
	case TYPE_Q6_K:
		off[0] = 208;
		break;
	case TYPE_MXFP4:
		off[0] = -1;
		break;
	default:
		break;
	}
}

static void
put_half(uint8_t *p, float f)
{
	uint16_t h = f16_from_f32(f);

	memcpy(p, &h, sizeof(h));
}

static void
fill_block(struct rng *r, enum tensor_type t, uint8_t *b, size_t bytes,
    int kind, bool unit)
{
	static const uint8_t pattern[] = { 0, 0xff, 0, 0x5a };
	size_t i;
	int off[2], k;

	for (i = 0; i < bytes; i++)
		b[i] = kind == 0 ? (uint8_t)rng_u64(r) : pattern[kind];
	scale_offsets(t, off);
	for (k = 0; k < 2; k++)
		if (off[k] >= 0)
			put_half(b + off[k], unit ? 1 : rng_float(r));
	if (t == TYPE_MXFP4)
		b[0] = unit ? 128 : (uint8_t)(118 + rng_u64(r) % 20);
}

void
fill_blocks(struct rng *r, enum tensor_type t, uint8_t *w, size_t n, int kind,
    bool unit)
{
	const struct type_info *info = type_info(t);
	float f;

	for (; n > 0; n -= info->block_n, w += info->block_bytes) {
		f = unit ? (float)(int)(rng_u64(r) % 17) - 8 : rng_float(r);
		if (t == TYPE_F32)
			memcpy(w, &f, sizeof(f));
		else if (t == TYPE_F16)
			put_half(w, kind == 3 ? f * 1e-6f : f);
		else if (t == TYPE_BF16)
			memcpy(w, (char *)&f + 2, 2);
		else
			fill_block(r, t, w, info->block_bytes, kind, unit);
	}
}

/* Activations in the form the type wants; unit: integers, scale one. */
static void
fill_act(struct check *c, struct rng *r, enum act_form form, enum shape shape,
    bool unit, void *act, size_t n)
{
	float x[MAX_N];
	size_t i;

	fill_floats(r, shape, x, n);
	if (unit)
		for (i = 0; i < n; i++)
			x[i] = (float)((int)(rng_u64(r) % 255) - 127);
	/* 127 somewhere in each block makes its scale exactly one */
	for (i = 0; unit && i < n; i += 32)
		x[i + rng_u64(r) % MEM_MIN(n - i, (size_t)32)] = 127;
	if (form == ACT_Q8)
		c->ref->quantize_q8(x, act, n);
	else if (form == ACT_Q8K)
		c->ref->quantize_q8k(x, act, n);
	else
		memcpy(act, x, n * sizeof(*x));
}

static double
act_value(enum act_form form, const void *act, size_t i)
{
	const struct act_q8 *q8 = act;
	const struct act_q8k *q8k = act;

	if (form == ACT_Q8)
		return (double)q8[i / 32].d * q8[i / 32].q[i % 32];
	if (form == ACT_Q8K)
		return (double)q8k[i / 256].d * q8k[i / 256].q[i % 256];
	return ((const float *)act)[i];
}

/* Sum and sum of magnitudes over n elements, in double. */
static double
oracle(struct check *c, enum tensor_type t, const uint8_t *w, const void *act,
    size_t n, double *magnitudes)
{
	const struct type_info *info = type_info(t);
	double sum = 0, x, product, min;
	struct ref_block b;
	float value;
	size_t i, j;

	*magnitudes = 0;
	for (i = 0; i < n; i++) {
		x = act_value(info->act, act, i);
		j = i % info->block_n;
		if (info->block_n == 1) {
			c->ref->unpack[t](w + i * info->block_bytes, &value, 1);
			product = value * x;
			min = 0;
		} else {
			if (j == 0)
				ref_block_of(t)(w + i / info->block_n *
				    info->block_bytes, &b);
			product = (double)b.d * b.scale[j / 16] * b.q[j] * x;
			min = (double)b.dmin * b.min[j / 16] * x;
		}
		sum += product - min;
		*magnitudes += fabs(product) + fabs(min);
	}
	return sum;
}

static size_t
element_align(enum tensor_type t)
{
	return t == TYPE_F32 ? 4 : t == TYPE_F16 || t == TYPE_BF16 ? 2 : 1;
}

static bool
try_dot(struct check *c, enum tensor_type t, size_t n, enum shape shape,
    int kind, bool unit)
{
	struct rng r = rng_of(c, n * 64 + t, (uint64_t)shape * 8 +
	    (uint64_t)kind * 2 + unit);
	enum act_form form = type_info(t)->act;
	enum place place = (enum place)(rng_u64(&r) % PLACE_LIMIT);
	uint8_t *w = area_get(AREA_W, place, type_row_bytes(t, n),
	    element_align(t));
	void *act = area_get(AREA_X, place, act_row_bytes(form, n), 4);
	double want, magnitudes;
	float got;

	try_input(c, "n %zu, %s activations, blocks %d, %s scales", n,
	    shape_name(shape), kind, unit ? "unit" : "random");
	fill_blocks(&r, t, w, n, kind, unit);
	fill_act(c, &r, form, shape, unit, act, n);
	got = c->now->dot[t](w, act, n);
	want = oracle(c, t, w, act, n, &magnitudes);
	if (unit && magnitudes < 0x1p24 && (double)got != want)
		return fail(c, "got %.9g, want the integer %.9g", (double)got,
		    want);
	if (!(fabs(got - want) <= sum_tolerance(n, magnitudes)))
		return fail(c, "got %.9g, want %.9g within %.3g", (double)got,
		    want, sum_tolerance(n, magnitudes));
	return areas_whole(c);
}

bool
check_dot(struct check *c, enum tensor_type t)
{
	static const size_t blocks[] = { 0, 1, 2, 3, 4, 5, 7, 9, 16 };
	size_t block_n = type_info(t)->block_n, i, n, count;
	int shape, kind;

	count = block_n == 1 ? n_odd_lengths : N_ELEMENTS(blocks);
	for (i = 0; i < count; i++) {
		n = block_n == 1 ? odd_lengths[i] : blocks[i] * block_n;
		for (shape = 0; shape < SHAPE_LIMIT; shape++)
			for (kind = 0; kind < 4; kind++)
				if (!try_dot(c, t, n, shape, kind, false) ||
				    !try_dot(c, t, n, shape, kind, true))
					return false;
	}
	return true;
}

bool
check_unpack(struct check *c, enum tensor_type t)
{
	const struct type_info *info = type_info(t);
	float want[MAX_N], *got;
	uint8_t *w;
	size_t i, n;

	for (i = 0; i < 64; i++) {
		struct rng r = rng_of(c, i, t);

		n = (i % 16) * info->block_n;
		try_input(c, "n %zu, blocks %d", n, (int)(i % 4));
		w = area_get(AREA_W, i % PLACE_LIMIT, type_row_bytes(t, n),
		    element_align(t));
		got = area_get(AREA_OUT, i % PLACE_LIMIT, n * sizeof(*got), 4);
		fill_blocks(&r, t, w, n, (int)(i % 4), false);
		c->ref->unpack[t](w, want, n);
		c->now->unpack[t](w, got, n);
		if (memcmp(got, want, n * sizeof(*got)) != 0)
			return fail(c, "values differ from ref");
		if (!areas_whole(c))
			return false;
	}
	return true;
}

/* The two float dots have their own pointers; the types' dots are checked
 * with the same inputs. */
static bool
check_float_dot(struct check *c, enum tensor_type t, kern_dot_fn fn)
{
	struct kern_table table = *c->now;
	struct check as_type = *c;
	bool ok;

	table.dot[t] = fn;
	as_type.now = &table;
	ok = check_dot(&as_type, t);
	memcpy(c->what, as_type.what, sizeof(c->what));
	memcpy(c->why, as_type.why, sizeof(c->why));
	return ok;
}

static const struct kern_table *float_table;

static float
call_dot_f32(const void *w, const void *act, size_t n)
{
	return float_table->dot_f32(w, act, n);
}

bool
check_dot_f32(struct check *c)
{
	float_table = c->now;
	return check_float_dot(c, TYPE_F32, call_dot_f32);
}

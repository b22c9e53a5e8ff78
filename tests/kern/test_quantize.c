/* SPDX-License-Identifier: MIT */
/*
 * Rows to blocks, for every type: how far the values may move, that quantising
 * what was unpacked changes nothing where that must hold, what can't be
 * stored, and the very bytes.  The hashes of the bytes were taken when all 13
 * quantised types gave other software's blocks exactly (it/b60-quantize.t
 * compares with those where they are).
 */
#include "config.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "kernels/kernels.h"
#include "kernels/quantize.h"

#define N	4096
#define ROW	1024

static int n_tests, n_failed;

BM_PRINTF(2, 3) static void
ok(int good, const char *fmt, ...)
{
	va_list ap;

	printf("%s %d - ", good ? "ok" : "not ok", ++n_tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	n_failed += !good;
}

/* What a type is held to.  error: the largest root mean square error over
 * that of the values, for normally distributed ones; the figures are some 3 %
 * above what the searches reach.  keeps: unpacked values quantise to the same
 * bytes. */
struct bound {
	enum tensor_type type;
	double		 error;
	int		 keeps;
	uint32_t	 hash;
};

static const struct bound bounds[] = {
#define B(t, e, k, h) { TYPE_##t, e, k, h },
	B(F32, 0, 1, 0x85dced41)
	B(F16, 0.00022, 1, 0x0ce48423)
	B(BF16, 0.00177, 1, 0x4a3530b1)
	B(Q4_0, 0.0883, 1, 0xc6221fe7)
	B(Q4_1, 0.0819, 1, 0xd71e7d19)
	B(Q5_0, 0.0437, 1, 0xd4650b30)
	B(Q5_1, 0.0396, 1, 0x469bd137)
	B(Q8_0, 0.0055, 1, 0x31f733c8)
	B(Q2_K, 0.307, 0, 0xe9ecf017)
	B(Q3_K, 0.158, 0, 0x05b08171)
	B(Q4_K, 0.0746, 0, 0x4735a80b)
	B(Q5_K, 0.0377, 0, 0x97088dff)
	B(Q6_K, 0.0188, 0, 0xdac1aa9d)
	B(IQ4_NL, 0.0784, 0, 0xcf8a64a0)
	B(IQ4_XS, 0.079, 0, 0xebbe1afc)
	B(MXFP4, 0.1171, 1, 0xd4844583)
#undef B
};

static const char *
name_of(enum tensor_type t)
{
	return type_info(t)->name;
}

/* Sums of twelve uniform numbers: exact in single precision, so the same
 * everywhere, and nearly normal. */
static void
fill(float *x, size_t n, float scale)
{
	uint32_t state = 12345, sum;
	size_t i;
	int j;

	for (i = 0; i < n; i++) {
		for (sum = j = 0; j < 12; j++) {
			state = state * 1664525 + 1013904223;
			sum += state >> 16;
		}
		x[i] = ((float)sum - 393210) * 0x1p-16f * scale;
	}
}

static uint8_t *
quantize_all(enum tensor_type t, const float *x, const float *importance,
    size_t *n_bytes)
{
	size_t row = type_row_bytes(t, ROW), i;
	uint8_t *out;

	*n_bytes = row * (N / ROW);
	out = xcalloc(*n_bytes, 1);
	for (i = 0; i < N / ROW; i++)
		if (quantize_row(t, x + i * ROW, importance, out + i * row,
		    ROW) != 0)
			ok(0, "%s takes row %zu", name_of(t), i);
	return out;
}

static void
unpack(enum tensor_type t, const uint8_t *w, float *x)
{
	kern->unpack[t](w, x, N);
}

static uint32_t
fnv1a(const uint8_t *p, size_t n)
{
	uint32_t h = 2166136261;

	while (n-- > 0)
		h = (h ^ *p++) * 16777619;
	return h;
}

/* Of got against want, over the size of want; importance repeats a row. */
static double
error_of(const float *got, const float *want, const float *importance)
{
	double e, w, error = 0, size = 0;
	size_t i;

	for (i = 0; i < N; i++) {
		w = importance != NULL ? (double)importance[i % ROW] : 1;
		e = (double)got[i] - (double)want[i];
		error += w * e * e;
		size += w * (double)want[i] * (double)want[i];
	}
	return sqrt(error / size);
}

static void
check_values(const struct bound *b, const float *x)
{
	size_t n_bytes, again_bytes;
	uint8_t *w = quantize_all(b->type, x, NULL, &n_bytes), *again;
	float *y = xcalloc(N, sizeof(*y));
	double error;

	unpack(b->type, w, y);
	error = error_of(y, x, NULL);
	ok(error <= b->error, "%s: error %.5f, at most %.5f",
	    name_of(b->type), error, b->error);
	ok(fnv1a(w, n_bytes) == b->hash, "%s: the bytes are those known, "
	    "0x%08x", name_of(b->type), fnv1a(w, n_bytes));
	again = quantize_all(b->type, y, NULL, &again_bytes);
	if (b->keeps)
		ok(memcmp(w, again, n_bytes) == 0,
		    "%s: unpacked and quantised again, the same bytes",
		    name_of(b->type));
	free(again);
	free(w);
	free(y);
}

/* Values of which nothing can be left, and values of one sort. */
static void
check_flat(enum tensor_type t, float value, const char *what)
{
	float *x = xcalloc(N, sizeof(*x)), *y = xcalloc(N, sizeof(*y));
	size_t i, n_bytes, bad = 0;
	uint8_t *w;

	for (i = 0; i < N; i++)
		x[i] = value;
	w = quantize_all(t, x, NULL, &n_bytes);
	unpack(t, w, y);
	for (i = 0; i < N; i++)
		bad += !(fabsf(y[i] - value) <= 0.08f * fabsf(value) + 1e-7f);
	ok(bad == 0, "%s: %s come back", name_of(t), what);
	free(w);
	free(x);
	free(y);
}

static void
check_refused(enum tensor_type t, float value, const char *what)
{
	float *x = xcalloc(ROW, sizeof(*x));
	uint8_t *out = xcalloc(type_row_bytes(t, ROW), 1);

	fill(x, ROW, 1);
	x[777] = value;
	ok(quantize_row(t, x, NULL, out, ROW) == BM_ELIMIT,
	    "%s: %s is refused", name_of(t), what);
	free(x);
	free(out);
}

static void
check_edges(enum tensor_type t)
{
	check_flat(t, 0, "zeros");
	check_flat(t, 1e-41f, "denormals");
	check_flat(t, -1e-20f, "tiny values");
	check_flat(t, 3, "equal values");
	check_flat(t, -3, "equal negative values");
	check_refused(t, INFINITY, "an infinity");
	check_refused(t, -NAN, "a NaN");
	/* F32 holds anything finite, MXFP4 has the exponents for it */
	if (t == TYPE_F32 || t == TYPE_MXFP4)
		return;
	check_refused(t, FLT_MAX, "the largest float");
	if (t != TYPE_BF16)
		check_refused(t, -1e12f, "a value beyond the scale");
}

/* With columns that matter more, these get nearer and the rest pays. */
static void
check_importance(enum tensor_type t, const float *x)
{
	float importance[ROW], *y = xcalloc(N, sizeof(*y));
	double plain, weighted;
	size_t i, n_bytes;
	uint8_t *w;

	for (i = 0; i < ROW; i++)
		importance[i] = i % 5 == 0 ? 10 : 0.1f;
	w = quantize_all(t, x, NULL, &n_bytes);
	unpack(t, w, y);
	plain = error_of(y, x, importance);
	free(w);
	w = quantize_all(t, x, importance, &n_bytes);
	unpack(t, w, y);
	weighted = error_of(y, x, importance);
	ok(weighted < plain * 0.97, "%s: weighted error %.5f, %.5f without "
	    "weights", name_of(t), weighted, plain);
	free(w);
	free(y);
}

int
main(void)
{
	float *x = xcalloc(N, sizeof(*x));
	struct cause cause;
	size_t i;

	if (kern_init_level("ref", &cause) != 0) {
		printf("Bail out! %s\n", cause.text);
		return 1;
	}
	fill(x, N, 0.02f);
	for (i = 0; i < N_ELEMENTS(bounds); i++) {
		enum tensor_type t = bounds[i].type;

		check_values(&bounds[i], x);
		check_edges(t);
		if (type_info(t)->block_n > 1 && t != TYPE_Q8_0 &&
		    t != TYPE_MXFP4)
			check_importance(t, x);
		ok(!quantize_fits(t, type_info(t)->block_n - 1) &&
		    quantize_fits(t, 2 * type_info(t)->block_n),
		    "%s: rows are whole blocks", name_of(t));
	}
	free(x);
	printf("1..%d\n", n_tests);
	return n_failed != 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Inputs and guarded memory for checkkern.
 */
#include "config.h"

#include "check.h"

#include <sys/mman.h>

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define AREA_BYTES	(1u << 20)
#define CANARY_BYTES	256
#define CANARY		0xa5

const size_t odd_lengths[] = {
	0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 63, 65, 127, 129, 1023
};
const size_t n_odd_lengths = N_ELEMENTS(odd_lengths);

static struct area {
	uint8_t	*base, *p;
	size_t	 before, bytes, after;
} areas[AREA_LIMIT];

void
try_input(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->what, sizeof(c->what), fmt, ap);
	va_end(ap);
}

bool
fail(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	return false;
}

uint64_t
rng_u64(struct rng *r)
{
	uint64_t z = r->s += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

float
rng_float(struct rng *r)
{
	return (float)(rng_u64(r) >> 40) * 0x1p-23f - 1;
}

struct rng
rng_of(const struct check *c, uint64_t a, uint64_t b)
{
	struct rng r = { c->seed };

	r.s = rng_u64(&r) ^ a;
	r.s = rng_u64(&r) ^ b;
	return r;
}

const char *
shape_name(enum shape s)
{
	static const char *const names[SHAPE_LIMIT] = {
		"random", "zero", "equal", "alternating", "large", "tiny",
		"denormal", "mixed magnitudes", "one outlier",
		"bell"
	};

	return names[s];
}

static float
bell(struct rng *r)
{
	float sum = 0;
	int i;

	for (i = 0; i < 8; i++)
		sum += rng_float(r);
	return sum;
}

static float
shaped(struct rng *r, enum shape s, size_t i)
{
	switch (s) {
	case SHAPE_ZERO:
		return i % 3 == 1 ? -0.0f : 0.0f;
	case SHAPE_EQUAL:
		return 0.7f;
	case SHAPE_ALTERNATING:
		return i % 2 == 0 ? 1.5f : -1.5f;
	case SHAPE_LARGE:
		return rng_float(r) * 1e17f;
	case SHAPE_TINY:	/* about where quantisation gives up */
		return rng_float(r) * 0x1.04p-100f;
	case SHAPE_DENORMAL:
		return rng_float(r) * 1e-39f;
	case SHAPE_MIXED:
		return ldexpf(rng_float(r), (int)(rng_u64(r) % 40) - 20);
	case SHAPE_ONE_OUTLIER:
		return rng_float(r) * (i % 61 == 13 ? 1000.0f : 1.0f);
	case SHAPE_BELL:	/* as activations are */
		return bell(r);
	case SHAPE_RANDOM:
	case SHAPE_LIMIT:
		break;
	}
	return rng_float(r);
}

void
fill_floats(struct rng *r, enum shape s, float *x, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		x[i] = shaped(r, s, i);
}

static void
area_map(struct area *a)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *p = mmap(NULL, AREA_BYTES + 2 * page, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED ||
	    mprotect(p + page, AREA_BYTES, PROT_READ | PROT_WRITE) != 0) {
		printf("Bail out! no memory\n");
		exit(1);
	}
	a->base = p + page;
}

void *
area_get(int area, enum place place, size_t bytes, size_t align)
{
	struct area *a = &areas[area];
	size_t off = place == PLACE_OFF_1 ? align : 3 * align;

	if (a->base == NULL)
		area_map(a);
	if (bytes + 2 * CANARY_BYTES + 3 * align > AREA_BYTES) {
		printf("Bail out! an input of %zu bytes\n", bytes);
		exit(1);
	}
	a->bytes = bytes;
	a->before = a->after = CANARY_BYTES;
	a->p = a->base + CANARY_BYTES + off;
	if (place == PLACE_END) {
		a->p = a->base + AREA_BYTES - bytes;
		a->after = 0;
	}
	memset(a->p - a->before, CANARY, a->before + bytes + a->after);
	return a->p;
}

bool
areas_whole(struct check *c)
{
	const struct area *a;
	size_t i;

	for (a = areas; a < areas + AREA_LIMIT; a++) {
		for (i = 1; a->p != NULL && i <= a->before; i++)
			if (a->p[-(ptrdiff_t)i] != CANARY)
				return fail(c, "wrote %zu bytes before "
				    "buffer %d", i, (int)(a - areas));
		for (i = 0; a->p != NULL && i < a->after; i++)
			if (a->p[a->bytes + i] != CANARY)
				return fail(c, "wrote %zu bytes past "
				    "buffer %d", i + 1, (int)(a - areas));
	}
	return true;
}

double
sum_tolerance(size_t n, double sum_of_magnitudes)
{
	return ((double)n / 32 + 16) * 0x1p-24 * sum_of_magnitudes + 1e-34;
}

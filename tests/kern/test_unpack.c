/* SPDX-License-Identifier: MIT */
/*
 * Unpacking against golden blocks: for every type the values of TYPE.raw are
 * those of TYPE.f32, exactly, at every level this machine has.  The data are
 * in $BM_SHARED; without it there is nothing to compare and the test skips.
 */
#include "config.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/kernels.h"

static int n_tests;

static void *
read_file(const char *dir, const char *type, const char *suffix, size_t *size)
{
	char path[PATH_MAX];
	FILE *f;
	long len;
	void *data;

	snprintf(path, sizeof(path), "%s/golden/dequant/%s.%s", dir, type,
	    suffix);
	f = fopen(path, "re");
	if (f == NULL)
		return NULL;
	fseek(f, 0, SEEK_END);
	len = ftell(f);
	rewind(f);
	data = xmalloc((size_t)len + 1);
	*size = fread(data, 1, (size_t)len, f);
	fclose(f);
	return data;
}

/* Equal as numbers; a NaN equals a NaN. */
static int
same(float a, float b)
{
	return a == b || (isnan(a) && isnan(b));
}

static void
check(const char *level, enum tensor_type t, const uint8_t *raw,
    size_t raw_bytes, const float *want, size_t n)
{
	const struct type_info *info = type_info(t);
	float *got = xcalloc(n, sizeof(*got));
	size_t i = 0;

	if (n == 0 || n % info->block_n != 0 ||
	    type_row_bytes(t, n) != raw_bytes) {
		printf("not ok %d - %s %s: %zu bytes for %zu values\n",
		    ++n_tests, level, info->name, raw_bytes, n);
		free(got);
		return;
	}
	kern->unpack[t](raw, got, n);
	while (i < n && same(got[i], want[i]))
		i++;
	printf("%s %d - %s unpack %s, %zu values\n", i == n ? "ok" : "not ok",
	    ++n_tests, level, info->name, n);
	if (i < n)
		printf("# element %zu: got %.9g, want %.9g\n", i,
		    (double)got[i], (double)want[i]);
	free(got);
}

static void
check_type(const char *shared, const char *level, enum tensor_type t)
{
	size_t raw_bytes, want_bytes;
	uint8_t *raw;
	float *want;

	raw = read_file(shared, type_info(t)->name, "raw", &raw_bytes);
	want = read_file(shared, type_info(t)->name, "f32", &want_bytes);
	if (raw == NULL || want == NULL)
		printf("not ok %d - %s %s: no golden blocks\n", ++n_tests,
		    level, type_info(t)->name);
	else
		check(level, t, raw, raw_bytes, want,
		    want_bytes / sizeof(*want));
	free(raw);
	free(want);
}

static void
check_level(const char *shared, const char *level)
{
	struct cause cause;
	uint32_t t;

	if (kern_init_level(level, &cause) != 0) {
		printf("ok %d - %s # SKIP %s\n", ++n_tests, level, cause.text);
		return;
	}
	for (t = 0; t < TYPE_LIMIT; t++)
		if (type_info(t) != NULL)
			check_type(shared, level, t);
}

int
main(void)
{
	const char *shared = getenv("BM_SHARED"), *level;
	char path[PATH_MAX];
	size_t i;
	FILE *f;

	if (shared == NULL || *shared == '\0') {
		printf("1..0 # SKIP BM_SHARED is not set\n");
		return 0;
	}
	snprintf(path, sizeof(path), "%s/golden/golden.json", shared);
	f = fopen(path, "re");
	if (f == NULL) {
		printf("1..0 # SKIP no golden data under BM_SHARED\n");
		return 0;
	}
	fclose(f);
	for (i = 0; (level = kern_level_name(i)) != NULL; i++)
		check_level(shared, level);
	printf("1..%d\n", n_tests);
	return 0;
}

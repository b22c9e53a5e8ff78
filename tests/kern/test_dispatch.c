/* SPDX-License-Identifier: MIT */
/*
 * Types and levels: sizes and names agree with types.def, BIGMODEL_CPU chooses
 * the level and refuses what there is not, no entry of any table is empty.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

/* Three for each type, and the others. */
enum {
	N_ENTRIES = 0
#define T(sym, id, name, n, bytes, act) + 3
#include "kernels/types.def"
#undef T
#define K(name, ret, args, what) + 1
#include "kernels/kernels.def"
#undef K
};

static int n_tests, n_failed;

static void
result(int ok, const char *what)
{
	printf("%s %d - %s\n", ok ? "ok" : "not ok", ++n_tests, what);
	n_failed += !ok;
}

static void
types(void)
{
	uint32_t id, n = 0;
	int ok = 1;

	for (id = 0; id < TYPE_LIMIT; id++)
		if (type_info(id) != NULL) {
			n++;
			ok = ok && type_parse(type_info(id)->name) == (int)id;
		}
	result(ok && n == 16, "16 types, each found by its name");
	result(type_parse("q4_k") == TYPE_Q4_K, "names in any case");
	result(type_parse("Q4") == -1 && type_parse("") == -1,
	    "no type by half a name");
	result(type_info(TYPE_LIMIT) == NULL && type_info(4) == NULL &&
	    type_info(UINT32_MAX) == NULL, "no type beyond the table");
	result(type_row_bytes(TYPE_Q4_K, 512) == 288 &&
	    type_row_bytes(TYPE_F16, 3) == 6 &&
	    type_row_bytes(TYPE_Q8_0, 96) == 102, "bytes of a row");
}

/* Every entry has a level, ref and the one in force being the only ones. */
static void
table_is_full(const char *level)
{
	const char *from, *name;
	size_t i, n = 0, own = 0;
	char what[64];

	for (i = 0; (from = kern_describe(i, &name)) != NULL; i++) {
		n++;
		own += strcmp(from, level) == 0;
		if (*name == '\0')
			own = 0;
	}
	snprintf(what, sizeof(what), "%s: %zu entries, %zu of its own", level,
	    n, own);
	result(n == N_ENTRIES && own > 0, what);
}

static void
levels(void)
{
	const char *level;
	struct cause cause;
	size_t i;

	for (i = 0; (level = kern_level_name(i)) != NULL; i++) {
		setenv("BIGMODEL_CPU", level, 1);
		if (kern_init(&cause) != 0) {
			printf("ok %d - %s # SKIP %s\n", ++n_tests, level,
			    cause.text);
			continue;
		}
		result(strcmp(kern_level(), level) == 0, level);
		table_is_full(level);
	}
}

static void
choice(void)
{
	struct cause cause = { 0, "" };
	const char *before;

	setenv("BIGMODEL_CPU", "ref", 1);
	result(kern_init(&cause) == 0 && strcmp(kern_level(), "ref") == 0,
	    "BIGMODEL_CPU=ref");
	before = kern_level();
	setenv("BIGMODEL_CPU", "quantum", 1);
	result(kern_init(&cause) == BM_EUNSUP &&
	    strstr(cause.text, "BIGMODEL_CPU") != NULL &&
	    strstr(cause.text, "quantum") != NULL,
	    "a level there is not is refused by name");
	result(strcmp(kern_level(), before) == 0, "and the old one stays");
	unsetenv("BIGMODEL_CPU");
	result(kern_init(&cause) == 0, "the best level without it");
}

int
main(void)
{
	types();
	levels();
	choice();
	printf("1..%d\n", n_tests);
	return n_failed != 0;
}

/* SPDX-License-Identifier: MIT */
/* Made-up machines: which CPUs nodes have, and where workers go. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "master/numa.h"

#define SET_BYTES (NUMA_CPUS_MAX / 8)

static void
test_parse(void **state)
{
	static const char *const bad[] = { "x", "1-", "-1", "3-1", "1,", ",1",
	    "1 2", "4096", "0-4096", "99999999999999999999", "1-2-3" };
	unsigned char got[SET_BYTES], want[SET_BYTES] = { 0x0f, 0x01 };

	assert_int_equal(numa_parse("0-3,8\n", got), 0);
	assert_memory_equal(got, want, SET_BYTES);
	assert_int_equal(numa_parse("8,0-2,1-3", got), 0);
	assert_memory_equal(got, want, SET_BYTES);
	memset(want, 0, sizeof(want));
	assert_int_equal(numa_parse("\n", got), 0);
	assert_memory_equal(got, want, SET_BYTES);
	want[SET_BYTES - 1] = 0x80;
	assert_int_equal(numa_parse("4095", got), 0);
	assert_memory_equal(got, want, SET_BYTES);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_true(numa_parse(bad[i], got) < 0);
}

static void
add(struct numa *n, int id, const char *cpus, const char *granted)
{
	unsigned char c[SET_BYTES], g[SET_BYTES];

	assert_int_equal(numa_parse(cpus, c), 0);
	assert_int_equal(numa_parse(granted, g), 0);
	numa_add(n, id, c, g);
}

/* Place so many workers and tell how many each node got. */
static void
place(const struct numa *n, size_t n_workers, size_t got[NUMA_NODES_MAX])
{
	memset(got, 0, NUMA_NODES_MAX * sizeof(*got));
	for (size_t i = 0; i < n_workers; i++) {
		const struct numa_node *node = numa_place(n, got);

		assert_non_null(node);
		got[node - n->node]++;
	}
}

static void
test_place(void **state)
{
	struct numa n = { 0 };
	size_t got[NUMA_NODES_MAX] = { 0 };

	assert_null(numa_place(&n, got));
	add(&n, 0, "0-3,8-11", "0-15");
	assert_null(numa_place(&n, got));
	assert_int_equal(numa_sharing(&n, 5, 8), 5);
	/* Memory without CPUs, and CPUs that others have. */
	add(&n, 1, "", "0-15");
	add(&n, 2, "16-19", "0-15");
	assert_null(numa_place(&n, got));
	add(&n, 3, "4-7,12-19", "0-15");
	assert_int_equal(n.n_nodes, 2);
	assert_int_equal(n.node[1].id, 3);
	assert_int_equal(n.node[1].n_cpus, 8);
	assert_true(numa_has(&n.node[1], 12));
	assert_false(numa_has(&n.node[1], 16));
	assert_false(numa_has(&n.node[1], 0));
	assert_ptr_equal(numa_place(&n, got), &n.node[0]);
	place(&n, 5, got);
	assert_int_equal(got[0], 3);
	assert_int_equal(got[1], 2);
	assert_int_equal(numa_sharing(&n, 5, 16), 3);
	assert_int_equal(numa_sharing(&n, 5, 8), 5);
	/* One that lost its worker is next. */
	got[1] = 1;
	assert_ptr_equal(numa_place(&n, got), &n.node[1]);
}

/* A node of which most CPUs belong to others gets fewer. */
static void
test_uneven(void **state)
{
	struct numa n = { 0 };
	size_t got[NUMA_NODES_MAX];

	add(&n, 0, "0-7", "0-1,8-15");
	add(&n, 1, "8-15", "0-1,8-15");
	place(&n, 5, got);
	assert_int_equal(got[0], 1);
	assert_int_equal(got[1], 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_uneven),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

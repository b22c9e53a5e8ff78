/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "master/numa.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NODES_DIR	"/sys/devices/system/node"
#define LIST_BYTES	4096

static bool
get(const unsigned char *cpus, int cpu)
{
	return cpu >= 0 && cpu < NUMA_CPUS_MAX &&
	    (cpus[cpu / 8] >> (cpu % 8) & 1) != 0;
}

static void
set(unsigned char *cpus, int cpu)
{
	cpus[cpu / 8] |= (unsigned char)(1u << (cpu % 8));
}

/* A number below NUMA_CPUS_MAX; *p moves behind it. */
static int
number(const char **p)
{
	char *end;
	long n;

	if (!isdigit((unsigned char)**p))
		return BM_EFORMAT;
	n = strtol(*p, &end, 10);
	*p = end;
	return n < NUMA_CPUS_MAX ? (int)n : BM_EFORMAT;
}

int
numa_parse(const char *list, unsigned char cpus[NUMA_CPUS_MAX / 8])
{
	const char *p = list;
	int first, last;

	memset(cpus, 0, NUMA_CPUS_MAX / 8);
	if (*p == '\0' || *p == '\n')
		return 0;
	for (;;) {
		if ((first = last = number(&p)) < 0)
			return first;
		if (*p == '-') {
			p++;
			if ((last = number(&p)) < first)
				return BM_EFORMAT;
		}
		for (int cpu = first; cpu <= last; cpu++)
			set(cpus, cpu);
		if (*p == '\0' || *p == '\n')
			return 0;
		if (*p++ != ',')
			return BM_EFORMAT;
	}
}

bool
numa_has(const struct numa_node *node, int cpu)
{
	return get(node->cpus, cpu);
}

void
numa_add(struct numa *n, int id, const unsigned char cpus[NUMA_CPUS_MAX / 8],
    const unsigned char granted[NUMA_CPUS_MAX / 8])
{
	struct numa_node *node = &n->node[n->n_nodes];

	if (n->n_nodes == NUMA_NODES_MAX)
		return;
	*node = (struct numa_node){ .id = id };
	for (int cpu = 0; cpu < NUMA_CPUS_MAX; cpu++)
		if (get(cpus, cpu) && get(granted, cpu)) {
			set(node->cpus, cpu);
			node->n_cpus++;
		}
	n->n_nodes += node->n_cpus > 0;
}

const struct numa_node *
numa_place(const struct numa *n, const size_t n_workers[NUMA_NODES_MAX])
{
	size_t best = 0;

	if (n->n_nodes < 2)
		return NULL;
	/* Fewest workers a CPU, and the first of equals: in turn. */
	for (size_t i = 1; i < n->n_nodes; i++)
		if ((n_workers[i] + 1) * n->node[best].n_cpus <
		    (n_workers[best] + 1) * n->node[i].n_cpus)
			best = i;
	return &n->node[best];
}

size_t
numa_sharing(const struct numa *n, size_t n_all, size_t n_granted)
{
	size_t n_cpus = 0;

	for (size_t i = 0; i < n->n_nodes; i++)
		n_cpus += n->node[i].n_cpus;
	return n->n_nodes < 2 || n_granted < n_cpus ? n_all :
	    (n_all + n->n_nodes - 1) / n->n_nodes;
}

/* ---- this machine ---- */

static bool
read_list(const char *path, unsigned char cpus[NUMA_CPUS_MAX / 8])
{
	char list[LIST_BYTES];
	FILE *f = fopen(path, "re");
	bool ok;

	if (f == NULL)
		return false;
	ok = fgets(list, sizeof(list), f) != NULL &&
	    numa_parse(list, cpus) == 0;
	fclose(f);
	return ok;
}

static void
read_granted(unsigned char granted[NUMA_CPUS_MAX / 8])
{
	cpu_set_t *all = CPU_ALLOC(NUMA_CPUS_MAX);
	size_t bytes = CPU_ALLOC_SIZE(NUMA_CPUS_MAX);

	memset(granted, 0, NUMA_CPUS_MAX / 8);
	if (all == NULL)
		return;
	CPU_ZERO_S(bytes, all);
	if (sched_getaffinity(0, bytes, all) == 0)
		for (int cpu = 0; cpu < NUMA_CPUS_MAX; cpu++)
			if (CPU_ISSET_S((size_t)cpu, bytes, all))
				set(granted, cpu);
	CPU_FREE(all);
}

void
numa_read(struct numa *out)
{
	unsigned char granted[NUMA_CPUS_MAX / 8], cpus[NUMA_CPUS_MAX / 8];
	unsigned char online[NUMA_CPUS_MAX / 8];
	char path[128];

	memset(out, 0, sizeof(*out));
	if (!read_list(NODES_DIR "/online", online))
		return;
	read_granted(granted);
	for (int id = 0; id < NUMA_CPUS_MAX; id++) {
		snprintf(path, sizeof(path), NODES_DIR "/node%d/cpulist", id);
		if (get(online, id) && read_list(path, cpus))
			numa_add(out, id, cpus, granted);
	}
}

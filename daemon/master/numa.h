/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_NUMA_H
#define BM_MASTER_NUMA_H

/*
 * Memory nodes, and which of them a worker gets: its threads run on the CPUs
 * of one, and so its memory is there.  Nothing is placed where there is only
 * one node.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define NUMA_CPUS_MAX	4096
#define NUMA_NODES_MAX	64

struct numa_node {
	int		 id;
	size_t		 n_cpus;	/* granted ones */
	unsigned char	 cpus[NUMA_CPUS_MAX / 8];
};

struct numa {
	size_t		 n_nodes;	/* with CPUs that are granted */
	struct numa_node node[NUMA_NODES_MAX];
};

/* "0-3,8" as a set of bits; BM_EFORMAT for what is no such list or beyond
 * NUMA_CPUS_MAX.  An empty list is a set of none. */
int	 numa_parse(const char *list, unsigned char cpus[NUMA_CPUS_MAX / 8])
	    BM_MUST_CHECK;
bool	 numa_has(const struct numa_node *node, int cpu);
/* Take up a node of which only the granted CPUs count; one without is left
 * out. */
void	 numa_add(struct numa *n, int id,
	    const unsigned char cpus[NUMA_CPUS_MAX / 8],
	    const unsigned char granted[NUMA_CPUS_MAX / 8]);
/* Where the next worker of a model goes: the node with the fewest of them for
 * its CPUs; n_workers[i] are on node i.  NULL where there is no choice. */
const struct numa_node *numa_place(const struct numa *n,
	    const size_t n_workers[NUMA_NODES_MAX]);
/* Of n_all workers of a model, so many share the CPUs that one of them sees;
 * all, if a quota grants fewer CPUs than the nodes have. */
size_t	 numa_sharing(const struct numa *n, size_t n_all, size_t n_granted);
/* This machine's. */
void	 numa_read(struct numa *out);

#endif

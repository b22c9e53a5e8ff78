/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_AFFINITY_H
#define BM_GATE_AFFINITY_H

/*
 * Which worker has the begin of a prompt in its prefix cache?  The gate knows
 * no tokens, so it cuts the prompt as sent into blocks of bytes and hashes them
 * in a chain: the hash of a block stands for everything up to its end.  Of each
 * worker it remembers the blocks that were sent there lately.  That is a guess,
 * good enough to choose by: a wrong one costs the computing of a prefix.
 *
 * Pure; struct affinity is 32 KiB a worker, a key at most 4 KiB a request.
 */

#include <stddef.h>
#include <stdint.h>

#include "wire/msg.h"

#define AFFINITY_BLOCK		128	/* bytes */
#define AFFINITY_BLOCKS_MAX	512	/* what is beyond does not count */
#define AFFINITY_SETS		1024	/* a power of two */
#define AFFINITY_WAYS		4

/* The chain of a prompt: its whole blocks, from the start. */
struct affinity_key {
	uint64_t	*v;	/* NULL when n is 0; never 0 each */
	size_t		 n;
};

/* What a worker has seen: a block is in the set that its hash chooses, the
 * latest first; the oldest of a set is forgotten.  Zeroed: nothing. */
struct affinity {
	uint64_t	 seen[AFFINITY_SETS][AFFINITY_WAYS];
};

/* Of text, tokens or messages.  *k is overwritten. */
void	 affinity_key_init(struct affinity_key *k, const struct msg_run *run);
void	 affinity_key_fini(struct affinity_key *k);
/* How many of the leading blocks it has seen. */
size_t	 affinity_score(const struct affinity *a,
	    const struct affinity_key *k);
/* It is sent there. */
void	 affinity_note(struct affinity *a, const struct affinity_key *k);

#endif

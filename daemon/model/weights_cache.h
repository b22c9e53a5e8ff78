/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_WEIGHTS_CACHE_H
#define BM_MODEL_WEIGHTS_CACHE_H

/*
 * Where packed weights are kept, so that the workers of a model have one copy
 * of them and only the first has to pack: in a file of the cache directory,
 * or, when that can't be (no directory, no room, an error), in a sealed memfd
 * that all workers of the model are given.
 *
 * The memfd is also their lock: one looks, checks or packs while the others
 * wait (a record lock, which ends with its process), and it tells which file
 * one of them has already read through and found undamaged.
 *
 * Files are named by the model's identity.  A new one appears under its name
 * only when it is whole and on the disk; a wrong one is reported and replaced.
 * Those used longest ago make room when the directory would hold more than
 * max_bytes or the disk would be nearly full, except files that some worker
 * has mapped: each holds a lock on its file (flock).
 */

#include "model/weights_map.h"

/* Find or make the packed weights, as s->plan says. */
int	 weights_cache_open(const struct weights_source *s,
	    struct weights_map *out, struct cause *cause) BM_MUST_CHECK;

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_MAP_H
#define BM_BASE_MAP_H

/* A hash map from u64 (never 0) to a pointer (never NULL): open addressing,
 * linear probing, removal by moving back.  It owns neither side. */

#include <stddef.h>
#include <stdint.h>

struct map_slot {
	uint64_t	 key;
	void		*value;
};

struct map {
	struct map_slot	*slots;
	size_t		 n_slots;	/* a power of two, or 0 */
	size_t		 n;
};

void	 map_init(struct map *m);
void	 map_fini(struct map *m);
/* Adds or replaces. */
void	 map_set(struct map *m, uint64_t key, void *value);
void	*map_get(const struct map *m, uint64_t key);
/* Returns what was there, or NULL. */
void	*map_remove(struct map *m, uint64_t key);
/* Walk: start with *at = 0; NULL at the end.  Do not change the map. */
void	*map_next(const struct map *m, size_t *at);

#endif

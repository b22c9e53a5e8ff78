/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_KV_INDEX_H
#define BM_MODEL_KV_INDEX_H

/*
 * What full KV pages hold: a forest of pages, where a page continues its
 * parent.  (parent, its tokens) names the content of a page, since the parent's
 * name says all that came before.  Lookup goes by hash and then compares, so a
 * collision costs time and never mixes texts.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define KV_NO_PAGE UINT32_MAX	/* parent of a first page; not found */

struct kv_index;

/* For pages 0 .. n_pages - 1; memory is touched as pages are added. */
int	 kv_index_new(size_t n_pages, struct kv_index **out) BM_MUST_CHECK;
void	 kv_index_free(struct kv_index **ix);

bool	 kv_index_has(const struct kv_index *ix, uint32_t page);
/* The page with these KV_PAGE tokens after parent, or KV_NO_PAGE. */
uint32_t kv_index_find(const struct kv_index *ix, uint32_t parent,
	    const uint32_t *tokens);
/*
 * The page after parent that begins with the most of n tokens, and with how
 * many; of many pages only the latest are looked at.
 */
uint32_t kv_index_nearest(const struct kv_index *ix, uint32_t parent,
	    const uint32_t *tokens, size_t n, size_t *n_common);
/* Neither the page nor its content may be there yet, its parent must be. */
void	 kv_index_add(struct kv_index *ix, uint32_t page, uint32_t parent,
	    const uint32_t *tokens);
/* No page may continue it. */
void	 kv_index_remove(struct kv_index *ix, uint32_t page);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_KV_H
#define BM_MODEL_KV_H

/*
 * The KV cache: pages of KV_PAGE positions for all layers, handed to sequences
 * as they grow.  A page may belong to several sequences (a shared prefix), so
 * it counts its owners; only full pages are ever shared.
 *
 * Layout of a page, per layer and key/value head: K as [position][head_dim],
 * then V likewise, in half precision.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define KV_PAGE 32		/* positions */

struct kv_pool;

struct kv_seq {
	uint32_t	*pages;
	size_t		 n_pages;
	size_t		 cap;
	uint32_t	 n_tokens;	/* positions that hold something */
};

/* Address space for n_pages; memory is touched as pages are used. */
int	 kv_pool_new(uint32_t n_layer, uint32_t n_head_kv, uint32_t head_dim,
	    size_t n_pages, struct kv_pool **out, struct cause *cause)
	    BM_MUST_CHECK;
void	 kv_pool_free(struct kv_pool **p);
size_t	 kv_pool_n_pages(const struct kv_pool *p);
size_t	 kv_pool_n_free(const struct kv_pool *p);
size_t	 kv_page_bytes(const struct kv_pool *p);

/* Room for n_tokens positions in all: 0, or BM_ENOMEM when there are too few
 * free pages (nothing is taken then). */
int	 kv_seq_reserve(struct kv_pool *p, struct kv_seq *s, uint32_t n_tokens)
	    BM_MUST_CHECK;
/* Give all pages back and hold nothing. */
void	 kv_seq_clear(struct kv_pool *p, struct kv_seq *s);
/* Keys (values) of one head at position 0 of a page: KV_PAGE rows. */
uint16_t *kv_keys(const struct kv_pool *p, uint32_t page, uint32_t layer,
	    uint32_t head);
uint16_t *kv_values(const struct kv_pool *p, uint32_t page, uint32_t layer,
	    uint32_t head);

#endif

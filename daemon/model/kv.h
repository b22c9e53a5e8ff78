/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_KV_H
#define BM_MODEL_KV_H

/*
 * The KV cache: pages of KV_PAGE positions for all layers, handed to sequences
 * as they grow.  A page may belong to several sequences (a shared prefix), so
 * it counts its owners; only full pages are ever shared.  A pool that keeps
 * prefixes remembers what full pages hold, also after their last owner, until
 * it needs them for something else.
 *
 * A page holds what each layer and key/value head keeps of its positions, head
 * by head; in what form, the kernels say (kernels/attend.h).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kernels/attend.h"

#define KV_PAGE ATTEND_PAGE	/* positions */

/* That hold n_tokens. */
static inline size_t
kv_pages_of(size_t n_tokens)
{
	return n_tokens / KV_PAGE + (n_tokens % KV_PAGE != 0);
}

struct kv_pool;

struct kv_seq {
	uint32_t	*pages;
	size_t		 n_pages;
	size_t		 cap;
	uint32_t	 n_tokens;	/* positions that hold something */
	size_t		 n_shared;	/* pages that others can find */
};

struct kv_shape {
	enum attend_form form;
	uint32_t	 n_layer;
	uint32_t	 n_head_kv;
	uint32_t	 head_dim;
};

/* Of a page; 0 when that is more than the machine can address. */
size_t	 kv_shape_page_bytes(const struct kv_shape *shape);

/* Address space for n_pages; memory is touched as pages are used. */
int	 kv_pool_new(const struct kv_shape *shape, size_t n_pages,
	    struct kv_pool **out, struct cause *cause) BM_MUST_CHECK;
void	 kv_pool_free(struct kv_pool **p);
/* From now on prefixes are kept; before the first sequence. */
int	 kv_pool_keep(struct kv_pool *p, struct cause *cause) BM_MUST_CHECK;
size_t	 kv_pool_n_pages(const struct kv_pool *p);
/* Those without owners, kept ones among them. */
size_t	 kv_pool_n_free(const struct kv_pool *p);
size_t	 kv_page_bytes(const struct kv_pool *p);
const struct kv_shape *kv_pool_shape(const struct kv_pool *p);

/* Room for n_tokens positions in all: 0, or BM_ENOMEM when there are too few
 * free pages (nothing is taken then). */
int	 kv_seq_reserve(struct kv_pool *p, struct kv_seq *s, uint32_t n_tokens)
	    BM_MUST_CHECK;
/* Forget the positions from n_tokens on, which nobody shares; their pages stay
 * reserved. */
void	 kv_seq_truncate(struct kv_seq *s, uint32_t n_tokens);
/* Give all pages back and hold nothing. */
void	 kv_seq_clear(struct kv_pool *p, struct kv_seq *s);

/*
 * Prefixes.  tokens are those of the whole sequence.  Nothing happens in a
 * pool that keeps none.
 */
/* Take on the pages that hold the first n tokens, from the one that s is in,
 * as many as are known; they replace its own. */
void	 kv_seq_adopt(struct kv_pool *p, struct kv_seq *s,
	    const uint32_t *tokens, size_t n);
/* Let others find the pages that are full now. */
void	 kv_seq_share(struct kv_pool *p, struct kv_seq *s,
	    const uint32_t *tokens);
/* Do a and b hold the same full pages, and are in the next one? */
bool	 kv_seq_is_beside(const struct kv_pool *p, const struct kv_seq *a,
	    const struct kv_seq *b);
/* A known page that begins like the one s is in, and how many of the first n
 * tokens of the sequence are in it or before it. */
uint32_t kv_seq_nearest(const struct kv_pool *p, const struct kv_seq *s,
	    const uint32_t *tokens, size_t n, size_t *n_common);
/* Copy such a page, of which n_tokens of the sequence are true, to the one
 * that s is in and has reserved. */
void	 kv_seq_copy(struct kv_pool *p, struct kv_seq *s, uint32_t page,
	    uint32_t n_tokens);

/* What a head keeps of page 0; of later ones it is kv_page_bytes further. */
uint8_t	*kv_head(const struct kv_pool *p, uint32_t layer, uint32_t head);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * One node a page, found through a hash table with chains, and listed by its
 * parent, the latest child first.  The hash of a node is that of its parent
 * mixed with its tokens, begun with a number that clients can't guess: prompts
 * that collide can't be made.
 *
 * Invariant: the parent of a node is a node, until its last child has gone;
 * therefore the number of a page is enough to know the parent by.
 */
#include "config.h"

#include "model/kv_index.h"

#include <sys/random.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/queue.h"
#include "model/kv.h"

/* Children of one parent that a search for the nearest looks at. */
#define MAX_NEAREST	64

struct node {
	LIST_ENTRY(node) sibling;
	LIST_HEAD(, node) children;
	uint64_t	 hash;
	uint32_t	 parent;	/* a page, or KV_NO_PAGE */
	uint32_t	 next;		/* of the chain: a page + 1, or 0 */
	bool		 is_used;
	uint32_t	 tokens[KV_PAGE];
};

struct kv_index {
	struct node	*nodes;		/* by page */
	size_t		 n_pages;
	uint32_t	*chains;	/* a page + 1, or 0 */
	size_t		 n_chains;	/* a power of two */
	struct node	 root;		/* parent of the first pages */
};

int
kv_index_new(size_t n_pages, struct kv_index **out)
{
	struct kv_index *ix = xcalloc(1, sizeof(*ix));

	ix->n_pages = n_pages;
	for (ix->n_chains = 1; ix->n_chains < n_pages; )
		ix->n_chains *= 2;
	ix->nodes = try_calloc(n_pages, sizeof(*ix->nodes));
	ix->chains = try_calloc(ix->n_chains, sizeof(*ix->chains));
	if (ix->nodes == NULL || ix->chains == NULL) {
		kv_index_free(&ix);
		return BM_ENOMEM;
	}
	if (getrandom(&ix->root.hash, sizeof(ix->root.hash),
	    GRND_NONBLOCK) != (ssize_t)sizeof(ix->root.hash))
		ix->root.hash = clock_now_ns();
	*out = ix;
	return 0;
}

void
kv_index_free(struct kv_index **ixp)
{
	struct kv_index *ix = *ixp;

	if (ix == NULL)
		return;
	*ixp = NULL;
	free(ix->nodes);
	free(ix->chains);
	free(ix);
}

bool
kv_index_has(const struct kv_index *ix, uint32_t page)
{
	return ix->nodes[page].is_used;
}

static const struct node *
node_of(const struct kv_index *ix, uint32_t page)
{
	return page == KV_NO_PAGE ? &ix->root : &ix->nodes[page];
}

static struct node *
parent_of(struct kv_index *ix, const struct node *n)
{
	return n->parent == KV_NO_PAGE ? &ix->root : &ix->nodes[n->parent];
}

/* A multiplication spreads a bit upwards, the shift brings it back down. */
static uint64_t
hash_of(const struct kv_index *ix, uint32_t parent, const uint32_t *tokens)
{
	uint64_t h = node_of(ix, parent)->hash;

	for (size_t i = 0; i < KV_PAGE; i += 2)
		h = digest_mix(h, (uint64_t)tokens[i] << 32 | tokens[i + 1]);
	return digest_mix(h, h >> 32);
}

uint32_t
kv_index_find(const struct kv_index *ix, uint32_t parent,
    const uint32_t *tokens)
{
	uint64_t hash = hash_of(ix, parent, tokens);
	uint32_t at = ix->chains[hash & (ix->n_chains - 1)];

	while (at != 0) {
		const struct node *n = &ix->nodes[at - 1];

		if (n->hash == hash && n->parent == parent &&
		    memcmp(n->tokens, tokens, sizeof(n->tokens)) == 0)
			return at - 1;
		at = n->next;
	}
	return KV_NO_PAGE;
}

uint32_t
kv_index_nearest(const struct kv_index *ix, uint32_t parent,
    const uint32_t *tokens, size_t n, size_t *n_common)
{
	const struct node *child, *best = NULL;
	size_t n_seen = 0;

	*n_common = 0;
	n = MEM_MIN(n, (size_t)KV_PAGE);
	LIST_FOREACH(child, &node_of(ix, parent)->children, sibling) {
		size_t i = 0;

		if (n_seen++ == MAX_NEAREST)
			break;
		while (i < n && child->tokens[i] == tokens[i])
			i++;
		if (i > *n_common) {
			best = child;
			*n_common = i;
		}
	}
	return best == NULL ? KV_NO_PAGE : (uint32_t)(best - ix->nodes);
}

void
kv_index_add(struct kv_index *ix, uint32_t page, uint32_t parent,
    const uint32_t *tokens)
{
	struct node *n = &ix->nodes[page];
	uint32_t *chain;

	assert(!n->is_used);
	assert(parent == KV_NO_PAGE || kv_index_has(ix, parent));
	n->hash = hash_of(ix, parent, tokens);
	n->parent = parent;
	n->is_used = true;
	memcpy(n->tokens, tokens, sizeof(n->tokens));
	LIST_INIT(&n->children);
	LIST_INSERT_HEAD(&parent_of(ix, n)->children, n, sibling);
	chain = &ix->chains[n->hash & (ix->n_chains - 1)];
	n->next = *chain;
	*chain = page + 1;
}

void
kv_index_remove(struct kv_index *ix, uint32_t page)
{
	struct node *n = &ix->nodes[page];
	uint32_t *at = &ix->chains[n->hash & (ix->n_chains - 1)];

	assert(n->is_used && LIST_EMPTY(&n->children));
	while (*at != page + 1)
		at = &ix->nodes[*at - 1].next;
	*at = n->next;
	LIST_REMOVE(n, sibling);
	n->is_used = false;
}

/* SPDX-License-Identifier: MIT */
/*
 * The pages are one anonymous mapping, reserved but not touched, so a cache
 * costs what was used of it at its fullest.  A page without owners is blank,
 * kept, or was never used.  Blank ones are a stack: the page given back last,
 * still warm, goes out first.  Kept ones are in the index of prefixes; they go
 * when there are no others, the one given back longest ago first.
 *
 * Invariants: a page is on one of these lists, or beyond n_used, exactly when
 * it has no owner.  Whoever owns a page of the index owns those before it, and
 * gives them back after it; so what goes first has no page that continues it.
 * Pages that a sequence still writes to are its own and in no index.
 */
#include "config.h"

#include "model/kv.h"

#include <sys/mman.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/queue.h"
#include "model/kv_index.h"

struct page {
	TAILQ_ENTRY(page) entry;	/* of a list, without owners */
	uint32_t	 n_owners;
};
TAILQ_HEAD(page_list, page);

struct kv_pool {
	struct kv_shape	 shape;
	uint8_t		*data;
	size_t		 n_bytes;
	size_t		 head_bytes;	/* of a page */
	size_t		 page_bytes;
	struct page	*pages;
	struct page_list blank;
	struct page_list kept;
	size_t		 n_used;	/* the pages below were used once */
	size_t		 n_free;
	size_t		 n_pages;
	struct kv_index	*index;		/* NULL: nothing is kept */
};

size_t
kv_shape_page_bytes(const struct kv_shape *s)
{
	size_t n = attend_head_bytes(s->form, s->head_dim);

	if (!size_mul(n, s->n_head_kv, &n) || !size_mul(n, s->n_layer, &n))
		return 0;
	return n;
}

static int
map_pages(struct kv_pool *p, struct cause *cause)
{
	p->pages = try_calloc(p->n_pages, sizeof(*p->pages));
	if (p->pages == NULL)
		return cause_set(cause, BM_ENOMEM,
		    "no memory for a table of %zu KV pages", p->n_pages);
	p->data = mmap(NULL, p->n_bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->data == MAP_FAILED) {
		p->data = NULL;
		return cause_set(cause, BM_ENOMEM,
		    "no address space for %zu KV pages", p->n_pages);
	}
	TAILQ_INIT(&p->blank);
	TAILQ_INIT(&p->kept);
	p->n_free = p->n_pages;
	return 0;
}

int
kv_pool_new(const struct kv_shape *shape, size_t n_pages,
    struct kv_pool **out, struct cause *cause)
{
	size_t page_bytes = kv_shape_page_bytes(shape), n_bytes;
	struct kv_pool *p;
	int r;

	if (page_bytes == 0 || n_pages == 0 || n_pages > UINT32_MAX ||
	    !size_mul(page_bytes, n_pages, &n_bytes))
		return cause_set(cause, BM_ELIMIT,
		    "a KV cache of %zu pages can't be addressed", n_pages);
	p = xcalloc(1, sizeof(*p));
	p->shape = *shape;
	p->head_bytes = attend_head_bytes(shape->form, shape->head_dim);
	p->page_bytes = page_bytes;
	p->n_pages = n_pages;
	p->n_bytes = n_bytes;
	if ((r = map_pages(p, cause)) != 0) {
		kv_pool_free(&p);
		return r;
	}
	*out = p;
	return 0;
}

int
kv_pool_keep(struct kv_pool *p, struct cause *cause)
{
	if (p->index == NULL && kv_index_new(p->n_pages, &p->index) != 0)
		return cause_set(cause, BM_ENOMEM,
		    "no memory for an index of %zu KV pages", p->n_pages);
	return 0;
}

void
kv_pool_free(struct kv_pool **pp)
{
	struct kv_pool *p = *pp;

	if (p == NULL)
		return;
	*pp = NULL;
	if (p->data != NULL)
		munmap(p->data, p->n_bytes);
	kv_index_free(&p->index);
	free(p->pages);
	free(p);
}

size_t
kv_pool_n_pages(const struct kv_pool *p)
{
	return p->n_pages;
}

size_t
kv_pool_n_free(const struct kv_pool *p)
{
	return p->n_free;
}

size_t
kv_page_bytes(const struct kv_pool *p)
{
	return p->page_bytes;
}

const struct kv_shape *
kv_pool_shape(const struct kv_pool *p)
{
	return &p->shape;
}

/* ---- pages ---- */

/* One of the free pages; there must be one. */
static uint32_t
take_page(struct kv_pool *p)
{
	struct page *page;

	assert(p->n_free > 0);
	p->n_free--;
	if ((page = TAILQ_FIRST(&p->blank)) != NULL) {
		TAILQ_REMOVE(&p->blank, page, entry);
	} else if (p->n_used < p->n_pages) {
		page = &p->pages[p->n_used++];
	} else {
		page = TAILQ_FIRST(&p->kept);
		TAILQ_REMOVE(&p->kept, page, entry);
		kv_index_remove(p->index, (uint32_t)(page - p->pages));
	}
	assert(page->n_owners == 0);
	page->n_owners = 1;
	return (uint32_t)(page - p->pages);
}

static void
give_page(struct kv_pool *p, uint32_t i)
{
	struct page *page = &p->pages[i];

	assert(page->n_owners > 0);
	if (--page->n_owners > 0)
		return;
	p->n_free++;
	if (p->index != NULL && kv_index_has(p->index, i))
		TAILQ_INSERT_TAIL(&p->kept, page, entry);
	else
		TAILQ_INSERT_HEAD(&p->blank, page, entry);
}

/* One more owner of a page of the index. */
static void
join_page(struct kv_pool *p, uint32_t i)
{
	struct page *page = &p->pages[i];

	if (page->n_owners++ > 0)
		return;
	TAILQ_REMOVE(&p->kept, page, entry);
	p->n_free--;
}

/* ---- sequences ---- */

static int
grow_list(struct kv_seq *s, size_t want)
{
	size_t cap = MEM_MAX(want, s->cap * 2);
	uint32_t *pages;

	if (want <= s->cap)
		return 0;
	pages = try_reallocarray(s->pages, cap, sizeof(*pages));
	if (pages == NULL)
		return BM_ENOMEM;
	s->pages = pages;
	s->cap = cap;
	return 0;
}

int
kv_seq_reserve(struct kv_pool *p, struct kv_seq *s, uint32_t n_tokens)
{
	size_t want = kv_pages_of(n_tokens);

	if (want <= s->n_pages)
		return 0;
	if (want - s->n_pages > p->n_free)
		return BM_ENOMEM;
	if (grow_list(s, want) != 0)
		return BM_ENOMEM;
	while (s->n_pages < want)
		s->pages[s->n_pages++] = take_page(p);
	return 0;
}

void
kv_seq_truncate(struct kv_seq *s, uint32_t n_tokens)
{
	assert(n_tokens <= s->n_tokens && s->n_shared * KV_PAGE <= n_tokens);
	s->n_tokens = n_tokens;
}

void
kv_seq_clear(struct kv_pool *p, struct kv_seq *s)
{
	/* Last page first: it is the first to go. */
	while (s->n_pages > 0)
		give_page(p, s->pages[--s->n_pages]);
	free(s->pages);
	*s = (struct kv_seq){ 0 };
}

/* ---- prefixes ---- */

/* What page number `at` of the sequence continues. */
static uint32_t
parent_of(const struct kv_seq *s, size_t at)
{
	return at == 0 ? KV_NO_PAGE : s->pages[at - 1];
}

/* Put a page of the index in the place of s's own, if it has one there. */
static int
put_shared(struct kv_pool *p, struct kv_seq *s, size_t at, uint32_t page)
{
	if (at == s->n_pages) {
		if (grow_list(s, at + 1) != 0)
			return BM_ENOMEM;
		join_page(p, page);
		s->n_pages++;
	} else {
		join_page(p, page);
		give_page(p, s->pages[at]);
	}
	s->pages[at] = page;
	return 0;
}

void
kv_seq_adopt(struct kv_pool *p, struct kv_seq *s, const uint32_t *tokens,
    size_t n)
{
	if (p->index == NULL)
		return;
	for (size_t at = s->n_tokens / KV_PAGE; (at + 1) * KV_PAGE <= n;
	    at++) {
		uint32_t page = kv_index_find(p->index, parent_of(s, at),
		    tokens + at * KV_PAGE);

		if (page == KV_NO_PAGE || put_shared(p, s, at, page) != 0)
			return;
		s->n_tokens = (uint32_t)(at + 1) * KV_PAGE;
		s->n_shared = at + 1;
	}
}

void
kv_seq_share(struct kv_pool *p, struct kv_seq *s, const uint32_t *tokens)
{
	if (p->index == NULL)
		return;
	for (; (s->n_shared + 1) * KV_PAGE <= s->n_tokens; s->n_shared++) {
		size_t at = s->n_shared;
		const uint32_t *its = tokens + at * KV_PAGE;
		uint32_t parent = parent_of(s, at);
		uint32_t page = kv_index_find(p->index, parent, its);

		if (page == KV_NO_PAGE)
			kv_index_add(p->index, s->pages[at], parent, its);
		else if (put_shared(p, s, at, page) != 0)
			return;
	}
}

bool
kv_seq_is_beside(const struct kv_pool *p, const struct kv_seq *a,
    const struct kv_seq *b)
{
	size_t at = a->n_tokens / KV_PAGE;

	return p->index != NULL && b->n_tokens / KV_PAGE == at &&
	    parent_of(a, at) == parent_of(b, at);
}

uint32_t
kv_seq_nearest(const struct kv_pool *p, const struct kv_seq *s,
    const uint32_t *tokens, size_t n, size_t *n_common)
{
	size_t at = s->n_tokens / KV_PAGE;
	uint32_t page;

	*n_common = 0;
	if (p->index == NULL)
		return KV_NO_PAGE;
	page = kv_index_nearest(p->index, parent_of(s, at),
	    tokens + at * KV_PAGE, n - at * KV_PAGE, n_common);
	*n_common += at * KV_PAGE;
	return page;
}

void
kv_seq_copy(struct kv_pool *p, struct kv_seq *s, uint32_t page,
    uint32_t n_tokens)
{
	size_t at = s->n_tokens / KV_PAGE;
	uint32_t own = s->pages[at];

	assert(n_tokens > s->n_tokens && at < s->n_pages);
	assert(p->pages[own].n_owners == 1 && !kv_index_has(p->index, own));
	memcpy(p->data + own * p->page_bytes, p->data + page * p->page_bytes,
	    p->page_bytes);
	s->n_tokens = n_tokens;
}

uint8_t *
kv_head(const struct kv_pool *p, uint32_t layer, uint32_t head)
{
	return p->data + ((size_t)layer * p->shape.n_head_kv + head) *
	    p->head_bytes;
}

/* SPDX-License-Identifier: MIT */
/*
 * The pages are one anonymous mapping, reserved but not touched, so a cache
 * costs what was used of it at its fullest.  Free pages are a stack: the page
 * given back last, still warm, goes out first.
 *
 * Invariant: a page is on the stack exactly when it has no owner.
 */
#include "config.h"

#include "model/kv.h"

#include <sys/mman.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"

struct kv_pool {
	uint16_t	*data;
	size_t		 n_bytes;
	size_t		 head_size;	/* elements of K, or V, of one head */
	size_t		 page_size;	/* elements */
	uint32_t	 n_head_kv;
	uint32_t	*owners;	/* per page */
	uint32_t	*free_pages;
	size_t		 n_free;
	size_t		 n_pages;
};

/* Elements of a page; 0 when that is more than the machine can address. */
static size_t
page_elements(uint32_t n_layer, uint32_t n_head_kv, uint32_t head_dim)
{
	size_t n;

	if (!size_mul((size_t)KV_PAGE * 2, head_dim, &n) ||
	    !size_mul(n, n_head_kv, &n) || !size_mul(n, n_layer, &n) ||
	    n > SIZE_MAX / sizeof(uint16_t))
		return 0;
	return n;
}

static int
map_pages(struct kv_pool *p, struct cause *cause)
{
	p->owners = try_calloc(p->n_pages, sizeof(*p->owners));
	p->free_pages = try_calloc(p->n_pages, sizeof(*p->free_pages));
	if (p->owners == NULL || p->free_pages == NULL)
		return cause_set(cause, BM_ENOMEM,
		    "no memory for a table of %zu KV pages", p->n_pages);
	p->data = mmap(NULL, p->n_bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->data == MAP_FAILED) {
		p->data = NULL;
		return cause_set(cause, BM_ENOMEM,
		    "no address space for %zu KV pages", p->n_pages);
	}
	for (size_t i = 0; i < p->n_pages; i++)
		p->free_pages[i] = (uint32_t)(p->n_pages - 1 - i);
	p->n_free = p->n_pages;
	return 0;
}

int
kv_pool_new(uint32_t n_layer, uint32_t n_head_kv, uint32_t head_dim,
    size_t n_pages, struct kv_pool **out, struct cause *cause)
{
	size_t page = page_elements(n_layer, n_head_kv, head_dim), n_bytes;
	struct kv_pool *p;
	int r;

	if (page == 0 || n_pages == 0 || n_pages > UINT32_MAX ||
	    !size_mul(page * sizeof(uint16_t), n_pages, &n_bytes))
		return cause_set(cause, BM_ELIMIT,
		    "a KV cache of %zu pages can't be addressed", n_pages);
	p = xcalloc(1, sizeof(*p));
	p->head_size = (size_t)KV_PAGE * head_dim;
	p->page_size = page;
	p->n_head_kv = n_head_kv;
	p->n_pages = n_pages;
	p->n_bytes = n_bytes;
	if ((r = map_pages(p, cause)) != 0) {
		kv_pool_free(&p);
		return r;
	}
	*out = p;
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
	free(p->owners);
	free(p->free_pages);
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
	return p->page_size * sizeof(uint16_t);
}

int
kv_seq_reserve(struct kv_pool *p, struct kv_seq *s, uint32_t n_tokens)
{
	size_t want = ((size_t)n_tokens + KV_PAGE - 1) / KV_PAGE;

	if (want <= s->n_pages)
		return 0;
	if (want - s->n_pages > p->n_free)
		return BM_ENOMEM;
	if (want > s->cap) {
		size_t cap = MEM_MAX(want, s->cap * 2);
		uint32_t *pages = try_reallocarray(s->pages, cap,
		    sizeof(*pages));

		if (pages == NULL)
			return BM_ENOMEM;
		s->pages = pages;
		s->cap = cap;
	}
	while (s->n_pages < want) {
		uint32_t page = p->free_pages[--p->n_free];

		assert(p->owners[page] == 0);
		p->owners[page] = 1;
		s->pages[s->n_pages++] = page;
	}
	return 0;
}

void
kv_seq_clear(struct kv_pool *p, struct kv_seq *s)
{
	/* Last page first, so that the first comes out first again. */
	while (s->n_pages > 0) {
		uint32_t page = s->pages[--s->n_pages];

		assert(p->owners[page] > 0);
		if (--p->owners[page] == 0)
			p->free_pages[p->n_free++] = page;
	}
	free(s->pages);
	*s = (struct kv_seq){ 0 };
}

uint16_t *
kv_keys(const struct kv_pool *p, uint32_t page, uint32_t layer, uint32_t head)
{
	size_t row = (size_t)layer * p->n_head_kv + head;

	return p->data + page * p->page_size + row * 2 * p->head_size;
}

uint16_t *
kv_values(const struct kv_pool *p, uint32_t page, uint32_t layer,
    uint32_t head)
{
	return kv_keys(p, page, layer, head) + p->head_size;
}

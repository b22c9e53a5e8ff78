/* SPDX-License-Identifier: MIT */
/*
 * A ring of encoded messages: [first, first + n_sent) is in flight, the rest
 * up to first + n waits.  Sequence numbers grow along the ring and wrap, so
 * they are compared by their difference.
 */
#include "config.h"

#include "gate/rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/frame.h"

void
rows_init(struct rows *r, size_t max)
{
	*r = (struct rows){ .max = MEM_MAX(max, (size_t)1) };
}

static struct rows_item *
item_at(const struct rows *r, size_t i)
{
	return &r->ring[(r->first + i) & (r->cap - 1)];
}

static void
drop_first(struct rows *r)
{
	struct rows_item *it = item_at(r, 0);

	r->bytes -= it->n_bytes;
	if (r->n_sent > 0) {
		r->n_sent--;
		r->sent_bytes -= it->n_bytes;
	}
	free(it->body);
	it->body = NULL;
	r->first = (r->first + 1) & (r->cap - 1);
	r->n--;
}

void
rows_fini(struct rows *r)
{
	while (r->n > 0)
		drop_first(r);
	free(r->ring);
	rows_init(r, r->max);
}

static void
grow(struct rows *r)
{
	size_t cap = r->cap == 0 ? 64 : r->cap * 2;
	struct rows_item *ring = xreallocarray(NULL, cap, sizeof(*ring));

	for (size_t i = 0; i < r->n; i++)
		ring[i] = *item_at(r, i);
	free(r->ring);
	r->ring = ring;
	r->cap = cap;
	r->first = 0;
}

/* After a backlog the ring need not stay large. */
static void
shrink_when_empty(struct rows *r)
{
	if (r->n > 0 || r->cap <= 4096)
		return;
	free(r->ring);
	r->ring = NULL;
	r->cap = r->first = 0;
}

bool
rows_add(struct rows *r, enum msg_type type, const void *m)
{
	struct rows_item it = { .type = type };
	bool all_kept = true;
	struct buf b;

	buf_init(&b, FRAME_BODY_MAX);
	if (msg_put(&b, type, m) != 0 || b.failed) {
		buf_fini(&b);
		r->n_dropped++;
		return false;
	}
	it.n_bytes = (uint32_t)b.len;
	it.body = (uint8_t *)buf_take(&b);
	while (r->n > 0 && (r->n >= r->max ||
	    r->bytes + it.n_bytes > ROWS_BYTES_MAX)) {
		drop_first(r);
		r->n_dropped++;
		all_kept = false;
	}
	if (++r->last_seq == 0)
		r->last_seq = 1;
	it.seq = r->last_seq;
	if (r->n == r->cap)
		grow(r);
	r->n++;
	*item_at(r, r->n - 1) = it;
	r->bytes += it.n_bytes;
	return all_kept;
}

const struct rows_item *
rows_next(struct rows *r)
{
	struct rows_item *it;

	if (r->n_sent == r->n || r->n_sent >= ROWS_WINDOW)
		return NULL;
	it = item_at(r, r->n_sent);
	/* One goes always, however large. */
	if (r->n_sent > 0 && r->sent_bytes + it->n_bytes > ROWS_WINDOW_BYTES)
		return NULL;
	r->n_sent++;
	r->sent_bytes += it->n_bytes;
	return it;
}

void
rows_ack(struct rows *r, uint32_t upto)
{
	while (r->n_sent > 0 && (int32_t)(upto - item_at(r, 0)->seq) >= 0)
		drop_first(r);
	shrink_when_empty(r);
}

void
rows_rewind(struct rows *r)
{
	r->n_sent = 0;
	r->sent_bytes = 0;
}

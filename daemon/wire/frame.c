/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "wire/frame.h"

#include <string.h>

int
frame_put(struct buf *b, enum msg_type type, uint32_t seq, uint64_t id,
    const void *m)
{
	size_t start = b->len, n;
	struct buf header;
	int r;

	if (buf_reserve(b, FRAME_HEADER) == NULL)
		return BM_ELIMIT;
	b->len += FRAME_HEADER;
	if ((r = msg_put(b, type, m)) != 0 ||
	    (n = b->len - start - FRAME_HEADER) > FRAME_BODY_MAX) {
		b->len = start;
		return r != 0 ? r : BM_ELIMIT;
	}
	header = (struct buf){ .data = b->data + start, .cap = FRAME_HEADER + 1,
	    .max = FRAME_HEADER };
	buf_put_u32(&header, FRAME_MAGIC);
	buf_put_u16(&header, (uint16_t)type);
	buf_put_u16(&header, 0);
	buf_put_u32(&header, (uint32_t)n);
	buf_put_u32(&header, seq);
	buf_put_u64(&header, id);
	return 0;
}

int
frame_get(const void *p, size_t n, enum role from, enum role to,
    struct frame *f, size_t *used)
{
	struct cur c = cur_of(p, n);
	uint32_t n_body;

	if (n < FRAME_HEADER)
		return 0;
	if (cur_u32(&c) != FRAME_MAGIC)
		return BM_EPROTO;
	memset(f, 0, sizeof(*f));
	f->fd = -1;
	f->type = cur_u16(&c);
	f->flags = cur_u16(&c);
	n_body = cur_u32(&c);
	f->seq = cur_u32(&c);
	f->id = cur_u64(&c);
	if (n_body > FRAME_BODY_MAX || !msg_is_allowed(f->type, from, to))
		return BM_EPROTO;
	if (cur_left(&c) < n_body)
		return 0;
	f->body = cur_of(c.p, n_body);
	*used = FRAME_HEADER + n_body;
	return 1;
}

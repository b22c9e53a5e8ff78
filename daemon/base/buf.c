/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

#define BUF_FIRST 256

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void
buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ .max = b->max };
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

uint8_t *
buf_reserve(struct buf *b, size_t n)
{
	size_t want, cap;
	uint8_t *data;

	if (b->failed || !size_add(b->len, n, &want) || want > b->max) {
		b->failed = true;
		return NULL;
	}
	/* One byte more than asked, for buf_cstr. */
	if (want + 1 > b->cap) {
		cap = b->cap > 0 ? b->cap : BUF_FIRST;
		while (cap < want + 1)
			cap += cap / 2 + 1;
		data = realloc(b->data, cap);
		if (data == NULL) {
			b->failed = true;
			return NULL;
		}
		b->data = data;
		b->cap = cap;
	}
	return b->data + b->len;
}

void
buf_consume(struct buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

void
buf_put(struct buf *b, const void *p, size_t n)
{
	uint8_t *to = buf_reserve(b, n);

	if (to == NULL || n == 0)
		return;
	memcpy(to, p, n);
	b->len += n;
}

/* Little endian whatever the machine is. */
static void
put_le(struct buf *b, uint64_t v, size_t n)
{
	uint8_t *to = buf_reserve(b, n);

	if (to == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(v >> (8 * i));
	b->len += n;
}

void
buf_put_u8(struct buf *b, uint8_t v)
{
	put_le(b, v, 1);
}

void
buf_put_u16(struct buf *b, uint16_t v)
{
	put_le(b, v, 2);
}

void
buf_put_u32(struct buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void
buf_put_u64(struct buf *b, uint64_t v)
{
	put_le(b, v, 8);
}

void
buf_put_f32(struct buf *b, float v)
{
	uint32_t u;

	memcpy(&u, &v, sizeof(u));
	put_le(b, u, 4);
}

void
buf_put_f64(struct buf *b, double v)
{
	uint64_t u;

	memcpy(&u, &v, sizeof(u));
	put_le(b, u, 8);
}

void
buf_put_slice(struct buf *b, struct slice s)
{
	if (s.n > UINT32_MAX) {
		b->failed = true;
		return;
	}
	buf_put_u32(b, (uint32_t)s.n);
	buf_put(b, s.p, s.n);
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	uint8_t *to;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0 || (to = buf_reserve(b, (size_t)n)) == NULL) {
		b->failed = true;
		return;
	}
	vsnprintf((char *)to, (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void
buf_put_json(struct buf *b, struct slice s)
{
	size_t at = 0, plain = 0;

	buf_put(b, "\"", 1);
	while (at < s.n) {
		unsigned char c = (unsigned char)s.p[at];
		size_t n = utf8_length(s.p + at, s.n - at);

		if (n > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
			at += n;
			continue;
		}
		buf_put(b, s.p + plain, at - plain);
		if (n == 0)
			buf_puts(b, "\xef\xbf\xbd");
		else if (c == '\n')
			buf_puts(b, "\\n");
		else if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else
			buf_printf(b, "\\u%04x", c);
		plain = ++at;
	}
	buf_put(b, s.p + plain, at - plain);
	buf_put(b, "\"", 1);
}

const char *
buf_cstr(struct buf *b)
{
	if (b->data == NULL)
		return "";
	b->data[b->len] = '\0';
	return (const char *)b->data;
}

char *
buf_take(struct buf *b)
{
	char *s;

	if (b->data == NULL)
		return xstrdup("");
	b->data[b->len] = '\0';
	s = (char *)b->data;
	*b = (struct buf){ .max = b->max };
	return s;
}

struct cur
cur_of(const void *p, size_t n)
{
	const uint8_t *at = p;

	return (struct cur){ .p = at, .end = n > 0 ? at + n : at };
}

size_t
cur_left(const struct cur *c)
{
	return c->failed ? 0 : (size_t)(c->end - c->p);
}

const uint8_t *
cur_raw(struct cur *c, size_t n)
{
	const uint8_t *at = c->p;

	if (c->failed || n > (size_t)(c->end - c->p)) {
		c->failed = true;
		return NULL;
	}
	c->p += n;
	return at;
}

static uint64_t
get_le(struct cur *c, size_t n)
{
	const uint8_t *at = cur_raw(c, n);
	uint64_t v = 0;

	if (at == NULL)
		return 0;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)at[i] << (8 * i);
	return v;
}

uint8_t
cur_u8(struct cur *c)
{
	return (uint8_t)get_le(c, 1);
}

uint16_t
cur_u16(struct cur *c)
{
	return (uint16_t)get_le(c, 2);
}

uint32_t
cur_u32(struct cur *c)
{
	return (uint32_t)get_le(c, 4);
}

uint64_t
cur_u64(struct cur *c)
{
	return get_le(c, 8);
}

float
cur_f32(struct cur *c)
{
	uint32_t u = cur_u32(c);
	float v;

	memcpy(&v, &u, sizeof(v));
	return v;
}

double
cur_f64(struct cur *c)
{
	uint64_t u = cur_u64(c);
	double v;

	memcpy(&v, &u, sizeof(v));
	return v;
}

struct slice
cur_slice(struct cur *c)
{
	uint32_t n = cur_u32(c);
	const uint8_t *at = cur_raw(c, n);

	return (struct slice){ .p = at != NULL ? (const char *)at : "",
	    .n = at != NULL ? n : 0 };
}

struct slice
slice_of(const char *cstr)
{
	return (struct slice){ .p = cstr != NULL ? cstr : "",
	    .n = cstr != NULL ? strlen(cstr) : 0 };
}

bool
slice_eq(struct slice s, const char *cstr)
{
	return strlen(cstr) == s.n && memcmp(s.p, cstr, s.n) == 0;
}

char *
slice_dup(struct slice s)
{
	return xmemdup0(s.p, s.n);
}

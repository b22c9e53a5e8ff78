/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_BUF_H
#define BM_BASE_BUF_H

/*
 * A growing byte buffer and its counterpart, a reading cursor.  Numbers are
 * little endian.  Both remember failure instead of reporting it at every call:
 * put or get everything, then ask once (buf.failed, cur.failed).  After a
 * failure a buffer takes nothing more and a cursor gives zeros and empty
 * slices.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Borrowed bytes; not NUL-terminated. */
struct slice {
	const char	*p;
	size_t		 n;
};

struct buf {
	uint8_t	*data;
	size_t	 len;
	size_t	 cap;
	size_t	 max;		/* a put beyond this sets failed */
	bool	 failed;
};

/* An empty buffer that may hold max bytes; allocates nothing yet. */
void	 buf_init(struct buf *b, size_t max);
void	 buf_fini(struct buf *b);
/* Empty it and forget a failure; the memory stays. */
void	 buf_clear(struct buf *b);
/* Make room for n more bytes; NULL and failed when that is beyond max. */
uint8_t	*buf_reserve(struct buf *b, size_t n);
/* Drop the first n bytes. */
void	 buf_consume(struct buf *b, size_t n);

void	 buf_put(struct buf *b, const void *p, size_t n);
void	 buf_put_u8(struct buf *b, uint8_t v);
void	 buf_put_u16(struct buf *b, uint16_t v);
void	 buf_put_u32(struct buf *b, uint32_t v);
void	 buf_put_u64(struct buf *b, uint64_t v);
void	 buf_put_f32(struct buf *b, float v);
void	 buf_put_f64(struct buf *b, double v);
/* u32 length, then the bytes. */
void	 buf_put_slice(struct buf *b, struct slice s);
void	 buf_puts(struct buf *b, const char *s);
void	 buf_printf(struct buf *b, const char *fmt, ...) BM_PRINTF(2, 3);
void	 buf_vprintf(struct buf *b, const char *fmt, va_list ap);
/* s as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void	 buf_put_json(struct buf *b, struct slice s);
/* The contents as a C string; adds a NUL that is not counted. */
const char *buf_cstr(struct buf *b);
/* Hand the memory (NUL-terminated) to the caller and leave b empty. */
char	*buf_take(struct buf *b);

struct cur {
	const uint8_t	*p;
	const uint8_t	*end;
	bool		 failed;
};

struct cur	 cur_of(const void *p, size_t n);
size_t		 cur_left(const struct cur *c);
/* n raw bytes, NULL when there are fewer. */
const uint8_t	*cur_raw(struct cur *c, size_t n);
uint8_t		 cur_u8(struct cur *c);
uint16_t	 cur_u16(struct cur *c);
uint32_t	 cur_u32(struct cur *c);
uint64_t	 cur_u64(struct cur *c);
float		 cur_f32(struct cur *c);
double		 cur_f64(struct cur *c);
struct slice	 cur_slice(struct cur *c);

struct slice	 slice_of(const char *cstr);	/* NULL gives the empty slice */
bool		 slice_eq(struct slice s, const char *cstr);
/* A NUL-terminated copy (dies without memory). */
char		*slice_dup(struct slice s);

#endif

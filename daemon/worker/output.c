/* SPDX-License-Identifier: MIT */
/*
 * Bytes wait in `bytes` until they are a character, characters in `held` until
 * no stop string can begin with them; both stay short, since a token's text is
 * appended to less than a character and less than the longest stop string.
 */
#include "config.h"

#include "worker/output.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

#define TEXT_MAX	((size_t)1 << 30)
#define REPLACEMENT	"\xef\xbf\xbd"	/* U+FFFD */

void
output_init(struct output *o)
{
	memset(o, 0, sizeof(*o));
	buf_init(&o->bytes, TEXT_MAX);
	buf_init(&o->held, TEXT_MAX);
}

void
output_fini(struct output *o)
{
	for (size_t i = 0; i < o->n_stops; i++)
		free(o->stops[i]);
	free(o->stops);
	free(o->stop_bytes);
	buf_fini(&o->bytes);
	buf_fini(&o->held);
	memset(o, 0, sizeof(*o));
}

void
output_add_stop(struct output *o, struct slice stop)
{
	if (stop.n == 0)
		return;
	o->stops = xreallocarray(o->stops, o->n_stops + 1,
	    sizeof(*o->stops));
	o->stop_bytes = xreallocarray(o->stop_bytes, o->n_stops + 1,
	    sizeof(*o->stop_bytes));
	o->stops[o->n_stops] = slice_dup(stop);
	o->stop_bytes[o->n_stops++] = stop.n;
}

/* Move whole characters from bytes to held; at_end also the rest. */
static void
take_characters(struct output *o, bool at_end)
{
	const char *p = (const char *)o->bytes.data;
	size_t n = o->bytes.len, at = 0;

	while (at < n) {
		size_t length = utf8_length(p + at, n - at);

		if (length > 0) {
			buf_put(&o->held, p + at, length);
			at += length;
			continue;
		}
		if (!at_end && utf8_incomplete_tail(p + at, n - at) == n - at)
			break;
		buf_puts(&o->held, REPLACEMENT);
		at++;
	}
	buf_consume(&o->bytes, at);
}

/* The place of the first stop string in held, or held's length. */
static size_t
find_stop(struct output *o)
{
	size_t first = o->held.len;

	for (size_t i = 0; i < o->n_stops && o->held.len > 0; i++) {
		const uint8_t *at = memmem(o->held.data, o->held.len,
		    o->stops[i], o->stop_bytes[i]);

		if (at == NULL || (size_t)(at - o->held.data) >= first)
			continue;
		first = (size_t)(at - o->held.data);
		o->found = i;
		o->stopped = true;
	}
	return first;
}

/* How many bytes at the end of held are the begin of a stop string. */
static size_t
partial_stop(const struct output *o)
{
	size_t longest = 0;

	for (size_t i = 0; i < o->n_stops; i++) {
		size_t n = MEM_MIN(o->stop_bytes[i] - 1, o->held.len);

		for (; n > longest; n--)
			if (memcmp(o->held.data + o->held.len - n,
			    o->stops[i], n) == 0)
				longest = n;
	}
	return longest;
}

static void
release(struct output *o, size_t n, struct buf *released)
{
	buf_put(released, o->held.data, n);
	buf_consume(&o->held, n);
}

bool
output_add(struct output *o, struct slice piece, struct buf *released)
{
	size_t n;

	if (o->stopped)
		return true;
	buf_put(&o->bytes, piece.p, piece.n);
	take_characters(o, false);
	n = find_stop(o);
	if (!o->stopped)
		n -= partial_stop(o);
	release(o, n, released);
	return o->stopped;
}

void
output_flush(struct output *o, struct buf *released)
{
	if (o->stopped)
		return;
	take_characters(o, true);
	release(o, o->held.len, released);
}

struct slice
output_stop(const struct output *o)
{
	if (!o->stopped)
		return (struct slice){ NULL, 0 };
	return (struct slice){ o->stops[o->found], o->stop_bytes[o->found] };
}

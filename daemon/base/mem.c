/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static void *
or_die(void *p, size_t size)
{
	if (p == NULL)
		fatalx("out of memory: %zu bytes wanted", size);
	return p;
}

void *
xmalloc(size_t size)
{
	return or_die(malloc(size ? size : 1), size);
}

void *
xcalloc(size_t n, size_t size)
{
	return or_die(calloc(n ? n : 1, size ? size : 1), n * size);
}

void *
xrealloc(void *p, size_t size)
{
	return or_die(realloc(p, size ? size : 1), size);
}

void *
xreallocarray(void *p, size_t n, size_t size)
{
	return or_die(try_reallocarray(p, n, size), n * size);
}

char *
xstrdup(const char *s)
{
	return xmemdup0(s, strlen(s));
}

char *
xmemdup0(const void *p, size_t n)
{
	char *s = xmalloc(n + 1);

	if (n > 0)
		memcpy(s, p, n);
	s[n] = '\0';
	return s;
}

void *
try_malloc(size_t size)
{
	return malloc(size ? size : 1);
}

void *
try_calloc(size_t n, size_t size)
{
	return calloc(n ? n : 1, size ? size : 1);
}

void *
try_reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (!size_mul(n, size, &bytes))
		return NULL;
	return realloc(p, bytes ? bytes : 1);
}

void *
try_aligned(size_t align, size_t size)
{
	void *p;

	if (posix_memalign(&p, align, size ? size : 1) != 0)
		return NULL;
	memset(p, 0, size);
	return p;
}

void *
xaligned(size_t align, size_t size)
{
	return or_die(try_aligned(align, size), size);
}

bool
size_add(size_t a, size_t b, size_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

bool
size_mul(size_t a, size_t b, size_t *out)
{
	return !__builtin_mul_overflow(a, b, out);
}

/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_MEM_H
#define BM_BASE_MEM_H

/*
 * Memory.  The x functions are for sizes of our own making and end the process
 * when there is none left; the try functions are for sizes that came from
 * outside and return NULL.  Arithmetic on outside sizes goes through size_add
 * and size_mul first.
 */

#include <stdbool.h>
#include <stddef.h>

void	*xmalloc(size_t size);
void	*xcalloc(size_t n, size_t size);
void	*xrealloc(void *p, size_t size);
/* Room for n elements of the given size; dies if the product wraps. */
void	*xreallocarray(void *p, size_t n, size_t size);
char	*xstrdup(const char *s);
/* A NUL-terminated copy of n bytes. */
char	*xmemdup0(const void *p, size_t n);

void	*try_malloc(size_t size);
/* Zeroed; NULL also when n * size wraps. */
void	*try_calloc(size_t n, size_t size);
/* As realloc, NULL when n * size wraps; p stays valid on failure. */
void	*try_reallocarray(void *p, size_t n, size_t size);

/* Zeroed memory on a boundary of align (a power of two); free with free(). */
void	*xaligned(size_t align, size_t size);
void	*try_aligned(size_t align, size_t size);

/* *out = a + b or a * b; false when that wraps. */
bool	 size_add(size_t a, size_t b, size_t *out);
bool	 size_mul(size_t a, size_t b, size_t *out);

#define MEM_MIN(a, b) ((a) < (b) ? (a) : (b))
#define MEM_MAX(a, b) ((a) > (b) ? (a) : (b))
#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

#endif

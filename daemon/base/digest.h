/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_DIGEST_H
#define BM_BASE_DIGEST_H

/*
 * A fast 64-bit digest that tells accidents (a flipped bit, a torn write, a
 * file mistaken for another) from what was written; no defence against
 * somebody who wants two inputs with one digest.
 */

#include <stddef.h>
#include <stdint.h>

/* One step: for a given h, different values give different results. */
static inline uint64_t
digest_mix(uint64_t h, uint64_t value)
{
	h = (h ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

/* Of n bytes; the same on every machine of one byte order. */
uint64_t	 digest64(const void *p, size_t n, uint64_t seed);

#endif

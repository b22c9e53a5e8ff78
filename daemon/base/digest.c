/* SPDX-License-Identifier: MIT */
/*
 * Eight independent chains, so that a processor has several multiplications
 * under way.  Every step is a bijection of the chain's state, so a change that
 * stays within one word is always noticed.
 */
#include "config.h"

#include "base/digest.h"

#include <string.h>

#define N_CHAINS 8

uint64_t
digest64(const void *p, size_t n, uint64_t seed)
{
	const uint8_t *at = p, *end = at + n;
	uint64_t h[N_CHAINS], word[N_CHAINS], sum = digest_mix(seed, n);

	for (int i = 0; i < N_CHAINS; i++)
		h[i] = digest_mix(seed, (uint64_t)i);
	for (; (size_t)(end - at) >= sizeof(word); at += sizeof(word)) {
		memcpy(word, at, sizeof(word));
		for (int i = 0; i < N_CHAINS; i++)
			h[i] = digest_mix(h[i], word[i]);
	}
	memset(word, 0, sizeof(word));
	if (at < end)
		memcpy(word, at, (size_t)(end - at));
	for (int i = 0; i < N_CHAINS; i++)
		sum = digest_mix(sum, digest_mix(h[i], word[i]));
	return sum;
}

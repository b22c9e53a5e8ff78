/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/uuid.h"

#include <sys/random.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

void
random_bytes(void *p, unsigned n)
{
	unsigned char *to = p;

	while (n > 0) {
		ssize_t got = getrandom(to, n, 0);

		if (got < 0 && errno != EINTR)
			fatal("getrandom");
		if (got > 0) {
			to += got;
			n -= (unsigned)got;
		}
	}
}

uint64_t
random_u64(void)
{
	uint64_t x;

	random_bytes(&x, sizeof(x));
	return x;
}

void
uuid_v7(int64_t unix_ms, char text[UUID_TEXT_SIZE])
{
	uint64_t ms = (uint64_t)unix_ms & 0xffffffffffff;
	uint64_t r = random_u64();
	static uint64_t last_ms;
	static uint32_t a;

	/* Those of one millisecond are in order, too, while a counter of 12
	 * bits that begins low lasts. */
	a = ms == last_ms && a < 0xfff ? a + 1 :
	    (uint32_t)(r >> 32) & 0x3ff;
	last_ms = ms;
	snprintf(text, UUID_TEXT_SIZE, "%08x-%04x-7%03x-%04x-%012llx",
	    (unsigned)(ms >> 16), (unsigned)(ms & 0xffff), (unsigned)a,
	    (unsigned)(0x8000 | ((r >> 48) & 0x3fff)),
	    (unsigned long long)(r & 0xffffffffffff));
}

int
uuid_is_valid(const char *text)
{
	if (strlen(text) != UUID_TEXT_SIZE - 1)
		return 0;
	for (int i = 0; i < UUID_TEXT_SIZE - 1; i++) {
		int dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' :
		    strchr("0123456789abcdefABCDEF", text[i]) == NULL)
			return 0;
	}
	return 1;
}
